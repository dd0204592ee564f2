"""Poses in the body's axes: the same whoever sees them, and where."""

import numpy as np
import pytest

from diffpose_ros.geometry.body_frame import as_seen, body_axes, body_pose, unit_pose
from diffpose_ros.geometry.bones import bone_lengths


@pytest.fixture
def poses():
    return np.random.default_rng(0).normal(0, 0.4, (6, 17, 3))


def test_any_camera_place_and_size_give_the_same_pose(poses):
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.normal(size=(6, 3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))[:, None, None]
    seen = 1.7 * poses @ turn.swapaxes(1, 2) + rng.normal(size=(6, 1, 3))
    np.testing.assert_allclose(body_pose(seen), body_pose(poses), atol=1e-12)


def test_the_mirror_image_is_another_pose(poses):
    assert np.abs(body_pose(poses * [-1, 1, 1]) - body_pose(poses)).max() > 0.01


def test_axes_are_right_handed_and_those_of_rep_155():
    standing = np.zeros((17, 3))  # optical axes, facing the camera: left is +x, up is -y
    standing[[4, 11], 0], standing[[1, 14], 0] = 0.1, -0.1
    standing[[8, 11, 14], 1] = -0.5
    axes = body_axes(standing)
    np.testing.assert_allclose(axes[:, 0], [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(axes[:, 1], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(axes[:, 2], [0, -1, 0], atol=1e-12)


def test_bones_sum_to_one_and_the_hip_is_the_origin(poses):
    size = unit_pose(poses)
    np.testing.assert_allclose(bone_lengths(size).sum(-1), 1.0)
    assert not size[:, 0].any()


def test_what_spans_no_frame_is_nan():
    assert np.isnan(body_pose(np.zeros((2, 17, 3)))).all()
    line = np.zeros((17, 3))
    line[:, 1] = np.arange(17)
    assert np.isnan(body_pose(line)).any()


def test_a_skeleton_is_seen_as_by_a_camera_turned_at_it(poses):
    place = np.array([1.5, -0.4, 3.0])
    here = as_seen(poses - poses[:, :1] + place)
    np.testing.assert_allclose(here[:, 0], 0, atol=1e-12)
    np.testing.assert_allclose(body_pose(here), body_pose(poses), atol=1e-12)
    towards = as_seen(np.stack([place, 1.1 * place] * 9)[:17][None])[0, 1]
    np.testing.assert_allclose(towards[:2], 0, atol=1e-12)  # along the ray is along the axis


def test_with_gravity_the_camera_is_level(poses):
    roll = np.array([[np.cos(0.4), -np.sin(0.4), 0], [np.sin(0.4), np.cos(0.4), 0], [0, 0, 1]])
    up = np.array([0, -1.0, 0])
    there = poses + np.array([0, 0, 4])
    np.testing.assert_allclose(as_seen(there @ roll.T, roll @ up), as_seen(there, up), atol=1e-9)
