"""What RTMPose and ViTPose networks answer for the crop of one person.

RTMPose (SimCC): two outputs, for each joint a row of bins along x and one along y. ViTPose and other
heatmap networks: one output, a map per joint. Both want RGB normalised by ImageNet's mean and spread,
as mmpose trains them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import COCO17

JOINTS = len(COCO17)
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
SPREAD = np.array([58.395, 57.12, 57.375], np.float32)
PADDING = 1.25
"""Side of a crop over that of the person's box, mmpose's."""


def normalised(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, H, W, 3) uint8 to (N, 3, H, W), as the networks were trained."""
    return np.ascontiguousarray(((crops - MEAN) / SPREAD).transpose(0, 3, 1, 2), dtype=np.float32)


def from_bins(
    x: NDArray[np.floating], y: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """SimCC's bins (N, J, .) to places in the unit square (N, J, 2), and scores (N, J)."""
    at = np.stack([(a.argmax(axis=2) + 0.5) / a.shape[2] for a in (x, y)], axis=-1)
    return _checked(at, np.minimum(x.max(axis=2), y.max(axis=2)))


def from_maps(heatmap: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heatmaps (N, J, h, w) to places in the unit square (N, J, 2), and scores (N, J).

    A quarter of a cell towards the higher neighbour, as usual for such heatmaps.
    """
    n, j, h, w = heatmap.shape
    flat = heatmap.reshape(n, j, -1)
    cy, cx = np.divmod(flat.argmax(axis=2), w)
    padded = np.pad(heatmap, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge").astype(np.float64)
    i, k = np.arange(n)[:, None], np.arange(j)
    dx = np.sign(padded[i, k, cy + 1, cx + 2] - padded[i, k, cy + 1, cx])
    dy = np.sign(padded[i, k, cy + 2, cx + 1] - padded[i, k, cy, cx + 1])
    at = np.stack([(cx + 0.5 + 0.25 * dx) / w, (cy + 0.5 + 0.25 * dy) / h], axis=-1)
    return _checked(at, flat.max(axis=2))


def _checked(
    at: NDArray[np.float64], score: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    good = np.isfinite(at).all(axis=-1) & np.isfinite(score)
    at = np.where(good[..., None], at, 0.5)
    return at, np.clip(np.where(good, score, 0.0), 0.0, 1.0).astype(np.float64)
