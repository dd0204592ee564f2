"""Orientations from positions alone against the rotations that moved the body.

The motions are made: every joint turns smoothly at random within what people can do.
"""

from __future__ import annotations

import numpy as np
import pytest
from moving_bodies import CAMERA, HINGES, PARENTS, RATE_HZ, body, motion
from scipy.spatial.transform import Rotation

from diffpose_ros.core import H36M17
from diffpose_ros.kinematics import ANGLES, RotationTracker, joint_angles

J = {name: i for i, name in enumerate(H36M17.joints)}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_swing_flexion_and_twist_are_those_of_the_motion(seed) -> None:
    tracker = RotationTracker()
    swings, twists, flexions = [], [], []
    for turns in motion(seed):
        xyz, frames = body(turns, CAMERA)
        got = tracker.update(xyz, dt=1 / RATE_HZ)
        off = Rotation.from_matrix(got.matrix @ frames.swapaxes(1, 2)).as_rotvec()
        along = frames[:, :, 1]
        twist = (off * along).sum(axis=1)
        twists.append(twist)
        swings.append(np.linalg.norm(off - twist[:, None] * along, axis=1))
        angles = joint_angles(got).degrees()
        for name, (sign, _) in HINGES.items():
            true = sign * np.rad2deg(turns[name].as_rotvec()[2])
            flexions.append(angles[f"{name}_flexion"] - true)
    limbs = [J[n] for n in PARENTS if n.endswith(("hip", "knee", "shoulder", "elbow"))]
    assert np.rad2deg(np.array(swings)[:, limbs].max()) < 3.0
    assert np.abs(flexions).max() < 2.0
    after = np.rad2deg(np.abs(twists))[RATE_HZ:, limbs]  # a second, until the first guess is forgotten
    assert after.mean() < 3.0
    assert np.percentile(after, 95) < 10.0


def test_the_trunk_is_that_of_the_motion() -> None:
    """Its frames are spanned by several joints: they differ where the spine twists within itself."""
    tracker = RotationTracker()
    for turns in motion(4):
        turns = {name: turn for name, turn in turns.items() if name not in ("spine", "thorax")}
        xyz, frames = body(turns, CAMERA)
        got = tracker.update(xyz, dt=1 / RATE_HZ).matrix
        off = Rotation.from_matrix(got[[0, 7, 8]] @ frames[[0, 7, 8]].swapaxes(1, 2)).magnitude()
        assert np.rad2deg(off.max()) < 0.1


def test_the_names_of_the_hinges_are_among_the_angles() -> None:
    assert {f"{name}_flexion" for name in HINGES} <= set(ANGLES)
