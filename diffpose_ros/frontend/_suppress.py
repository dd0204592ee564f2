"""Doubled people: one body reported twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core.oks import extent, oks_matrix


def suppress_doubles(
    xy: NDArray[np.float64],
    score: NDArray[np.float64],
    person_score: NDArray[np.float64],
    *,
    threshold: float,
    visible_above: float,
) -> NDArray[np.int64]:
    """Keep the better of any two people that lie on each other (greedy, on OKS).

    Args:
        xy: (P, 17, 2) pixels.
        score: (P, 17).
        person_score: (P,).
        threshold: OKS from which two people are one.
        visible_above: keypoints with a lower score do not count.

    Returns:
        Indices of the people kept, best first.
    """
    order = np.argsort(-person_score, kind="stable")
    visible = score >= visible_above
    size = extent(xy, visible)
    similar = oks_matrix(xy, visible, xy, visible, np.maximum(size[:, None], size[None]))
    kept: list[int] = []
    for i in order:
        if not any(similar[i, j] >= threshold for j in kept):
            kept.append(int(i))
    return np.array(kept, dtype=np.int64)
