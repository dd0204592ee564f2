"""Fit an image into a detector's input without changing its shape, and map results back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Letterbox:
    """How an image was fitted into a padded input.

    Attributes:
        width: padded input's width, pixels.
        height: padded input's height, pixels.
        scale_x: input pixels per image pixel, horizontally.
        scale_y: the same vertically (differs from ``scale_x`` by the rounding to whole pixels).
    """

    width: int
    height: int
    scale_x: float
    scale_y: float

    @classmethod
    def fit(cls, width: int, height: int, longer_side: int, multiple: int = 32) -> Letterbox:
        """The smallest input whose longer side is ``longer_side`` and that holds the image."""
        scale = longer_side / max(width, height)
        w, h = max(1, round(width * scale)), max(1, round(height * scale))

        def pad(n: int) -> int:
            return -(-n // multiple) * multiple

        return cls(pad(w), pad(h), w / width, h / height)

    def apply(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize (H, W, 3) and pad with black at the right and the bottom."""
        height, width = rgb.shape[:2]
        size = (round(width * self.scale_x), round(height * self.scale_y))
        out = np.zeros((self.height, self.width, 3), dtype=np.uint8)
        out[: size[1], : size[0]] = _shrink(rgb, size)
        return out

    def to_image(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Input coordinates (..., 2) to image pixels; pixel centres are whole numbers in both."""
        scale = np.array([self.scale_x, self.scale_y])
        return (xy + 0.5) / scale - 0.5

    def to_input(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Image pixels (..., 2) to input coordinates."""
        scale = np.array([self.scale_x, self.scale_y])
        return (xy + 0.5) * scale - 0.5


def _shrink(rgb: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize without aliasing: thin limbs survive.

    Averaging over areas is fast only for whole factors, so the largest one that divides the image
    goes first; what is left is less than one octave in the usual sizes.
    """
    height, width = rgb.shape[:2]
    ratio = min(width / size[0], height / size[1])
    common = math.gcd(width, height)
    factor = max((f for f in range(1, int(ratio) + 1) if common % f == 0), default=1)
    small: Any = rgb
    if factor > 1:
        small = cv2.resize(small, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    left = ratio / factor
    if left == 1 and small.shape[1::-1] == size:
        return small
    how = cv2.INTER_AREA if left >= 2 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(small, size, interpolation=how), dtype=np.uint8)
