"""``diffpose_ros results``: tables and plots like the papers', from the shipped weights."""

from __future__ import annotations

import argparse
import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from diffpose_ros.cli._options import Screen, add_overwrite_option, bounded, command, outputs
from diffpose_ros.core.files import write_text
from diffpose_ros.data import benchmark
from diffpose_ros.evaluation.results import OTHERS, QUICK, Plan, Study

EXAMPLES = """
diffpose_ros results --data lifting_val.npz
diffpose_ros results --data lifting_val.npz --quick --output /tmp/results.md
diffpose_ros results --data lifting_val.npz --sequences 36     # sweeps on everything
"""


DEFAULT_PAGE = "docs/results.md"


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "results", "measure the shipped models: tables and plots", EXAMPLES)
    parser.add_argument("--data", required=True, metavar="FILE.npz", help="the benchmark file")
    parser.add_argument(
        "--output", default=DEFAULT_PAGE, metavar="PAGE.md",
        help="the page; plots go to images/ beside it (default: %(default)s, which is replaced)",
    )  # fmt: skip
    add_overwrite_option(parser)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="only a few sequences and settings, to see whether everything runs",
    )
    parser.add_argument(
        "--sequences", type=bounded(int, 1), metavar="N",
        help=f"sequences in the sweeps, spread over the file (default: {Plan().sweep_sequences})",
    )  # fmt: skip
    for name in ("baseline", "diffpose", "starpose"):
        parser.add_argument(f"--{name}", default=name, metavar="NAME|PATH", help="model to show")
    parser.add_argument(
        "--others", nargs="*", metavar="NAME|PATH", default=list(OTHERS),
        help=f"further models to show (default: {' '.join(OTHERS)}; without a value: none)",
    )  # fmt: skip
    parser.add_argument(
        "--backend", default="onnxruntime", help="runtime of the networks (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Measure everything, write the page."""
    from diffpose_ros.evaluation.results_page import page
    from diffpose_ros.methods.catalog import find_model, step_variants
    from diffpose_ros.methods.registry import read_spec

    console = Screen()
    args.overwrite |= args.output == DEFAULT_PAGE
    output = outputs(args, "--output", sources=[args.data])["--output"]
    sequences = benchmark.load(args.data)
    plan = QUICK if args.quick else Plan()
    if args.quick:
        sequences = tuple(sorted(sequences, key=len)[: QUICK.sweep_sequences])
    if args.sequences is not None:
        plan = Plan(**{**vars(plan), "sweep_sequences": args.sequences})
    for model in args.others:
        find_model(model)
    spec = read_spec(args.starpose)
    plan = Plan(**{**vars(plan), "windows": _allowed(plan.windows, spec)})
    begin = time.monotonic()
    with console.status("starting") as status:

        def note(text: str) -> None:
            status.update(text)
            if not console.is_terminal:
                console.print(f"{time.monotonic() - begin:6.0f} s  {text}")

        study = Study(
            sequences, _maker(args.backend), baseline=args.baseline, diffpose=args.diffpose,
            starpose=args.starpose, others=args.others, plan=plan,
            steps=[spec.steps, *step_variants(spec.path)], weights=spec.guidance,
            window=spec.rings["context"].length if "context" in spec.rings else 81, note=note,
        )  # fmt: skip
        study.ablation()
        study.beside()
        study.places()
        study.sweeps()
        study.guidance()
        study.drift()
        plots = _plots(study, output)
    write_text(output, page(study.results, plots))
    for text in study.results.notes:
        console.print(f"not measured: {text}")
    console.print(f"{output}, {len(plots)} plots, {time.monotonic() - begin:.0f} s")
    return 0


def _maker(backend: str) -> Any:
    from diffpose_ros.lifting import Lifter, LifterConfig

    def make(model: str, **settings: Any) -> Lifter:
        return Lifter(LifterConfig(model=model, backend=backend, **settings))

    return make


def _allowed(windows: tuple[int, ...], spec: Any) -> tuple[int, ...]:
    ring = spec.rings.get("context")
    return tuple(w for w in windows if ring is not None and w <= ring.max_length)


def _plots(study: Study, output: Path) -> dict[str, str]:
    """Sweep -> image, relative to the page."""
    from diffpose_ros.evaluation.results_plots import draw

    if find_spec("matplotlib") is None:
        study.results.notes.append("Plots: matplotlib is not installed.")
        return {}
    drawn = draw(study.results, output.parent / "images")
    return {n: Path(os.path.relpath(p, output.parent)).as_posix() for n, p in drawn.items()}
