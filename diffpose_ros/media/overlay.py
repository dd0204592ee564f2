"""The demonstration's picture: the image with its keypoints beside a turning view in 3D."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from diffpose_ros.core import People2D, Skeleton
from diffpose_ros.core.colours import SIDE_COLOURS
from diffpose_ros.media import drawing
from diffpose_ros.media.drawing import Image
from diffpose_ros.media.view3d import OrbitView

LANDSCAPE_HEIGHT = 540
PORTRAIT_HEIGHT = 720
GUTTER = 4
MIN_ASPECT, MAX_ASPECT = 0.4, 2.5
"""Of the image's panel; an image outside of them gets bars."""


class Overlay:
    """Composes frames of one size; keeps the 3D view's motion between them.

    Attributes:
        size: (width, height) of the composed frames, pixels; both even.

    Args:
        width: width of the source's images, pixels.
        height: height of the source's images, pixels.
        title: text in the lower left corner of the 3D view.
    """

    def __init__(self, width: int, height: int, *, title: str = "") -> None:
        tall = PORTRAIT_HEIGHT if height > width else LANDSCAPE_HEIGHT
        aspect = min(max(width / height, MIN_ASPECT), MAX_ASPECT)
        left = round(tall * aspect / 2) * 2
        right = max(tall, round(left * 0.5 / 2) * 2)
        self._left = (left, tall)
        self._view = OrbitView(right, tall)
        self._title = title
        self.size = (left + GUTTER + right, tall)

    def compose(self, image: Image, people: People2D, skeletons: Sequence[Skeleton], time_s: float) -> Image:
        """One frame.

        Args:
            image: (H, W, 3) uint8 RGB, of any size; another shape than the source's gets bars.
            people: keypoints in ``image``'s pixels.
            skeletons: the same people in 3D, camera optical frame.
            time_s: time since the start.

        Returns:
            (h, w, 3) uint8 RGB of :attr:`size`.
        """
        labels = {s.track_id: f"#{s.track_id}  {s.root[2]:.1f} m" for s in skeletons}
        small, scale, corner = _fitted(image, self._left)
        left = drawing.draw_people(small, _placed(people, scale, corner), labels=labels)
        right = self._view.render(skeletons, time_s)
        self._caption(right, len(skeletons), time_s)
        gutter = np.full((self.size[1], GUTTER, 3), drawing.DARK, np.uint8)
        return np.hstack([left, gutter, right])

    def _caption(self, view: Image, people: int, time_s: float) -> None:
        height, width = view.shape[:2]
        word = "person" if people == 1 else "people"
        drawing.text_at(view, f"{time_s:5.2f} s   {people} {word}", (16, 28), 0.5)
        drawing.text_at(view, "grid 1 m", (16, 50), 0.42, drawing.MUTED)
        x = width - 130
        for k, side in enumerate(("left", "right")):
            drawing.dot(view, np.array([x + 62 * k, 23]), SIDE_COLOURS[side], 5)
            drawing.text_at(view, side, (x + 10 + 62 * k, 28), 0.42, drawing.MUTED)
        if self._title:
            drawing.text_at(view, self._title, (16, height - 16), 0.45, drawing.MUTED)


def _fitted(image: Image, panel: tuple[int, int]) -> tuple[Image, np.ndarray, np.ndarray]:
    """The image in the middle of a panel (width, height); its scale and its corner's place there."""
    size = np.array([image.shape[1], image.shape[0]])
    ratios = np.array(panel) / size
    if ratios.max() / ratios.min() < 1.02:  # rounding only
        inner = np.array(panel)
    else:
        inner = np.maximum(1, np.rint(size * ratios.min()).astype(int))
    small = cv2.resize(image, tuple(map(int, inner)), interpolation=cv2.INTER_AREA)
    corner = (np.array(panel) - inner) // 2
    if corner.any():
        out = np.full((panel[1], panel[0], 3), drawing.DARK, np.uint8)
        out[corner[1] : corner[1] + inner[1], corner[0] : corner[0] + inner[0]] = small
        small = out
    return np.asarray(small, dtype=np.uint8), inner / size, corner


def _placed(people: People2D, scale: np.ndarray, corner: np.ndarray) -> People2D:
    return People2D(
        xy=people.xy * scale + corner,
        score=people.score,
        joint_set=people.joint_set,
        person_score=people.person_score,
        track_id=people.track_id,
        age_s=people.age_s,
        state=people.state,
    )
