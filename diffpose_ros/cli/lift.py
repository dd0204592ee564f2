"""``diffpose_ros lift``: a video to 3D skeletons, every frame, without ROS."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from diffpose_ros.cli import _options
from diffpose_ros.cli._options import add_lifter_options, bounded, command, make_lifter, writable
from diffpose_ros.cli._table import PoseTable
from diffpose_ros.core import Camera, InputError
from diffpose_ros.media.camera_yaml import read_camera
from diffpose_ros.media.overlay import Overlay
from diffpose_ros.media.video import VideoSource, VideoWriter, open_source

EXAMPLES = """
diffpose_ros lift walk.mp4 --camera camera.yaml --output walk.npz
diffpose_ros lift walk.mp4 --fov 65 --output walk.npz --overlay walk_3d.mp4
diffpose_ros lift frames/ --fps 25 --camera camera.yaml --output walk.npz --detector-size 512
"""

FRONT_ENDS = ("auto", "tracked", "whole_image")
RUNTIMES = ("auto", "onnxruntime", "openvino")
"""Those of ``diffpose_ros.frontend``, which is imported only when the command runs."""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "lift", "a video to 3D skeletons, without ROS", EXAMPLES)
    parser.add_argument("video", metavar="VIDEO", help="a video file or a folder of images")
    camera = parser.add_mutually_exclusive_group()
    camera.add_argument("--camera", metavar="CAMERA.yaml", help="calibration, a ROS camera_info YAML file")
    camera.add_argument(
        "--fov", type=bounded(float, 5, 175), metavar="DEG", default=70.0,
        help="diagonal field of view to guess a camera from, without --camera "
        "(default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--output", required=True, metavar="OUT.npz",
        help="where the skeletons go: a row per person per frame",
    )  # fmt: skip
    parser.add_argument("--overlay", metavar="OUT.mp4", help="a video of the result, too")
    parser.add_argument(
        "--fps", type=bounded(float, 0.1, 1000), metavar="HZ",
        help="frames per second (default: what the file says; 30 for a folder)",
    )  # fmt: skip
    parser.add_argument("--frames", type=bounded(int, 1), metavar="N", help="stop after N frames")
    add_detector_options(parser)
    add_lifter_options(parser)


def add_detector_options(parser: argparse.ArgumentParser) -> None:
    """``--detector`` and its size."""
    group = parser.add_argument_group("detector")
    group.add_argument(
        "--detector", default="movenet", metavar="NAME",
        help="2D detector: movenet or ultralytics (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--front-end", choices=FRONT_ENDS, default="auto",
        help="tracked follows people by crops (movenet); whole_image puts every image through the "
        "detector (default: auto, tracked where the detector can)",
    )  # fmt: skip
    group.add_argument(
        "--detector-size", type=bounded(int, 128, 1280), metavar="PX",
        help="longer side of what the detector sees, a multiple of 32 (default: 384 for movenet)",
    )  # fmt: skip
    group.add_argument("--detector-model", metavar="PATH", help="its weights (default: the detector's own)")
    group.add_argument(
        "--detector-runtime", choices=RUNTIMES, metavar="NAME",
        help="what runs movenet: auto, onnxruntime or openvino (default: auto, openvino where it "
        "is faster)",
    )  # fmt: skip


def detector_options(args: argparse.Namespace) -> dict[str, Any]:
    """What :func:`add_detector_options` gave, under the detector's own names."""
    size = "imgsz" if args.detector == "ultralytics" else "input_size"
    options = {size: args.detector_size, "model": args.detector_model, "runtime": args.detector_runtime}
    return {name: value for name, value in options.items() if value is not None}


def run(args: argparse.Namespace) -> int:
    """Lift every frame, write the arrays and the overlay."""
    from diffpose_ros.frontend import make_front_end

    console = Console()
    output = writable(args.output)
    if output.suffix != ".npz":
        raise InputError(f"{output}: expected a name ending in .npz")
    overlay_path = None if args.overlay is None else writable(args.overlay)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(open_source(args.video, fps=args.fps))
        camera = camera_for(args.camera, args.fov, source, console)
        front_end = make_front_end(args.detector, front_end=args.front_end, **detector_options(args))
        lifter = make_lifter(args)
        table = PoseTable()
        overlay = writer = None
        if overlay_path is not None:
            overlay = Overlay(camera.width, camera.height, title=f"diffpose_ros   {Path(args.model).stem}")
            writer = stack.enter_context(VideoWriter(overlay_path, source.fps, overlay.size))
        start = time.perf_counter()
        try:
            for image, stamp_ns in _shown(source, args.frames, console):
                people = front_end.see(image, stamp_ns)
                result = lifter.lift(people, camera, stamp_ns)
                table.add(stamp_ns, people, result.skeletons)
                if overlay is not None and writer is not None:
                    writer.write(overlay.compose(image, people, result.skeletons, stamp_ns / 1e9))
        except KeyboardInterrupt:
            console.print("stopped early; writing what there is")
        seconds = time.perf_counter() - start
    if table.frames == 0:
        raise InputError(f"{args.video}: not one image could be read from it")
    table.save(output)
    rate = table.frames / seconds
    console.print(
        f"{table.frames} frames, {len(table)} skeletons of {table.people} people, {rate:.1f} "
        f"frames/s -> {output}" + (f", {overlay_path}" if overlay_path else ""),
        highlight=False,
    )
    return 0


def camera_for(path: str | None, fov: float, source: VideoSource, console: Console) -> Camera:
    """The calibrated camera, or a guess that is said to be one.

    Raises:
        InputError: the calibration is for images of another size.
    """
    if path is None:
        console.print(
            f"[yellow]no --camera: guessing one of {fov:g} degrees diagonal; distances and sizes "
            "are as good as this guess[/yellow]"
        )
        return Camera.from_fov(source.width, source.height, diagonal_fov_deg=fov)
    camera = read_camera(Path(path))
    if (camera.width, camera.height) != (source.width, source.height):
        raise InputError(
            f"{path}: is for images of {camera.width}x{camera.height}, {source.name} has "
            f"{source.width}x{source.height}"
        )
    return camera


def _shown(source: VideoSource, limit: int | None, console: Console) -> Iterator[tuple[Any, int]]:
    """The frames of ``source``, up to ``limit``, under a progress bar."""
    total = source.frames if limit is None else min(limit, source.frames or limit)
    start = time.perf_counter()
    with _options.progress(console) as bar:
        task = bar.add_task("lifting", total=total, rate="")
        for i, pair in enumerate(source):
            if limit is not None and i >= limit:
                return
            yield pair
            rate = (i + 1) / (time.perf_counter() - start)
            bar.update(task, completed=i + 1, rate=f"{rate:.1f} frames/s")
