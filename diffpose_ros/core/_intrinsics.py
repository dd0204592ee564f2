"""What a camera's numbers may be, so that a wrong calibration is refused instead of believed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core.errors import InputError

FOCAL_RANGE = (0.03, 1000.0)
"""Focal length over the image's longer side: a pinhole of 173 degrees to a telescope of 0.06."""

ASPECT_RANGE = (0.2, 5.0)
"""fx / fy: pixels that are not square, down to one-sided binning."""

CENTRE_RANGE = (-1.0, 2.0)
"""Principal point over the image's width and height."""

MAX_OFF_AXIS = 12.0
"""Axis of a window cut out of a larger image, from its middle, over the focal length: 85 degrees."""

MAX_BEND = 1000.0
"""Largest term of a distortion polynomial at the image's corner; useful lenses stay far below 1."""


def check_matrix(name: str, k: NDArray[np.float64], width: int, height: int, *, window: bool) -> None:
    """Raise InputError when (3, 3) ``k`` is no intrinsic matrix of an image of this size.

    Args:
        name: of the matrix, for the message.
        k: intrinsics, pixels, finite.
        width: of the image, pixels.
        height: of the image, pixels.
        window: the image is cut out of a larger one, so its axis may lie beside it.
    """
    if not k.any():
        raise InputError(f"{name}: all zeros, the camera is not calibrated")
    if k[2, :2].any() and not k[:2, 2].any() and k[2, 2] == 1:
        raise InputError(f"{name}: transposed (as MATLAB writes it); expected the last row to be 0 0 1")
    if not np.allclose(k[2], (0, 0, 1), atol=1e-9):
        got = " ".join(f"{v:g}" for v in k[2])
        raise InputError(f"{name}: expected the last row to be 0 0 1, got {got}")
    fx, skew, below, fy = k[0, 0], k[0, 1], k[1, 0], k[1, 1]
    if fx <= 0 or fy <= 0:
        raise InputError(f"{name}: expected positive focal lengths, got {fx:g}, {fy:g}")
    if below != 0:
        raise InputError(f"{name}: expected 0 below the diagonal, got {below:g}")
    longer = max(width, height)
    low, high = (round(r * longer, 1) for r in FOCAL_RANGE)
    if not (low <= fx <= high and low <= fy <= high):
        raise InputError(
            f"{name}: expected focal lengths of {low:g} to {high:g} pixels for {width}x{height}, "
            f"got {fx:g}, {fy:g}"
        )
    if not ASPECT_RANGE[0] <= fx / fy <= ASPECT_RANGE[1]:
        raise InputError(f"{name}: expected focal lengths of about the same size, got {fx:g}, {fy:g}")
    if abs(skew) > 0.5 * fx:
        raise InputError(f"{name}: expected a skew of at most half of fx, got {skew:g}")
    _check_centre(name, k, width, height, window=window)


def is_intrinsic(k: NDArray[np.float64], width: int, height: int) -> bool:
    """Whether (3, 3) ``k`` could be an intrinsic matrix of an image of this size."""
    try:
        check_matrix("", k, width, height, window=False)
    except InputError:
        return False
    return True


def _check_centre(name: str, k: NDArray[np.float64], width: int, height: int, *, window: bool) -> None:
    centre, size = k[:2, 2], np.array([width, height])
    if window:
        inside = (np.abs(centre - size / 2) <= MAX_OFF_AXIS * np.diag(k)[:2] + size / 2).all()
    else:
        low, high = CENTRE_RANGE
        inside = ((centre >= low * size) & (centre <= high * size)).all()
    if not inside:
        raise InputError(
            f"{name}: expected a principal point near the image of {width}x{height}, "
            f"got {centre[0]:g}, {centre[1]:g}"
        )


def check_distortion(
    model: str, d: NDArray[np.float64], k: NDArray[np.float64], width: int, height: int
) -> None:
    """Raise InputError when coefficients bend the image beyond all lenses.

    What counts is the size of each term of the lens model at the image's corner: a telephoto lens may
    have coefficients that would be absurd for a wide one.

    Args:
        model: a known distortion model.
        d: (D,) coefficients in OpenCV's order, finite.
        k: checked intrinsics.
        width: of the image, pixels.
        height: of the image, pixels.
    """
    if not d.any():
        return
    corner = np.maximum(np.abs(k[:2, 2]), np.abs(np.array([width, height]) - k[:2, 2]))
    r = float(np.hypot(*(corner / np.diag(k)[:2])))
    if model == "equidistant":
        powers = np.array([2, 4, 6, 8])
    else:
        powers = np.array([2, 4, 1, 1, 6, 2, 4, 6, 2, 4, 2, 4, 0, 0])
    bend = np.abs(d) * r ** powers[: d.size]
    worst = int(bend.argmax())
    if bend[worst] > MAX_BEND or (d.size == 14 and np.abs(d[12:]).max() > np.pi / 2):
        worst = worst if bend[worst] > MAX_BEND else 12 + int(np.abs(d[12:]).argmax())
        raise InputError(
            f"distortion '{model}': coefficient {worst + 1} is {d[worst]:g}, which no lens has; "
            "calibrate again"
        )


def check_rotation(name: str, r: NDArray[np.float64]) -> None:
    """Raise InputError when (3, 3) ``r`` is no rotation (to a thousandth)."""
    small = np.abs(r).max() < 2  # larger ones overflow below
    if not small or not np.allclose(r @ r.T, np.eye(3), atol=1e-3) or np.linalg.det(r) < 0:
        said = ", ".join(f"{value:.4g}" for value in r.ravel())
        raise InputError(f"{name}: expected a rotation, got {said}")
