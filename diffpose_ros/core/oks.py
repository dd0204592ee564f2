"""Object keypoint similarity: how much two sets of keypoints look like one person."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_COCO_SIGMAS = np.array(
    [0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072,
     0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089]
)  # fmt: skip
"""COCO's spread of each keypoint between annotators, relative to the square root of the area."""

_OTHER_SIGMA = 0.08


def extent(xy: NDArray[np.float64], visible: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Apparent size of people: square root of the area of the box around visible keypoints.

    The box is taken as at least a third as wide as it is long, so that a person seen from the
    side or lying flat does not shrink to nothing.

    Args:
        xy: (P, J, 2).
        visible: (P, J).

    Returns:
        (P,) in the unit of ``xy``; 0 where nothing is visible.
    """
    mask = visible[..., None]
    any_visible = np.asarray(visible.any(axis=1))
    low = np.where(mask, xy, np.inf).min(axis=1, initial=np.inf)
    high = np.where(mask, xy, -np.inf).max(axis=1, initial=-np.inf)
    size = np.where(any_visible[:, None], high - low, 0.0)
    long = size.max(axis=1, initial=0.0)
    short = np.maximum(size.min(axis=1, initial=np.inf), long / 3)
    return np.sqrt(long * short)


def oks_matrix(
    xy_a: NDArray[np.float64],
    visible_a: NDArray[np.bool_],
    xy_b: NDArray[np.float64],
    visible_b: NDArray[np.bool_],
    size: NDArray[np.float64],
    *,
    spread: float = 1.0,
    min_shared: int = 3,
    covariance_b: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """OKS between two groups of people.

    Args:
        xy_a: (A, J, 2).
        visible_a: (A, J).
        xy_b: (B, J, 2), the same unit.
        visible_b: (B, J).
        size: apparent size of each pair, (A, B) or broadcastable, the unit of ``xy``.
        spread: factor on COCO's sigmas; above 1 forgives motion between frames.
        min_shared: pairs with fewer keypoints visible in both have similarity 0.
        covariance_b: (B, J, 2, 2) of the second group's keypoints, in the square of the unit of ``xy``.
            It widens COCO's spread, and what is wide counts for less, as in a likelihood.

    Returns:
        (A, B) in [0, 1].
    """
    joints = xy_a.shape[1]
    sigma = _COCO_SIGMAS if joints == len(_COCO_SIGMAS) else np.full(joints, _OTHER_SIGMA)
    shared = visible_a[:, None] & visible_b[None]  # (A, B, J)
    apart = xy_a[:, None] - xy_b[None]  # (A, B, J, 2)
    scale = np.maximum(np.broadcast_to(size, shared.shape[:2]), 1e-9)[..., None]
    variance = (scale * 2 * sigma * spread) ** 2
    count = shared.sum(-1)
    if covariance_b is None:
        near = np.exp(-(apart**2).sum(-1) / (2 * variance))
        mean = np.where(shared, near, 0.0).sum(-1) / np.maximum(count, 1)
    else:
        xx = variance + covariance_b[None, ..., 0, 0]
        yy = variance + covariance_b[None, ..., 1, 1]
        xy = np.broadcast_to(covariance_b[None, ..., 0, 1], xx.shape)
        area = np.maximum(xx * yy - xy**2, 1e-300)
        x, y = apart[..., 0], apart[..., 1]
        near = np.exp(-0.5 * (yy * x**2 - 2 * xy * x * y + xx * y**2) / area)
        weight = np.where(shared, variance / np.sqrt(area), 0.0)
        mean = (weight * near).sum(-1) / np.maximum(weight.sum(-1), 1e-12)
    return np.where(count >= min_shared, mean, 0.0)
