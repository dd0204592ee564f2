"""``diffpose_ros evaluate``: the errors of a model on a benchmark file, causally."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import fields
from typing import Any

from rich.console import Console
from rich.table import Table

from diffpose_ros.cli._options import (
    Screen,
    add_lifter_options,
    add_overwrite_option,
    bounded,
    command,
    make_lifter,
    outputs,
    progress,
)
from diffpose_ros.core.files import write_text
from diffpose_ros.data import benchmark
from diffpose_ros.evaluation import protocol, report

EXAMPLES = """
diffpose_ros evaluate --data lifting_val.npz
diffpose_ros evaluate --data lifting_val.npz --model diffpose --per-action --json out.json
diffpose_ros evaluate --data lifting_val.npz --model out/model.onnx --hypotheses 20 --steps 2
diffpose_ros evaluate --data lifting_val.npz --frame-rate 10
diffpose_ros evaluate --data lifting_val.npz --model unihpr --retrieval      # how well poses are found again
diffpose_ros evaluate --data lifting_val.npz --model zedo --paper --sequences 2
"""

COLUMNS = {
    "mpjpe_mm": ("MPJPE", "mm"),
    "p_mpjpe_mm": ("P-MPJPE", "mm"),
    "n_mpjpe_mm": ("N-MPJPE", "mm"),
    "pck150": ("PCK@150", "%"),
    "auc": ("AUC", "%"),
    "mpjve_mm": ("MPJVE", "mm/frame"),
    "acc_err_mm": ("ACC-ERR", "mm/frame²"),
    "min_of_n_mpjpe_mm": ("best of N (oracle)", "mm"),
    "joint_best_mpjpe_mm": ("best of N per joint (oracle)", "mm"),
    "root_error_mm": ("root", "mm"),
    "root_velocity_error_mm": ("root velocity", "mm/frame"),
    "root_coverage_1sigma": ("root in 1 sigma", "%"),
    "coverage_1sigma": ("in 1 sigma", "%"),
    "coverage_2sigma": ("in 2 sigma", "%"),
}

PER_ACTION = ("mpjpe_mm", "p_mpjpe_mm", "pck150", "mpjve_mm", "acc_err_mm")
"""What fits on a line; the JSON has everything."""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "evaluate", "measure a model's errors on a benchmark file", EXAMPLES)
    parser.add_argument("--data", required=True, metavar="FILE.npz", help="the benchmark file")
    parser.add_argument("--json", metavar="OUT", help="also write the numbers to this file")
    add_overwrite_option(parser)
    parser.add_argument("--per-action", action="store_true", help="also print a row per action")
    parser.add_argument(
        "--frame-rate", type=bounded(float, 0.1), metavar="HZ",
        help="skip frames, as a slower camera would (default: the file's rate)",
    )  # fmt: skip
    parser.add_argument("--sequences", type=bounded(int, 1), metavar="N", help="only the first N sequences")
    parser.add_argument("--no-gravity", action="store_true", help="do not use the file's `up`")
    parser.add_argument(
        "--no-camera-height", action="store_true", help="do not use the file's `camera_height`"
    )
    parser.add_argument(
        "--paper", action="store_true",
        help="zedo with its paper's setting: 1,000 iterations from the mean pose in every frame (slow)",
    )  # fmt: skip
    parser.add_argument(
        "--retrieval", nargs="?", const="unihpr", metavar="MODEL",
        help="also measure how well poses are found again, by lifted pose and embeddings of MODEL (unihpr)",
    )  # fmt: skip
    add_lifter_options(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, write the JSON."""
    console = Screen()
    out = outputs(args, "--json", sources=[args.data, args.model]).get("--json")
    sequences = list(benchmark.load(args.data))[: args.sequences]
    if args.frame_rate is not None:
        sequences = [s.thinned(args.frame_rate) for s in sequences]
    sequences = [
        s.forgetting(gravity=args.no_gravity, camera_height=args.no_camera_height) for s in sequences
    ]
    lifter = make_lifter(args, keep_hypotheses=True)
    predictions, seconds = _predict(lifter, sequences, console)
    scores = report.score(predictions)
    per_action = report.by(predictions, _action) if args.per_action else {}
    console.print(_table(args.model, scores, per_action))
    console.print(
        f"{scores.frames} frames of {scores.sequences} sequences, each from itself and its past, "
        f"{1000 * seconds / scores.frames:.1f} ms a frame"
        + f"; {_told(sequences)}"
        + (f", {scores.unanswered_frames} without a skeleton" if scores.unanswered_frames else "")
    )
    found = _retrieval(predictions, args.retrieval, console) if args.retrieval else {}
    if out is not None:
        content: dict[str, Any] = {**scores.as_dict(), "model": args.model, "data": str(args.data)}
        if args.frame_rate is not None:
            content["frame_rate_hz"] = args.frame_rate
        if found:
            content["retrieval"] = found
        if per_action:
            content["per_action"] = {k: v.as_dict() for k, v in per_action.items()}
        write_text(out, json.dumps(content, indent=2) + "\n")
    return 0


def _retrieval(predictions: list[protocol.Prediction], model: str, console: Console) -> dict[str, Any]:
    from diffpose_ros.evaluation.retrieval import EVERY, NEAR_FRAMES, retrieval, rows
    from diffpose_ros.methods.unihpr.embedder import Embedder

    with Embedder(model) as embedder:
        found = retrieval(predictions, embedder)
    table = Table(title=f"found again, embeddings of {embedder.name}")
    for column in ("what", "compared by"):
        table.add_column(column)
    for column in ("distance\nor R@1", f"within {NEAR_FRAMES} frames\nor R@10"):
        table.add_column(column, justify="right")
    for row in rows(found):
        table.add_row(*row)
    console.print(table)
    console.print(f"Skeletons are looked for among every {EVERY}th frame.")
    return found


def _predict(
    lifter: protocol.LifterLike, sequences: list[benchmark.Sequence], console: Console
) -> tuple[list[protocol.Prediction], float]:
    start = time.perf_counter()
    done = 0
    with progress(console) as bar:
        task = bar.add_task("lifting", total=sum(map(len, sequences)), rate="")

        def advance(frames: int) -> None:
            nonlocal done
            done += frames
            if done % 20 == 0:
                rate = done / (time.perf_counter() - start)
                bar.update(task, completed=done, rate=f"{rate:.0f} frames/s")

        predictions = list(protocol.run(lifter, sequences, progress=advance))
    return predictions, time.perf_counter() - start


def _told(sequences: list[benchmark.Sequence]) -> str:
    """What the lifter was told of gravity and the floor."""
    up = sum(s.around.up is not None for s in sequences)
    height = sum(s.around.camera_height is not None for s in sequences)
    if not up and not height:
        return "without gravity and camera height"
    return f"gravity of {up} and camera height of {height} sequences"


def _action(prediction: protocol.Prediction) -> str:
    return prediction.sequence.action or "(unnamed)"


def _table(model: str, scores: report.Scores, per_action: dict[str, report.Scores]) -> Table:
    table = Table(title=model)
    if not per_action:
        table.add_column("metric")
        table.add_column("value", justify="right")
        table.add_column("unit")
        for name, (label, unit) in COLUMNS.items():
            table.add_row(label, _number(getattr(scores, name), unit), unit)
        return table
    from diffpose_ros.evaluation.per_action import in_papers_order, mean_over_actions

    table.add_column("action")
    table.add_column("frames", justify="right")
    columns = {name: COLUMNS[name] for name in PER_ACTION}
    for label, unit in columns.values():
        table.add_column(f"{label}\n{unit}", justify="right")
    for action, row in in_papers_order(per_action).items():
        cells = [_number(getattr(row, n), unit) for n, (_, unit) in columns.items()]
        table.add_row(action, str(row.frames), *cells)
    table.add_section()
    means = [_number(mean_over_actions(per_action, n), u) for n, (_, u) in columns.items()]
    table.add_row("mean of actions", "", *means)
    cells = [_number(getattr(scores, n), unit) for n, (_, unit) in columns.items()]
    table.add_row("mean of frames", str(scores.frames), *cells)
    return table


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f}" if unit == "%" else f"{value:.1f}"


assert set(COLUMNS) <= {f.name for f in fields(report.Scores)}, "a column without a score"
