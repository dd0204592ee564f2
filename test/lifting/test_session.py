"""Keypoints in, skeletons out, on a graph whose answers are known."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the Python package onnx to make a test graph")

from synthetic import CONTEXT, HISTORY
from views import FRAME, S, anew, run, spy, standing

from diffpose_ros.core import BackendError, Camera, People2D
from diffpose_ros.geometry.root import stature


def test_a_person_stands_where_the_rays_say(make, camera):
    result = run(make(), camera, 1, places=[[0.4, 0.1, 4.0]])
    (skeleton,) = result.skeletons
    np.testing.assert_allclose(skeleton.root, [0.4, 0.1, 4.0], atol=0.35)
    np.testing.assert_allclose(skeleton.xyz[0], skeleton.root, atol=0.1)
    assert skeleton.track_id == 1
    assert not skeleton.root_is_metric
    assert result.report.lifted == result.report.people == 1
    assert (result.report.hypotheses, result.report.steps) == (5, 5)


def test_everyone_comes_out_in_the_order_they_came_in(make, camera):
    lifter = make()
    places = [[-1.5, 0, 4], [0, 0, 5], [1.5, 0, 4]]
    for k, order in enumerate([(0, 1, 2), (2, 0, 1), (1, 2, 0)]):
        people = standing(camera, np.array(places)[list(order)], ids=[i + 1 for i in order])
        out = lifter.lift(people, camera, k * FRAME).skeletons
        assert [s.track_id for s in out] == [i + 1 for i in order]
        np.testing.assert_allclose([s.root[0] for s in out], [places[i][0] for i in order], atol=0.35)


def test_people_do_not_change_each_other(make, camera):
    places = np.array([[-1.5, 0, 4], [0, 0, 5], [1.5, 0, 4]])
    together = run(make(), camera, 5, places=places)
    alone = run(make(), camera, 5, places=places[2], ids=[3])
    np.testing.assert_allclose(together.skeletons[2].xyz, alone.skeletons[0].xyz, atol=1e-5)


def test_the_rings_hold_the_past(make, camera):
    lifter = make()
    frames = CONTEXT + 3
    run(lifter, camera, frames, places=[[0, 0, 4]], start=0)
    store = lifter.people
    stamps = np.sort(store.rings["context"].stamps[0])
    np.testing.assert_array_equal(stamps, FRAME * np.arange(frames - CONTEXT, frames))
    # What the history ring keeps of a frame is written by the frame after it.
    stamps = np.sort(store.rings["history"].stamps[0])
    np.testing.assert_array_equal(stamps, FRAME * np.arange(frames - 1 - HISTORY, frames - 1))
    np.testing.assert_array_equal(np.moveaxis(store.arrays["key_0"][0], 2, 0), store.arrays["value_0"][0])


def test_ages_points_and_bones_go_in(make, camera):
    lifter = make()
    feeds = spy(lifter)
    run(lifter, camera, 4, places=[[0, 0, 4]])
    first, last = feeds[0], feeds[-1]
    assert first["previous_age"][0] == -1
    assert (first["age"] == -1).all()
    assert (first["bone_mean"] == -1).all()
    assert last["previous_age"][0] == pytest.approx(1 / 30, rel=1e-5)
    np.testing.assert_allclose(np.sort(last["age"][0])[::-1][:3] * 30, [3, 2, 1], rtol=1e-5)
    np.testing.assert_allclose(np.sort(last["history_age"][0])[::-1][:2] * 30, [3, 2], rtol=1e-5)
    np.testing.assert_array_equal(last["previous_points"], feeds[-2]["points"])
    assert last["bone_mean"][0, 1] == pytest.approx(0.44, abs=0.05)
    assert first["view"][0, 4] == 1
    assert last["view"][0, 4] == 0


def test_the_first_frame_leaves_nothing_in_the_history(make, camera):
    lifter = make()
    run(lifter, camera, 1, places=[[0, 0, 4]])
    assert (lifter.people.rings["history"].stamps[0] < 0).all()


def test_a_body_of_known_height_makes_the_root_metric(make, camera):
    free = run(make(), camera, 3, places=[[0.5, 0, 4]]).skeletons[0]
    fixed = run(make(person_height=1.2), camera, 3, places=[[0.5, 0, 4]]).skeletons[0]
    assert fixed.root_is_metric
    assert stature(fixed.xyz - fixed.root) == pytest.approx(1.2, rel=0.05)
    factor = 1.2 / stature(free.xyz - free.root)
    np.testing.assert_allclose(fixed.root, free.root * factor, rtol=0.05)
    np.testing.assert_allclose(fixed.covariance, free.covariance * factor**2, rtol=0.1, atol=1e-9)


def test_distorted_keypoints_are_undistorted(make, camera):
    bent = Camera(camera.matrix, camera.width, camera.height, np.array([-0.2, 0.05, 0, 0, 0]), "plumb_bob")
    straight = standing(camera, [[1.0, 0, 4]])
    tangents = (straight.xy[0] - camera.matrix[:2, 2]) / camera.focal
    import cv2

    rays = np.concatenate([tangents, np.ones((17, 1))], 1)
    xy, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), bent.matrix, bent.distortion)
    people = People2D(xy=xy.reshape(1, 17, 2), score=straight.score, track_id=[1])
    a = make().lift(straight, camera, 0).skeletons[0]
    b = make().lift(people, bent, 0).skeletons[0]
    np.testing.assert_allclose(a.xyz, b.xyz, atol=1e-4)


def test_masked_keypoints_count_for_nothing(make, camera):
    score = np.full(17, 0.9)
    score[[7, 9, 15]] = 0.05  # below the model's floor of 0.1
    seen = standing(camera, [[0, 0, 4]], score=score)
    wild = seen.xy.copy()
    wild[0, [7, 9, 15]] = 1e5
    a = make().lift(seen, camera, 0).skeletons[0]
    b = make().lift(People2D(xy=wild, score=seen.score, track_id=[1]), camera, 0).skeletons[0]
    np.testing.assert_array_equal(a.xyz, b.xyz)
    assert a.score[12] == 0


def test_nobody_in_view_is_an_empty_answer(make, camera):
    result = make().lift(People2D.empty(), camera, 0)
    assert result.skeletons == ()
    assert result.report.refused is None


def test_too_few_keypoints_are_not_lifted(make, camera):
    score = np.zeros(17)
    score[:3] = 0.9
    result = make().lift(standing(camera, [[0, 0, 4]], score=score), camera, 0)
    assert result.skeletons == ()
    assert result.report.unseen == (1,)


@pytest.mark.parametrize("step_back", [0, FRAME, S - 1])
def test_a_frame_that_is_not_newer_is_refused_and_changes_nothing(make, camera, step_back):
    lifter, same = make(), make()
    for one in (lifter, same):
        run(one, camera, 3, places=[[0, 0, 4]])
    late = lifter.lift(standing(camera, [[1, 0, 4]]), camera, 10 * S + 2 * FRAME - step_back)
    assert late.skeletons == ()
    assert "is not newer than the last frame's" in late.report.refused
    now = 10 * S + 3 * FRAME
    a = lifter.lift(standing(camera, [[0, 0, 4]]), camera, now).skeletons[0]
    b = same.lift(standing(camera, [[0, 0, 4]]), camera, now).skeletons[0]
    np.testing.assert_array_equal(a.xyz, b.xyz)


def test_a_clock_that_jumps_back_starts_everyone_anew(make, camera):
    lifter = make()
    run(lifter, camera, 5, places=[[0, 0, 4]], start=100 * S)
    result = run(lifter, camera, 1, places=[[0.3, 0, 4]], start=S)
    assert result.report.messages == ("the clock jumped back: everyone starts anew",)
    np.testing.assert_array_equal(result.skeletons[0].xyz, anew(make, camera))


def test_a_long_max_gap_is_not_the_clocks_jump(make, camera):
    lifter = make(max_gap_s=5.0)
    lifted = 0
    for _ in range(3):
        for k in range(12):  # three seconds
            stamp = 10 * S + k * S // 4
            lifted += bool(lifter.lift(standing(camera, [[0, 0, 4]]), camera, stamp).skeletons)
    assert lifted == 36


@pytest.mark.parametrize("ahead_s", [0.95, 3.0])
def test_a_single_stamp_ahead_costs_one_frame_at_most(make, camera, ahead_s):
    lifter = make()
    lifted = []
    for k in range(30):
        stamp = 10 * S + k * FRAME + (round(ahead_s * S) if k == 10 else 0)
        lifted.append(bool(lifter.lift(standing(camera, [[0, 0, 4]]), camera, stamp).skeletons))
    assert lifted.count(False) <= 1
    assert all(lifted[12:])


def test_a_loop_shorter_than_a_second_recovers_within_two_frames(make, camera):
    lifter = make()
    for _ in range(3):
        lifted = [
            bool(lifter.lift(standing(camera, [[0, 0, 4]]), camera, 10 * S + k * FRAME).skeletons)
            for k in range(8)
        ]
        assert all(lifted[1:])


def test_above_60_hz_every_other_frame_gives_what_60_hz_gives(make, camera):
    fast, slow = make(), make()
    for k in range(12):
        people = standing(camera, [[0.01 * k, 0, 4]])
        result = fast.lift(people, camera, 10 * S + round(k * S / 120))
        assert result.report.thinned == bool(k % 2)
        assert bool(result.skeletons) != result.report.thinned
        if k % 2 == 0:
            same = slow.lift(people, camera, 10 * S + round(k * S / 120))
            np.testing.assert_array_equal(result.skeletons[0].xyz, same.skeletons[0].xyz)


def test_another_camera_starts_everyone_anew(make, camera):
    lifter = make()
    run(lifter, camera, 5, places=[[0, 0, 4]])
    other = Camera.from_fov(1280, 720, diagonal_fov_deg=90)
    result = run(lifter, other, 1, places=[[0.3, 0, 4]], start=20 * S)
    assert result.report.messages == ("the camera changed: everyone starts anew",)
    np.testing.assert_allclose(
        result.skeletons[0].xyz, run(make(), other, 1, places=[[0.3, 0, 4]]).skeletons[0].xyz
    )


def test_an_equal_camera_is_the_same_camera(make, camera):
    lifter = make()
    run(lifter, camera, 2, places=[[0, 0, 4]])
    result = run(lifter, Camera.from_fov(1280, 720), 1, places=[[0, 0, 4]], start=11 * S)
    assert result.report.messages == ()


@pytest.mark.parametrize(("gap_s", "is_new"), [(0.8, False), (1.5, True)])
def test_a_long_gap_starts_a_person_anew(make, camera, gap_s, is_new):
    lifter = make()
    feeds = spy(lifter)
    run(lifter, camera, 5, places=[[0, 0, 4]])
    start = 10 * S + 4 * FRAME + round(gap_s * S)
    lifter.lift(standing(camera, [[0, 0, 4]]), camera, start)
    assert (feeds[-1]["previous_age"][0] < 0) == is_new
    assert (feeds[-1]["age"] < 0).all() == is_new


def test_one_persons_gap_is_theirs_alone(make, camera):
    lifter = make()
    both = standing(camera, [[-1, 0, 4], [1, 0, 4]])
    feeds = spy(lifter)
    lifter.lift(both, camera, 0)
    for k in range(1, 60):
        lifter.lift(both.take([1]), camera, k * FRAME)
    lifter.lift(both, camera, 60 * FRAME)
    age = dict(zip(lifter.people.track_id[:2], feeds[-1]["previous_age"], strict=True))
    assert age[1] == -1
    assert age[2] == pytest.approx(1 / 30, rel=1e-4)


def test_nan_from_the_network_costs_one_person_one_frame(make, camera):
    """The synthetic network answers NaN for a nose scored above 0.995."""
    lifter, calm = make(), make()
    places = [[-1, 0, 4], [1, 0, 4]]
    for one in (lifter, calm):
        run(one, camera, 4, places=places)
    score = np.full((2, 17), 0.9)
    score[0, 0] = 1.0
    now = 10 * S + 4 * FRAME
    bad = lifter.lift(standing(camera, places, score=score), camera, now)
    good = calm.lift(standing(camera, places), camera, now)
    assert bad.report.failed == (1,)
    assert "person 1: the network's answer is not finite" in bad.report.messages[0]
    assert [s.track_id for s in bad.skeletons] == [2]
    np.testing.assert_array_equal(bad.skeletons[0].xyz, good.skeletons[1].xyz)
    feeds = spy(lifter)
    after = lifter.lift(standing(camera, places), camera, now + FRAME)
    calm_after = calm.lift(standing(camera, places), camera, now + FRAME)
    assert len(after.skeletons) == 2
    np.testing.assert_array_equal(after.skeletons[1].xyz, calm_after.skeletons[1].xyz)
    row = lifter.people.row_of(1)
    assert feeds[-1]["previous_age"][row] == -1


def test_a_device_that_fails_costs_a_frame_and_no_memory(make, camera, monkeypatch):
    lifter, calm = make(), make()
    for one in (lifter, calm):
        run(one, camera, 4, places=[[0, 0, 4]])

    def fail(feeds):
        raise BackendError("backend onnxruntime: the run failed: out of memory")

    now = 10 * S + 4 * FRAME
    with monkeypatch.context() as patch:
        patch.setattr(lifter.backend, "run", fail)
        with pytest.raises(BackendError, match="out of memory"):
            lifter.lift(standing(camera, [[5, 0, 9]]), camera, now)
    a = lifter.lift(standing(camera, [[0, 0, 4]]), camera, now + FRAME).skeletons[0]
    b = calm.lift(standing(camera, [[0, 0, 4]]), camera, now + FRAME).skeletons[0]
    np.testing.assert_array_equal(a.xyz, b.xyz)


def test_a_change_of_backend_is_told_once(make, camera, monkeypatch):
    lifter = make()
    run(lifter, camera, 2, places=[[0, 0, 4]])
    monkeypatch.setattr(lifter.backend, "name", "tensorrt", raising=False)
    monkeypatch.setattr(lifter.backend, "reason", "the engine is ready")
    told = run(lifter, camera, 1, places=[[0, 0, 4]], start=11 * S).report.messages
    assert told == ("backend is now tensorrt: the engine is ready",)
    assert run(lifter, camera, 1, places=[[0, 0, 4]], start=12 * S).report.messages == ()


def test_buckets_that_grow_with_another_backend_do_no_harm(make, camera, monkeypatch):
    places = [[-1, 0, 4], [0, 0, 5], [1, 0, 4]]
    lifter = make(max_people=3)
    monkeypatch.setattr(lifter.backend, "rows", lambda people: 16)
    a, b = run(lifter, camera, 3, places=places), run(make(), camera, 3, places=places)
    for x, y in zip(a.skeletons, b.skeletons, strict=True):
        np.testing.assert_array_equal(x.xyz, y.xyz)
