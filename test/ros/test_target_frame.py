"""Skeletons move to another frame as rigid bodies, covariances turn with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffpose_ros.core import ConfigError, Skeleton
from diffpose_ros.ros.target_frame import FrameLookup, Rigid, moved

RNG = np.random.default_rng(3)


def anisotropic(count):
    axes = np.linalg.qr(RNG.normal(size=(count, 3, 3)))[0]
    return axes @ (np.array([1e-4, 4e-3, 9e-2]) * axes).swapaxes(1, 2)


def person():
    xyz = RNG.normal(size=(17, 3)) + np.array([0, 0, 4])
    return Skeleton(
        xyz=xyz, covariance=anisotropic(17), score=np.ones(17), root=xyz[0], root_is_metric=True,
        track_id=7, root_covariance=anisotropic(1)[0],
    )  # fmt: skip


# an optical frame (x right, y down, z forward) in a body frame (x forward, y left, z up), 1.5 m high
OPTICAL_IN_BASE = Rigid.from_quaternion((-0.5, 0.5, -0.5, 0.5), (0.2, 0.0, 1.5))


def test_an_optical_frame_lies_in_the_base_as_rep_103_says():
    r, t = OPTICAL_IN_BASE.rotation, OPTICAL_IN_BASE.translation
    assert r @ [0, 0, 4] + t == pytest.approx([4.2, 0, 1.5])  # ahead
    assert r @ [1, 0, 4] + t == pytest.approx([4.2, -1, 1.5])  # to the right
    assert r @ [0, 1, 4] + t == pytest.approx([4.2, 0, 0.5])  # below


@pytest.mark.parametrize("quaternion", [(0, 0, 0, 1), (-0.5, 0.5, -0.5, 0.5), (0.1, -0.7, 0.4, 0.9)], ids=str)
def test_points_covariances_and_root_move_together(quaternion):
    skeleton, motion = person(), Rigid.from_quaternion(quaternion, (1.0, -2.0, 0.5))
    r, t = motion.rotation, motion.translation
    out = moved(skeleton, motion)
    assert r @ r.T == pytest.approx(np.eye(3))
    for j in range(17):
        assert out.xyz[j] == pytest.approx(r @ skeleton.xyz[j] + t)
        assert out.covariance[j] == pytest.approx(r @ skeleton.covariance[j] @ r.T)
    assert out.root == pytest.approx(r @ skeleton.root + t)
    assert out.root_covariance == pytest.approx(r @ skeleton.root_covariance @ r.T)
    assert (out.track_id, out.root_is_metric) == (7, True)


def test_the_spread_of_samples_is_the_turned_covariance():
    skeleton, motion = person(), Rigid.from_quaternion((0.1, -0.7, 0.4, 0.9), (1.0, -2.0, 0.5))
    samples = RNG.multivariate_normal(skeleton.root, skeleton.root_covariance, 20000)
    there = samples @ motion.rotation.T + motion.translation
    out = moved(skeleton, motion)
    assert np.cov(there.T) == pytest.approx(out.root_covariance, abs=3e-3)
    assert there.mean(0) == pytest.approx(out.root, abs=1e-2)


def test_depth_noise_of_the_camera_is_noise_ahead_of_the_robot():
    skeleton = person()
    far = np.diag([1e-4, 1e-4, 0.25])
    out = moved(
        Skeleton(
            xyz=skeleton.xyz, covariance=np.tile(far, (17, 1, 1)), score=np.ones(17), root=skeleton.root,
            root_is_metric=False, root_covariance=far,
        ),
        OPTICAL_IN_BASE,
    )  # fmt: skip
    assert out.root_covariance == pytest.approx(np.diag([0.25, 1e-4, 1e-4]))
    assert out.covariance[5] == pytest.approx(np.diag([0.25, 1e-4, 1e-4]))


def test_a_velocity_is_turned_and_not_shifted():
    spread = np.diag([1e-4, 4e-4, 0.04])
    skeleton = replace(person(), velocity=np.array([0.1, 0.0, -1.2]), velocity_covariance=spread)
    out = moved(skeleton, OPTICAL_IN_BASE)
    assert out.velocity == pytest.approx([-1.2, -0.1, 0.0])
    assert out.velocity_covariance == pytest.approx(np.diag([0.04, 1e-4, 4e-4]))


def test_a_quaternion_need_not_be_of_unit_length():
    a = Rigid.from_quaternion((0, 0, 2, 2), (0, 0, 0))
    assert a.rotation @ [1, 0, 0] == pytest.approx([0, 1, 0])


def test_without_tf2_a_target_frame_is_refused_with_advice():
    try:
        import tf2_ros  # noqa: F401
    except ImportError:
        with pytest.raises(ConfigError, match="parameter 'target_frame': expected tf2_ros to be installed"):
            FrameLookup(None)
    else:
        pytest.skip("tf2_ros is installed")


def test_orientations_are_turned_with_the_body():
    """Turning the joints and then telling orientations is telling them and then turning those."""
    from diffpose_ros.kinematics import RotationTracker

    before, motion = person(), Rigid.from_quaternion((0.1, -0.7, 0.4, 0.9), (1.0, -2.0, 0.5))
    told = RotationTracker().update(before.xyz, before.covariance)
    out = moved(
        replace(before, orientation=told.matrix, orientation_covariance=told.covariance), motion
    )
    there = RotationTracker().update(out.xyz, out.covariance)
    assert out.orientation == pytest.approx(there.matrix)
    assert out.orientation_covariance == pytest.approx(there.covariance)
