"""Reading frames from video files, image folders and webcams."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError
from diffpose_ros.media.writer import VideoWriter

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["VideoSource", "VideoWriter", "open_source"]

log = logging.getLogger(__name__)

Image = NDArray[np.uint8]
NS = 1_000_000_000
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm")
DEFAULT_FPS = 30.0


class VideoSource:
    """Frames in order, each with its time since the first.

    Use it as a context manager and iterate; every iteration of a file or a folder starts anew.

    Attributes:
        name: the path, or ``camera <index>``.
        fps: frames per second, as the file says or as asked for.
        width: pixels.
        height: pixels.
        frames: how many there should be; ``None`` where nobody knows.
    """

    def __init__(self, name: str, fps: float, size: tuple[int, int], frames: int | None) -> None:
        self.name = name
        self.fps = fps
        self.width, self.height = size
        self.frames = frames

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file or the device."""

    def __iter__(self) -> Iterator[tuple[Image, int]]:
        """Pairs of an (H, W, 3) uint8 RGB image and its time, nanoseconds since the first."""
        raise NotImplementedError


class _Capture(VideoSource):
    """A video file or a webcam, through OpenCV."""

    def __init__(self, capture: cv2.VideoCapture, name: str, fps: float, live: bool) -> None:
        self._capture = capture
        self._live = live
        self._fresh = True
        width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        super().__init__(name, fps, (width, height), count if count > 0 and not live else None)

    def close(self) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[tuple[Image, int]]:
        if not self._fresh and not self._live:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        self._fresh = False
        count = 0
        start = None
        while True:
            ok, bgr = self._capture.read()
            if not ok:
                break
            if self._live:
                now = cv2.getTickCount() * NS // int(cv2.getTickFrequency())
                start = now if start is None else start
                stamp = now - start
            else:
                stamp = round(count / self.fps * NS)
            count += 1
            yield _rgb(bgr), stamp
        if self._live:
            raise InputError(f"{self.name}: no more images after {count}; was it unplugged?")
        # Headers round: a frame or two less is how healthy files end, a tenth is not.
        if self.frames is not None and count < 0.9 * self.frames:
            log.warning(
                "%s: ended after %d of %d frames; the rest is truncated or damaged",
                self.name, count, self.frames,
            )  # fmt: skip


class _Folder(VideoSource):
    """Images of a folder in natural order (``9.png`` before ``10.png``)."""

    def __init__(self, folder: Path, fps: float) -> None:
        self._paths = sorted(
            (p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES), key=_natural
        )
        if not self._paths:
            raise InputError(
                f"{folder}: no images in this folder; expected {', '.join(IMAGE_SUFFIXES)} files"
            )
        first = _read_image(self._paths[0])
        super().__init__(str(folder), fps, (first.shape[1], first.shape[0]), len(self._paths))

    def __iter__(self) -> Iterator[tuple[Image, int]]:
        for i, path in enumerate(self._paths):
            image = _read_image(path)
            if image.shape[:2] != (self.height, self.width):
                raise InputError(
                    f"{path}: expected {self.width}x{self.height} as the first image of the "
                    f"folder, got {image.shape[1]}x{image.shape[0]}"
                )
            yield image, round(i / self.fps * NS)


def open_source(path: str | int | Path, *, fps: float | None = None) -> VideoSource:
    """Open a video file, a folder of images, or a webcam.

    Args:
        path: a file, a folder, or the index of a webcam (a number, or a string of digits that is
            not a file's name).
        fps: frames per second; needed where the source does not say (30 is taken), and overrides
            what a file says.

    Raises:
        InputError: there is no such source, or it holds no images; the message names it.
    """
    if fps is not None and not 0.1 <= fps <= 1000:
        raise InputError(f"fps: expected 0.1 to 1000, got {fps:g}")
    if isinstance(path, int) or (str(path).isdigit() and not Path(path).exists()):
        return _open_camera(int(str(path)), fps)
    path = Path(path)
    if path.is_dir():
        return _Folder(path, fps or DEFAULT_FPS)
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder")
    with _quiet():
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened() or capture.get(cv2.CAP_PROP_FRAME_WIDTH) <= 0:
        raise InputError(
            f"{path}: not a video that OpenCV can read; expected H.264, MJPEG, VP8 or VP9 in mp4, "
            "avi, mkv or webm"
        )
    said = capture.get(cv2.CAP_PROP_FPS)
    if fps is None and not 0.1 <= said <= 1000:
        log.warning("%s: says %g frames per second; taking %g", path, said, DEFAULT_FPS)
        said = DEFAULT_FPS
    return _Capture(capture, str(path), fps or said, live=False)


def _open_camera(index: int, fps: float | None) -> VideoSource:
    with _quiet():
        capture = cv2.VideoCapture(index)
    if not capture.isOpened():
        raise InputError(f"camera {index}: cannot be opened; is it there, and free?")
    if fps is not None:
        capture.set(cv2.CAP_PROP_FPS, fps)
    said = capture.get(cv2.CAP_PROP_FPS)
    return _Capture(capture, f"camera {index}", said if said > 0 else DEFAULT_FPS, live=True)


def _read_image(path: Path) -> Image:
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise InputError(f"{path}: not an image that OpenCV can read, or truncated")
    return _rgb(bgr)


def _rgb(bgr: NDArray) -> Image:
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part)
        for part in re.split(r"(\d+)", path.name.lower())
        if part
    ]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """OpenCV prints its own complaints; ours names the file."""
    log_of_cv = getattr(getattr(cv2, "utils", None), "logging", None)
    if log_of_cv is None:
        yield
        return
    before = log_of_cv.getLogLevel()
    log_of_cv.setLogLevel(log_of_cv.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        log_of_cv.setLogLevel(before)
