"""From metres to pixels, through the lens."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffpose_ros.core import Camera, InputError

MIN_DEPTH_M = 1e-6


def distort(tangents: NDArray[np.float64], camera: Camera) -> NDArray[np.float64]:
    """Bend ideal viewing rays as the lens does.

    Args:
        tangents: (N, 2) undistorted (x/z, y/z).
        camera: the lens.

    Returns:
        (N, 2) distorted tangents.
    """
    d = camera.distortion
    if camera.model == "equidistant":
        d = d if d.size else np.zeros(4)
        radius = np.linalg.norm(tangents, axis=-1)
        theta = np.arctan(radius)
        bent = theta * (1 + np.polyval([*d[::-1], 0.0], theta * theta))
        # theta / radius tends to 1 on the axis.
        ratio = np.divide(bent, radius, out=np.ones_like(radius), where=radius > 1e-12)
        return tangents * ratio[:, None]
    if not len(tangents) or not d.any():
        return tangents.copy()
    rays = np.concatenate([tangents, np.ones((len(tangents), 1))], axis=1)
    zero = np.zeros(3)
    out, _ = cv2.projectPoints(rays, zero, zero, np.eye(3), d)
    return np.asarray(out, dtype=np.float64).reshape(-1, 2)


def project(xyz: ArrayLike, camera: Camera) -> NDArray[np.float64]:
    """Project points into the raw (distorted) image.

    Args:
        xyz: (..., 3) metres, camera optical frame.
        camera: intrinsics with distortion; skew and fx != fy count.

    Returns:
        (..., 2) pixels; NaN for points that are not in front of the camera.

    Raises:
        InputError: ``xyz`` is not (..., 3).
    """
    points = np.asarray(xyz, dtype=np.float64)
    if points.ndim < 1 or points.shape[-1] != 3:
        raise InputError(f"points to project: expected shape (..., 3), got {points.shape}")
    flat = points.reshape(-1, 3)
    out = np.full((len(flat), 2), np.nan)
    flat = flat @ camera.rectification  # back from the optical frame to that of the lens
    front = np.isfinite(flat).all(axis=1) & (flat[:, 2] > MIN_DEPTH_M)
    bent = distort(flat[front, :2] / flat[front, 2:], camera)
    k = camera.matrix
    out[front] = bent @ k[:2, :2].T + k[:2, 2]
    return out.reshape(*points.shape[:-1], 2)
