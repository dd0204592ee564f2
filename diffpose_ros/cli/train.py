"""``diffpose_ros train``: a configuration to a checkpoint, resumable, with its model card."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from diffpose_ros.cli._options import Screen, bounded, command

if TYPE_CHECKING:
    from diffpose_ros.training.build import Job
    from diffpose_ros.training.config import TrainingConfig

EXAMPLES = """
diffpose_ros train config/training/context.yaml --data cmu_mocap_30hz.npz
diffpose_ros train config/training/starpose.yaml --data cmu_mocap_30hz.npz --threads 2
diffpose_ros train config/training/context.yaml --steps 10000 --stop-after 60   # minutes; run again to go on
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "train", "train a lifter from a config", EXAMPLES)
    parser.add_argument("config", type=Path, metavar="CONFIG.yaml", help="see config/training/")
    parser.add_argument("--data", help="motion capture file (default: the configuration's)")
    parser.add_argument("--output", help="folder for checkpoints and logs (default: likewise)")
    parser.add_argument("--context", help="checkpoint of the context encoder (default: likewise)")
    parser.add_argument("--steps", type=bounded(int, 1), help="optimiser steps in all")
    parser.add_argument("--batch", type=bounded(int, 1), help="clips per step")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), help="(default: the configuration's, auto: a GPU if any)"
    )
    parser.add_argument("--threads", type=bounded(int, 1, 256), help="CPU threads")
    parser.add_argument("--seed", type=bounded(int, 0), help="of everything random")
    parser.add_argument(
        "--no-compile",
        action="store_true",
        help="do not use torch.compile (it needs a C++ compiler)",
    )
    parser.add_argument(
        "--stop-after", type=bounded(float, 0.01), metavar="MINUTES",
        help="save and stop after this long; the same command goes on from there",
    )  # fmt: skip
    parser.add_argument("--name", help="name of the exported model (default: the task)")


def run(args: argparse.Namespace) -> int:
    """Train, then (for lifters) calibrate, export and write the card."""
    from diffpose_ros.training.build import build
    from diffpose_ros.training.config import load

    console = Screen()
    config = _override(load(args.config), args)
    job = build(config)
    if job.trainer.step:
        console.print(f"resuming {config.output} at step {job.trainer.step:,}")
    done = _follow(job, args.stop_after, console)
    if not done:
        console.print(f"stopped at step {job.trainer.step:,}, saved in {config.output}")
        return 0
    console.print(f"trained: {config.output}/model.safetensors (loss curve: {config.output}/log.jsonl)")
    if job.lifter is not None:
        _finish(job, config, args.name or config.task, console)
    return 0


def _override(config: TrainingConfig, args: argparse.Namespace) -> TrainingConfig:
    changes = {k: getattr(args, k) for k in ("data", "output", "context") if getattr(args, k)}
    options = {
        k: getattr(args, k) for k in ("steps", "batch", "device", "threads", "seed")
        if getattr(args, k) is not None
    }  # fmt: skip
    if args.no_compile:
        options["compile"] = False
    return replace(config, optimiser=replace(config.optimiser, **options), **changes)


def _follow(job: Job, minutes: float | None, console: Console) -> bool:
    """Show progress until the run ends; true when it reached its last step."""
    columns = (
        TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )  # fmt: skip
    steps = job.trainer.config.steps
    smooth: float | None = None
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=steps, completed=job.trainer.step, note="starting")
        for p in job.trainer.run(None if minutes is None else 60 * minutes):
            smooth = p.loss if smooth is None else 0.98 * smooth + 0.02 * p.loss
            bar.update(task, completed=p.step, note=f"loss {smooth:.4f}")
    return job.trainer.step >= steps


def _finish(job: Job, config: TrainingConfig, name: str, console: Console) -> None:
    from diffpose_ros.onnxgraph.fp16_weights import round_weights
    from diffpose_ros.training.build import load_into
    from diffpose_ros.training.calibration import calibrate, held_out, write_model
    from diffpose_ros.training.choose_guidance import choose_guidance
    from diffpose_ros.training.model_card import model_card

    assert job.lifter is not None
    job.lifter.to("cpu")
    folder = Path(config.output)
    load_into(job.lifter, folder / "model.safetensors")
    round_weights(job.lifter)
    with console.status("choosing guidance and calibrating on held-out views"):
        library = job.trainer.dataset.library
        views = held_out(library, config.synthesis, batches=4, batch=config.optimiser.batch)
        choice = choose_guidance(job.lifter, views[:2])
        calibration = calibrate(job.lifter, views)
    console.print("guidance weights: " + ", ".join(f"{w:g}" for w in choice.weights))
    count = sum(p.numel() for p in job.lifter.parameters())
    logs = {"context encoder": Path(config.context).parent / "log.jsonl",
            "denoiser": folder / "log.jsonl"}  # fmt: skip
    card = model_card(name, config, job.lifter.config, count, calibration, logs=logs)
    for file in write_model(job.lifter, folder / "model", name=name, card=card):
        console.print(f"  {file} ({file.stat().st_size / 1e6:.1f} MB)")
