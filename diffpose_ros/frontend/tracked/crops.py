"""Squares around people, cut for a single-person network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.frontend.pyramid import Pyramid

MARGIN = 1.3
"""Side of a crop over the longer side of the box around a body's keypoints: head, hands, feet and
the next frame's motion lie outside of it."""

SMALLEST_PX = 24.0
"""A crop is never smaller than this, however few keypoints a body has left."""


@dataclass(frozen=True)
class Crops:
    """Squares of an image.

    Attributes:
        corner: (N, 2) outer corner, image pixels (pixel centres are whole numbers).
        side: (N,) image pixels.
    """

    corner: NDArray[np.float64]
    side: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.side)

    @classmethod
    def around(
        cls, xy: NDArray[np.float64], visible: NDArray[np.bool_], *, margin: float = MARGIN
    ) -> Crops:
        """Squares around bodies.

        Args:
            xy: (N, J, 2) keypoints, image pixels.
            visible: (N, J) keypoints whose place is known, at least one for each body.
            margin: side over the longer side of the keypoints' box.
        """
        mask = visible[..., None]
        low = np.where(mask, xy, np.inf).min(axis=1)
        high = np.where(mask, xy, -np.inf).max(axis=1)
        side = np.maximum((high - low).max(axis=1) * margin, SMALLEST_PX)
        return cls((low + high) / 2 - side[:, None] / 2, side)

    def cut(self, pyramid: Pyramid, size: int) -> NDArray[np.uint8]:
        """(N, size, size, 3) uint8, black outside of the image."""
        images = np.empty((len(self), size, size, 3), np.uint8)
        for corner, side, image in zip(self.corner, self.side, images, strict=True):
            pyramid.cut(corner, size / side, (size, size), image)
        return images

    def to_image(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Places (N, J, 2) in the unit square of each crop to image pixels."""
        return self.corner[:, None] + at * self.side[:, None, None]

    def to_unit(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Image pixels (N, J, 2) to places in the unit square of each crop."""
        return (xy - self.corner[:, None]) / self.side[:, None, None]
