"""Where the person stands: absolute root from a root-relative pose and the keypoints' rays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffpose_ros.core import H36M17, InputError
from diffpose_ros.geometry._root_fit import fit_root
from diffpose_ros.geometry._root_fit_many import fit_roots
from diffpose_ros.geometry._root_told import refit

MIN_JOINTS = 3
TANGENT_NOISE = 0.004
"""Assumed noise of a ray (about 4 px at f = 1000 px), one sigma."""

MANY = 12
"""People from which arrays are faster than loops."""
ROUNDS = 5
"""At most. Enough for Gauss-Newton to come back from where one wild ray took the start."""

MEASURED_H36M = np.array([j not in ("hip", "spine", "thorax", "head_top") for j in H36M17.joints])
"""(17,) H36M joints that a COCO detector sees. The others are means of these: they measure nothing
new, and the middle of two shoulders is not quite H36M's thorax. Multiply weights with this."""

FOOT_AND_CROWN = 1.03
"""Stature over the summed bones: the foot is added, and standing bones are not quite collinear."""

_CHAINS = (
    (0.5, ("left_hip", "left_knee", "left_ankle")),
    (0.5, ("right_hip", "right_knee", "right_ankle")),
    (1.0, ("hip", "spine", "thorax", "head_top")),
)
_BONES = [(w, a, b) for w, names in _CHAINS for a, b in zip(names, names[1:], strict=False)]
_ABOVE = [H36M17.index(a) for _, a, _ in _BONES]
_BELOW = [H36M17.index(b) for _, _, b in _BONES]
_SHARE = np.array([w for w, _, _ in _BONES])
"""The bones that standing height consists of, and how much each counts: of two legs half."""


def root_translation(
    xyz_rel: ArrayLike,
    tangents: ArrayLike,
    weight: ArrayLike,
    *,
    rounds: int = ROUNDS,
    tangent_noise: float = TANGENT_NOISE,
    scale_noise: float = 0.0,
    ray_covariance: ArrayLike | None = None,
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
        rounds: most Gauss-Newton steps with Huber weights; 0 = the paper's solution.
        tangent_noise: least noise of a ray, one sigma of each coordinate, tangent units.
        scale_noise: relative uncertainty of the body's size, one sigma; it turns into depth.
        ray_covariance: (P, J, 2, 2) of the rays, tangent units squared. With it, ``tangent_noise`` comes
            on top, as the noise of the pose, and each ray counts as its covariance says.

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
    translation, covariance = np.full((len(w), 3), np.nan), np.full((len(w), 3, 3), np.nan)
    joints = np.concatenate([pose, ray, w[..., None]], axis=2)
    if len(w) >= MANY:
        enough = usable & (usable.sum(axis=1) >= MIN_JOINTS)[:, None]
        counted = np.where(enough[..., None], joints, 0.0)
        translation, covariance = fit_roots(counted, rounds, tangent_noise)
    else:
        for person, (row, seen) in enumerate(zip(joints.tolist(), usable.tolist(), strict=True)):
            measured = [joint for joint, counts in zip(row, seen, strict=True) if counts]
            if len(measured) < MIN_JOINTS:
                continue
            fitted = fit_root(measured, rounds, tangent_noise)
            if fitted is not None:
                translation[person], covariance[person] = fitted
    if ray_covariance is not None:
        told = np.asarray(ray_covariance, dtype=np.float64)
        if told.shape != (*w.shape, 2, 2):
            raise InputError(f"root: expected covariances {(*w.shape, 2, 2)}, got {told.shape}")
        noise = np.where(usable[..., None, None], told, 0.0) + tangent_noise**2 * np.eye(2)
        finer, finer_covariance = refit(pose, ray, usable, noise, translation)
        better = np.isfinite(finer).all(axis=1)
        translation[better], covariance[better] = finer[better], finer_covariance[better]
    if scale_noise:
        covariance += scale_noise**2 * translation[:, :, None] * translation[:, None, :]
    return translation, covariance


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

    bones = pose[..., _BELOW, :] - pose[..., _ABOVE, :]
    return FOOT_AND_CROWN * (np.sqrt(np.einsum("...i,...i->...", bones, bones)) @ _SHARE)
