"""Everyone's joints are followed by the track id, and forgotten when they left."""

from __future__ import annotations

import numpy as np

from diffpose_ros.kinematics import PeopleRotations

S = 1_000_000_000


def person(*, bend):
    """A left arm hanging behind, bent by ``bend`` degrees; the rest stands."""
    xyz = np.array(
        [(0, 0, 0), (-0.13, 0, 0), (-0.13, 0.44, 0), (-0.13, 0.87, 0), (0.13, 0, 0), (0.13, 0.44, 0),
         (0.13, 0.87, 0), (0, -0.24, 0), (0, -0.48, 0), (0, -0.58, -0.1), (0, -0.74, 0), (0.17, -0.46, 0),
         (0.17, -0.2, 0), (0, 0, 0), (-0.17, -0.46, 0), (-0.17, -0.2, 0), (-0.17, 0.05, 0)], dtype=float
    )  # fmt: skip
    angle = np.deg2rad(bend)
    xyz[13] = xyz[12] + 0.25 * np.array([np.sin(angle), np.cos(angle), 0])  # outward
    return xyz


NOISE = np.tile(1e-4 * np.eye(3), (17, 1, 1))


def hinges(people, stamp_ns, **bends):
    """The axes of the left elbows of people called ``person_<track id>``."""
    ids = [int(name.removeprefix("person_")) for name in bends]
    bodies = np.array([person(bend=bend) for bend in bends.values()])
    matrix, covariance = people.update(ids, bodies, np.tile(NOISE, (len(ids), 1, 1, 1)), stamp_ns)
    assert matrix.shape == covariance.shape == (len(ids), 17, 3, 3)
    return matrix[:, 11, :, 2]


def test_a_straight_arm_remembers_its_own_twist() -> None:
    people = PeopleRotations()
    for k in range(10):
        bent, _ = hinges(people, k * S // 30, person_1=80, person_2=0)
    other, straight = hinges(people, 10 * S // 30, person_2=0, person_1=0)
    assert straight @ bent > 0.98
    assert abs(other @ bent) < 0.3  # that of the shortest turn from the trunk


def test_together_or_alone_makes_no_difference() -> None:
    both, alone = PeopleRotations(), PeopleRotations()
    for k in range(5):
        together = hinges(both, k * S // 30, person_1=10 * k, person_2=80 - 9 * k)
        one = hinges(alone, k * S // 30, person_2=80 - 9 * k)
    np.testing.assert_array_equal(together[1], one[0])


def test_who_left_long_ago_or_comes_from_another_time_is_new() -> None:
    for later in (3 * S, -S):
        people = PeopleRotations()
        (bent,) = hinges(people, 5 * S, person_1=80)
        (straight,) = hinges(people, 5 * S + later, person_1=0)
        assert abs(straight @ bent) < 0.3


def test_the_forgotten_take_no_memory() -> None:
    people = PeopleRotations()
    for k in range(100):
        people.update([k, -1], np.array([person(bend=30)] * 2), np.array([NOISE] * 2), k * S)
    assert len(people._known) <= 2


def test_nobody_is_nobody() -> None:
    matrix, covariance = PeopleRotations().update([], np.zeros((0, 17, 3)), np.zeros((0, 17, 3, 3)), S)
    assert matrix.shape == covariance.shape == (0, 17, 3, 3)
