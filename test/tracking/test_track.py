"""What is remembered of one person: place, motion, size; each number by its formula."""

import numpy as np
import pytest

from diffpose_ros.core import People2D, TrackState
from diffpose_ros.core.oks import extent
from diffpose_ros.tracking import Tracker, TrackerConfig
from diffpose_ros.tracking._track import Track

S = 1_000_000_000
ALL = np.ones(17, bool)


def body(at=(300.0, 200.0), height=200.0, seed=0):
    return np.array(at) + height * np.random.default_rng(seed).uniform(-0.5, 0.5, (17, 2)) * [0.4, 1]


def test_a_person_just_seen_has_a_place_and_a_size_and_no_speed():
    xy = body()
    track = Track.start(xy, ALL, 5 * S)
    assert track.size == pytest.approx(float(extent(xy[None], ALL[None])[0]))
    assert (track.first_ns, track.seen_ns, track.hits, track.track_id) == (5 * S, 5 * S, 1, -1)
    np.testing.assert_array_equal(track.predict(9 * S), xy)
    assert track.unseen_s(5 * S + S // 4) == 0.25
    xy[0] = 0
    assert (track.xy[0] != 0).all()


@pytest.mark.parametrize("dt_ns", [S // 60, S // 30, S // 5, S])
def test_the_velocity_is_low_passed_and_at_least_half_of_the_second_sight(dt_ns):
    dt = dt_ns / S
    track = Track.start(body(), ALL, 0)
    track.update(body() + np.array([12.0, -6.0]), ALL, dt_ns)
    gain = max(1 - np.exp(-dt / 0.15), 0.5)
    np.testing.assert_allclose(track.velocity, gain * np.array([12.0, -6.0]) / dt)
    track.hits = 2
    before = track.velocity
    track.update(body() + np.array([12.0, 3.0]), ALL, 2 * dt_ns)
    gain = 1 - np.exp(-dt / 0.15)
    np.testing.assert_allclose(track.velocity, before + gain * (np.array([0.0, 9.0]) / dt - before))
    assert track.seen_ns == 2 * dt_ns
    assert track.first_ns == 0


def test_a_wide_keypoint_goes_only_part_of_the_way():
    """Limbs move unforeseen by two body sizes a second: 20 pixels here, beside which 20 and 10 are noise."""
    track = Track.start(body(), ALL, 0)
    track.size, track.hits = 100.0, 5
    seen = np.zeros(17, bool)
    seen[:2] = True  # two keypoints tell no speed of the body
    covariance = np.tile(np.diag([400.0, 100.0]), (17, 1, 1))
    track.update(body() + np.array([8.0, -10.0]), seen, S // 10, covariance)
    np.testing.assert_allclose(track.xy[:2] - body()[:2], np.tile([4.0, -8.0], (2, 1)), atol=1e-6)
    np.testing.assert_array_equal(track.xy[2:], body()[2:])


@pytest.mark.parametrize(("share", "counts"), [(0.24, True), (0.26, False)])
def test_a_keypoint_as_unsure_as_a_quarter_of_the_body_places_nobody(share, counts):
    sigma = share * float(extent(body()[None], ALL[None])[0])
    people = People2D(xy=body()[None], score=np.ones((1, 17)),
                      covariance=np.tile(sigma**2 * np.eye(2), (1, 17, 1, 1)))  # fmt: skip
    assert len(Tracker(TrackerConfig(min_hits=1)).update(people, S)) == counts


@pytest.mark.parametrize(("unseen_ns", "known"), [(S // 10, False), (S, True)])
def test_who_was_unseen_for_longer_may_come_back_farther_away(unseen_ns, known):
    """After a second, a body's size aside; after a tenth of one this is somebody else."""
    tracker = Tracker(TrackerConfig(min_hits=1))
    size = float(extent(body()[None], ALL[None])[0])
    for k in range(5):
        tracker.update(People2D(xy=body()[None], score=np.ones((1, 17))), k * S // 10)
    aside = People2D(xy=body()[None] + [size, 0.0], score=np.ones((1, 17)))
    assert (tracker.update(aside, 4 * S // 10 + unseen_ns).track_id[0] == 0) == known


def test_an_unseen_person_coasts_to_a_halt():
    track = Track.start(body(), ALL, 0)
    track.velocity = np.array([100.0, -40.0])
    for seconds in (0.1, 0.5, 1.0, 20.0):
        moved = track.predict(round(seconds * S)) - track.xy
        want = track.velocity * 0.8 * (1 - np.exp(-seconds / 0.8))
        np.testing.assert_allclose(moved, np.broadcast_to(want, (17, 2)))
    np.testing.assert_allclose(moved, np.broadcast_to([80.0, -32.0], (17, 2)), rtol=1e-6)


def test_single_keypoints_that_jump_do_not_move_the_body():
    track = Track.start(body(), ALL, 0)
    seen = body() + np.array([10.0, 0.0])
    seen[:8] += 400.0
    track.update(seen, ALL, S // 10)
    np.testing.assert_allclose(track.velocity, [0.5 * 100.0, 0.0], atol=1e-9)


@pytest.mark.parametrize(("shared", "moves"), [(2, False), (3, True)])
def test_a_speed_needs_three_keypoints_seen_both_times(shared, moves):
    before, now = ALL.copy(), np.zeros(17, bool)
    before[10:] = False
    now[10 - shared :] = True
    track = Track.start(body(), before, 0)
    track.update(body() + np.array([20.0, 0.0]), now, S // 10)
    assert (track.velocity[0] > 0) == moves


def test_hidden_limbs_move_along_and_stay_known():
    track = Track.start(body(), ALL, 0)
    now = ALL.copy()
    now[15] = False
    seen = body() + np.array([30.0, 0.0])
    seen[15] = 0.0
    track.update(seen, now, S // 10)
    # the foot goes where the body, with the speed it has now, would have carried it
    coast = 0.8 * (1 - np.exp(-0.1 / 0.8))
    np.testing.assert_allclose(track.xy[15], body()[15] + track.velocity * coast)
    np.testing.assert_array_equal(track.xy[14], seen[14])
    assert track.visible.all()
    start = ALL.copy()
    start[3] = False
    other = Track.start(body(), start, 0)
    assert not other.visible[3]
    other.update(body(), ALL, S)
    assert other.visible[3]


def test_a_size_grows_at_once_and_shrinks_slowly():
    track = Track.start(body(), ALL, 0)
    small = track.size
    track.update(body(height=400.0), ALL, S // 10)
    large = float(extent(body(height=400.0)[None], ALL[None])[0])
    assert track.size == pytest.approx(large)
    track.update(body(), ALL, S // 10 + S // 5)
    keep = np.exp(-0.2 / 0.5)
    assert track.size == pytest.approx(keep * large + (1 - keep) * small)


def test_the_same_stamp_again_moves_nothing():
    track = Track.start(body(), ALL, 0)
    track.update(body() + 5.0, ALL, 0)
    np.testing.assert_array_equal(track.velocity, [0, 0])
    np.testing.assert_array_equal(track.xy, body() + 5.0)


def people(*seen, score=0.8):
    """One detection for each (place, person's score), or place alone."""
    places = [s if isinstance(s[0], tuple) else (s, score) for s in seen]
    xy = np.array([body(at) for at, _ in places]).reshape(-1, 17, 2)
    return People2D(
        xy=xy, score=np.full((len(xy), 17), 0.9), person_score=np.array([p for _, p in places])
    )


def test_a_person_is_new_once_and_then_tracked_and_aged_from_the_first_sight():
    tracker = Tracker(TrackerConfig(min_hits=3))
    got = [tracker.update(people((300.0, 200.0)), k * S // 10) for k in range(5)]
    assert [len(g) for g in got] == [0, 0, 1, 1, 1]
    assert [int(g.state[0]) for g in got[2:]] == [TrackState.NEW, TrackState.TRACKED, TrackState.TRACKED]
    assert [float(g.age_s[0]) for g in got[2:]] == pytest.approx([0.2, 0.3, 0.4])
    assert {int(g.track_id[0]) for g in got[2:]} == {0}


def test_one_miss_before_the_confirmation_starts_over():
    tracker = Tracker(TrackerConfig(min_hits=3))
    stamps = [0, 1, 3, 4, 5]
    tracker.update(people((300.0, 200.0)), 0)
    tracker.update(people((300.0, 200.0)), S // 10)
    tracker.update(people(), 2 * S // 10)
    got = [len(tracker.update(people((300.0, 200.0)), k * S // 10)) for k in stamps[2:]]
    assert got == [0, 0, 1]


@pytest.mark.parametrize(("unseen_s", "continues"), [(0.45, True), (0.5, True), (0.55, False)])
def test_faint_detections_continue_only_who_was_there_a_moment_ago(unseen_s, continues):
    tracker = Tracker(TrackerConfig(min_hits=1))
    tracker.update(people((300.0, 200.0)), 0)
    faint = people(((300.0, 200.0), 0.2))
    assert len(tracker.update(faint, round(unseen_s * S))) == int(continues)


@pytest.mark.parametrize(("score", "starts", "continues"), [
    (0.3, True, True), (0.29, False, True), (0.15, False, True), (0.14, False, False),
])  # fmt: skip
def test_scores_that_start_and_that_continue_somebody(score, starts, continues):
    fresh = Tracker(TrackerConfig(min_hits=1))
    assert len(fresh.update(people(((300.0, 200.0), score)), 0)) == int(starts)
    known = Tracker(TrackerConfig(min_hits=1))
    known.update(people((300.0, 200.0)), 0)
    assert len(known.update(people(((300.0, 200.0), score)), S // 30)) == int(continues)


@pytest.mark.parametrize(("gap_s", "same"), [(1.4, True), (1.5, True), (1.6, False)])
def test_an_identity_lasts_as_long_as_the_memory(gap_s, same):
    tracker = Tracker(TrackerConfig(min_hits=1, max_occlusion_s=1.5))
    tracker.update(people((300.0, 200.0)), 0)
    got = tracker.update(people((300.0, 200.0)), round(gap_s * S))
    assert (int(got.track_id[0]) == 0) == same


def test_the_one_in_front_is_not_taken_over_by_the_one_who_is_hidden():
    """Two remembered people fit one detection: the one seen a moment ago is likelier."""
    tracker = Tracker(TrackerConfig(min_hits=1))
    tracker.update(people((300.0, 200.0), (420.0, 200.0)), 0)
    for k in range(1, 24):  # the second stands, the first is hidden
        tracker.update(people((420.0, 200.0)), k * S // 30)
    got = tracker.update(people((360.0, 200.0)), 24 * S // 30)
    assert got.track_id.tolist() == [1]


def test_two_keypoints_start_nobody():
    tracker = Tracker(TrackerConfig(min_hits=1))
    score = np.zeros((1, 17))
    score[0, :2] = 0.9
    seen = People2D(xy=body()[None], score=score, person_score=np.array([0.9]))
    assert len(tracker.update(seen, 0)) == 0
    score[0, 2] = 0.9
    seen = People2D(xy=body()[None], score=score, person_score=np.array([0.9]))
    assert len(tracker.update(seen, S)) == 1


def test_a_doubtful_keypoint_moves_less_and_only_where_it_is_doubtful():
    xy = body()
    track = Track.start(xy, ALL, 0)
    seen = xy.copy()
    seen[3] += 40.0
    covariance = np.tile(np.eye(2) * 1e-6, (17, 1, 1))
    covariance[3] = np.diag([200.0**2, 1e-6])
    track.update(seen, ALL, S // 30, covariance)
    assert track.xy[3, 0] - xy[3, 0] < 8.0  # x may be anywhere, so it says little
    assert track.xy[3, 1] - xy[3, 1] == pytest.approx(40.0, abs=0.1)
    np.testing.assert_allclose(np.delete(track.xy, 3, 0), np.delete(seen, 3, 0), atol=1e-3)
