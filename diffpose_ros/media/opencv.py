"""Webcams through OpenCV, and video files where PyAV is not installed."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from diffpose_ros.core import InputError
from diffpose_ros.media.places import shown
from diffpose_ros.media.source import (
    DEFAULT_FPS,
    MAX_PIXELS,
    Clock,
    Image,
    VideoSource,
    rgb_from,
    sensible_fps,
)

log = logging.getLogger(__name__)

NETWORK_TIMEOUT_MS = 15_000
FLAT = 3
"""A frame whose values lie within this many of each other shows nothing."""


class CvCapture(VideoSource):
    """A video file, a stream or a webcam, through OpenCV.

    Pixel shape and decoder errors are not to be had from OpenCV: PyAV reads files better.
    """

    def __init__(self, capture: cv2.VideoCapture, name: str, fps: float | None, *, live: bool) -> None:
        self._capture = capture
        self._lock = threading.Lock()
        self._closed = False
        self.live = live
        self._fresh = True
        self._counted = fps is not None
        width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if not 0 < width * height <= MAX_PIXELS:
            raise InputError(f"{name}: says that its images are {width}x{height}")
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        said = capture.get(cv2.CAP_PROP_FPS)
        if fps is None and not sensible_fps(said):
            if not live:
                log.warning("%s: says %g frames per second; taking %g", name, said, DEFAULT_FPS)
            said = DEFAULT_FPS
        super().__init__(name, fps or said, (width, height), count if count > 0 and not live else None)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._capture.release()

    def __iter__(self) -> Iterator[tuple[Image, int]]:
        if not self._fresh and not self.live:
            with self._lock:
                self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        self._fresh = False
        clock = Clock(self.fps, counted=self._counted and not self.live)
        count = flat = 0
        start = None
        while True:
            with self._lock:
                if self._closed:
                    return
                said = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                ok, bgr = self._capture.read()
                if ok and not self.live:
                    said = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if not ok:
                break
            if self.live:
                now = time.monotonic_ns()
                start = now if start is None else start
                stamp = now - start
            else:
                stamp = clock.stamp_ns(said)
            count += 1
            flat += int(_is_flat(bgr))
            yield rgb_from(bgr), stamp
        self._judge(count, flat)

    def _judge(self, count: int, flat: int) -> None:
        if self.live:
            raise InputError(f"{self.name}: no more images after {count}; was it unplugged?")
        if count == 0:
            raise InputError(f"{self.name}: not one frame could be decoded")
        if flat == count and count > 1:
            raise InputError(
                f"{self.name}: all {count} frames came out of one colour; OpenCV cannot decode it, "
                "PyAV may: pip install av"
            )
        # Headers round: a frame or two less is how healthy files end, a tenth is not.
        if self.frames is not None and count < 0.9 * self.frames:
            log.warning(
                "%s: ended after %d of %d frames; the rest is truncated or damaged",
                self.name, count, self.frames,
            )  # fmt: skip


def open_file(path: Path, fps: float | None) -> CvCapture:
    """A video file.

    Raises:
        InputError: it is not a video that OpenCV reads.
    """
    try:
        name = f"file:{os.path.abspath(path)}".encode().decode()
    except UnicodeEncodeError:
        raise InputError(f"{shown(path)}: OpenCV opens no name that is not UTF-8; pip install av") from None
    with quiet():
        capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
    if not capture.isOpened() or capture.get(cv2.CAP_PROP_FRAME_WIDTH) <= 0:
        raise InputError(
            f"{shown(path)}: not a video that OpenCV can read; expected H.264, MJPEG, VP8 or VP9 in mp4, "
            "avi, mkv or webm (`pip install av` reads more)"
        )
    return CvCapture(capture, shown(path), fps, live=False)


def open_stream(url: str, fps: float | None) -> CvCapture:
    """An address, such as ``rtsp://...``.

    Raises:
        InputError: nothing answers there.
    """
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, NETWORK_TIMEOUT_MS]
    limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, NETWORK_TIMEOUT_MS]
    with quiet():
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits)
    if not capture.isOpened():
        raise InputError(f"{shown(url)}: cannot be opened; is the address right, and does it answer?")
    return CvCapture(capture, shown(url), fps, live=True)


def open_camera(index: int, fps: float | None) -> CvCapture:
    """A webcam, as the system numbers them.

    Raises:
        InputError: it is not there, or another program has it.
    """
    with quiet():
        capture = cv2.VideoCapture(index)
    if not capture.isOpened():
        raise InputError(f"camera {index}: cannot be opened; is it there, and free?")
    if fps is not None:
        capture.set(cv2.CAP_PROP_FPS, fps)
    return CvCapture(capture, f"camera {index}", None, live=True)


def _is_flat(bgr: np.ndarray) -> bool:
    small = bgr[::16, ::16]
    return int(small.max()) - int(small.min()) <= FLAT


@contextlib.contextmanager
def quiet() -> Iterator[None]:
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
