"""``diffpose_ros lift``: a video to 3D skeletons, every frame, without ROS."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diffpose_ros.cli import _lift_many, _options
from diffpose_ros.cli._exit_codes import NOBODY
from diffpose_ros.cli._lifting import Job, Overlaid, Pace
from diffpose_ros.cli._options import (
    Screen,
    add_camera_place_options,
    add_learnt_place_option,
    add_lifter_options,
    add_overwrite_option,
    bounded,
    check_camera_place,
    check_detector_size,
    command,
    detector_size,
    make_lifter,
    surroundings_of,
)
from diffpose_ros.cli._recorded import add_keypoint_options, open_input, recorded_front_end
from diffpose_ros.cli._signals import shield
from diffpose_ros.cli._table import PoseTable
from diffpose_ros.core import Camera, DiffposeError, InputError
from diffpose_ros.core.choices import DETECTOR_PIXELS, DETECTORS, FRONT_ENDS, RUNTIMES
from diffpose_ros.core.files import is_stream, partial_name
from diffpose_ros.media.camera_yaml import read_camera
from diffpose_ros.media.pictures import SUFFIXES
from diffpose_ros.media.places import is_live
from diffpose_ros.media.rerun_file import RerunFile, check_installed, show
from diffpose_ros.media.video import VideoSource
from diffpose_ros.motion_files import FORMATS, format_of, write

EXAMPLES = """
diffpose_ros lift walk.mp4 --camera camera.yaml --output walk.npz
diffpose_ros lift walk.mp4 --fov 65 --output walk.npz --overlay walk_3d.mp4
diffpose_ros lift walk.mp4 --camera camera.yaml --output walk.npz --view
diffpose_ros lift frames/ --fps 25 --camera camera.yaml --output walk.npz --detector-size 512
diffpose_ros lift hall.mp4 --camera camera.yaml --camera-pitch 25 --camera-height 2.8 --output hall.npz
diffpose_ros lift walk.mp4 --camera camera.yaml --output walk.trc
diffpose_ros lift photo.jpg --output photo.npz
diffpose_ros lift family_photos/ --pictures --output photos.npz
diffpose_ros lift --keypoints openpose_json/ --fps 25 --camera camera.yaml --output walk.npz
diffpose_ros lift walk.mp4 --keypoints walk_coco.json --output walk.npz --overlay walk_3d.mp4
diffpose_ros lift videos/ more/*.mp4 --into lifted/ --fov 65 --workers 4
diffpose_ros lift rtsp://192.168.0.10/stream --frames 900 --output walk.npz
"""

NOBODY_RECORDED = "people count who are seen in three frames in a row, with a mean score of 0.3 or more"


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "lift", "turn a video into 3D skeletons, without ROS", EXAMPLES)
    parser.add_argument(
        "video", metavar="VIDEO", nargs="*",
        help="a video file, a picture, a folder of images, a webcam (0, /dev/video0) or rtsp://...; with "
        "--into several videos and folders of videos",
    )  # fmt: skip
    camera = parser.add_mutually_exclusive_group()
    camera.add_argument("--camera", metavar="CAMERA.yaml", help="calibration file of ROS, Kalibr or OpenCV")
    camera.add_argument(
        "--fov", type=bounded(float, 5, 175), metavar="DEG", default=70.0,
        help="diagonal field of view for a guessed camera, without --camera (default: %(default)g)",
    )  # fmt: skip
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "--output", metavar="OUT",
        help=f"file for the skeletons; its ending chooses the format: {', '.join(FORMATS)}",
    )  # fmt: skip
    place.add_argument(
        "--into", metavar="DIR",
        help="folder for the skeletons of many videos, an .npz each; existing results are skipped, so the "
        "same call continues an interrupted run",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=tuple(FORMATS), metavar="NAME",
        help=f"the format of --output, whatever its ending: {', '.join(FORMATS)}",
    )  # fmt: skip
    parser.add_argument("--overlay", metavar="OUT.mp4", help="also write a video of the result")
    parser.add_argument(
        "--view", action="store_true",
        help="also write a recording for the Rerun viewer beside --output (.rrd), and open it if there is a "
        "screen (pip install rerun-sdk)",
    )  # fmt: skip
    add_overwrite_option(parser)
    parser.add_argument(
        "--fps", type=bounded(float, 0.1, 1000), metavar="HZ",
        help="frames per second, instead of the file's own times (default for a folder: 30)",
    )  # fmt: skip
    parser.add_argument("--frames", type=bounded(int, 1), metavar="N", help="stop after N frames")
    parser.add_argument(
        "--pictures", action="store_true",
        help="the images of a folder are separate pictures, not frames of one video",
    )  # fmt: skip
    add_keypoint_options(parser)
    add_detector_options(parser)
    add_lifter_options(parser)
    add_camera_place_options(parser)
    add_learnt_place_option(parser)
    _lift_many.add_batch_options(parser)
    parser.set_defaults(lift_parser=parser)


def add_detector_options(parser: argparse.ArgumentParser) -> None:
    """``--detector`` and its size."""
    group = parser.add_argument_group("detector")
    group.add_argument(
        "--detector", default="movenet", metavar="NAME",
        help=f"2D detector: {', '.join(DETECTORS)} (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--front-end", choices=FRONT_ENDS, default="auto",
        help="tracked: follow people by crops (movenet); whole_image: run the detector on every whole "
        "image (default: auto, tracked if the detector can)",
    )  # fmt: skip
    group.add_argument(
        "--detector-size", type=detector_size, metavar="PX",
        help="longer side of the detector's input, pixels, a multiple of 32 (default: 384 for movenet)",
    )  # fmt: skip
    group.add_argument("--detector-model", metavar="PATH", help="its weights (default: the detector's own)")
    group.add_argument(
        "--detector-runtime", choices=RUNTIMES, metavar="NAME",
        help="runtime of movenet: auto, onnxruntime or openvino (default: auto, openvino if it is "
        "faster here)",
    )  # fmt: skip


def detector_options(args: argparse.Namespace) -> dict[str, Any]:
    """What :func:`add_detector_options` gave, under the detector's own names."""
    check_detector_size(args.detector, args.detector_size)
    size = "imgsz" if args.detector == "ultralytics" else "input_size"
    options = {size: args.detector_size, "model": args.detector_model, "runtime": args.detector_runtime}
    return {name: value for name, value in options.items() if value is not None}


def front_end_of(args: argparse.Namespace, min_hits: int | None) -> Any:
    """Image in, people out: the one place that chooses how.

    Args:
        args: with the options of :func:`add_detector_options`.
        min_hits: frames in a row before a person counts; ``None`` for the tracker's own number.
    """
    from diffpose_ros import frontend
    from diffpose_ros.tracking import Tracker, TrackerConfig

    if getattr(args, "keypoints", None) is not None:
        hits = TrackerConfig() if min_hits is None else TrackerConfig(min_hits=min_hits)
        return recorded_front_end(args, Tracker(hits))
    options = detector_options(args)
    if min_hits is not None:
        options["tracker"] = Tracker(TrackerConfig(min_hits=min_hits))
    return frontend.make_front_end(args.detector, front_end=args.front_end, **options)


def run(args: argparse.Namespace) -> int:
    """Lift every frame, write the arrays and the overlay."""
    if args.into is not None:
        return _lift_many.run(args, args.lift_parser)
    if len(args.video) > 1:
        raise InputError(f"{args.video[1]}: expected one VIDEO with --output; --into DIR takes many")
    if args.ray or args.workers != 1:
        raise InputError("--workers and --ray are for many videos: give --into DIR in place of --output")
    args.video = args.video[0] if args.video else None
    screen = Screen()
    check_camera_place(args)
    args.format = format_of(args.output, args.format)
    if args.overlay is not None and not args.overlay.lower().endswith(".mp4"):
        raise InputError(f"{args.overlay}: expected a name ending in .mp4")
    if args.keypoints is not None and args.video is not None and is_live(args.video):
        raise InputError(f"{args.video}: expected a file or a folder beside --keypoints")
    args.view = view_beside(args.output) if args.view else None
    video = None if args.video is None or is_live(args.video) else args.video
    read = [video, args.keypoints, args.camera, args.model, args.detector_model]
    endings = SUFFIXES if args.keypoints is None else (*SUFFIXES, ".json")
    written = _options.outputs(args, "--output", "--overlay", "--view", sources=read, endings=endings)
    args.apart = [Path(path) for path in (*read, written.get("--overlay"), written.get("--view")) if path]
    with open_input(args) as source:
        camera = None if source.pictures else camera_for(args.camera, args.fov, source, screen)
        if source.pictures and args.camera is not None:
            raise InputError(f"{source.name}: its images differ in size; leave out --camera, it is for one")
        pace = Pace.of(source, args.frames, pictures=args.pictures)
        while True:
            result = _lift(args, source, camera, pace, written, screen)
            if not _once_more(result, source, pace):
                break
            # People were seen, but none in several frames in a row: a folder of different people.
            screen.print("nobody stays from frame to frame; lifting each image as a picture of its own")
            pace = Pace(single=True)
    if "--view" in written and not show(written["--view"]):
        screen.print(f"rerun {written['--view']} shows it", highlight=False, markup=False, soft_wrap=True)
    return _report(args, result, written, screen)


def view_beside(output: str) -> str:
    """The name of the recording for the viewer.

    Raises:
        InputError: the Rerun SDK is missing, or what is written has no place beside it.
    """
    check_installed()
    if is_stream(Path(output)):
        raise InputError(f"--view: writes beside --output, and {output} is no file; name one")
    return str(Path(output).with_suffix(".rrd"))


def _lift(
    args: argparse.Namespace, source: VideoSource, camera: Camera | None, pace: Pace,
    written: dict[str, Path], screen: Screen,
) -> Job:  # fmt: skip
    """One pass over the source; what was lifted before an error is saved under another name."""
    with contextlib.ExitStack() as stack:
        front_end = front_end_of(args, pace.min_hits)
        overlaid = None
        if "--overlay" in written:
            overlaid = stack.enter_context(Overlaid(written["--overlay"], source, args.model))
        view = None
        if "--view" in written:
            view = stack.enter_context(RerunFile(written["--view"], title=Path(source.name).stem))
        job = Job(
            front_end, make_lifter(args), camera, pace, fov=args.fov, overlaid=overlaid,
            around=surroundings_of(args), view=view,
        )  # fmt: skip
        try:
            for image, stamp_ns in _shown(source, args.frames, screen):
                job.step(image, stamp_ns)
            if job.table.frames == 0:
                raise InputError(f"{args.video}: not one image could be read from it")
            if not _once_more(job, source, pace):
                with shield():
                    job.settled = True
                    job.written = save(job.table, written["--output"], args)
                    if overlaid is not None:
                        overlaid.finish()
        except BaseException as error:
            _keep(error, job, written, args)
            raise
    return job


def _once_more(job: Job, source: VideoSource, pace: Pace) -> bool:
    """Whether a folder shows people of whom none stays: pictures, and no video."""
    return source.stills and not pace.single and not len(job.table) and job.overlooked > 0


def save(table: PoseTable, path: Path, args: argparse.Namespace) -> list[Path]:
    """Write the skeletons; where the disk is full, into the folder for temporary files.

    Returns:
        What was written: several files where a format holds one person each, none where it does and
        nobody was found.

    Raises:
        InputError: they are not where they should be; the message says where they are.
    """
    if not len(table) and FORMATS[args.format].one is not None:
        return []
    try:
        return write(table.arrays(), path, args.format, overwrite=args.overwrite, apart=args.apart)
    except InputError as error:
        spare = partial_name(Path(tempfile.gettempdir()) / f"{path.stem}.npz")
        try:
            write(table.arrays(), spare, "npz")
        except InputError:
            raise error from None
        raise InputError(f"{error}; what was lifted is in {spare}") from None


def _keep(error: BaseException, job: Job, written: dict[str, Path], args: argparse.Namespace) -> None:
    """Save what was lifted before ``error`` and say so in it."""
    table = job.table
    if table.frames == 0 or job.settled:
        return
    path = partial_name(written["--output"])
    try:
        kept = ", ".join(map(str, save(table, path, args))) or "no file, since nobody is in them"
        text = f"; the skeletons of the {table.frames} frames before are kept in {kept}"
    except InputError as worse:
        text = f"; {worse}"
    if job.overlaid is not None and (overlay := job.overlaid.keep()) is not None:
        text += f" and {overlay}"
    if isinstance(error, KeyboardInterrupt):
        error.kept = text  # type: ignore[attr-defined]
    elif isinstance(error, DiffposeError):
        error.args = (f"{error}{text}",)
    else:
        raise InputError(f"unexpected {type(error).__name__}: {error}{text} (--debug shows where)") from error


def _report(args: argparse.Namespace, job: Job, written: dict[str, Path], screen: Screen) -> int:
    table = job.table
    lost = job.overlaid is not None and job.overlaid.error is not None
    left_out = {"--output", "--overlay"} if lost else {"--output"}
    files = [*job.written, *(path for option, path in written.items() if option not in left_out)]
    screen.print(
        f"{table.frames} frames, {len(table)} skeletons of {table.people} people, "
        f"{table.frames / max(job.seconds, 1e-9):.1f} frames/s -> {', '.join(map(str, files))}",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
    if job.thinned:
        screen.print(
            f"{job.thinned} frames were not lifted: the models are made for at most 60 frames a second",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
    if job.place:
        screen.print(f"the camera's place: {job.place}", highlight=False, markup=False, soft_wrap=True)
    for person, frames in sorted(job.floor_refused.items()):
        screen.print(
            f"[yellow]the floor was not used for person {person} in {frames} frames: they stand at another "
            "angle or height than it has there; check --camera-pitch, --camera-roll, --camera-height[/yellow]"
        )
    if lost:
        assert job.overlaid is not None
        kept = ", ".join(map(str, job.written))
        raise InputError(f"{job.overlaid.error}; the skeletons are complete in {kept}")
    if len(table):
        return 0
    if args.keypoints is not None:
        print(f"diffpose_ros lift: nobody found in {args.keypoints}: {NOBODY_RECORDED}", file=sys.stderr)
        return NOBODY
    seen = "somebody was seen, but never surely" if job.overlooked else "the detector saw nobody"
    most = DETECTOR_PIXELS.get(args.detector, (128, 1280))[1]
    larger = f"--detector-size {min(most, 2 * (args.detector_size or 384))}"
    print(
        f"diffpose_ros lift: nobody found in {args.video}: {seen}; are people whole, upright and at least "
        f"a tenth of the image high? Small people need {larger}; --overlay shows what was seen",
        file=sys.stderr,
    )
    return NOBODY


def camera_for(path: str | None, fov: float, source: VideoSource, screen: Screen) -> Camera:
    """The calibrated camera, or a guess that is said to be one.

    Raises:
        InputError: the calibration is for images of another size.
    """
    if path is None:
        screen.print(
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


def _shown(source: VideoSource, limit: int | None, screen: Screen) -> Iterator[tuple[Any, int]]:
    """The frames of ``source``, up to ``limit``, under a progress bar."""
    total = source.frames if limit is None else min(limit, source.frames or limit)
    start = time.perf_counter()
    with _options.progress(screen) as bar:
        task = bar.add_task("lifting", total=total, rate="")
        for i, pair in enumerate(source):
            if limit is not None and i >= limit:
                return
            yield pair
            rate = (i + 1) / (time.perf_counter() - start)
            bar.update(task, completed=i + 1, rate=f"{rate:.1f} frames/s")
