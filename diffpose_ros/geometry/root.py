"""Where the person stands: absolute root from a root-relative pose and the keypoints' rays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffpose_ros.core import H36M17, InputError

MIN_JOINTS = 3
MIN_DEPTH_M = 0.1
TANGENT_NOISE = 0.004
"""Assumed noise of a ray (about 4 px at f = 1000 px), one sigma."""

HUBER = 1.0
MEASURED_H36M = np.array([j not in ("hip", "spine", "thorax", "head_top") for j in H36M17.joints])
"""(17,) H36M joints that a COCO detector sees. The others are means of these: they measure nothing
new, and the middle of two shoulders is not quite H36M's thorax. Multiply weights with this."""

FOOT_AND_CROWN = 1.03
"""Stature over the summed bones: the foot is added, and standing bones are not quite collinear."""


def root_translation(
    xyz_rel: ArrayLike,
    tangents: ArrayLike,
    weight: ArrayLike,
    *,
    rounds: int = 3,
    tangent_noise: float = TANGENT_NOISE,
    scale_noise: float = 0.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Translation that puts each pose onto its rays: ZeDO, eq. 6, in closed form.

    With the joint (x, y, z) relative to the root and its ray (u, v, 1), each joint gives
    ``x - u z = u T_z - T_x`` and ``y - v z = v T_z - T_y``: weighted, a 3 x 3 normal system per
    person. A few Huber rounds keep one wrong keypoint from moving the whole person.

    Args:
        xyz_rel: (P, J, 3) metres, relative to the root, camera optical frame.
        tangents: (P, J, 2) undistorted x/z, y/z.
        weight: (P, J) at least 0, e.g. scores; 0 = masked (its ray is then ignored, NaN or not).
        rounds: reweighting rounds after the plain solution; 0 = the paper's solution.
        tangent_noise: assumed noise of a ray, one sigma, tangent units: a floor for what the
            residuals say.
        scale_noise: relative uncertainty of the body's size, one sigma; it turns into depth.

    Returns:
        T (P, 3) metres, and its covariance (P, 3, 3) m^2. Rows are NaN where there is no answer:
        fewer than 3 joints, rays that do not span a solution, or a person not in front.

    Raises:
        InputError: shapes disagree or a weight is negative.
    """
    pose = np.asarray(xyz_rel, dtype=np.float64)
    ray = np.asarray(tangents, dtype=np.float64)
    w = np.asarray(weight, dtype=np.float64)
    if pose.ndim != 3 or pose.shape[2] != 3:
        raise InputError(f"root: expected poses (P, J, 3), got {pose.shape}")
    if ray.shape != (*pose.shape[:2], 2) or w.shape != pose.shape[:2]:
        raise InputError(
            f"root: expected rays {(*pose.shape[:2], 2)} and weights {pose.shape[:2]}, "
            f"got {ray.shape} and {w.shape}"
        )
    if (w < 0).any():
        raise InputError(f"root: expected weights of at least 0, got {w.min():g}")
    usable = (w > 0) & np.isfinite(ray).all(-1) & np.isfinite(pose).all(-1)
    w = np.where(usable, w, 0.0)
    ray = np.where(usable[..., None], ray, 0.0)
    pose = np.where(usable[..., None], pose, 0.0)

    robust = w
    t, ok = _solve(pose, ray, robust)
    for _ in range(rounds):
        size = np.linalg.norm(_residual(pose, ray, t), axis=-1)  # (P, J) tangent units
        spread = np.array(
            [np.median(s[u]) if u.any() else 0.0 for s, u in zip(size, usable, strict=True)]
        )
        limit = np.maximum(HUBER * 1.2 * spread, tangent_noise)[:, None]
        robust = w * np.minimum(1.0, limit / np.maximum(size, 1e-12))
        t, ok = _solve(pose, ray, robust)
    covariance = _covariance(pose, ray, robust, t, tangent_noise, scale_noise)
    ok &= usable.sum(-1) >= MIN_JOINTS
    # Every joint that was seen lies in front of the camera.
    depth = np.where(usable, pose[..., 2] + t[:, None, 2], np.inf)
    ok &= (t[:, 2] > MIN_DEPTH_M) & (depth > 0).all(axis=-1)
    ok &= np.isfinite(t).all(-1) & np.isfinite(covariance).all((-1, -2))
    t[~ok], covariance[~ok] = np.nan, np.nan
    return t, covariance


def _normal(ray: NDArray, w: NDArray) -> NDArray[np.float64]:
    """(P, 3, 3) normal matrix of the equations in T."""
    u, v = ray[..., 0], ray[..., 1]
    zero = np.zeros_like(u)
    rows_x = np.stack([-np.ones_like(u), zero, u], axis=-1)
    rows_y = np.stack([zero, -np.ones_like(v), v], axis=-1)
    rows = np.concatenate([rows_x, rows_y], axis=1)
    return np.einsum("pj,pja,pjb->pab", np.concatenate([w, w], axis=1), rows, rows)


def _solve(
    pose: NDArray, ray: NDArray, w: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    u, v = ray[..., 0], ray[..., 1]
    bx = pose[..., 0] - u * pose[..., 2]
    by = pose[..., 1] - v * pose[..., 2]
    right = np.stack([-(w * bx).sum(-1), -(w * by).sum(-1), (w * (u * bx + v * by)).sum(-1)], -1)
    matrix = _normal(ray, w)
    total = np.maximum(w.sum(-1), 1e-12)
    # The pivot that remains for T_z is the weighted variance of the rays.
    mean = (w[..., None] * ray).sum(1) / total[:, None]
    variance = (w[..., None] * (ray - mean[:, None]) ** 2).sum((1, 2)) / total
    ok = variance > 1e-10
    safe = np.where(ok[:, None, None], matrix, np.eye(3))
    return np.linalg.solve(safe, right[..., None])[..., 0], ok


def _residual(pose: NDArray, ray: NDArray, t: NDArray) -> NDArray[np.float64]:
    """(P, J, 2) distance of the projected joints from the rays, tangent units."""
    placed = pose + t[:, None]
    return placed[..., :2] / np.maximum(placed[..., 2:], MIN_DEPTH_M) - ray


def _covariance(
    pose: NDArray, ray: NDArray, w: NDArray, t: NDArray, tangent_noise: float, scale_noise: float
) -> NDArray[np.float64]:
    """Residual variance, never below the assumed noise, through the normal matrix."""
    total = np.maximum(w.sum(-1), 1e-12)
    effective = total**2 / np.maximum((w**2).sum(-1), 1e-12)  # joints that really count
    error = _residual(pose, ray, t)
    mean_square = (w[..., None] * error**2).sum((1, 2)) / (2 * total)
    freedom = np.maximum(2 * effective - 3, 1.0) / (2 * effective)
    variance = mean_square / freedom + tangent_noise**2
    depth = np.maximum(t[:, 2], MIN_DEPTH_M)
    # Normalised weights, so that scores of 0.5 all over do not halve the certainty twice.
    normal = _normal(ray, w * (effective / total)[:, None])
    normal += 1e-9 * np.eye(3)
    sigma2 = (variance * depth**2)[:, None, None]
    return sigma2 * np.linalg.inv(normal) + scale_noise**2 * t[:, :, None] * t[:, None, :]


def stature(skeleton: ArrayLike) -> NDArray[np.float64]:
    """Standing height of H36M-17 poses from their bones, whatever the posture.

    Args:
        skeleton: (..., 17, 3) metres.

    Returns:
        (...,) metres: legs, torso, neck and head added up, with foot and crown.
    """
    pose = np.asarray(skeleton, dtype=np.float64)
    if pose.ndim < 2 or pose.shape[-2:] != (len(H36M17), 3):
        raise InputError(f"stature: expected H36M-17 poses (..., 17, 3), got {pose.shape}")

    def chain(*joints: str) -> NDArray[np.float64]:
        at = pose[..., [H36M17.index(j) for j in joints], :]
        return np.linalg.norm(np.diff(at, axis=-2), axis=-1).sum(-1)

    legs = 0.5 * (
        chain("left_hip", "left_knee", "left_ankle")
        + chain("right_hip", "right_knee", "right_ankle")
    )
    return FOOT_AND_CROWN * (legs + chain("hip", "spine", "thorax", "head_top"))


def scale_to_height(skeleton_rel: ArrayLike, person_height: float) -> NDArray[np.float64]:
    """Factor that gives poses the height the user knows.

    Args:
        skeleton_rel: (..., 17, 3) metres, H36M-17, relative to the root.
        person_height: standing height in metres, 0.4 to 2.8.

    Returns:
        (...,) factor to multiply the poses with.

    Raises:
        InputError: the height is out of range, a shape is wrong, or a pose has no extent.
    """
    if not 0.4 <= person_height <= 2.8:
        raise InputError(f"person_height: expected 0.4 to 2.8 m, got {person_height:g}")
    height = stature(skeleton_rel)
    if (height < 1e-3).any():
        raise InputError("scale to height: the pose has no extent")
    return person_height / height
