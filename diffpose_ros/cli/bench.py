"""``diffpose_ros bench``: latency per frame of each stage and of the whole."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from diffpose_ros.bench import frontend_report, latency
from diffpose_ros.bench import report as latency_report
from diffpose_ros.bench.latency import STAGES
from diffpose_ros.cli import frontend_bench
from diffpose_ros.cli._options import (
    Screen,
    add_overwrite_option,
    bounded,
    check_detector_size,
    command,
    detector_size,
    outputs,
)
from diffpose_ros.cli.frontend_bench import DETECTOR_SIZE, MOST_PEOPLE
from diffpose_ros.cli.wire import open_wire
from diffpose_ros.core import DiffposeError, InputError
from diffpose_ros.core.bounded_yaml import read_text
from diffpose_ros.core.files import write_text
from diffpose_ros.methods.diffusion.contract import DiffusionSpec
from diffpose_ros.methods.registry import read_spec
from diffpose_ros.methods.streaming import StreamingSpec
from diffpose_ros.runtime.load import BACKENDS

EXAMPLES = """
diffpose_ros bench
diffpose_ros bench --people 1,5,10 --backend onnxruntime --json bench.json --plot bench.png
diffpose_ros bench --json bench.json --write-docs
diffpose_ros bench --from bench.json --write-docs docs/performance.md
diffpose_ros bench --frontend --people 1,3 --plot frontend.png
diffpose_ros bench --frontend --video people.mp4 --detector-size 256
"""
DOCS = "docs/performance.md"
EXPECTED = "expected the JSON that `bench --json` writes"
PEOPLE = (1, 5, 10, 50)
NEEDED = ("machine", "backend", "ratios", "model", "not_measured")


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "bench", "measure the latency per frame of each stage", EXAMPLES)
    parser.add_argument(
        "--model", default="starpose", metavar="NAME|PATH",
        help="a shipped model or an .onnx file (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--people", type=_sizes, metavar="P,P,...",
        help="numbers of people (default: 1,5,10,50; with --frontend: 1,2,3,6)",
    )  # fmt: skip
    parser.add_argument(
        "--backend", action="append", choices=sorted(BACKENDS), default=[],
        help="only this backend; may be repeated (default: all that work here)",
    )  # fmt: skip
    parser.add_argument(
        "--frames", type=bounded(int, 5), default=200, metavar="N",
        help="frames per measurement; many people get fewer (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--no-ratios", action="store_true",
        help="skip the alternatives; the papers' way takes seconds per frame",
    )  # fmt: skip
    front = parser.add_argument_group("from the image to the skeleton")
    front.add_argument(
        "--frontend", action="store_true",
        help="measure both front ends, and every stage from the image to the skeletons",
    )  # fmt: skip
    front.add_argument(
        "--video", metavar="FILE",
        help="with --frontend: one person of this video is put side by side (default: the demo's clip)",
    )  # fmt: skip
    front.add_argument(
        "--detector-size", type=detector_size, metavar="PX",
        help=f"with --frontend: longer side of the detector's input (default: {DETECTOR_SIZE})",
    )  # fmt: skip
    parser.add_argument("--json", metavar="OUT", help="also write the numbers to this file")
    add_overwrite_option(parser)
    parser.add_argument("--plot", metavar="OUT.png", help="plot latency over the number of people")
    parser.add_argument(
        "--write-docs", nargs="?", const=DOCS, metavar="FILE.md",
        help=f"write the tables into this page (default: {DOCS})",
    )  # fmt: skip
    parser.add_argument(
        "--from",
        dest="source",
        metavar="FILE.json",
        help="take the numbers from this file instead of measuring",
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print, write."""
    console = Screen()
    given = outputs(args, "--json", "--plot", sources=[args.source, args.model, args.video])
    out, picture = given.get("--json"), given.get("--plot")
    _check(args)
    if args.source:
        data = _load(args.source)
    elif args.frontend:
        data = frontend_bench.measure(args, console)
    else:
        data = _measure(args, console)
    try:
        _tell(data, console)
        if out is not None:
            write_text(out, json.dumps(data, indent=2) + "\n")
        _draw(data, picture, args.write_docs)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if args.source is None or isinstance(error, DiffposeError):
            raise
        raise InputError(f"{args.source}: {EXPECTED}; its numbers are damaged") from error
    return 0


def _draw(data: dict[str, Any], picture: Path | None, page: str | None) -> None:
    report: Any = frontend_report if "front_ends" in data else latency_report
    if picture is not None:
        report.plot(data, picture)
    if page is not None:
        report.write_docs(data, Path(page))


def _tell(data: dict[str, Any], console: Console) -> None:
    if "front_ends" in data:
        frontend_bench.show(data, console)
    else:
        _show(data, console)


def _check(args: argparse.Namespace) -> None:
    """Refuse options that this measurement does not have."""
    if args.frontend:
        wrong = [
            name for name, given in (("--backend", args.backend), ("--no-ratios", args.no_ratios)) if given
        ]
        if wrong:
            raise InputError(f"{wrong[0]}: does not go with --frontend, which uses the best backend")
        check_detector_size("movenet", args.detector_size)
        most = max(args.people or (1,))
        if most > MOST_PEOPLE:
            raise InputError(f"--people: at most {MOST_PEOPLE} people stand side by side, got {most}")
        return
    for name, value in (("--video", args.video), ("--detector-size", args.detector_size)):
        if value is not None:
            raise InputError(f"{name}: goes only with --frontend")


def _show(data: dict[str, Any], console: Console) -> None:
    for name, backend in data["backend"].items():
        console.print(_table(name, backend))
    for name, value in data["ratios"].items():
        busy = data.get("ratios_processor_time", {}).get(name)
        if value is not None:
            in_time = "" if busy is None else f", in processor time {busy:g}"
            console.print(f"{name}: theirs / ours {value:g}{in_time}")
    for name, why in data["not_measured"].items():
        console.print(f"not measured: {name}: {why}")


def _measure(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    spec = read_spec(args.model)
    machine = latency.machine()  # before our own load is on it
    backends, absent = latency.available_backends(spec.path, args.backend)
    not_measured = {n: why for n, why in absent.items() if not args.backend}
    with console.status("starting") as status, open_wire() as (wire, why):
        if wire is None:
            not_measured["publish"] = why
        measured = latency.measure(
            spec.path, people=args.people or PEOPLE, backends=backends, frames=args.frames,
            publish=None if wire is None else wire.publish, progress=status.update,
        )  # fmt: skip
        ratios, ratios_cpu = _ratios(spec, args, not_measured, status.update)
    ring = spec.rings.get("context")
    return {
        "machine": machine,
        "model": spec.name,
        "hypotheses": spec.hypotheses,
        "steps": spec.steps,
        "guidance": list(getattr(spec, "guidance", ())),
        "window": ring.length if ring else 0,
        "backend": measured,
        "ratios": ratios,
        "ratios_processor_time": ratios_cpu,
        "not_measured": not_measured,
    }


def _ratios(
    spec: StreamingSpec, args: argparse.Namespace, not_measured: dict[str, str], progress: Any
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    none = dict.fromkeys(("torch_eager", "full_window", "papers_way"))
    why = "left out (--no-ratios)" if args.no_ratios else None
    if why is None and not isinstance(spec, DiffusionSpec):
        why = f"model '{spec.name}' has no denoiser, which the references are made around"
    if why is None and find_spec("torch") is None:
        why = "torch is not installed (pip install torch)"
    if why is None:
        from diffpose_ros.bench import references as latency_references
        from diffpose_ros.methods.torch_backend import probe

        able = probe(spec.graph)
        why = latency_references.missing() or (None if able.available else able.reason)
        if why is None and isinstance(spec, DiffusionSpec):
            return latency_references.ratios(spec, args.frames, progress)
    not_measured["ratios"] = str(why)
    return none, none


def _load(path: str) -> dict[str, Any]:
    try:
        data = json.loads(read_text(path))
        assert isinstance(data, dict)
    except InputError:
        raise
    except (ValueError, AssertionError, RecursionError):
        raise InputError(f"{path}: {EXPECTED}") from None
    needed = frontend_report.NEEDED if "front_ends" in data else NEEDED
    missing = [n for n in needed if n not in data]
    if missing:
        raise InputError(f"{path}: {EXPECTED}, it lacks {missing}")
    return data


def _sizes(text: str) -> tuple[int, ...]:
    one = bounded(int, 1, 1000)
    return tuple(one(part) for part in text.split(","))


def _table(name: str, backend: dict[str, Any]) -> Table:
    table = Table(title=f"{name}: {backend['reason']}")
    table.add_column("p50 / p99, ms")
    for size in backend["people"]:
        table.add_column("1 person" if size == "1" else f"{size} people", justify="right")
    for stage in STAGES:
        cells = [p.get(stage) for p in backend["people"].values()]
        if any(cells):
            table.add_row(
                stage,
                *("-" if c is None else f"{c['p50_ms']:.2f} / {c['p99_ms']:.2f}" for c in cells),
            )
    return table
