"""Options that several commands share, and helpers to check and show them."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
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

if TYPE_CHECKING:
    from diffpose_ros.lifting import Lifter

BACKENDS = ("auto", "onnxruntime", "openvino", "tensorrt", "torch")


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
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            word = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {word}, {span}, got '{text}'")
        return value

    return parse


def add_lifter_options(parser: argparse.ArgumentParser) -> None:
    """``--model``, ``--backend`` and what else :func:`make_lifter` reads."""
    group = parser.add_argument_group("lifter")
    group.add_argument(
        "--model", default="starpose", metavar="NAME|PATH",
        help="a shipped model (see `diffpose_ros models`) or an .onnx file (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--backend", default="auto", choices=BACKENDS,
        help="what runs the network (default: %(default)s, the best that works here)",
    )  # fmt: skip
    group.add_argument(
        "--hypotheses", type=bounded(int, 1, 1000), metavar="N",
        help="poses sampled per person and frame (default: what the model says)",
    )  # fmt: skip
    group.add_argument(
        "--steps", type=bounded(int, 1, 50), metavar="S",
        help="denoising steps, of those that the model was exported with (default: the most)",
    )  # fmt: skip
    group.add_argument(
        "--no-guidance", action="store_true", help="switch the STPG guidance of the sampler off"
    )
    group.add_argument(
        "--person-height", type=bounded(float, 0.4, 2.8), metavar="M",
        help="body height of everyone in view, metres; makes the absolute position metric",
    )  # fmt: skip


def make_lifter(args: argparse.Namespace, *, keep_hypotheses: bool = False) -> Lifter:
    """The lifter that the options of :func:`add_lifter_options` describe."""
    from diffpose_ros.lifting import Lifter, LifterConfig

    settings: dict[str, Any] = {"model": args.model, "backend": args.backend}
    if args.hypotheses is not None:
        settings["hypotheses"] = args.hypotheses
    if args.steps is not None:
        settings["steps"] = args.steps
    if args.no_guidance:
        settings["guidance"] = False
    if args.person_height is not None:
        settings["person_height"] = args.person_height
    return Lifter(LifterConfig(keep_hypotheses=keep_hypotheses, **settings))


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


def writable(path: str | Path) -> Path:
    """``path`` after its folder was made.

    Raises:
        InputError: the folder cannot be made, or the path is a folder.
    """
    from diffpose_ros.core import InputError

    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot make its folder ({error.strerror})") from None
    if path.is_dir():
        raise InputError(f"{path}: expected a file name to write to, got a folder")
    return path
