"""What every source of images is: frames in order, each with its time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core.closing import Closing

Image = NDArray[np.uint8]
NS = 1_000_000_000
DEFAULT_FPS = 30.0
MIN_STEPS = 8
"""Of fewer frames nobody knows whether their rate is constant."""
MAX_PIXELS = 1 << 27
"""Larger images (134 megapixels) are refused before they take memory."""


class VideoSource(Closing):
    """Frames in order, each with its time since the first.

    Use it as a context manager and iterate; every iteration of a file or a folder starts at the beginning.
    It may be closed while another thread reads; this waits only for the current frame.

    Attributes:
        name: path or URL, or ``camera <index>``.
        fps: frames per second, from the file or the caller; the actual times may differ.
        width: width of the displayed image (upright, square pixels), pixels.
        height: height of the displayed image, pixels.
        frames: expected number of frames; ``None`` if unknown.
        stills: whether the images are separate files, in a folder or alone.
        pictures: whether the images have different sizes, so they are not frames of one video;
            ``width`` and ``height`` are then those of the first one.
        reopens: whether a new iteration reconnects to a broken stream.
    """

    stills = False
    pictures = False
    reopens = False

    def __init__(self, name: str, fps: float, size: tuple[int, int], frames: int | None) -> None:
        self.name = name
        self.fps = fps
        self.width, self.height = size
        self.frames = frames

    def leave(self, well: bool) -> None:
        self.close()

    def close(self) -> None:
        """Release the file or the device."""

    def __iter__(self) -> Iterator[tuple[Image, int]]:
        """Pairs of an (H, W, 3) uint8 RGB image and its time, nanoseconds since the first.

        Raises:
            InputError: an image cannot be read, or a live source ended; the message says which.
        """
        raise NotImplementedError


class Clock:
    """Times of frames that always rise, from the stamps that a container has, where it has them.

    Args:
        fps: what is counted with where stamps are missing, repeat or leap.
        counted: never ask the stamps.
    """

    MAX_LEAP_S = 24 * 3600.0

    def __init__(self, fps: float, *, counted: bool = False) -> None:
        self._step = 1.0 / fps
        self._counted = counted
        self._count = 0
        self._offset: float | None = None
        self._last = 0.0
        self.mended = 0
        """Frames whose stamp could not be used."""

    @property
    def now_s(self) -> float:
        """The last frame's time, seconds since the first."""
        return (self._count - 1) * self._step if self._counted else self._last

    def stamp_ns(self, seconds: float | None) -> int:
        """The time of the next frame since the first, nanoseconds.

        Args:
            seconds: as the container says, from any origin; ``None`` where it says nothing.
        """
        first = self._count == 0
        self._count += 1
        if self._counted:
            return round((self._count - 1) * self._step * NS)
        if first:
            self._offset = seconds
            return 0
        due = self._last + self._step
        if seconds is None:
            now = due
        else:
            if self._offset is None:
                self._offset = seconds - due
            now = seconds - self._offset
            if not 0 < now - self._last < self.MAX_LEAP_S:
                self.mended += 1
                self._offset = seconds - due
                now = due
        self._last = now
        return round(now * NS)


def holes(stamps_ns: Sequence[int]) -> tuple[int, int]:
    """Frames that are missing where a constant rate is interrupted, and in how many places.

    Both are 0 where the rate is not constant: then nobody can tell a hole from a long frame.
    """
    steps = np.diff(np.asarray(stamps_ns, dtype=np.float64))
    if len(steps) < MIN_STEPS:
        return 0, 0
    usual = float(np.median(steps))
    if np.mean(np.abs(steps - usual) <= 0.1 * usual) < 0.8:
        return 0, 0
    long = steps[steps > 1.5 * usual]
    return int(np.sum(np.rint(long / usual) - 1)), len(long)


def rgb_from(bgr: NDArray) -> Image:
    """(H, W, 3) RGB from OpenCV's BGR."""
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def sensible_fps(said: float) -> bool:
    """Whether a rate can be believed."""
    return 0.1 <= said <= 1000
