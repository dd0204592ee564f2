"""From pixels of a real lens to ideal viewing rays.

The inverse of a lens model has no closed form. OpenCV's own inverse iterates a fixed point, which
diverges on strong lenses and returns NaN or a point of the wrong branch beyond the fold of the
polynomial. Here Newton's method runs on OpenCV's forward model instead, stays where the lens map
is one-to-one, and, for pixels no ray can reach, ends at the nearest ray it found.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffpose_ros.core import Camera, InputError

MAX_ANGLE_RAD = np.deg2rad(89.0)
"""Rays farther from the axis have no useful tangent; fisheye pixels beyond are held here."""

MAX_TANGENT = 1e3
"""Pixels are taken as at most this far from the axis (over the focal length); the lens polynomials of
what lies beyond overflow, and no image reaches there."""

_ITERATIONS = 30
_TOLERANCE = 1e-10


def undistort(xy: ArrayLike, camera: Camera) -> NDArray[np.float64]:
    """Viewing rays of pixels in the raw image.

    Args:
        xy: (..., 2) pixels in the raw (distorted) image.
        camera: intrinsics of any of the known distortion models; skew and fx != fy count.

    Returns:
        (..., 2) tangents (x/z, y/z) in the optical frame, always finite. Pixels outside the region that
        the lens model can explain give the nearest ray found.

    Raises:
        InputError: ``xy`` is not (..., 2) or holds NaN or infinity.
    """
    pixels = np.asarray(xy, dtype=np.float64)
    if pixels.ndim < 1 or pixels.shape[-1] != 2:
        raise InputError(f"pixels to undistort: expected shape (..., 2), got {pixels.shape}")
    if not np.isfinite(pixels).all():
        raise InputError("pixels to undistort: expected finite numbers, got NaN or infinity")
    flat = pixels.reshape(-1, 2)
    k = camera.matrix
    bent = _bounded(np.linalg.solve(k[:2, :2], (flat - k[:2, 2]).T).T)
    d = camera.distortion
    if len(flat) and camera.model == "equidistant":
        bent = _fisheye(bent, d if d.size else np.zeros(4))
    elif len(flat) and d.any():
        bent = _newton(bent, d)
    return _turn(bent, camera.rectification).reshape(pixels.shape)


STEP_PX = 0.5
"""Half of what the slope of the lens is measured over."""


def undistort_with_covariance(
    xy: ArrayLike, covariance: ArrayLike, camera: Camera
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Viewing rays of pixels, and the covariance of the rays.

    Args:
        xy: (..., 2) pixels, see :func:`undistort`.
        covariance: (..., 2, 2) pixels^2.
        camera: see :func:`undistort`.

    Returns:
        (..., 2) tangents and (..., 2, 2) their covariance, tangent units squared: J C J^T with the slope J
        of the lens at the pixel.
    """
    pixels = np.asarray(xy, dtype=np.float64)
    shift = STEP_PX * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    around = pixels[None] + shift.reshape(5, *(1,) * (pixels.ndim - 1), 2)
    here, right, left, down, up = undistort(around, camera)
    slope = np.stack([right - left, down - up], axis=-1) / (2 * STEP_PX)
    return here, slope @ np.asarray(covariance, dtype=np.float64) @ slope.swapaxes(-1, -2)


def _bounded(tangents: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tangents (N, 2) brought to within :data:`MAX_TANGENT` of the axis, along their direction."""
    far = np.abs(tangents).max(axis=1, initial=0.0)
    return tangents * np.minimum(1.0, MAX_TANGENT / np.maximum(far, 1e-9))[:, None]


def _turn(tangents: NDArray[np.float64], rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tangents (N, 2) of turned rays; rays that leave the front side are held at its rim."""
    if np.array_equal(rotation, np.eye(3)):
        return tangents
    rays = np.concatenate([tangents, np.ones((len(tangents), 1))], axis=1) @ rotation.T
    rim = np.cos(MAX_ANGLE_RAD) * np.linalg.norm(rays, axis=1)
    return rays[:, :2] / np.maximum(rays[:, 2], rim)[:, None]


def _fisheye(bent: NDArray[np.float64], d: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve theta (1 + k1 theta^2 + ... + k4 theta^8) = r for theta, then r = tan(theta).

    Bisection on the rising part of the polynomial: it cannot leave it, whatever the lens.
    """
    radius = np.linalg.norm(bent, axis=1)
    even = np.array([*d[::-1], 1.0])  # in theta^2, highest power first
    slope = even * np.arange(2 * len(even) - 1, 0, -2)
    grid = np.linspace(0.0, MAX_ANGLE_RAD, 512)
    falling = np.flatnonzero(np.polyval(slope, grid**2) <= 0)
    limit = grid[max(falling[0] - 1, 1)] if len(falling) else MAX_ANGLE_RAD
    low, high = np.zeros_like(radius), np.full_like(radius, limit)
    for _ in range(50):
        middle = 0.5 * (low + high)
        below = middle * np.polyval(even, middle**2) < radius
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    ratio = np.divide(np.tan(0.5 * (low + high)), radius, out=np.ones_like(radius), where=radius > 1e-12)
    return bent * ratio[:, None]


def _newton(bent: NDArray[np.float64], d: NDArray[np.float64]) -> NDArray[np.float64]:
    """Newton with step halving, kept inside the region where the lens map is one-to-one."""
    x = bent.copy()
    value, jacobian = _forward(x, d)
    for _ in range(_ITERATIONS):  # a start beyond the fold moves towards the axis
        folded = ~_one_to_one(jacobian)
        if not folded.any():
            break
        x[folded] *= 0.7
        value, jacobian = _forward(x, d)
    error = np.linalg.norm(value - bent, axis=1)
    damping = np.ones(len(x))
    for _ in range(_ITERATIONS):
        active = (error > _TOLERANCE) & (damping > 1e-6)
        if not active.any():
            break
        step = _solve(jacobian[active], (bent - value)[active])
        trial = x[active] + damping[active, None] * step
        new_value, new_jacobian = _forward(trial, d)
        new_error = np.linalg.norm(new_value - bent[active], axis=1)
        better = (new_error < error[active]) & _one_to_one(new_jacobian)
        index = np.flatnonzero(active)
        damping[index] = np.where(better, np.minimum(1.0, 2 * damping[index]), damping[index] / 2)
        good = index[better]
        x[good], value[good], error[good] = trial[better], new_value[better], new_error[better]
        jacobian[good] = new_jacobian[better]
    return x


def _forward(
    x: NDArray[np.float64], d: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """OpenCV's lens model: distorted tangents (N, 2) and their Jacobian (N, 2, 2)."""
    zero = np.zeros(3)
    rays = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    value, jacobian = cv2.projectPoints(rays, zero, zero, np.eye(3), d)
    # Columns 3 and 4: derivatives by a shift in x and y, at depth 1 a shift of the tangent.
    shift = np.asarray(jacobian[:, 3:5], dtype=np.float64).reshape(-1, 2, 2)
    return np.asarray(value, dtype=np.float64).reshape(-1, 2), shift


def _solve(matrix: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solutions (N, 2) of (N, 2, 2) systems; 0 where there is none, so one pixel costs only itself."""
    (a, b), (c, d) = matrix[:, 0].T, matrix[:, 1].T
    with np.errstate(all="ignore"):
        det = a * d - b * c
        x, y = right.T
        out = np.stack([d * x - b * y, a * y - c * x], axis=1) / det[:, None]
    return np.where(np.isfinite(out), out, 0.0)


def _one_to_one(jacobian: NDArray[np.float64]) -> NDArray[np.bool_]:
    trace = jacobian[:, 0, 0] + jacobian[:, 1, 1]
    return np.isfinite(trace) & (trace > 0) & (np.linalg.det(jacobian) > 1e-4)
