"""Identities last through crossings and occlusions, and nobody is invented."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffpose_ros.core import ConfigError, People2D, TrackState
from diffpose_ros.tracking import Tracker, TrackerConfig

from .simulation import FPS, Walker, follow, scene


def one_identity_each(ids, people):
    assert sorted(ids) == list(range(people))
    assert all(len(v) == 1 for v in ids.values()), ids
    assert len({v[0] for v in ids.values()}) == people


# ---- identities last


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fps", [10, 15, 30, 60])
def test_two_people_cross(fps, seed):
    walkers = [Walker((200, 600), (250, 0)), Walker((1100, 620), (-220, 0), height=290)]
    ids = follow(Tracker(), scene(walkers, 4, fps=fps, seed=seed))
    one_identity_each(ids, 2)


@pytest.mark.parametrize("seed", range(20))
def test_two_people_cross_and_one_hides_the_other(seed):
    walkers = [Walker((200, 600), (250, 0)), Walker((1100, 580), (-220, 0), height=280)]
    ids = follow(Tracker(), scene(walkers, 4, seed=seed, drop_behind=0.35))
    one_identity_each(ids, 2)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("velocity", [(0, 0), (120, 0), (-200, 40)], ids=str)
def test_one_second_of_occlusion(velocity, seed):
    walkers = [
        Walker((600, 600), velocity, hidden=((1.0, 2.0),)),
        Walker((200, 650), (0, 0), height=350),
    ]
    ids = follow(Tracker(), scene(walkers, 4, seed=seed))
    one_identity_each(ids, 2)


@pytest.mark.parametrize("seed", range(3))
def test_everyone_vanishes_for_a_second(seed):
    gone = ((1.0, 2.0),)
    walkers = [Walker((150 + 400 * i, 650), (60 - 40 * i, 0), hidden=gone) for i in range(3)]
    ids = follow(Tracker(), scene(walkers, 4, seed=seed))
    one_identity_each(ids, 3)


@pytest.mark.parametrize("seed", range(3))
def test_eight_people_in_a_crowd(seed):
    rng = np.random.default_rng(seed)
    walkers = [
        Walker(
            (120 + 220 * i, float(rng.uniform(500, 900))),
            (float(rng.uniform(-120, 120)), 0),
            height=float(rng.uniform(200, 380)),
            hidden=((1 + 0.2 * i, 1.6 + 0.2 * i),) if i % 2 else (),
        )
        for i in range(8)
    ]
    ids = follow(Tracker(), scene(walkers, 4, seed=seed))
    one_identity_each(ids, 8)


def test_a_noisy_detector_does_not_break_identities():
    walkers = [Walker((300, 600), (100, 0)), Walker((600, 620), (90, 0), height=310)]
    one_identity_each(follow(Tracker(), scene(walkers, 4, noise=0.04, seed=1)), 2)


def test_a_score_that_sinks_before_the_occlusion_keeps_the_identity():
    walker = Walker((500, 600), (50, 0))
    tracker, ids = Tracker(), set()
    for k, (stamp, people, _) in enumerate(scene([walker], 3)):
        faint = People2D(xy=people.xy, score=people.score, person_score=[0.2 if 30 <= k < 60 else 0.7])
        out = tracker.update(faint, stamp)
        assert len(out) == (k >= 2)
        ids |= set(out.track_id.tolist())
    assert ids == {0}


def test_half_a_body_keeps_the_identity():
    """Legs behind a table from one second on."""
    tracker, ids = Tracker(), set()
    for stamp, people, _ in scene([Walker((500, 600), (80, 0))], 3):
        score = people.score.copy()
        if stamp > 1e9:
            score[:, 11:] = 0
        out = tracker.update(People2D(xy=people.xy, score=score, person_score=[0.5]), stamp)
        ids |= set(out.track_id.tolist())
    assert ids == {0}


# ---- identities end


def test_after_the_memory_a_person_is_a_new_one():
    config = TrackerConfig(max_occlusion_s=1.0)
    ids = follow(Tracker(config), scene([Walker((600, 600), hidden=((1, 2.5),))], 4))
    assert ids == {0: [0, 1]}


def test_someone_elsewhere_does_not_inherit_an_identity():
    walkers = [Walker((200, 600), hidden=((1, 9),)), Walker((1200, 600), hidden=((0, 1.2),))]
    ids = follow(Tracker(), scene(walkers, 3))
    one_identity_each(ids, 2)


@pytest.mark.parametrize("jump_to_s", [-5.0, 0.0, 1.9])
def test_a_jump_back_in_time_gives_new_identities(jump_to_s):
    tracker = Tracker()
    frames = list(scene([Walker((600, 600))], 2))
    assert follow(tracker, frames) == {0: [0]}
    again = [(s + int(jump_to_s * 1e9), p, w) for s, p, w in frames]
    assert follow(tracker, again) == {0: [1]}


def test_reset_keeps_counting():
    tracker = Tracker()
    frames = list(scene([Walker((600, 600))], 0.5))
    follow(tracker, frames)
    tracker.reset()
    assert follow(tracker, frames) == {0: [1]}


def test_a_repeated_stamp_is_harmless():
    tracker = Tracker()
    frames = [f for f in scene([Walker((600, 600), (100, 0))], 1) for _ in range(2)]
    assert follow(tracker, frames) == {0: [0]}


# ---- nobody is invented


def test_a_false_detection_of_one_or_two_frames_is_never_published():
    tracker = Tracker()
    ghost = Walker((1200, 300), height=200)
    for k, (stamp, people, _) in enumerate(scene([Walker((400, 600))], 2)):
        if k % 7 in (0, 1):
            xy = np.concatenate([people.xy, ghost.xy(0)[None]])
            people = People2D(xy=xy, score=np.full((2, 17), 0.6))
        out = tracker.update(people, stamp)
        assert (out.xy[:, :, 0] < 700).all()
    assert out.track_id.tolist() == [0]


def test_faint_detections_start_nobody():
    tracker = Tracker()
    for stamp, people, _ in scene([Walker((400, 600), score=0.2)], 1):
        assert len(tracker.update(people, stamp)) == 0


def test_min_hits_one_publishes_at_once():
    stamp, people, _ = next(scene([Walker((400, 600))], 1))
    out = Tracker(TrackerConfig(min_hits=1)).update(people, stamp)
    assert out.track_id.tolist() == [0]
    assert out.state.tolist() == [TrackState.NEW]


def test_an_unseen_person_is_not_in_the_result():
    tracker = Tracker()
    for stamp, people, _ in scene([Walker((400, 600), hidden=((0.5, 1.0),))], 1.5):
        assert len(tracker.update(people, stamp)) <= len(people)


def test_unseen_people_come_as_occluded_on_request_with_scores_of_zero():
    tracker = Tracker(TrackerConfig(include_occluded=True))
    truth = Walker((400, 600), (100, 0), hidden=((1.0, 1.4),))
    states = []
    for stamp, people, _ in scene([truth], 2):
        out = tracker.update(people, stamp)
        states += out.state.tolist()
        if 1.0e9 <= stamp < 1.4e9:
            assert out.state.tolist() == [TrackState.OCCLUDED]
            assert not out.score.any()
            assert out.person_score[0] == 0
            assert out.track_id.tolist() == [0]
            error = np.linalg.norm(out.xy[0] - truth.xy(stamp * 1e-9), axis=-1).mean()
            assert error < 0.1 * truth.height
    assert states.count(TrackState.NEW) == 1
    assert states.count(TrackState.OCCLUDED) == pytest.approx(0.4 * FPS, abs=1)


def test_an_occluded_person_is_forgotten_after_the_memory():
    tracker = Tracker(TrackerConfig(include_occluded=True, max_occlusion_s=0.5))
    for stamp, people, _ in scene([Walker((400, 600), hidden=((1.0, 9),))], 3):
        out = tracker.update(people, stamp)
        if stamp > 0.1e9 and abs(stamp - 1.48e9) > 0.05e9:  # last seen just before 1.0
            assert len(out) == (stamp < 1.48e9)


# ---- what comes out


def test_keypoints_and_scores_come_out_as_they_went_in_and_age_grows():
    tracker = Tracker()
    walkers = [Walker((300, 600)), Walker((900, 600))]
    for k, (stamp, people, _) in enumerate(scene(walkers, 1)):
        out = tracker.update(people, stamp)
        for row in range(len(out)):
            match = int(np.flatnonzero((people.xy == out.xy[row]).all((1, 2)))[0])
            np.testing.assert_array_equal(out.score[row], people.score[match])
            assert out.person_score[row] == people.person_score[match]
        if k >= 2:
            np.testing.assert_allclose(out.age_s, stamp * 1e-9)
            assert out.state.tolist() == [TrackState.NEW if k == 2 else TrackState.TRACKED] * 2
            assert out.track_id.tolist() == [0, 1]


def test_nobody_in_view():
    out = Tracker().update(People2D.empty(), 0)
    assert len(out) == 0
    assert out.xy.shape == (0, 17, 2)


def test_another_joint_set_works_and_means_other_people():
    tracker = Tracker()
    follow(tracker, scene([Walker((300, 600))], 0.2))
    people = People2D(xy=np.random.default_rng(0).uniform(0, 300, (1, 17, 2)),
                      score=np.ones((1, 17)), joint_set="h36m17")  # fmt: skip
    for k in range(3):
        out = tracker.update(people, 10**9 + k)
    assert out.joint_set == "h36m17"
    assert out.track_id.tolist() == [1]


# ---- whatever comes


detections = st.lists(
    st.tuples(st.floats(-500, 2500), st.floats(-500, 1500), st.floats(1, 900),
              st.floats(0, 1), st.floats(0, 1)),
    max_size=8,
)  # fmt: skip
steps = st.lists(st.tuples(st.integers(-200_000_000, 2_000_000_000), detections), max_size=25)


@settings(max_examples=60, deadline=None)
@given(steps=steps, include=st.booleans(), hits=st.integers(1, 3))
def test_identities_are_unique_and_never_used_again(steps, include, hits):
    """Random people at random times: no identity twice in a frame, none after its end."""
    tracker = Tracker(TrackerConfig(include_occluded=include, min_hits=hits))
    stamp, highest, retired, previous = 0, -1, set(), set()
    for dt, found in steps:
        stamp += dt
        if dt < 0:
            retired |= set(range(highest + 1))
        bodies = [Walker((x, y), height=h).xy(0) for x, y, h, _, _ in found]
        people = People2D(
            xy=np.array(bodies).reshape(-1, 17, 2),
            score=np.array([np.full(17, s) for *_, s, _ in found]).reshape(-1, 17),
            person_score=[p for *_, p in found],
        )  # fmt: skip
        out = tracker.update(people, stamp)
        ids = set(out.track_id.tolist())
        assert len(ids) == len(out)
        assert not ids & retired
        assert min(ids, default=0) >= 0
        fresh = {i for i in ids if i > highest}
        highest = max(ids | {highest})
        if dt > 1_500_000_000:  # longer than the memory: whoever was there is gone
            assert not (ids - fresh)
        seen = [i for i, s in zip(out.track_id, out.state, strict=True) if s != TrackState.OCCLUDED]
        assert len(seen) <= len(people)
        assert include or len(seen) == len(out)
        previous = ids
    assert isinstance(previous, set)


@settings(max_examples=30, deadline=None)
@given(scale=st.floats(0.2, 5), seed=st.integers(0, 1000))
def test_the_size_of_the_image_does_not_matter(scale, seed):
    def walkers(k):
        return [
            Walker((200 * k, 600 * k), (250 * k, 0), height=300 * k),
            Walker((1100 * k, 600 * k), (-220 * k, 0), height=290 * k),
        ]

    a = follow(Tracker(), scene(walkers(1.0), 2, seed=seed))
    b = follow(Tracker(), scene(walkers(scale), 2, seed=seed))
    assert a == b


def test_six_people_cost_little():
    tracker = Tracker()
    frames = list(scene([Walker((150 + 250 * i, 600)) for i in range(6)], 3))
    times = []
    for stamp, people, _ in frames:
        start = time.thread_time()
        tracker.update(people, stamp)
        times.append(time.thread_time() - start)
    assert np.median(times) < 0.01, f"median {np.median(times) * 1e3:.1f} ms for six people"


# ---- settings


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_occlusion_s": -1.0}, "tracker max_occlusion_s: expected 0 to 60, got -1"),
        ({"max_occlusion_s": float("nan")}, "expected 0 to 60, got nan"),
        ({"min_hits": 0}, "tracker min_hits: expected 1 to 100, got 0"),
        ({"min_hits": 2.5}, "tracker min_hits: expected a whole number, got 2.5"),
        ({"high_score": 1.2}, "tracker high_score: expected 0 to 1, got 1.2"),
        ({"high_score": "0.5"}, "tracker high_score: expected a number, got '0.5'"),
        ({"min_similarity": 0.0}, "tracker min_similarity: expected 0.01 to 0.99, got 0"),
        ({"low_score": 0.5, "high_score": 0.4}, r"at most high_score \(0.4\), got 0.5"),
        ({"include_occluded": 1}, "include_occluded: expected true or false, got 1"),
    ],
)
def test_settings_out_of_range_are_refused(options, text):
    with pytest.raises(ConfigError, match=text):
        TrackerConfig(**options)
