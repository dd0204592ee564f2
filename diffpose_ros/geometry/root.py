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
    known = pose[..., :2] - ray * pose[..., 2:]
    t, ok = _solve(known, ray, robust)
    for _ in range(rounds):
        size = np.sqrt((_residual(pose, ray, t) ** 2).sum(-1))  # (P, J) tangent units
        limit = np.maximum(HUBER * 1.2 * _median(size, usable), tangent_noise)[:, None]
        robust = w * np.minimum(1.0, limit / np.maximum(size, 1e-12))
        t, ok = _solve(known, ray, robust)
    covariance = _covariance(pose, ray, robust, t, tangent_noise, scale_noise)
    ok &= usable.sum(-1) >= MIN_JOINTS
    # Every joint that was seen lies in front of the camera.
    depth = np.where(usable, pose[..., 2] + t[:, None, 2], np.inf)
    ok &= (t[:, 2] > MIN_DEPTH_M) & (depth > 0).all(axis=-1)
    ok &= np.isfinite(t).all(-1) & np.isfinite(covariance).all((-1, -2))
    t[~ok], covariance[~ok] = np.nan, np.nan
    return t, covariance


def _median(value: NDArray, usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(P,) median over the usable joints of (P, J); 0 where there are none."""
    count = usable.sum(-1)
    ordered = np.sort(np.where(usable, value, np.inf), axis=-1)
    row = np.arange(len(value))
    low = ordered[row, np.maximum(count - 1, 0) // 2]
    return np.where(count > 0, 0.5 * (low + ordered[row, np.minimum(count // 2, value.shape[1] - 1)]), 0.0)


def _normal(ray: NDArray, w: NDArray) -> NDArray[np.float64]:
    """(P, 3, 3) normal matrix of the equations in T."""
    out = np.zeros((len(w), 3, 3))
    weighted = w[..., None] * ray
    out[:, 0, 0] = out[:, 1, 1] = w.sum(-1)
    out[:, :2, 2] = out[:, 2, :2] = -weighted.sum(1)
    out[:, 2, 2] = (weighted * ray).sum((1, 2))
    return out


def _solve(
    known: NDArray, ray: NDArray, w: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Weighted least squares of ``known = ray T_z - (T_x, T_y)``: T_z is the slope of ``known`` over
    the rays, T_x and T_y follow from the means."""
    share = (w / np.maximum(w.sum(-1, keepdims=True), 1e-12))[..., None]
    mean, offset = (share * ray).sum(1), (share * known).sum(1)
    spread = share * (ray - mean[:, None])
    variance = (spread * ray).sum((1, 2))
    ok = variance > 1e-10
    z = (spread * known).sum((1, 2)) / np.where(ok, variance, 1.0)
    return np.concatenate([mean * z[:, None] - offset, z[:, None]], axis=1), ok


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
