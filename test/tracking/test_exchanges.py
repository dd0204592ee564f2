"""Left and right exchanged by the detector: undone while it passes, believed when it lasts."""

import numpy as np
import pytest

from diffpose_ros.core import COCO17, People2D
from diffpose_ros.tracking import Tracker, TrackerConfig

S = 1_000_000_000
FLIP = np.asarray(COCO17.flip)
COLUMN = np.array([0, 4, -4, 8, -8, 20, -20, 26, -26, 28, -28, 14, -14, 15, -15, 16, -16.0])
ROW = np.array([0, -3, -3, 0, 0, 30, 30, 70, 70, 105, 105, 110, 110, 160, 160, 210, 210.0])
BODY = np.stack([COLUMN + 300, ROW + 100], -1)
LEGS = [COCO17.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("hip", "knee", "ankle")]
ALL = list(range(17))


def exchange(xy, joints):
    order = np.arange(17)
    order[joints] = FLIP[joints]
    return xy[order]


def run(frames, *, fps=30, covariance=False):
    """Publish each frame's one person through a tracker."""
    tracker = Tracker(TrackerConfig(min_hits=1))
    out = []
    for i, xy in enumerate(frames):
        cov = None
        if covariance:  # as wide as the joint's number, so that one sees where it came from
            cov = np.arange(1, 18)[None, :, None, None] * np.eye(2)
        score = np.linspace(0.5, 0.9, 17)[None]
        people = People2D(xy=xy[None], score=score, covariance=cov)
        out.append(tracker.update(people, i * S // fps))
    return tracker, out


@pytest.mark.parametrize("joints", [ALL, LEGS], ids=["whole body", "legs"])
@pytest.mark.parametrize("frames", [1, 4])
def test_an_exchange_that_passes_is_undone_and_counted(joints, frames):
    bad = [exchange(BODY, joints)] * frames
    tracker, out = run([BODY] * 5 + bad + [BODY] * 5)
    for people in out:
        np.testing.assert_array_equal(people.xy[0], BODY)
    assert tracker.exchanges_undone == frames


def test_scores_and_covariance_go_with_their_keypoints():
    _, out = run([BODY] * 3 + [exchange(BODY, LEGS)], covariance=True)
    legs = np.array(LEGS)
    assert out[-1].covariance[0, legs, 0, 0].tolist() == (FLIP[legs] + 1).tolist()
    np.testing.assert_allclose(out[-1].score[0, legs], np.linspace(0.5, 0.9, 17)[FLIP[legs]])
    assert out[-1].covariance[0, 5, 0, 0] == 6


def test_a_detector_that_insists_is_believed():
    turned = exchange(BODY, ALL)
    _, out = run([BODY] * 5 + [turned] * 30)
    np.testing.assert_array_equal(out[5].xy[0], BODY)
    np.testing.assert_array_equal(out[-1].xy[0], turned)


def test_a_person_who_turns_around_is_left_alone():
    """The sides meet in profile and part again: no frame fits better exchanged."""
    turns = []
    for angle in np.linspace(0, np.pi, 30):
        xy = BODY.copy()
        xy[:, 0] = 300 + COLUMN * np.cos(angle)
        turns.append(xy)
    tracker, out = run([BODY] * 3 + turns)
    assert tracker.exchanges_undone == 0
    np.testing.assert_array_equal(out[-1].xy[0], turns[-1])


def test_jitter_in_profile_is_left_alone():
    rng = np.random.default_rng(0)
    profile = BODY.copy()
    profile[:, 0] = 300 + COLUMN * 0.05
    tracker, _ = run([profile + rng.normal(0, 3, profile.shape) for _ in range(100)])
    assert tracker.exchanges_undone == 0


def test_joints_that_are_not_seen_say_nothing():
    hidden = exchange(BODY, LEGS)
    tracker = Tracker(TrackerConfig(min_hits=1))
    for i in range(4):
        tracker.update(People2D(xy=BODY[None], score=np.full((1, 17), 0.9)), i * S // 30)
    score = np.full((1, 17), 0.9)
    score[0, LEGS[1:]] = 0.0
    tracker.update(People2D(xy=hidden[None], score=score), 4 * S // 30)
    assert tracker.exchanges_undone == 0


@pytest.mark.parametrize(("joints", "undone"), [(("wrist",), 0), (("elbow", "wrist"), 1)])
def test_two_pairs_must_be_exchanged_and_one_may_cross(joints, undone):
    """Of one pair alone nobody can tell whether the arms have crossed."""
    seen = [COCO17.index(f"{side}_{joint}") for side in ("left", "right") for joint in joints]
    score = np.where(np.isin(np.arange(17), [*seen, 0, 11, 12]), 0.9, 0.0)[None]
    tracker = Tracker(TrackerConfig(min_hits=1))
    for i in range(6):
        xy = exchange(BODY, seen) if i == 5 else BODY
        seen_now = tracker.update(People2D(xy=xy[None], score=score, person_score=[0.9]), i * S // 30)
        assert seen_now.track_id.tolist() == [0]
    assert tracker.exchanges_undone == undone
