"""Animated WebP files as videos: FFmpeg shows none or one of their images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image

from diffpose_ros.core import InputError
from diffpose_ros.media import pictures
from diffpose_ros.media.places import shown
from diffpose_ros.media.source import DEFAULT_FPS, Clock, Image, VideoSource, sensible_fps

ANIMATED = 0x02
"""The flag of an animation in the first byte of a VP8X chunk."""


class Animation(VideoSource):
    """The images of an animated WebP with the times that it says.

    Args:
        path: the file.
        fps: overrides the rate and the times that the file says.

    Raises:
        InputError: it cannot be read, or its images are absurdly large.
    """

    def __init__(self, path: Path, fps: float | None) -> None:
        size = pictures.header(path).size
        with pictures.named(path), pictures.opened(path) as image:
            frames = getattr(image, "n_frames", 1)
            image.load()
            step_s = image.info.get("duration", 0) / 1000
        said = 1 / step_s if step_s > 0 else DEFAULT_FPS
        self._path, self._counted = path, fps is not None
        super().__init__(shown(path), fps or (said if sensible_fps(said) else DEFAULT_FPS), size, frames)

    def __iter__(self) -> Iterator[tuple[Image, int]]:
        clock = Clock(self.fps, counted=self._counted)
        seconds = 0.0
        with pictures.opened(self._path) as image:
            for i in range(self.frames or 0):
                rgb, duration_s = self._frame(image, i)
                yield rgb, clock.stamp_ns(seconds)
                seconds += duration_s

    def _frame(self, image: PIL.Image.Image, i: int) -> tuple[Image, float]:
        """Image ``i`` and how long it is shown, seconds."""
        with pictures.named(self._path):
            try:
                image.seek(i)
                rgb = np.asarray(image.convert("RGB"), dtype=np.uint8)
            except EOFError:
                which = f"image {i + 1} of {self.frames}"
                raise InputError(f"{self.name}: truncated, {which} is missing") from None
        return rgb, image.info.get("duration", 0) / 1000


def is_animation(path: Path) -> bool:
    """Whether a file is an animated WebP: by its first bytes, not its name."""
    try:
        with path.open("rb") as file:
            start = file.read(21)
    except OSError:
        return False
    extended = start[:4] == b"RIFF" and start[8:16] == b"WEBPVP8X"
    return extended and len(start) == 21 and bool(start[20] & ANIMATED)
