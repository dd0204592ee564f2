"""``diffpose_ros build-engine``: an ONNX lifter model to a TensorRT engine, kept in the cache."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from diffpose_ros.cli._options import Screen, add_overwrite_option, bounded, command, outputs
from diffpose_ros.core import BackendError, ConfigError
from diffpose_ros.core.files import write_bytes

if TYPE_CHECKING:
    from diffpose_ros.runtime.tensorrt.build import GpuInfo, Recipe

EXAMPLES = """
diffpose_ros build-engine starpose --max-people 10 --fp16
diffpose_ros build-engine out/model.onnx --max-people 50 --size hypotheses=5
diffpose_ros build-engine starpose --fp16 --output starpose.plan --cache-dir /var/cache/diffpose
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "build-engine", "build a TensorRT engine from an ONNX model", EXAMPLES)
    parser.add_argument("model", metavar="MODEL", help="a shipped model's name or an .onnx file")
    parser.add_argument(
        "--max-people", type=bounded(int, 1, 1000), default=10, metavar="N",
        help="largest number of people in one run; smaller numbers get their own profiles "
        "(default: %(default)s, as in the lifter node)",
    )  # fmt: skip
    parser.add_argument(
        "--size", action="append", default=[], metavar="NAME=N", type=_size,
        help="a size of the runs, e.g. context=81 frames, or hypotheses=3, which runs may reduce; may be "
        "repeated (default: the model's)",
    )  # fmt: skip
    parser.add_argument("--fp16", action="store_true", help="run the blocks in half precision (needs onnx)")
    parser.add_argument(
        "--flavour", choices=("tensorrt", "tensorrt_rtx"),
        help="which TensorRT (default: the installed one that runs on this GPU)",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, metavar="FILE",
        help="also write the bare engine here, for trtexec and other tools",
    )  # fmt: skip
    add_overwrite_option(parser)
    parser.add_argument(
        "--cache-dir", type=Path, metavar="DIR",
        help="folder of the engines (default: $XDG_CACHE_HOME/diffpose_ros)",
    )  # fmt: skip
    parser.add_argument(
        "--timing-cache", type=Path, metavar="FILE",
        help="the builder's measurements, read and written (default: a file beside the engine)",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="print errors only")


def run(args: argparse.Namespace) -> int:
    """Build the engine, or find it in the cache."""
    from diffpose_ros.methods.registry import graph_of
    from diffpose_ros.runtime.tensorrt.api import find_flavour
    from diffpose_ros.runtime.tensorrt.build import Recipe, cached_plan
    from diffpose_ros.runtime.tensorrt.cache import EngineCache

    console = Screen(stderr=True, quiet=args.quiet)
    outputs(args, "--output", sources=[args.model])
    spec = graph_of(args.model)
    sizes = dict(args.size)
    if unknown := sorted(sizes.keys() - spec.sizes.keys()):
        raise ConfigError(
            f"--size: expected a size of {spec.name} "
            f"({', '.join(spec.sizes) or 'it has none'}), got '{unknown[0]}'"
        )
    recipe = Recipe(spec, args.max_people, sizes, "fp16" if args.fp16 else "fp32")
    gpu = _gpu()
    flavour = find_flavour(None if gpu.sm == "none" else gpu.sm, args.flavour)
    _announce(console, recipe, f"{flavour.name} {flavour.version}", gpu)
    started = time.monotonic()
    bars = _Bars(console)
    with bars:
        plan, path, built = cached_plan(
            recipe,
            flavour,
            gpu,
            EngineCache(args.cache_dir),
            progress=bars.show,
            timing_cache=args.timing_cache,
        )
    if args.output is not None:
        _write(args.output, plan)
    verb = f"built in {time.monotonic() - started:.1f} s" if built else "found in the cache"
    console.print(f"{len(plan) / 1e6:.1f} MB, {verb}")
    for where in (path, args.output):
        if where is not None and not args.quiet:
            print(where)
    return 0 if path is not None or args.output is not None else 1


def _size(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if not name or not number.isdecimal() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"expected NAME=N, e.g. context=81, got '{text}'")
    return name, int(number)


def _gpu() -> GpuInfo:
    """The GPU engines are built for; TensorRT-RTX also builds where there is none."""
    from diffpose_ros.runtime.tensorrt.build import GpuInfo
    from diffpose_ros.runtime.tensorrt.driver import Cuda

    try:
        cuda = Cuda()
    except BackendError:
        return GpuInfo()
    try:
        return GpuInfo(cuda.name, cuda.sm, cuda.version)
    finally:
        cuda.close()


def _announce(console: Console, recipe: Recipe, flavour: str, gpu: GpuInfo) -> None:
    people = ", ".join(map(str, recipe.buckets))
    console.print(
        f"{recipe.spec.name} ({recipe.spec.path}), {recipe.precision}, "
        f"{', '.join(f'{n} {name}' for name, n in recipe.spec.with_sizes(recipe.sizes).items())}; "
        f"profiles for {people} people; {flavour}; "
        f"GPU: {gpu.name}",
        highlight=False,
        soft_wrap=True,
    )
    if gpu.sm == "none":
        console.print(
            "no GPU here: this proves that the model builds; a machine with a GPU makes its own",
            soft_wrap=True,
        )


def _write(path: Path, plan: bytes) -> None:
    write_bytes(path, plan)


class _Bars:
    """TensorRT's build phases as bars, each as long as it lasts."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal or console.quiet,
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> None:
        self._progress.start()

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def show(self, phase: str, done: int, total: int) -> None:
        """Draw one phase; a finished one goes away."""
        if phase not in self._tasks:
            self._tasks[phase] = self._progress.add_task(phase, total=total)
        self._progress.update(self._tasks[phase], completed=done, total=total)
        if done >= total:
            self._progress.remove_task(self._tasks.pop(phase))
