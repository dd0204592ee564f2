"""Which bodies lie on each other in the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def boxes(xy: NDArray[np.float64], visible: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(P, 4) low x, low y, high x, high y of the keypoints that are visible, pixels.

    A body without a visible keypoint gets an empty box at the origin.
    """
    mask = visible[..., None]
    some = np.asarray(visible.any(axis=1))[:, None]
    low = np.where(some, np.where(mask, xy, np.inf).min(axis=1), 0.0)
    high = np.where(some, np.where(mask, xy, -np.inf).max(axis=1), 0.0)
    return np.concatenate([low, high], axis=1)


def covered(box: NDArray[np.float64], other: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """(P, Q) shared area over the smaller box's area, of boxes (P, 4) and others (Q, 4).

    Without others, of the boxes among each other, the diagonal being 0.
    """
    b = box if other is None else other
    low = np.maximum(box[:, None, :2], b[None, :, :2])
    high = np.minimum(box[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=-1)
    area_a, area_b = (np.prod(x[:, 2:] - x[:, :2], axis=1) for x in (box, b))
    smaller = np.minimum(area_a[:, None], area_b[None])
    share = np.where(smaller > 0, shared / np.maximum(smaller, 1e-12), 0.0)
    if other is None:
        np.fill_diagonal(share, 0.0)
    return share
