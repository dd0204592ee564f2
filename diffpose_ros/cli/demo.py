"""``diffpose_ros demo``: the whole ROS graph in one process on a video, and what came of it."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from diffpose_ros.cli import _options
from diffpose_ros.cli._options import bounded, command
from diffpose_ros.core import InputError
from diffpose_ros.demo import clip
from diffpose_ros.media.video import VideoSource, open_source

if TYPE_CHECKING:
    from diffpose_ros.demo.recording import Recording, Results

EXAMPLES = """
diffpose_ros demo
diffpose_ros demo walk.mp4 --camera camera.yaml --output results/walk
diffpose_ros demo walk.mp4 --speed 0.5 --detector-size 512 --model diffpose
"""

STALL_S = 20.0
SETTLE_S = 1.0
KEPT_UP = 0.8
"""Share of frames lifted below which the machine is said to be too slow."""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    text = "the whole ROS graph on a video, in one process"
    parser = command(subparsers, "demo", text, EXAMPLES)
    parser.add_argument(
        "video", metavar="VIDEO", nargs="?",
        help=f"a video file or a folder of images (default: {clip.CREDIT}, fetched once)",
    )  # fmt: skip
    camera = parser.add_mutually_exclusive_group()
    camera.add_argument("--camera", metavar="CAMERA.yaml", help="ROS camera_info YAML file")
    camera.add_argument(
        "--fov", type=bounded(float, 10, 170), metavar="DEG",
        help="diagonal field of view to guess a camera from, without --camera",
    )  # fmt: skip
    parser.add_argument(
        "--output", default="out/demo", metavar="OUT",
        help="writes OUT.mp4 and the bag OUT/ (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--speed", type=bounded(float, 0.05, 10), default=1.0, metavar="X",
        help="play this much faster or slower (default: the video's own rate)",
    )  # fmt: skip
    parser.add_argument("--no-bag", action="store_true", help="do not write the bag")
    parser.add_argument("--no-overlay", action="store_true", help="do not write the video")
    group = parser.add_argument_group("nodes (default: as config/*.yaml has it)")
    group.add_argument("--model", metavar="NAME|PATH", help="the lifter's model")
    group.add_argument("--backend", choices=_options.BACKENDS, help="what runs the network")
    group.add_argument("--detector", metavar="NAME", help="2D detector")
    group.add_argument("--front-end", metavar="NAME", help="auto, tracked or whole_image")
    group.add_argument(
        "--detector-size", type=bounded(int, 128, 1280), metavar="PX",
        help="longer side of what the detector sees",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Play, record, then write the video, the bag and the table."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("RCUTILS_COLORIZED_OUTPUT", "0")
    from diffpose_ros.demo import graph
    from diffpose_ros.demo.recording import read
    from diffpose_ros.media.bag import check_replaceable, typestore

    console = Console()
    _options.writable(f"{args.output}.mp4")
    if not args.no_bag:
        check_replaceable(Path(args.output))
    video, camera = args.video, args.camera
    if video is not None and video.isdigit() and not Path(video).exists():
        raise InputError(
            "demo plays files and folders; for a webcam: "
            f"ros2 launch diffpose_ros lift.launch.py video:={video}"
        )
    if video is None:
        console.print(f"clip: {clip.CREDIT}", highlight=False)
        video = clip.demo_clip()
        camera = camera or (None if args.fov else clip.camera_file(video))
    with open_source(video) as source:
        parameters = _parameters(args, str(video), camera)
        recording = _play(graph, parameters, source, args.speed, console)
        if not recording.image_stamps:
            raise InputError(f"{video}: not one image came out of it")
        results, summary = read(recording, graph.KEYPOINTS, graph.SKELETONS, typestore().deserialize_cdr)
        written = _write(args, source, recording, results, console)
    title = f"{Path(source.name).name}: {source.width}x{source.height}"
    table = Table(title=title, show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    for row in summary.rows():
        table.add_row(*row)
    console.print(table)
    if summary.frames_lifted < KEPT_UP * summary.frames_in:
        console.print(
            "this machine did not keep up with the video; `--detector-size 256` costs less, "
            "`diffpose_ros lift` takes its time and lifts every frame"
        )
    for path in written:
        console.print(f"wrote {path}", highlight=False)
    if not summary.skeletons:
        raise InputError(f"{video}: nobody was lifted; are there people in it, seen whole?")
    return 0


def _parameters(args: argparse.Namespace, video: str, camera: str | Path | None) -> dict[str, dict[str, Any]]:
    source: dict[str, Any] = {"source": video, "loop": False, "rate_scale": args.speed}
    if camera is not None:
        source["camera_file"] = str(camera)
    if args.fov is not None:
        source["diagonal_fov_deg"] = args.fov
    given = {
        "keypoints": {
            "detector": args.detector, "front_end": args.front_end, "input_size": args.detector_size,
        },
        "lifter": {"model": args.model, "backend": args.backend},
    }
    chosen = {
        node: {name: value for name, value in values.items() if value is not None}
        for node, values in given.items()
    }
    return {"video_source": source, **chosen}


def _play(
    graph: Any, parameters: dict[str, dict[str, Any]], source: VideoSource, speed: float,
    console: Console,
) -> Recording:  # fmt: skip
    """Run the graph until the video ends and its last results are in; Ctrl-C ends it early."""
    with console.status("starting the nodes"):
        running = graph.Demonstration(parameters)
    with running, _options.progress(console) as bar:
        task = bar.add_task("playing", total=source.frames, rate="")
        start = last_news = time.monotonic()
        seen = (0, 0)
        try:
            while not running.finished or time.monotonic() - last_news < SETTLE_S:
                time.sleep(0.1)
                now, counts = time.monotonic(), (running.frames_in, running.frames_lifted)
                if counts != seen:
                    seen, last_news = counts, now
                elif now - last_news > STALL_S:
                    raise InputError(f"{source.name}: no new image for {STALL_S:g} s")
                rate = seen[1] / max(now - start, 1e-3)
                bar.update(task, completed=seen[0], rate=f"lifted {seen[1]}, {rate:.1f}/s")
        except KeyboardInterrupt:
            console.print("stopped early; writing what there is")
        recording: Recording = running.recording
    return recording


def _write(
    args: argparse.Namespace, source: VideoSource, recording: Recording, results: Results,
    console: Console,
) -> list[Path]:  # fmt: skip
    from diffpose_ros.demo import graph
    from diffpose_ros.demo.recording import write_bag, write_video
    from diffpose_ros.media.overlay import Overlay

    written = []
    model = args.model or "starpose"
    overlay = Overlay(source.width, source.height, title=f"diffpose_ros   {Path(model).stem}")
    with _options.progress(console) as bar:
        if not args.no_overlay:
            path = Path(f"{args.output}.mp4")
            task = bar.add_task(f"writing {path}", total=len(recording.image_stamps), rate="")
            frames = _paired(source, recording.image_stamps, args.speed)
            write_video(path, frames, results, overlay, source.fps * args.speed, lambda: bar.advance(task))
            written.append(path)
        if not args.no_bag:
            path = Path(args.output)
            job = bar.add_task(f"writing {path}/", total=len(recording.image_stamps), rate="")
            frames = _paired(source, recording.image_stamps, args.speed)
            write_bag(path, recording, frames, graph.IMAGES, graph.FRAME_ID, lambda: bar.advance(job))
            written.append(path)
    return written


def _paired(source: VideoSource, stamps: list[int], speed: float) -> Iterator[tuple[Any, int]]:
    """The video's images again, each with the stamp under which it was published.

    Images and stamps come in the same order; where stamps are missing (a message was lost), the
    image nearest in time is taken.
    """
    exact = source.frames is None or source.frames == len(stamps)
    at = 0
    for image, t_ns in source:
        if at == len(stamps):
            return
        due = stamps[0] + t_ns / speed
        if exact or due >= stamps[at] - 0.5e9 / source.fps / speed:
            yield image, stamps[at]
            at += 1
