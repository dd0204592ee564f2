"""Sums over the three coordinates of many points, without numpy's overhead for so short an axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def dot(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Inner products (...,) of vectors (..., 3)."""
    return np.asarray(a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2])


def length(a: NDArray[Any]) -> NDArray[Any]:
    """Lengths (...,) of vectors (..., 3)."""
    return np.asarray(np.sqrt(dot(a, a)))


def turned(rotation: NDArray[Any], points: NDArray[Any]) -> NDArray[Any]:
    """``rotation`` (..., 3, 3) times each of the points (..., N, 3)."""
    return np.asarray(points @ np.swapaxes(rotation, -1, -2))
