"""Boxes around people in an image, from their keypoints."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from diffpose_ros.core import People2D

MARGIN = 0.1
"""What a box has around the keypoints, as a share of its longer side: they lie inside of the body."""


class Box(NamedTuple):
    """Pixels of the image, and how sure the detector is."""

    left: float
    top: float
    right: float
    bottom: float
    score: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, pixels."""
        return self.right - self.left, self.bottom - self.top

    @property
    def centre(self) -> tuple[float, float]:
        """Pixels."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


def body_box(people: People2D, person: int, size: tuple[int, int]) -> Box | None:
    """The box around one person's keypoints within the image; ``None`` when nothing of it is seen there.

    Args:
        people: of one image.
        person: which of them.
        size: width and height of the image, pixels.
    """
    seen = people.score[person] > 0
    if not seen.any():
        return None
    low, high = people.xy[person][seen].min(axis=0), people.xy[person][seen].max(axis=0)
    margin = MARGIN * float((high - low).max())
    limits = np.array(size, dtype=np.float64)
    low, high = (np.clip(v, 0.0, limits) for v in (low - margin, high + margin))
    if (high - low).min() <= 0:
        return None
    (left, top), (right, bottom) = low.tolist(), high.tolist()
    return Box(left, top, right, bottom, float(people.person_score[person]))  # type: ignore[index]
