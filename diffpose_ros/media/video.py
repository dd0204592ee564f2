"""Opens sources of images: video files, image folders and pictures, webcams, streams."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from diffpose_ros.core import InputError
from diffpose_ros.media import animations, opencv, pictures, places
from diffpose_ros.media.live import newest
from diffpose_ros.media.source import Image, VideoSource
from diffpose_ros.media.writer import VideoWriter

__all__ = ["VideoSource", "VideoWriter", "open_source"]

# The decoder inside OpenCV writes warnings to stderr, bypassing every logger.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")


def open_source(path: str | int | Path, *, fps: float | None = None) -> VideoSource:
    """Open a video file, a picture, a folder of images, a webcam, or a stream.

    PyAV reads video files and streams if it is installed, otherwise OpenCV does.

    Args:
        path: a file; a folder; a webcam by number or device (``0``, ``/dev/video0``, a link under
            ``/dev/v4l/by-id``); or a URL (``rtsp://...``, ``http://...``). A name that exists as a file
            is always a file.
        fps: frames per second, instead of the file's own times; ``None``: the source's own rate, or 30
            if it has none.

    Raises:
        InputError: the source does not exist or has no images; the message names it.
    """
    if fps is not None and not 0.1 <= fps <= 1000:
        raise InputError(f"fps: expected 0.1 to 1000, got {fps:g}")
    place = places.find(path)
    if place.kind == "folder":
        return pictures.open_folder(place.path, fps)
    if place.kind == "camera":
        return _Newest(opencv.open_camera(place.index, fps))
    if place.kind == "file" and animations.is_animation(place.path):
        return animations.Animation(place.path, fps)
    if place.kind == "file" and pictures.is_picture(place.path):
        return pictures.open_picture(place.path, fps)
    source = _open_video(place, fps)
    return _Newest(source) if getattr(source, "live", False) else source


def _open_video(place: places.Place, fps: float | None) -> VideoSource:
    if find_spec("av") is None:
        if place.kind == "stream":
            return opencv.open_stream(place.url, fps)
        return opencv.open_file(place.path, fps)
    from diffpose_ros.media.pyav import AvFile

    return AvFile(place.url or place.path, fps)


class _Newest(VideoSource):
    """A live source that skips images that arrived while the caller was busy."""

    def __init__(self, source: VideoSource) -> None:
        super().__init__(source.name, source.fps, (source.width, source.height), None)
        self._source = source
        self.reopens = source.reopens

    def close(self) -> None:
        self._source.close()

    def __iter__(self) -> Iterator[tuple[Image, int]]:
        return newest(iter(self._source))
