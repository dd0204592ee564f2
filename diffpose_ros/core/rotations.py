"""Rotations as matrices and as quaternions (x, y, z, w), many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def quaternions(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 4) x, y, z, w, the last at least 0, of (..., 3, 3) rotations; NaN where they are."""
    m = matrix.reshape(-1, 9).T
    xx, xy, xz, yx, yy, yz, zx, zy, zz = m
    # Four times the products of the components with each; the largest square is divided by.
    table = np.array(
        [
            [1 + xx - yy - zz, xy + yx, xz + zx, zy - yz],
            [xy + yx, 1 - xx + yy - zz, yz + zy, xz - zx],
            [xz + zx, yz + zy, 1 - xx - yy + zz, yx - xy],
            [zy - yz, xz - zx, yx - xy, 1 + xx + yy + zz],
        ]
    )
    best = np.argmax(table[np.arange(4), np.arange(4)], axis=0)
    q = table[best, :, np.arange(m.shape[1])]
    q = q * (np.where(q[:, 3] < 0, -1.0, 1.0) / np.sqrt((q * q).sum(axis=1)))[:, None]
    return np.asarray(q.reshape(*matrix.shape[:-2], 4))


def rotations(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 3, 3) rotations of (..., 4) quaternions x, y, z, w of unit length."""
    x, y, z, w = np.moveaxis(quaternion, -1, 0)
    flat = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        *(2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        *(2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    ]
    return np.stack(flat, axis=-1).reshape(*quaternion.shape[:-1], 3, 3)
