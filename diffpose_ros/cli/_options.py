"""Options that several commands share, and helpers to check and show them."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from diffpose_ros.cli import _stdout
from diffpose_ros.core import UNKNOWN, ConfigError, InputError, Surroundings
from diffpose_ros.core.choices import DETECTOR_PIXELS
from diffpose_ros.core.files import claim
from diffpose_ros.methods.catalog import model_names
from diffpose_ros.methods.settings import CHOICES, MethodSettings

if TYPE_CHECKING:
    from diffpose_ros.lifting import Lifter


DEFAULT_MODEL = str(MethodSettings().model)


class Screen(Console):
    """Where a command tells how it goes. When its reader leaves (``| true``), or the disk that stdout
    goes to is full, the work goes on."""

    def on_broken_pipe(self) -> None:
        _stdout.drop()

    def print(self, *objects: Any, **how: Any) -> None:
        """As rich does; the end of the command tells of what could not be written."""
        try:
            super().print(*objects, **how)
        except OSError as error:
            _stdout.drop(error)


def command(subparsers: Any, name: str, text: str, examples: str) -> argparse.ArgumentParser:
    """Add a command whose help ends with examples."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog="examples:\n" + "\n".join(f"  {line}" for line in examples.strip().splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def bounded(kind: Callable[[str], Any], low: float, high: float = math.inf) -> Callable[[str], Any]:
    """An argparse type: a number of ``kind`` from ``low`` to ``high``, both included."""
    span = f"{low:g} or more" if math.isinf(high) else f"{low:g} to {high:g}"

    def parse(text: str) -> Any:
        try:
            value = kind(text) if text.isascii() else None  # Python reads the digits of every script
        except (ValueError, OverflowError):
            value = None
        if value is None or not (low <= value <= high and value != math.inf):
            word = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {word}, {span}, got '{text}'")
        return value

    return parse


def add_lifter_options(parser: argparse.ArgumentParser) -> None:
    """``--model``, ``--backend`` and what else :func:`make_lifter` reads."""
    group = parser.add_argument_group("lifter")
    group.add_argument(
        "--model", default=DEFAULT_MODEL, metavar="NAME|PATH",
        help=f"{', '.join(model_names())} (see `diffpose_ros models`), or an .onnx file "
        "(default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--backend", default="auto", choices=CHOICES["backend"],
        help="runtime of the network (default: %(default)s, the best that works here)",
    )  # fmt: skip
    group.add_argument(
        "--hypotheses", type=bounded(int, 1, 1000), metavar="N",
        help="poses sampled per person and frame (default: the model's)",
    )  # fmt: skip
    group.add_argument(
        "--steps", type=bounded(int, 1, 1000), metavar="S",
        help="denoising steps, one of the numbers the model was exported with (default: the largest); zedo: "
        "iterations, a multiple of those in its graph",
    )  # fmt: skip
    group.add_argument("--no-guidance", action="store_true", help="switch off the sampler's STPG guidance")
    group.add_argument(
        "--refine", action="store_true",
        help="move each pose towards the rays of its keypoints, weighted by the covariances of both",
    )  # fmt: skip
    group.add_argument(
        "--reduce", default="mean", choices=CHOICES["reduce"],
        help="how the hypotheses become one pose (default: %(default)s); jpma takes the hypothesis nearest "
        "to the ray of each joint: less accurate, for comparison with papers",
    )  # fmt: skip
    group.add_argument(
        "--prompt", default="", metavar="WORDS",
        help='what is known of everyone in view, with finepose: "walking", "action: sitting, legs: hidden", '
        "unknown (default: inferred)",
    )  # fmt: skip
    group.add_argument(
        "--person-height", type=bounded(float, 0.4, 2.8), metavar="M",
        help="body height of everyone in view, metres; makes the absolute position metric",
    )  # fmt: skip
    group.add_argument(
        "--person-height-stddev", type=bounded(float, 0.001, 1.0), metavar="M", default=0.02,
        help="standard deviation of --person-height, metres (default: %(default)g)",
    )  # fmt: skip


def make_lifter(args: argparse.Namespace, *, keep_hypotheses: bool = False) -> Lifter:
    """The lifter that the options of :func:`add_lifter_options` describe."""
    from diffpose_ros.lifting import Lifter, LifterConfig

    settings: dict[str, Any] = {
        "model": args.model, "backend": args.backend, "reduce": args.reduce, "prompt": args.prompt,
    }  # fmt: skip
    if args.hypotheses is not None:
        settings["hypotheses"] = args.hypotheses
    if args.steps is not None:
        settings["steps"] = args.steps
    if args.no_guidance:
        settings["guidance"] = False
    if args.refine:
        settings["refine"] = True
    if getattr(args, "estimate_gravity", False):
        settings["estimate_gravity"] = True
    if getattr(args, "paper", False):
        settings["paper"] = True
    if args.person_height is not None:
        settings["person_height"] = args.person_height
        settings["person_height_stddev"] = args.person_height_stddev
    return Lifter(LifterConfig(keep_hypotheses=keep_hypotheses, **settings))


def add_camera_place_options(parser: argparse.ArgumentParser) -> None:
    """``--camera-pitch``, ``--camera-roll`` and ``--camera-height``: how a fixed camera is mounted."""
    group = parser.add_argument_group("the camera's place (with height, the floor gives people's distance)")
    group.add_argument(
        "--camera-pitch", type=bounded(float, -90, 90), metavar="DEG",
        help="how far the camera looks down, degrees; 0: level (default: unknown)",
    )  # fmt: skip
    group.add_argument(
        "--camera-roll", type=bounded(float, -180, 180), metavar="DEG",
        help="how far the camera's right side is lower than its left, degrees (default with --camera-pitch: "
        "0)",
    )  # fmt: skip
    group.add_argument(
        "--camera-height", type=bounded(float, 0.1, 50), metavar="M",
        help="height above the floor that people stand on, metres (default: unknown)",
    )  # fmt: skip


def add_learnt_place_option(parser: argparse.ArgumentParser) -> None:
    """``--estimate-gravity``: learn up from the people, where nothing tells it."""
    parser.add_argument(
        "--estimate-gravity", action="store_true",
        help="for a fixed camera whose pose is unknown: learn the up direction from people who walk in view; "
        "it is used once it is certain",
    )  # fmt: skip


def check_camera_place(args: argparse.Namespace) -> None:
    """Raise where the options of :func:`add_camera_place_options` do not fit together.

    Raises:
        ConfigError: a roll or a height without the pitch that gives it a meaning.
    """
    for option in ("roll", "height"):
        if args.camera_pitch is None and getattr(args, f"camera_{option}") is not None:
            raise ConfigError(
                f"--camera-{option} needs --camera-pitch, how far the camera looks down (0: level)"
            )


def surroundings_of(args: argparse.Namespace) -> Surroundings:
    """What the options of :func:`add_camera_place_options` say.

    Raises:
        ConfigError: see :func:`check_camera_place`.
    """
    check_camera_place(args)
    if args.camera_pitch is None:
        return UNKNOWN
    return Surroundings.of_angles(args.camera_pitch, args.camera_roll or 0.0, args.camera_height)


def progress(console: Console) -> Progress:
    """A progress bar that is silent where there is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def add_overwrite_option(parser: argparse.ArgumentParser) -> None:
    """``--overwrite``, for commands that write what is asked for."""
    parser.add_argument("--overwrite", action="store_true", help="replace existing outputs")


def detector_size(text: str) -> int:
    """An argparse type: what detectors take as the longer side of their input."""
    least = min(low for low, _ in DETECTOR_PIXELS.values())
    most = max(high for _, high in DETECTOR_PIXELS.values())
    value: int = bounded(int, least, most)(text)
    if value % 32:
        raise argparse.ArgumentTypeError(f"expected a multiple of 32, {least} to {most}, got '{text}'")
    return value


def check_detector_size(detector: str, size: int | None) -> None:
    """Whether the detector takes what ``--detector-size`` says.

    Raises:
        InputError: it does not.
    """
    low, high = DETECTOR_PIXELS.get(detector, (0, math.inf))
    if size is not None and not low <= size <= high:
        raise InputError(f"--detector-size {size}: {detector} takes {low:g} to {high:g} pixels")


def outputs(
    args: argparse.Namespace, *options: str, sources: Sequence[str | Path | None] = (),
    endings: Sequence[str] = (),
) -> dict[str, Path]:  # fmt: skip
    """The outputs that were asked for, checked before the work; see :func:`core.files.claim`.

    Args:
        args: with an attribute for each of ``options``, and ``overwrite``.
        options: such as ``"--json"``.
        sources: what the command reads.
        endings: of what it reads in folders.

    Raises:
        InputError: one of them cannot be written, exists, or is read.
    """
    given = {option: getattr(args, option[2:].replace("-", "_")) for option in options}
    if any(map(_stdout.is_stdout, given.values())):
        _stdout.keep_for_data()
    return claim(given, sources=sources, endings=endings, overwrite=args.overwrite)
