"""Orientations on the wire: what is known comes back, what is not is never NaN."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

from diffpose_ros.msg import Skeleton3D
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header

from diffpose_ros.core import InputError, Skeleton
from diffpose_ros.kinematics import RotationTracker
from diffpose_ros.ros import conversions

RNG = np.random.default_rng(4)
UNSEEN = 13


def person(**changes):
    xyz = RNG.normal(0, 0.4, (17, 3)) + np.array([0, 0, 3])
    told = RotationTracker().update(xyz)
    given = {
        "xyz": xyz, "covariance": np.tile(1e-4 * np.eye(3), (17, 1, 1)), "score": np.full(17, 0.5),
        "root": xyz[0], "root_is_metric": False, "orientation": told.matrix,
        "orientation_covariance": told.covariance,
    }  # fmt: skip
    return Skeleton(**{**given, **changes})


def on_the_wire(skeleton):
    message = conversions.skeleton_to_message(skeleton, Header(frame_id="cam"), width=64, height=48)
    return deserialize_message(serialize_message(message), Skeleton3D)


def test_known_orientations_come_back():
    skeleton = person()
    back = conversions.skeleton_from_message(on_the_wire(skeleton))
    np.testing.assert_allclose(back.orientation, skeleton.orientation, atol=1e-12)
    np.testing.assert_allclose(back.orientation_covariance, skeleton.orientation_covariance)


def test_an_unseen_joint_and_short_bones_are_not_known_and_never_nan():
    skeleton = person()
    score, xyz = skeleton.score.copy(), skeleton.xyz.copy()
    score[UNSEEN], xyz[3] = 0.0, xyz[2]  # no left wrist, no right shank
    told = RotationTracker().update(xyz)
    orientations = {"orientation": told.matrix, "orientation_covariance": told.covariance}
    message = on_the_wire(replace(skeleton, xyz=xyz, score=score, **orientations))
    numbers = [(j.orientation.x, j.orientation.y, j.orientation.z, j.orientation.w) for j in message.joints]
    doubts = np.array([j.orientation_covariance for j in message.joints])
    assert np.isfinite(numbers).all() and np.isfinite(doubts).all()
    assert np.linalg.norm(numbers, axis=1) == pytest.approx(np.ones(17))  # always a rotation
    assert set(np.flatnonzero(doubts[:, 0] == -1)) == {2, 3, UNSEEN}
    back = conversions.skeleton_from_message(message)
    assert set(np.flatnonzero(np.isnan(back.orientation).all(axis=(1, 2)))) == {2, 3, UNSEEN}


def test_a_publisher_that_fills_in_no_orientations_tells_none():
    message = on_the_wire(person())
    for joint in message.joints:
        joint.orientation_covariance = np.zeros(9)
    assert np.isnan(conversions.skeleton_from_message(message).orientation).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("w", [0.0, 2.0, 1e200, math.nan, math.inf])
def test_what_is_no_rotation_is_refused(w):
    message = on_the_wire(person())
    q = message.joints[4].orientation
    q.x = q.y = q.z = 0.0
    q.w = w
    with pytest.raises(InputError, match="orientation: expected quaternions of length 1"):
        conversions.skeleton_from_message(message)


def test_a_covariance_of_an_orientation_is_finite_or_not_known():
    message = on_the_wire(person())
    message.joints[4].orientation_covariance[3] = math.nan
    with pytest.raises(InputError, match="skeleton orientation_covariance"):
        conversions.skeleton_from_message(message)


def test_half_a_matrix_is_no_orientation():
    broken = person().orientation.copy()
    broken[5, 0, 0] = np.nan
    with pytest.raises(InputError, match="finite, or NaN as a whole"):
        person(orientation=broken)
