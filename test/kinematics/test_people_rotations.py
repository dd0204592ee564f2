"""Everyone's joints are followed by the track id, and forgotten when they left."""

from __future__ import annotations

import numpy as np

from diffpose_ros.core import Skeleton
from diffpose_ros.kinematics import PeopleRotations

S = 1_000_000_000


def person(track_id, *, bend):
    """A left arm hanging behind, bent by ``bend`` degrees; the rest stands."""
    xyz = np.array(
        [(0, 0, 0), (-0.13, 0, 0), (-0.13, 0.44, 0), (-0.13, 0.87, 0), (0.13, 0, 0), (0.13, 0.44, 0),
         (0.13, 0.87, 0), (0, -0.24, 0), (0, -0.48, 0), (0, -0.58, -0.1), (0, -0.74, 0), (0.17, -0.46, 0),
         (0.17, -0.2, 0), (0, 0, 0), (-0.17, -0.46, 0), (-0.17, -0.2, 0), (-0.17, 0.05, 0)], dtype=float
    )  # fmt: skip
    angle = np.deg2rad(bend)
    xyz[13] = xyz[12] + 0.25 * np.array([np.sin(angle), np.cos(angle), 0])  # outward
    xyz += (0, 0, 4)
    return Skeleton(
        xyz=xyz, covariance=np.tile(1e-4 * np.eye(3), (17, 1, 1)), score=np.ones(17), root=xyz[0],
        root_is_metric=False, track_id=track_id,
    )  # fmt: skip


def hinge(people, one, stamp_ns):
    """The axis of the left elbow."""
    return people.update(one, stamp_ns).matrix[11][:, 2]


def test_a_straight_arm_remembers_its_own_twist() -> None:
    people = PeopleRotations()
    for k in range(10):
        bent = hinge(people, person(1, bend=80), k * S // 30)
        hinge(people, person(2, bend=0), k * S // 30)
    straight = hinge(people, person(1, bend=0), 10 * S // 30)
    other = hinge(people, person(2, bend=0), 10 * S // 30)
    assert straight @ bent > 0.98
    assert abs(other @ bent) < 0.3  # that of the shortest turn from the trunk


def test_who_left_long_ago_or_comes_from_another_time_is_new() -> None:
    for later in (3 * S, -S):
        people = PeopleRotations()
        bent = hinge(people, person(1, bend=80), 5 * S)
        assert abs(hinge(people, person(1, bend=0), 5 * S + later) @ bent) < 0.3


def test_the_forgotten_take_no_memory() -> None:
    people = PeopleRotations()
    for k in range(100):
        people.update(person(k, bend=30), k * S)
        people.update(person(-1, bend=30), k * S)
        people.forget_before(k * S)
    assert len(people._known) <= 2
