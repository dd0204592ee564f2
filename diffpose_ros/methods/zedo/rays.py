"""Rays and poses: the translation in closed form (ZeDO, eq. 6) and the projection onto rays (eq. 4).

Rays are unit vectors, so everything here holds in any axes. With A = I - r r^T for the ray r, the part
of a point p that lies beside its ray is A p. The paper writes eq. 6 with tangents: the equations of
one joint are then those here times the joint's depth.

Letters for shapes: P people, N hypotheses, K iterations; 17 joints are H36M's, 51 their coordinates.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RIDGE = 1e-9
"""Added to the normal matrix, so that rays which all point the same way leave the depth at 0."""


def unit_rays(tangents: Array) -> Array:
    """Tangents (..., 2) x/z, y/z to unit vectors (..., 3)."""
    ray = np.concatenate([tangents, np.ones_like(tangents[..., :1])], axis=-1)
    return np.asarray(ray / np.linalg.norm(ray, axis=-1, keepdims=True))


def beside(rays: Array) -> Array:
    """I - r r^T (..., 3, 3) of unit rays (..., 3): takes a point to what of it lies beside the ray."""
    return np.eye(3) - rays[..., :, None] * rays[..., None, :]


def solve_translation(rays: Array, weight: Array) -> Array:
    """The matrix that gives the best translation of a pose (eq. 6): T = -H p.

    T minimises the weighted squared distances of the joints from their rays, which is linear in the pose.

    Args:
        rays: (P, 17, 3) unit vectors.
        weight: (P, K, 17) at least 0.

    Returns:
        H (P, K, 3, 51).
    """
    p, k = weight.shape[:2]
    part = weight[..., None, None] * beside(rays)[:, None]
    rows = part.transpose(0, 1, 3, 2, 4).reshape(p, k, 3, 51)
    return np.asarray(np.linalg.solve(part.sum(2) + RIDGE * np.eye(3), rows))


def translation(poses: Array, rays: Array, weight: Array) -> Array:
    """Where poses stand (P, N, 3) m; ``poses`` (P, N, 17, 3), ``rays`` (P, 17, 3), ``weight`` (P, 17)."""
    solved = solve_translation(rays, weight[:, None])[:, 0]
    return -poses.reshape(*poses.shape[:2], 51) @ solved.swapaxes(1, 2)


def projection(rays: Array, weight: Array, share: Array) -> Array:
    """The matrix that moves a pose onto its rays, its translation eliminated (eq. 4 and 6).

    Joint j moves by ``share`` of its distance to the ray: p_j - share_j A_j (p_j + T).

    Args:
        rays: (P, 17, 3) unit vectors.
        weight: (P, K, 17) of each joint in the translation.
        share: (P, K, 17) from 0, stays where it is, to 1, onto the ray.

    Returns:
        (P, K, 51, 51), for poses as columns.
    """
    p, k = weight.shape[:2]
    pull = share[..., None, None] * beside(rays)[:, None]
    solved = solve_translation(rays, weight)
    out = (pull.reshape(p, k, 51, 3) @ solved).reshape(p, k, 17, 3, 17, 3)
    joint = np.arange(17)
    out[:, :, joint, :, joint, :] += (np.eye(3) - pull).transpose(2, 0, 1, 3, 4)
    return out.reshape(p, k, 51, 51)


def distance(poses: Array, place: Array, rays: Array) -> Array:
    """Distance of each joint from its ray (P, N, 17) m; ``place`` (P, N, 3)."""
    at = poses + place[:, :, None]
    along = (at * rays[:, None]).sum(-1, keepdims=True)
    return np.asarray(np.linalg.norm(at - along * rays[:, None], axis=-1))
