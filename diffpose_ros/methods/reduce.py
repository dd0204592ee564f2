"""From the hypotheses of any method to one pose: their mean, or joint by joint the best on its ray.

Letters for shapes: P people, N hypotheses; 17 joints are H36M's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.geometry.root import MEASURED_H36M
from diffpose_ros.methods.protocol import Observed, Poses

REDUCTIONS = ("mean", "jpma")
"""``mean``: the method's own answer. ``jpma``: joint-wise reprojection-based aggregation (D3DP,
FinePOSE eq. 6). A reprojection does not see depth, where the error is: it is there for comparison."""

Array = NDArray[np.float64]


def jpma(poses: Poses, seen: Observed) -> Poses:
    """Per joint, the hypothesis whose reprojection is nearest to the keypoint (FinePOSE eq. 6).

    The papers project from the true root; here the mean pose is placed on the rays by least squares, and all
    hypotheses stand where it does. Joints that no keypoint measures keep the mean. What is known about the
    mean's error is known about another pose's less well: its covariance grows by the difference squared.

    Args:
        poses: with hypotheses; people without, or with any that are not finite, stay as they are.
        seen: the rays.
    """
    if poses.hypotheses is None:
        return poses
    score = seen.score[:, :17] * MEASURED_H36M
    rays = seen.rays[:, :17]
    at = _root(poses.mean, rays, score)
    placed = poses.hypotheses + at[:, None, None]
    z = np.maximum(placed[..., 2:], 1e-3)
    away = np.linalg.norm(placed[..., :2] / z - rays[:, None], axis=-1)
    best = np.where(np.isfinite(away), away, np.inf).argmin(axis=1)
    chosen = np.take_along_axis(poses.hypotheses, best[:, None, :, None], axis=1)[:, 0]
    usable = np.isfinite(at).all(-1) & (at[:, 2] > 0) & np.isfinite(poses.hypotheses).all((1, 2, 3))
    mean = np.where(((score > 0) & usable[:, None])[..., None], chosen, poses.mean)
    off = mean - poses.mean
    return replace(poses, mean=mean, covariance=poses.covariance + off[..., :, None] * off[..., None, :])


def _root(mean: Array, rays: Array, weight: Array) -> Array:
    """Translation (P, 3) that puts poses (P, 17, 3) onto their rays (P, 17, 2) by least squares."""
    one, zero = np.ones_like(rays[..., 0]), np.zeros_like(rays[..., 0])
    # x + T_x = u (z + T_z), and the same for y: two rows a joint.
    a = np.stack([np.stack([one, zero, -rays[..., 0]], -1), np.stack([zero, one, -rays[..., 1]], -1)], -2)
    b = rays * mean[..., 2:] - mean[..., :2]
    w = weight[..., None, None]
    normal = (a.swapaxes(-1, -2) @ (w * a)).sum(axis=1) + 1e-9 * np.eye(3)
    right = (a.swapaxes(-1, -2) @ (w * b[..., None])).sum(axis=1)
    return np.asarray(np.linalg.solve(normal, right)[..., 0])
