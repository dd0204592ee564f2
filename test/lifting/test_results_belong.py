"""Every number of a skeleton is that of its own person, and what is known goes where it is needed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the Python package onnx to make a test graph")

from views import FRAME, S, standing

from diffpose_ros.core import UNKNOWN, People2D, Surroundings, TrackState
from diffpose_ros.kinematics import PeopleRotations, RotationTracker
from diffpose_ros.lifting.poses import skeletons
from diffpose_ros.methods.protocol import Poses
from diffpose_ros.methods.root import Placed, ScaleSource

RNG = np.random.default_rng(0)
PEOPLE = People2D(
    xy=np.zeros((3, 17, 2)), score=np.ones((3, 17)), track_id=[30, 31, 32], age_s=[0.5, 1.5, 2.5],
    state=[TrackState.NEW, TrackState.TRACKED, TrackState.OCCLUDED], person_score=[0.25, 0.5, 0.75],
)  # fmt: skip


def several(*shape):
    spread = RNG.normal(size=(*shape, 3, 3))
    return spread @ spread.swapaxes(-1, -2)


def test_rows_in_another_order_stay_with_their_people():
    """Row 0 is the last person of the frame, row 1 the first; row 2, the middle one, is not wanted."""
    source = np.array([2, 0, 1])
    poses = Poses(RNG.normal(size=(3, 17, 3)), several(3, 17), RNG.normal(size=(3, 4, 17, 3)))
    placed = replace(
        Placed.nowhere(3, np.ones(3)), root=RNG.normal(size=(3, 3)), covariance=several(3),
        velocity=RNG.normal(size=(3, 3)), velocity_covariance=several(3), contact=RNG.uniform(size=(3, 2)),
        source=(ScaleSource.BODY_PRIOR, ScaleSource.FLOOR, ScaleSource.PERSON_HEIGHT),
    )  # fmt: skip
    score = RNG.uniform(size=(3, 17))
    rotations = PeopleRotations()
    built, kept = skeletons(PEOPLE, source, poses, score, placed, np.array([True, True, False]), rotations, S)
    assert [s.track_id for s in built] == [30, 32]
    turned = [RotationTracker().update(m, c) for m, c in zip(poses.mean, poses.covariance, strict=True)]
    for skeleton, hypotheses, row in zip(built, kept, (1, 0), strict=True):
        person = source[row]
        assert skeleton.age_s == PEOPLE.age_s[person]
        assert skeleton.state == PEOPLE.state[person]
        assert skeleton.person_score == PEOPLE.person_score[person]
        assert skeleton.root_is_metric is placed.source[row].metric
        assert skeleton.size_source == placed.source[row].value
        for got, want in (
            (skeleton.xyz, poses.mean[row] + placed.root[row]), (skeleton.covariance, poses.covariance[row]),
            (skeleton.score, score[row]), (skeleton.root, placed.root[row]),
            (skeleton.root_covariance, placed.covariance[row]), (skeleton.velocity, placed.velocity[row]),
            (skeleton.velocity_covariance, placed.velocity_covariance[row]),
            (skeleton.contact, placed.contact[row]), (skeleton.orientation, turned[row].matrix),
            (skeleton.orientation_covariance, turned[row].covariance),
            (hypotheses.xyz, poses.hypotheses[row]),
        ):  # fmt: skip
            np.testing.assert_allclose(got, want)


def test_gravity_and_heights_reach_the_stage_that_places_people(make, camera, monkeypatch):
    lifter = make(person_height=1.5)
    noted = []
    place = lifter._root.place
    monkeypatch.setattr(lifter._root, "place", lambda p, seen, r: noted.append(seen) or place(p, seen, r))
    around = Surroundings(up=np.array([0.0, -0.8, -0.6]), camera_height=1.25)
    lifter.lift(standing(camera, [0, 0, 4]), camera, S, around=around)
    lifter.lift(standing(camera, [0, 0, 4]), camera, S + FRAME)
    assert noted[0].up.tolist() == [0.0, -0.8, -0.6]
    assert (noted[0].camera_height, noted[0].person_height) == (1.25, 1.5)
    assert (noted[1].up, noted[1].camera_height) == (None, None)


def test_gravity_that_was_learnt_is_used_where_nothing_tells_it(make, camera, monkeypatch):
    lifter = make(estimate_gravity=True)
    noted, seen = [], []
    place = lifter._root.place
    monkeypatch.setattr(lifter._root, "place", lambda p, seen, r: noted.append(seen) or place(p, seen, r))
    learnt = lifter._place
    learnt.up, learnt.camera_height, learnt.said = np.array([0.0, -0.8, -0.6]), 1.9, "known"
    monkeypatch.setattr(learnt, "see", lambda skeletons, stamp_ns: seen.append((len(skeletons), stamp_ns)))
    reports = [
        lifter.lift(standing(camera, [0, 0, 4]), camera, S + k * FRAME, around=around).report
        for k, around in enumerate((UNKNOWN, Surroundings(up=np.array([0.0, -1.0, 0.0]), camera_height=1.2)))
    ]
    assert [o.up.tolist() for o in noted] == [[0.0, -0.8, -0.6], [0.0, -1.0, 0.0]]
    assert [o.camera_height for o in noted] == [None, 1.2]  # a height that was learnt is only told
    assert [r.place for r in reports] == ["known", ""]
    assert reports[0].up.tolist() == [0.0, -0.8, -0.6]
    assert seen == [(1, S)]
    lifter.reset()
    assert learnt.up is None
    assert make()._place is None


def test_the_report_names_whom_the_floor_does_not_fit(make, camera, monkeypatch):
    lifter = make()
    place = lifter._root.place
    refused = np.array([False, True])
    monkeypatch.setattr(
        lifter._root, "place", lambda p, s, r: replace(place(p, s, r), floor_refused=refused[: len(p)])
    )
    both = standing(camera, [[0, 0, 4], [1, 0, 5]])
    result = lifter.lift(both, camera, S)
    second = int(lifter.people.track_id[1])  # row 1 of the arrays, whoever that is
    assert result.report.floor_refused == (second,)


def test_each_frame_teaches_what_a_level_costs(make, camera, monkeypatch):
    lifter = make(deadline_s=10.0)
    noted = []
    monkeypatch.setattr(lifter._planner, "observe", lambda *what: noted.append(what))
    lifter.lift(standing(camera, [[-1, 0, 4], [1, 0, 4]]), camera, S)
    ((level, people, seconds),) = noted
    assert (level, people) == (0, 2)
    assert 0 < seconds < 60


def test_a_late_frame_says_how_late_it_is(make, camera):
    lifter = make()
    lifter.lift(standing(camera, [0, 0, 4]), camera, S)
    late = lifter.lift(standing(camera, [0, 0, 4]), camera, S - S // 4)
    assert "250.0 ms older" in late.report.refused


def test_orientations_go_on_from_frame_to_frame_until_everyone_starts_anew(make, camera):
    lifter = make()
    people = standing(camera, [0, 0, 4])
    first = lifter.lift(people, camera, S).skeletons[0]
    assert np.isfinite(first.orientation).all() and np.isfinite(first.orientation_covariance).all()
    again = lifter.lift(people, camera, S + FRAME).skeletons[0]
    known, alone = lifter._rotations, RotationTracker()
    alone.update(first.xyz, first.covariance)
    want = alone.update(again.xyz, again.covariance, dt=FRAME / 1e9)
    np.testing.assert_allclose(again.orientation, want.matrix, atol=1e-6)
    assert known._known
    lifter.reset()
    assert not known._known
