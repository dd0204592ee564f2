"""People onto the rays of their joints, each ray with the covariance that its detector tells.

Gauss-Newton on the distance between rays and projected joints, measured by each ray's own covariance:
a keypoint that may lie anywhere along a limb says nothing along it and all across it.

Letters for shapes: P people, J joints.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

HUBER = 1.5
"""Whitened residuals beyond so many standard deviations pull no harder than that."""
ROUNDS = 4
MIN_DEPTH_M = 0.1


def refit(
    pose: Array, ray: Array, seen: NDArray[np.bool_], noise: Array, start: Array
) -> tuple[Array, Array]:
    """Translation (P, 3) m and its covariance (P, 3, 3) m^2; NaN where ``start`` is, or nothing is found.

    Args:
        pose: (P, J, 3) m, relative to the root.
        ray: (P, J, 2) tangents.
        seen: (P, J) joints that count.
        noise: (P, J, 2, 2) covariance of the rays, tangent units squared, positive definite.
        start: (P, 3) a place near the answer.
    """
    good = np.asarray(np.isfinite(start).all(axis=1))
    place = np.where(good[:, None], start, (0.0, 0.0, 1.0))
    ray, pose = np.where(seen[..., None], ray, 0.0), np.where(seen[..., None], pose, 0.0)
    information = np.linalg.inv(noise) * seen[..., None, None]
    normal = np.zeros((len(pose), 3, 3))
    distance = np.zeros(seen.shape)
    for _ in range(ROUNDS):
        at = pose + place[:, None]
        near = 1.0 / np.maximum(at[..., 2], MIN_DEPTH_M)
        projected = at[..., :2] * near[..., None]
        off = ray - projected
        # d projected / d T = (I, -projected) / depth
        slope = np.concatenate([np.broadcast_to(np.eye(2), (*near.shape, 2, 2)), -projected[..., None]], -1)
        slope = slope * near[..., None, None]
        pull = information @ off[..., None]
        distance = np.sqrt(np.maximum((off * pull[..., 0]).sum(-1), 0.0))
        trust = np.minimum(1.0, HUBER / np.maximum(distance, 1e-9))[..., None, None]
        turned = slope.swapaxes(-1, -2)
        normal = (trust * (turned @ information @ slope)).sum(1) + 1e-9 * np.eye(3)
        step = np.linalg.solve(normal, (trust * (turned @ pull)).sum(1))[..., 0]
        place = place + step
    freedom = np.maximum(2.0 * seen.sum(1) - 3.0, 1.0)
    doubt = (np.minimum(distance, HUBER) ** 2).sum(1) / freedom
    covariance = np.linalg.inv(normal) * np.maximum(doubt, 1.0)[:, None, None]
    in_front = np.where(seen, pose[..., 2] + place[:, None, 2], np.inf).min(1) > 0
    good &= np.isfinite(place).all(1) & in_front & (place[:, 2] > MIN_DEPTH_M)
    good &= np.isfinite(covariance).all((1, 2))
    return np.where(good[:, None], place, np.nan), np.where(good[:, None, None], covariance, np.nan)
