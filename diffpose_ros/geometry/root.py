"""Where the person stands: absolute root from a root-relative pose and the keypoints' rays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffpose_ros.core import H36M17, InputError

MIN_JOINTS = 3
MIN_DEPTH_M = 0.1
TANGENT_NOISE = 0.004
"""Assumed noise of a ray (about 4 px at f = 1000 px), one sigma."""

ROUNDS = 5
"""Enough for Gauss-Newton to come back from where one wild ray took the start."""

HUBER = 1.0
"""Huber limit in robust standard deviations of the residuals."""

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
    rounds: int = ROUNDS,
    tangent_noise: float = TANGENT_NOISE,
    scale_noise: float = 0.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Translation that puts each pose onto its rays.

    The start is ZeDO's eq. 6 in closed form: with the joint (x, y, z) relative to the root and its
    ray (u, v, 1), each joint gives ``x - u z = u T_z - T_x`` and ``y - v z = v T_z - T_y``:
    weighted, a 3 x 3 normal system per person. The rays stand on both sides of these equations,
    so their noise pulls the answer towards the camera. Gauss-Newton steps on the distance between
    rays and projected joints have no such pull; Huber weights keep one wrong keypoint from moving
    the whole person.

    The covariance is that of an M-estimator (Huber, Robust Statistics, 1981, eq. 6.5) whose rays
    all have the same noise, whatever their weights. That noise is what the residuals say, with the
    degrees of freedom that the fit used up, and never less than ``tangent_noise``; residuals count
    as larger than assumed only beyond the standard error of such an estimate. If the rays' noise
    is ``tangent_noise``, the mean squared Mahalanobis distance of the true root is 3.

    Args:
        xyz_rel: (P, J, 3) metres, relative to the root, camera optical frame.
        tangents: (P, J, 2) undistorted x/z, y/z.
        weight: (P, J) at least 0, e.g. scores; 0 = masked (its ray is then ignored, NaN or not).
        rounds: Gauss-Newton steps with Huber weights; 0 = the paper's solution.
        tangent_noise: least noise of a ray, one sigma of each coordinate, tangent units.
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

    t, ok = _solve(pose[..., :2] - ray * pose[..., 2:], ray, w)
    limit = np.full((len(w), 1), np.inf)
    for _ in range(rounds):
        seen, depth = _projected(pose, t)
        error = ray - seen
        size = _length(error)  # (P, J) tangent units
        limit = np.maximum(HUBER * 1.2 * _median(size, usable), tangent_noise)[:, None]
        trust = np.minimum(1.0, limit / np.maximum(size, 1e-12))
        t = t + _step(seen, depth, error, w * trust)
    covariance = _covariance(pose, ray, w, t, limit, tangent_noise)
    covariance += scale_noise**2 * t[:, :, None] * t[:, None, :]
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


def _solve(known: NDArray, ray: NDArray, w: NDArray) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Weighted least squares of ``known = ray T_z - (T_x, T_y)``: T_z is the slope of ``known`` over
    the rays, T_x and T_y follow from the means."""
    share = (w / np.maximum(w.sum(-1, keepdims=True), 1e-12))[..., None]
    mean, offset = (share * ray).sum(1), (share * known).sum(1)
    spread = share * (ray - mean[:, None])
    variance = (spread * ray).sum((1, 2))
    ok = variance > 1e-10
    z = (spread * known).sum((1, 2)) / np.where(ok, variance, 1.0)
    return np.concatenate([mean * z[:, None] - offset, z[:, None]], axis=1), ok


def _projected(pose: NDArray, t: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(P, J, 2) tangents of the placed joints, and their (P, J) depths, m."""
    placed = pose + t[:, None]
    depth = np.maximum(placed[..., 2], MIN_DEPTH_M)
    return placed[..., :2] / depth[..., None], depth


def _length(error: NDArray) -> NDArray[np.float64]:
    """(P, J) lengths of (P, J, 2)."""
    return np.sqrt(np.einsum("pjc,pjc->pj", error, error))


def _step(seen: NDArray, depth: NDArray, error: NDArray, w: NDArray) -> NDArray[np.float64]:
    """(P, 3) Gauss-Newton step: a tangent changes by (dT_x - u dT_z) / depth, v likewise."""
    w = w / depth
    pull = w[..., None] * error
    slope = np.empty((len(w), 3, 1))
    slope[:, :2, 0] = pull.sum(1)
    slope[:, 2, 0] = -np.einsum("pjc,pjc->p", pull, seen)
    return np.asarray(np.linalg.solve(_regular(_normal(seen, w / depth)), slope)[..., 0])


def _covariance(
    pose: NDArray, ray: NDArray, w: NDArray, t: NDArray, limit: NDArray, tangent_noise: float
) -> NDArray[np.float64]:
    """(P, 3, 3) of the weighted fit: noise variance x N(w)^-1 N(w^2) N(w)^-1, N the normal matrix.

    The noise is the mean square of the residuals, cut at the (P, 1) Huber limit, over the squared
    share of a residual's change that the cut lets through.
    """
    seen, depth = _projected(pose, t)
    size = _length(ray - seen)
    total = np.maximum(w.sum(-1), 1e-12)
    freedom = 2 * total**2 / np.maximum((w**2).sum(-1), 1e-12) - 3  # of joints that really count
    mean_square = (w * np.minimum(size, limit) ** 2).sum(-1) / (2 * total)
    # Beyond the limit a residual passes on across its direction alone.
    passed = np.where(size > limit, 0.5 * limit / np.maximum(size, 1e-12), 1.0)
    passed = (w * passed).sum(-1) / total
    # An inverse variance is estimated without bias by two degrees of freedom less.
    left = np.maximum(freedom - 2, 1.0)
    measured = mean_square / np.maximum(passed, 1e-6) ** 2 * (freedom + 3) / left
    assumed = tangent_noise**2
    variance = np.maximum(measured - assumed * np.sqrt(2 / np.maximum(freedom, 1.0)), assumed)
    q = w / depth**2
    inverse = np.linalg.inv(_regular(_normal(seen, q)))
    return np.asarray(variance[:, None, None] * (inverse @ _normal(seen, q * w) @ inverse))


def _regular(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """A normal matrix that can be inverted, whatever was seen."""
    return normal + 1e-12 * np.eye(3)


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
        chain("left_hip", "left_knee", "left_ankle") + chain("right_hip", "right_knee", "right_ankle")
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
