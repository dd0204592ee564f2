"""The tracked front end in a painted world: who is followed, by what, and who is not invented."""

import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from painted import FRAME, S, ids, make, paint, play

from diffpose_ros.core import BackendError, ConfigError, InputError, People2D
from diffpose_ros.frontend import FrontEnd, TrackedConfig, make_front_end


def wait(condition, timeout_s=10.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.005)


def test_it_is_a_front_end():
    front_end = make()
    assert isinstance(front_end, FrontEnd)
    assert (front_end.name, front_end.joint_set) == ("movenet", "coco17")


def test_a_lone_person_is_found_once_and_followed_by_crops():
    front_end = make(discovery_s=60.0)
    frames = play(front_end, [{0: (100 + 4 * i, 240)} for i in range(60)])
    assert ids(frames) == [[0]] * 60
    assert front_end.single.crops == 60
    assert front_end.report.values["keypoints from"] == "1 crops of 192 px"
    hips = frames[-1].xy[0, 11:13].mean(0)
    assert hips == pytest.approx((100 + 4 * 59, 240 + 0.05 * 160), abs=3)
    assert frames[-1].covariance.shape == (1, 17, 2, 2)


def test_searches_come_eagerly_at_first_and_rarely_later():
    front_end = make(discovery_s=0.4)
    play(front_end, [{0: (200, 240)}] * 30)
    first = front_end.whole.calls
    assert first <= 11
    play(front_end, [{0: (200, 240)}] * 120, start=30)
    assert front_end.whole.calls - first <= 10 + 1


def test_someone_who_enters_is_found_within_the_pause():
    front_end = make()
    alone = play(front_end, [{0: (100, 240)}] * 60)
    both = play(front_end, [{0: (100, 240), 1: (500, 240)}] * 15, start=60)
    assert ids(alone)[-1] == [0]
    assert ids(both)[13] == [0, 1]


def test_who_leaves_is_gone_at_once_and_remembered():
    front_end = make()
    play(front_end, [{0: (100, 240), 1: (500, 240)}] * 20)
    gone = play(front_end, [{0: (100, 240)}] * 15, start=20)
    back = play(front_end, [{0: (100, 240), 1: (505, 240)}] * 16, start=35)
    assert ids(gone) == [[0]] * 15
    assert ids(back)[-1] == [0, 1]


def test_a_person_followed_by_crops_needs_no_discovery():
    """Turned away, against the light: the whole-image network no longer sees them."""
    front_end = make()
    play(front_end, [{0: (300, 240)}] * 5)
    front_end.whole.sees = set()
    assert ids(play(front_end, [{0: (300 + i, 240)} for i in range(90)], start=5)) == [[0]] * 90


def test_nobody_is_invented_where_only_one_network_sees_somebody():
    front_end = make()
    front_end.single.blind = True
    assert ids(play(front_end, [{0: (300, 240)}] * 90)) == [[]] * 90
    front_end = make()
    front_end.whole.sees = set()
    assert ids(play(front_end, [{0: (300, 240)}] * 90)) == [[]] * 90
    assert front_end.single.crops == 0


def test_a_crop_that_is_not_sure_starts_nobody_but_continues():
    front_end = make()
    front_end.single.score = 0.35
    assert ids(play(front_end, [{0: (300, 240)}] * 30)) == [[]] * 30
    front_end.single.score = 0.7
    play(front_end, [{0: (300, 240)}] * 30, start=30)
    front_end.single.score = 0.35
    assert ids(play(front_end, [{0: (300, 240)}] * 30, start=60))[-1] == [0]


def test_a_track_on_nothing_ends_within_a_third_of_a_second():
    front_end = make()
    play(front_end, [{0: (300, 240)}] * 30)
    crops = front_end.single.crops
    gone = play(front_end, [{}] * 30, start=30)
    assert ids(gone) == [[]] * 30
    assert front_end.single.crops - crops <= 10


def test_bodies_that_overlap_go_to_the_whole_image():
    front_end = make()
    apart = play(front_end, [{0: (200, 240), 1: (300, 300)}] * 5)
    assert "crops" in front_end.report.values["keypoints from"]
    over = play(front_end, [{0: (200 + 4 * i, 240), 1: (300, 300)} for i in range(20)], start=5)
    assert "bodies overlap" in front_end.report.values["keypoints from"]
    assert ids(apart)[-1] == ids(over)[-1] == [0, 1]


def test_whom_the_whole_image_misses_a_crop_fills_in():
    front_end = make()
    play(front_end, [{0: (200, 240), 1: (240, 240)}] * 10)
    front_end.whole.sees = {0}
    frames = play(front_end, [{0: (200, 240), 1: (240, 240)}] * 10, start=10)
    assert ids(frames) == [[0, 1]] * 10


def test_a_crowd_goes_to_the_whole_image():
    front_end = make(max_crops=2)
    crowd = {k: (80 + 120 * k, 240) for k in range(5)}
    frames = play(front_end, [crowd] * 10)
    assert ids(frames)[-1] == [0, 1, 2, 3, 4]
    assert "a crowd" in front_end.report.values["keypoints from"]
    assert front_end.report.counts["frames looked at whole"] >= 8


def test_no_more_people_than_allowed_are_followed():
    front_end = make(max_people=2)
    frames = play(front_end, [{k: (80 + 120 * k, 240) for k in range(5)}] * 10)
    assert max(len(people) for people in frames) <= 2


def test_the_same_images_give_the_same_people():
    scenes = [{0: (100 + 3 * i, 240), 1: (500 - 5 * i, 240)} for i in range(60)]
    a, b = play(make(), scenes), play(make(), scenes)
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one.xy, other.xy)
        np.testing.assert_array_equal(one.track_id, other.track_id)


def test_frames_far_apart_still_follow():
    front_end = make()
    frames = [front_end.see(paint({0: (300, 240)}), i * S * 7 // 10) for i in range(6)]
    assert ids(frames) == [[0]] * 6


# ---- short of time


def hurried(**options):
    """A front end for which every frame takes too long."""
    return make(in_step=False, budget_s=0.001, **options)


def until_discovered(front_end, scene, frames=40):
    """Play until everyone is followed; the search is beside the frames."""
    for i in range(frames):
        front_end.see(paint(scene), i * FRAME)
        wait(lambda: not front_end._discovery._busy and front_end._discovery._job is None)
    return frames


def test_short_of_time_pixels_are_spared_first_then_people_take_turns():
    front_end = hurried()
    front_end._timer = lambda: 0.0  # what frames take is said below
    scene = {0: (100, 240), 1: (300, 240), 2: (500, 240)}
    start = until_discovered(front_end, scene, 12)
    assert front_end.report.values == {
        "keypoints from": "3 crops of 192 px", "short of time": "no",
    }  # fmt: skip
    for _ in range(60):
        front_end._pace.frame(1.0)
    frames = play(front_end, [scene] * 10, start=start)
    assert front_end.report.values == {
        "keypoints from": "2 crops of 128 px",
        "short of time": "fewer pixels, whole image at 256 px, searches every 1.6 s, people in turns",
    }
    assert ids(frames) == [[0, 1, 2]] * 10
    waiting = [people.track_id[people.state == 2].tolist() for people in frames]
    assert all(len(w) == 1 for w in waiting)
    assert {w[0] for w in waiting} == {0, 1, 2}
    assert front_end.report.counts["people predicted, not looked at"] == 10
    last = frames[-1]
    hidden = last.state == 2
    assert last.score[hidden].max() == pytest.approx(0.2)
    assert np.trace(last.covariance[hidden][0, 0]) > np.trace(last.covariance[~hidden][0, 0])
    front_end.close()


def test_with_time_to_spare_nothing_is_spared_any_more():
    front_end = hurried()
    for _ in range(60):
        front_end._pace.frame(1.0)
    assert front_end._pace.values()["short of time"] != "no"
    for _ in range(400):
        front_end._pace.frame(0.0)
    assert front_end._pace.values() == {"short of time": "no"}
    front_end.close()


def test_in_step_there_is_time_for_everything():
    front_end = make(budget_s=0.001)
    for _ in range(60):
        front_end._pace.frame(1.0)
    assert front_end._pace.values() == {"short of time": "no"}


# ---- beside the frames


def test_a_search_beside_the_frames_does_not_hold_them_up():
    front_end = make(in_step=False, budget_s=10.0)
    free = threading.Event()
    find = front_end.whole.find

    def slow(pyramid, **options):
        free.wait(10.0)
        return find(pyramid)

    front_end.whole.find = slow
    assert ids(play(front_end, [{0: (300, 240)}] * 3)) == [[]] * 3
    free.set()
    wait(lambda: front_end.whole.calls == 1 and not front_end._discovery._busy)
    # found where they stood three frames ago, seen where they stand now
    now = play(front_end, [{0: (310, 240)}], start=3)[0]
    assert now.xy[0, 11:13, 0].mean() == pytest.approx(310, abs=2)
    front_end.close()


def test_what_was_searched_before_a_reset_is_forgotten():
    front_end = make(in_step=False)
    free, inside = threading.Event(), threading.Event()
    find = front_end.whole.find

    def slow(pyramid, **options):
        inside.set()
        free.wait(10.0)
        return find(pyramid)

    front_end.whole.find = slow
    play(front_end, [{0: (300, 240)}])
    assert inside.wait(10.0)
    front_end.reset()
    free.set()
    wait(lambda: not front_end._discovery._busy)
    assert front_end._discovery.poll() is None
    front_end.close()


def test_what_goes_wrong_in_a_search_is_raised_by_the_next_frame():
    front_end = make(in_step=False)

    def fail(pyramid, **options):
        raise BackendError("movenet: inference failed: no memory")

    front_end.whole.find = fail
    play(front_end, [{0: (300, 240)}])
    wait(lambda: front_end._discovery._error is not None)
    with pytest.raises(BackendError, match="no memory"):
        play(front_end, [{0: (300, 240)}], start=1)
    front_end.close()
    assert not front_end._discovery._thread.is_alive()


# ---- bad input


@pytest.mark.parametrize("change", ["size", "stamp", "reset"])
def test_a_new_beginning_gives_new_identities(change):
    front_end = make()
    play(front_end, [{0: (300, 240)}] * 5, start=100)
    if change == "reset":
        front_end.reset()
    shape = (500, 640) if change == "size" else (480, 640)
    stamp = 3 if change == "stamp" else 105
    assert front_end.see(paint({0: (300, 240)}, shape=shape), stamp * FRAME).track_id.tolist() == [1]


@pytest.mark.parametrize("image", [None, np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), float)])
def test_what_is_no_image_is_refused(image):
    with pytest.raises(InputError, match="image: expected"):
        make().see(image, 0)


def test_a_closed_front_end_says_so():
    front_end = make()
    front_end.close()
    with pytest.raises(BackendError, match="was closed"):
        front_end.see(paint({}), 0)


def test_keypoints_outside_of_the_image_are_masked():
    front_end = make()
    frames = play(front_end, [{0: (5, 240)}] * 5)
    for people in frames:
        assert (people.xy > -0.5).all()
        assert (people.xy[..., 0] < 639.5).all()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"network": "thunderbolt"}, "tracked network: expected one of lightning, thunder"),
        ({"crop_size": 200}, "tracked crop_size: expected a multiple of 32, got 200"),
        ({"input_size": 100}, "tracked input_size: expected 128 to 1024, got 100"),
        ({"max_crops": -1}, "tracked max_crops: expected 0 to 100, got -1"),
        ({"discovery_s": float("nan")}, "expected 0 to 60, got nan"),
        ({"in_step": 1}, "tracked in_step: expected true or false, got 1"),
        ({"runtime": "tvm"}, "tracked runtime: expected one of auto"),
    ],
)
def test_settings_out_of_range_are_refused(options, text):
    with pytest.raises(ConfigError, match=text):
        TrackedConfig(**options)


# ---- by name


def test_tracked_needs_the_bundled_networks():
    with pytest.raises(ConfigError, match="expected detector 'movenet' without a model file"):
        make_front_end("ultralytics", front_end="tracked")
    with pytest.raises(ConfigError, match="front_end: expected one of auto, tracked, whole_image"):
        make_front_end(front_end="half")
    with pytest.raises(ConfigError, match="unknown option 'imgsz', expected: "):
        make_front_end(front_end="tracked", imgsz=640)


def test_another_detector_looks_at_whole_images():
    class Fake:
        name, joint_set, reason = "ultralytics", "coco17", "nothing"

        def detect(self, rgb):
            return People2D.empty()

        def close(self):
            pass

    asked = {}

    def make_detector(name, **options):
        asked.update(options, name=name)
        return Fake()

    front_end = make_front_end("ultralytics", make_detector=make_detector, imgsz=640)
    assert type(front_end).__name__ == "WholeImage"
    assert asked == {"name": "ultralytics", "imgsz": 640}
