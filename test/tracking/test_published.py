"""What a tracker gives out belongs to the person it is given out for."""

from __future__ import annotations

import numpy as np

from diffpose_ros.core import People2D, TrackState
from diffpose_ros.tracking import Tracker, TrackerConfig

NS = 1_000_000_000
BODY = np.random.default_rng(0).uniform(0, 100, (17, 2))
AT = np.array([[100.0, 100], [400, 100], [700, 100]])


def frame(order):
    """Three people apart; score, person's score and covariance tell who each one is."""
    who = np.array(order)
    xy = BODY + AT[who][:, None]
    score = np.broadcast_to(0.5 + 0.1 * who[:, None], (len(who), 17))
    covariance = (1.0 + who)[:, None, None, None] * np.broadcast_to(np.diag([1.0, 2.0]), (len(who), 17, 2, 2))
    return People2D(xy=xy, score=score, person_score=0.9 - 0.1 * who, covariance=covariance)


def test_everything_follows_its_person_whatever_the_order():
    tracker = Tracker(TrackerConfig(min_hits=1))
    first = tracker.update(frame([0, 1, 2]), NS)
    assert first.track_id.tolist() == [0, 1, 2]
    assert first.state.tolist() == [TrackState.NEW] * 3
    for k, order in enumerate(([2, 0, 1], [1, 2, 0], [2, 1])):
        out = tracker.update(frame(order), NS + (k + 1) * NS // 10)
        who = sorted(order)
        assert out.track_id.tolist() == who
        np.testing.assert_allclose(out.xy, BODY + AT[who][:, None])
        np.testing.assert_allclose(out.score[:, 0], 0.5 + 0.1 * np.array(who))
        np.testing.assert_allclose(out.person_score, 0.9 - 0.1 * np.array(who))
        np.testing.assert_allclose(out.covariance[:, 3, 1, 1], 2 * (1 + np.array(who)))
        assert out.state.tolist() == [TrackState.TRACKED] * len(who)
        np.testing.assert_allclose(out.age_s, (k + 1) / 10)


def test_a_hidden_person_follows_with_no_scores_and_where_expected():
    tracker = Tracker(TrackerConfig(min_hits=1, include_occluded=True))
    tracker.update(frame([0, 1, 2]), NS)
    out = tracker.update(frame([2, 1]), NS + NS // 10)
    assert out.track_id.tolist() == [1, 2, 0]
    assert out.state.tolist() == [TrackState.TRACKED, TrackState.TRACKED, TrackState.OCCLUDED]
    assert out.score[2].tolist() == [0.0] * 17
    assert out.person_score[2] == 0
    np.testing.assert_allclose(out.xy[2], BODY + AT[0])
    assert out.covariance is None
    expected = tracker.expected(NS + NS // 5)
    assert expected.track_id.tolist() == [0, 1, 2]
    np.testing.assert_allclose(expected.unseen_s, [0.2, 0.1, 0.1])
    np.testing.assert_allclose(expected.age_s, 0.2)
