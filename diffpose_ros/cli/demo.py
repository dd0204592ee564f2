"""``diffpose_ros demo``: the whole ROS graph in one process on a video, and what came of it."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from diffpose_ros.cli import _options
from diffpose_ros.cli._exit_codes import NOBODY
from diffpose_ros.cli._options import (
    Screen,
    add_overwrite_option,
    bounded,
    command,
    detector_size,
    surroundings_of,
)
from diffpose_ros.cli._signals import Stopped
from diffpose_ros.core import Camera, InputError
from diffpose_ros.core.choices import DETECTORS, FRONT_ENDS
from diffpose_ros.core.files import claim, partial_name, reason, same_file, unused
from diffpose_ros.demo import clip
from diffpose_ros.media.camera_yaml import read_camera
from diffpose_ros.media.places import is_live
from diffpose_ros.media.rerun_file import RerunFile, check_installed, show
from diffpose_ros.media.video import VideoSource, open_source

if TYPE_CHECKING:
    from diffpose_ros.demo.recording import Recording, Results, Summary

EXAMPLES = """
diffpose_ros demo
diffpose_ros demo walk.mp4 --camera camera.yaml --output results/walk
diffpose_ros demo hall.mp4 --camera camera.yaml --camera-pitch 25 --camera-height 2.8
diffpose_ros demo --view
diffpose_ros demo walk.mp4 --speed 0.5 --detector-size 512 --model diffpose
"""

DEFAULT_OUTPUT = "out/demo"
DEFAULT_FOV_DEG = 70.0
"""That of video_source."""
STALL_S = 20.0
SETTLE_S = 1.0
KEPT_UP = 0.8
"""Share of frames lifted below which the machine is said to be too slow."""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    text = "run the whole ROS graph on a video, in one process"
    parser = command(subparsers, "demo", text, EXAMPLES)
    parser.add_argument(
        "video", metavar="VIDEO", nargs="?",
        help=f"a video file or a folder of images (default: {clip.CREDIT}, fetched once)",
    )  # fmt: skip
    camera = parser.add_mutually_exclusive_group()
    camera.add_argument("--camera", metavar="CAMERA.yaml", help="calibration file of ROS, Kalibr or OpenCV")
    camera.add_argument(
        "--fov", type=bounded(float, 10, 170), metavar="DEG",
        help="diagonal field of view for a guessed camera, without --camera",
    )  # fmt: skip
    parser.add_argument(
        "--output", default=DEFAULT_OUTPUT, metavar="OUT",
        help="write OUT.mp4 and the bag OUT/ (default: %(default)s, where its own files are replaced)",
    )  # fmt: skip
    add_overwrite_option(parser)
    parser.add_argument(
        "--speed", type=bounded(float, 0.05, 10), default=1.0, metavar="X",
        help="playback speed (default: 1)",
    )  # fmt: skip
    parser.add_argument("--no-bag", action="store_true", help="do not write the bag")
    parser.add_argument(
        "--view", action="store_true",
        help="also write OUT.rrd for the Rerun viewer, and open it if there is a screen (pip install "
        "rerun-sdk)",
    )  # fmt: skip
    parser.add_argument("--no-overlay", action="store_true", help="do not write the video")
    group = parser.add_argument_group("nodes (default: see config/*.yaml)")
    group.add_argument("--model", metavar="NAME|PATH", help="the lifter's model")
    group.add_argument("--backend", choices=_options.CHOICES["backend"], help="runtime of the network")
    group.add_argument("--detector", metavar="NAME", help=f"2D detector: {', '.join(DETECTORS)}")
    group.add_argument("--front-end", metavar="NAME", help=", ".join(FRONT_ENDS))
    group.add_argument(
        "--detector-size", type=detector_size, metavar="PX",
        help="longer side of the detector's input, pixels, a multiple of 32",
    )  # fmt: skip
    _options.add_camera_place_options(parser)


def run(args: argparse.Namespace) -> int:
    """Play, record, then write the video, the bag and the table."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("RCUTILS_COLORIZED_OUTPUT", "0")
    screen = Screen()
    _options.check_camera_place(args)
    _options.check_detector_size(args.detector or "movenet", args.detector_size)
    targets = _targets(args)
    video, camera = args.video, args.camera
    if video is not None and is_live(video):
        raise InputError(
            "demo plays files and folders; for a webcam or a stream: "
            f"ros2 launch diffpose_ros lift.launch.py video:={video}"
        )
    from diffpose_ros.demo import graph
    from diffpose_ros.demo.recording import read
    from diffpose_ros.media.bag import typestore

    if video is None:
        screen.print(f"clip: {clip.CREDIT}", highlight=False)
        video = clip.demo_clip()
        camera = camera or (None if args.fov else clip.camera_file(video))
    with open_source(video) as source:
        parameters = _parameters(args, str(video), camera)
        recording, early = _play(graph, parameters, source, args.speed, screen)
        if not recording.image_stamps:
            raise early or InputError(f"{video}: not one image came out of it")
        results, summary = read(recording, graph.KEYPOINTS, graph.SKELETONS, typestore().deserialize_cdr)
        if early is not None:
            targets = {kind: _partial(path) for kind, path in targets.items()}
        written: list[Path] = []
        try:
            _write(args, source, recording, results, targets, camera, screen, written)
        except Stopped as stop:
            if (bag := targets.get("bag")) is not None and bag not in written:
                written += [part for part in [bag.with_name(f"{bag.name}.partial")] if part.exists()]
            early = stop
    if early is not None:
        kept = f"; what was played is in {' and '.join(map(str, written))}" if written else ""
        if isinstance(early, Stopped):
            early.kept = kept
            raise early
        raise InputError(f"{early}{kept}")
    _tell(source, summary, written, screen)
    if "view" in targets:
        show(targets["view"])
    if not summary.skeletons:
        print(
            f"diffpose_ros demo: nobody found in {video}: are people whole, upright and at least a tenth of "
            "the image high? Small people need --detector-size 640",
            file=sys.stderr,
        )
        return NOBODY
    return 0


def _targets(args: argparse.Namespace) -> dict[str, Path]:
    """What is to be written, by kind; checked before the nodes start.

    Raises:
        InputError: it cannot be written, or would replace what it must not.
    """
    from diffpose_ros.media.bag import check_replaceable

    folder = Path(os.path.normpath(args.output))
    if folder.name in ("", ".", "..") or len(os.fsencode(folder.name)) > 230:
        raise InputError(f"--output {args.output}: expected a name to write NAME.mp4 and the bag NAME/ to")
    overwrite = args.overwrite or args.output == DEFAULT_OUTPUT
    targets = {}
    if not args.no_overlay:
        targets["video"] = folder.with_name(f"{folder.name}.mp4")
        claim({"--output": targets["video"]}, sources=[args.video, args.camera], overwrite=overwrite)
    if args.view:
        check_installed()
        targets["view"] = folder.with_name(f"{folder.name}.rrd")
        claim({"--view": targets["view"]}, sources=[args.video, args.camera], overwrite=overwrite)
    if not args.no_bag:
        targets["bag"] = folder
        if args.video is not None and same_file(folder, Path(args.video)):
            raise InputError(f"--output {folder}: is the folder that is read; name another")
        check_replaceable(folder, overwrite=overwrite)
    return targets


def _partial(path: Path) -> Path:
    if path.suffix in (".mp4", ".rrd"):
        return partial_name(path)
    return unused(path.with_name(f"{path.name}.partial"))


def _tell(source: VideoSource, summary: Summary, written: list[Path], screen: Screen) -> None:
    title = f"{Path(source.name).name}: {source.width}x{source.height}"
    table = Table(title=title, show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    for row in summary.rows():
        table.add_row(*row)
    screen.print(table)
    if summary.frames_lifted < KEPT_UP * summary.frames_in:
        screen.print(
            "this machine did not keep up with the video; `--detector-size 256` costs less, "
            "`diffpose_ros lift` takes its time and lifts every frame"
        )
    for path in written:
        screen.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)


def _parameters(args: argparse.Namespace, video: str, camera: str | Path | None) -> dict[str, dict[str, Any]]:
    source: dict[str, Any] = {"source": video, "loop": False, "rate_scale": args.speed}
    if camera is not None:
        source["camera_file"] = str(camera)
    if args.fov is not None:
        source["diagonal_fov_deg"] = args.fov
    given = {
        "keypoints": {
            "detector": args.detector,
            "front_end": args.front_end,
            "input_size": args.detector_size,
        },
        "lifter": {
            "model": args.model,
            "backend": args.backend,
            "gravity": None if args.camera_pitch is None else "angles",
            "camera_pitch_deg": args.camera_pitch,
            "camera_roll_deg": args.camera_roll,
            "camera_height": args.camera_height,
        },
    }
    chosen = {
        node: {name: value for name, value in values.items() if value is not None}
        for node, values in given.items()
    }
    return {"video_source": source, **chosen}


def _play(
    graph: Any, parameters: dict[str, dict[str, Any]], source: VideoSource, speed: float,
    screen: Screen,
) -> tuple[Recording, Stopped | InputError | None]:  # fmt: skip
    """Run the graph until the video ends and its last results are in.

    Returns:
        What was heard, and what ended it early: a signal, or images that come no more.
    """
    early: Stopped | InputError | None = None
    with screen.status("starting the nodes"):
        running = graph.Demonstration(parameters)
    with running, _options.progress(screen) as bar:
        task = bar.add_task("playing", total=source.frames, rate="")
        start = last_news = time.monotonic()
        seen = (0, 0)
        try:
            while not running.finished or time.monotonic() - last_news < SETTLE_S:
                time.sleep(0.1)
                if (error := running.recording.error) is not None:
                    raise InputError(f"{tempfile.gettempdir()}: cannot keep what is heard ({reason(error)})")
                now, counts = time.monotonic(), (running.frames_in, running.frames_lifted)
                if counts != seen:
                    seen, last_news = counts, now
                elif now - last_news > STALL_S:
                    early = InputError(f"{source.name}: no new image for {STALL_S:g} s")
                    break
                rate = seen[1] / max(now - start, 1e-3)
                bar.update(task, completed=seen[0], rate=f"lifted {seen[1]}, {rate:.1f}/s")
        except Stopped as stop:
            early = stop
            screen.print("stopped early; writing what there is")
        recording: Recording = running.recording
    return recording, early


def _write(
    args: argparse.Namespace, source: VideoSource, recording: Recording, results: Results,
    targets: dict[str, Path], camera: str | Path | None, screen: Screen, written: list[Path],
) -> None:  # fmt: skip
    """Write the targets, each of which joins ``written`` when it is complete.

    The bag comes first: from it the video can be made again.
    """
    from diffpose_ros.demo import graph
    from diffpose_ros.demo.recording import write_bag, write_video
    from diffpose_ros.media.overlay import Overlay

    model = args.model or "starpose"
    overlay = Overlay(source.width, source.height, title=f"diffpose_ros   {Path(model).stem}")
    with _options.progress(screen) as bar:
        if (path := targets.get("bag")) is not None:
            job = bar.add_task(f"writing {path}/", total=len(recording.image_stamps), rate="")
            frames = _paired(source, recording.image_stamps, args.speed)
            write_bag(path, recording, frames, graph.IMAGES, graph.FRAME_ID, lambda: bar.advance(job))
            written.append(path)
        if (path := targets.get("video")) is not None:
            task = bar.add_task(f"writing {path}", total=len(recording.image_stamps), rate="")
            frames = _paired(source, recording.image_stamps, args.speed)
            write_video(path, frames, results, overlay, source.fps * args.speed, lambda: bar.advance(task))
            written.append(path)
        if (path := targets.get("view")) is not None:
            job = bar.add_task(f"writing {path}", total=len(recording.image_stamps), rate="")
            seen = _camera(args, source, camera)
            around = surroundings_of(args)
            start = recording.image_stamps[0]
            with RerunFile(path, title=Path(source.name).stem) as view:
                for image, stamp_ns in _paired(source, recording.image_stamps, args.speed):
                    view.add(image, *results.at(stamp_ns), stamp_ns - start, seen, around)
                    bar.advance(job)
            written.append(path)


def _camera(args: argparse.Namespace, source: VideoSource, path: str | Path | None) -> Camera:
    """What the nodes took the video to be taken with."""
    if path is not None:
        return read_camera(Path(path))
    return Camera.from_fov(source.width, source.height, diagonal_fov_deg=args.fov or DEFAULT_FOV_DEG)


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
