"""Procrustes finds the similarity between two poses, and never mirrors."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from diffpose_ros.core import InputError
from diffpose_ros.geometry import procrustes_align


def poses(seed=0, shape=(5, 4, 17, 3)):
    return np.random.default_rng(seed).normal(size=shape)


def test_a_rotated_scaled_shifted_pose_is_found_again():
    a = poses()
    r = Rotation.random(20, random_state=1).as_matrix().reshape(5, 4, 3, 3)
    b = 1.7 * a @ np.swapaxes(r, -1, -2) + np.array([3.0, -2, 9])
    np.testing.assert_allclose(procrustes_align(a, b), b, atol=1e-10)


def test_without_scale_the_size_stays():
    a = poses()
    aligned = procrustes_align(a, 2 * a, scale=False)
    np.testing.assert_allclose(
        aligned - aligned.mean(-2, keepdims=True), a - a.mean(-2, keepdims=True), atol=1e-10
    )


def test_a_mirrored_pose_is_not_matched():
    a = poses()
    error = np.linalg.norm(procrustes_align(a, a * [-1, 1, 1]) - a * [-1, 1, 1], axis=-1).mean()
    assert error > 0.3


@pytest.mark.parametrize("mirror", [(1, 1, 1), (-1, 1, 1)])
def test_the_rotation_is_the_best_proper_one(mirror):
    """As scipy finds it, also where a mirror image would fit best."""
    a = poses(1, (17, 3))
    b = a * mirror + 0.3 * poses(2, (17, 3))
    a0, b0 = a - a.mean(0), b - b.mean(0)
    best, _ = Rotation.align_vectors(b0, a0)
    turned = best.apply(a0)
    np.testing.assert_allclose(procrustes_align(a, b, scale=False), turned + b.mean(0), atol=1e-9)
    size = (turned * b0).sum() / (a0**2).sum()
    np.testing.assert_allclose(procrustes_align(a, b), size * turned + b.mean(0), atol=1e-9)


def test_a_body_of_millimetres_is_sized_too():
    a = 1e-4 * poses(1, (17, 3))
    np.testing.assert_allclose(procrustes_align(a, 3 * a), 3 * a, rtol=1e-9)


def test_single_precision_in_is_double_precision_out():
    a = (100 + poses(1, (17, 3))).astype(np.float32)
    b = (1000 + poses(2, (17, 3))).astype(np.float32)
    exact = procrustes_align(a.astype(np.float64), b.astype(np.float64))
    np.testing.assert_array_equal(procrustes_align(a, b), exact)


def test_no_other_similarity_is_better():
    a, b = poses(1, (17, 3)), poses(2, (17, 3))
    best = ((procrustes_align(a, b) - b) ** 2).sum()
    rng = np.random.default_rng(3)
    aligned = procrustes_align(a, b)
    for _ in range(200):
        turn = Rotation.from_rotvec(rng.normal(0, 0.1, 3)).as_matrix()
        tried = (aligned - aligned.mean(0)) @ turn.T * rng.normal(1, 0.05) + aligned.mean(0)
        assert ((tried + rng.normal(0, 0.02, 3) - b) ** 2).sum() >= best


@pytest.mark.parametrize("scale", [True, False])
def test_a_prediction_without_extent_is_only_shifted(scale):
    b = poses(2, (17, 3))
    out = procrustes_align(np.ones((17, 3)), b, scale=scale)
    np.testing.assert_allclose(out, np.broadcast_to(b.mean(0), (17, 3)), atol=1e-12)


def test_flat_poses_give_finite_proper_answers():
    a = poses(1, (17, 3)) * [1, 1, 0]
    np.testing.assert_allclose(procrustes_align(a, 2 * a), 2 * a, atol=1e-9)


@pytest.mark.parametrize("shape", [(3,), (17, 2), (17, 4)])
def test_what_is_no_pose_is_refused(shape):
    with pytest.raises(InputError, match="poses to align"):
        procrustes_align(np.zeros(shape), np.zeros(shape))


def test_different_shapes_are_refused():
    with pytest.raises(InputError, match=r"got \(17, 3\) and \(16, 3\)"):
        procrustes_align(np.zeros((17, 3)), np.zeros((16, 3)))
