"""Similarity Procrustes: the best rotation, scale and shift of one pose onto another."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffpose_ros.core import InputError


def procrustes_align(predicted: ArrayLike, target: ArrayLike, *, scale: bool = True) -> NDArray[np.float64]:
    """Align poses to their targets in the least-squares sense (for P-MPJPE).

    Args:
        predicted: (..., J, 3).
        target: (..., J, 3), same unit.
        scale: whether the size may change too.

    Returns:
        (..., J, 3) ``s R predicted + t`` with R a proper rotation (never a mirror image). A
        prediction without extent is only shifted.

    Raises:
        InputError: the shapes differ or do not end in (J, 3).
    """
    a = np.asarray(predicted, dtype=np.float64)
    b = np.asarray(target, dtype=np.float64)
    if a.shape != b.shape or a.ndim < 2 or a.shape[-1] != 3:
        raise InputError(f"poses to align: expected two (..., J, 3), got {a.shape} and {b.shape}")
    mean_a, mean_b = a.mean(axis=-2, keepdims=True), b.mean(axis=-2, keepdims=True)
    a0, b0 = a - mean_a, b - mean_b
    u, s, vt = np.linalg.svd(np.swapaxes(a0, -1, -2) @ b0)
    sign = np.ones_like(s)
    sign[..., 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign[..., None, :]) @ vt
    factor = np.float64(1.0)
    if scale:
        extent = (a0**2).sum(axis=(-1, -2))
        factor = ((s * sign).sum(axis=-1) / np.maximum(extent, 1e-18))[..., None, None]
    return factor * (a0 @ rotation) + mean_b
