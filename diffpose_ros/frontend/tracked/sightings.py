"""What was found in a whole image some frames ago, set against who was followed at that time."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import People2D
from diffpose_ros.core.oks import extent, oks_matrix
from diffpose_ros.frontend.tracked.overlap import boxes, covered
from diffpose_ros.tracking.expected import Expected

KEPT_NS = 2_000_000_000
SPREAD = 2.0
SAME_OKS = 0.3
SAME_BOX = 0.6
"""One of the two makes a found body the one that was followed: keypoints that agree, or boxes that
do, since networks differ in single limbs."""


class PosesOfLate:
    """Where the people followed were in the last two seconds."""

    def __init__(self) -> None:
        self._poses: deque[tuple[int, Expected]] = deque()

    def clear(self) -> None:
        """Forget all."""
        self._poses.clear()

    def add(self, stamp_ns: int, poses: Expected) -> None:
        """Keep the poses of a frame."""
        self._poses.append((stamp_ns, poses))
        while stamp_ns - self._poses[0][0] > KEPT_NS:
            self._poses.popleft()

    def at(self, stamp_ns: int) -> Expected | None:
        """The poses of a frame, or of the one nearest to it in time."""
        if not self._poses:
            return None
        return min(self._poses, key=lambda pair: abs(pair[0] - stamp_ns))[1]


def unknown(found: People2D, followed: Expected | None, keypoint_score: float) -> NDArray[np.int64]:
    """Rows of the found people who are none of those that were followed.

    Args:
        found: people in an image.
        followed: who was followed in that image.
        keypoint_score: keypoints with a lower score say nothing.
    """
    everyone = np.arange(len(found))
    if followed is None or not len(followed) or not len(found):
        return everyone
    visible = found.score >= max(keypoint_score, 1e-9)
    size = np.maximum(extent(found.xy, visible)[:, None], followed.size[None])
    same = oks_matrix(found.xy, visible, followed.xy, followed.visible, size, spread=SPREAD)
    over = _iou(boxes(found.xy, visible), boxes(followed.xy, followed.visible))
    return everyone[~((same >= SAME_OKS) | (over >= SAME_BOX)).any(axis=1)]


def _iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    area_a, area_b = (np.prod(x[:, 2:] - x[:, :2], axis=1) for x in (a, b))
    shared = covered(a, b) * np.minimum(area_a[:, None], area_b[None])
    return shared / np.maximum(area_a[:, None] + area_b[None] - shared, 1e-12)
