"""An image and its halvings, from which crops of any scale are cut without aliasing."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_LEVEL = 6


class Pyramid:
    """An image and its halvings, each made when it is first asked for.

    Halving is an exact mean over 2 x 2 pixels; an odd last row or column is left out, so that a
    pixel's centre x of level k stands at 2^k (x + 1/2) - 1/2 in the image.

    Args:
        rgb: (H, W, 3) uint8.
    """

    def __init__(self, rgb: NDArray[np.uint8]) -> None:
        self._levels = [rgb]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image."""
        height, width = self._levels[0].shape[:2]
        return height, width

    def level(self, k: int) -> NDArray[np.uint8]:
        """The image halved ``k`` times, or fewer times where a side would vanish."""
        while len(self._levels) <= k:
            last = self._levels[-1]
            height, width = last.shape[0] // 2, last.shape[1] // 2
            if not (height and width):
                break
            half = cv2.resize(
                last[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA
            )
            self._levels.append(np.asarray(half, dtype=np.uint8))
        return self._levels[min(k, len(self._levels) - 1)]

    def cut(
        self,
        corner: NDArray[np.float64],
        scale: float | tuple[float, float],
        size: tuple[int, int],
        out: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint8]:
        """A rectangle of the image at another scale; black where it leaves the image.

        Args:
            corner: (2,) x, y in image pixels of the rectangle's outer corner, where pixel centres
                are whole numbers (the image's own outer corner is (-1/2, -1/2)).
            scale: pixels of the result per pixel of the image; x and y may differ.
            size: width and height of the result.
            out: (height, width, 3) uint8, C-contiguous, is written to where given.

        Returns:
            (height, width, 3) uint8.
        """
        scales = np.broadcast_to(np.asarray(scale, dtype=np.float64), 2)
        level = max(0, min(MAX_LEVEL, math.floor(math.log2(1 / scales.max()) + 1e-9)))
        source = self.level(level)
        level = min(level, len(self._levels) - 1)
        # result pixel u -> image x = corner + (u + 1/2) / scale -> level (x + 1/2) / 2^k - 1/2
        step = 1 / (scales * 2**level)
        origin = (corner + 0.5) / 2**level + 0.5 * step - 0.5
        matrix = np.array([[step[0], 0, origin[0]], [0, step[1], origin[1]]])
        result = np.empty((size[1], size[0], 3), np.uint8) if out is None else out
        cv2.warpAffine(
            source, matrix, size, dst=result,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT,
        )  # fmt: skip
        return result
