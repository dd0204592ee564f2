"""``lift --keypoints``: keypoints of another program in place of a detector, with their video or without."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from diffpose_ros.core import InputError, People2D
from diffpose_ros.media.camera_yaml import read_camera
from diffpose_ros.media.keypoint_files import RecordedKeypoints, read_keypoints
from diffpose_ros.media.source import DEFAULT_FPS, NS, Image, VideoSource
from diffpose_ros.media.video import open_source

KINDS = """a folder of OpenPose's JSON files (BODY_25, COCO-18, COCO-17, Halpe-26), or a COCO keypoint file"""


def add_keypoint_options(parser: argparse.ArgumentParser) -> None:
    """``--keypoints`` and the size of the images they were found in."""
    group = parser.add_argument_group("keypoints of another program")
    group.add_argument(
        "--keypoints", metavar="PATH",
        help=f"lift these keypoints instead of detecting them: {KINDS}; VIDEO is then optional and gives "
        "times and overlay",
    )  # fmt: skip
    group.add_argument(
        "--image-size", type=image_size, metavar="WxH",
        help="size of the images of the keypoints, if neither the file, VIDEO nor --camera tells it",
    )  # fmt: skip


def image_size(text: str) -> tuple[int, int]:
    """Width and height of ``1920x1080``."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(p.isascii() and p.isdigit() and 0 < int(p[:7]) <= 100_000 for p in parts):
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT such as 1920x1080, got '{text}'")
    return int(parts[0]), int(parts[1])


class Blank(VideoSource):
    """Frames of which only the keypoints exist: black images at the frames' times."""

    def __init__(self, recorded: RecordedKeypoints, size: tuple[int, int], fps: float) -> None:
        super().__init__(recorded.name, fps, size, len(recorded.frames))
        self._numbers = recorded.numbers

    def __iter__(self) -> Iterator[tuple[Image, int]]:
        black = np.zeros((self.height, self.width, 3), np.uint8)
        for number in self._numbers:
            yield black, round((number - self._numbers[0]) * NS / self.fps)


def open_input(args: argparse.Namespace) -> VideoSource:
    """The video, or what stands for it; ``args.people_of`` tells the people of each image.

    Raises:
        InputError: there is neither, or they do not fit.
    """
    args.people_of = None
    if args.keypoints is None:
        if args.video is None:
            raise InputError("expected a VIDEO, or --keypoints")
        if args.image_size is not None:
            raise InputError("--image-size is for --keypoints without VIDEO")
        return open_source(args.video, fps=args.fps)
    args.recorded = recorded = read_keypoints(args.keypoints)
    if args.video is not None:
        source = open_source(args.video, fps=args.fps)
        try:
            args.people_of = _by_image(recorded, source)
        except InputError:
            source.close()
            raise
        return source
    args.video = args.keypoints
    numbers = recorded.numbers
    args.people_of = lambda turn: recorded.people(numbers[turn])
    size = args.image_size or recorded.size
    if args.camera is not None:
        camera = read_camera(Path(args.camera))
        size = size or (camera.width, camera.height)
    if size is None:
        raise InputError(
            f"{args.keypoints}: does not say how large the images were: expected --camera, "
            "--image-size or VIDEO"
        )
    return Blank(recorded, size, args.fps or DEFAULT_FPS)


def _by_image(recorded: RecordedKeypoints, source: VideoSource) -> Callable[[int], People2D]:
    """The people of the n-th image: frames are numbered from 0, or from 1 where that alone fits."""
    first, last = recorded.numbers[0], recorded.numbers[-1]
    base = 0
    if source.frames is not None and last >= source.frames:
        if first < 1 or last > source.frames:
            raise InputError(
                f"{recorded.name}: reaches to frame {last}, and {source.name} has {source.frames} images"
            )
        base = 1
    if recorded.size not in (None, (source.width, source.height)):
        raise InputError(
            f"{recorded.name}: is for images of {recorded.size[0]}x{recorded.size[1]}, "  # type: ignore[index]
            f"{source.name} has {source.width}x{source.height}"
        )
    return lambda turn: recorded.people(turn + base)


def recorded_front_end(args: argparse.Namespace, tracker: Any) -> Any:
    """What gives the recorded people; with their own identities where everyone has one."""
    from diffpose_ros.frontend.recorded import Recorded

    identified = args.recorded.identified
    return Recorded(args.people_of, None if identified else tracker, args.recorded.layout)
