"""``diffpose_ros train``: a recipe to a model, stage by stage, resumable."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from diffpose_ros.cli import _signals
from diffpose_ros.cli._options import Screen, bounded, command
from diffpose_ros.core import ConfigError

if TYPE_CHECKING:
    from diffpose_ros.training.recipe import Recipe
    from diffpose_ros.training.stages import RecipeRun, Stage

EXAMPLES = """
diffpose_ros train config/training/starpose.yaml --data mocap_30hz.npz --threads 2
diffpose_ros train config/training/starpose.yaml --plan                  # the stages, and how far they are
diffpose_ros train config/training/diffpose.yaml --data mocap_30hz.npz my_bvh_folder/
diffpose_ros train config/training/starpose.yaml --data mocap_30hz.npz --stop-after 60   # minutes; then again
diffpose_ros train config/training/starpose.yaml --data mocap_30hz.npz --until "encoder run 1"
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "train", "train a model from a recipe", EXAMPLES)
    parser.add_argument("recipe", type=Path, metavar="RECIPE.yaml", help="see config/training/")
    parser.add_argument(
        "--data", nargs="+", metavar="PATH",
        help="motion capture: archives (.npz) and folders of BVH files (default: the recipe's)",
    )  # fmt: skip
    parser.add_argument("--output", metavar="DIR", help="where all folders go (default: the recipe's)")
    parser.add_argument("--name", help="the model's name (default: the recipe's)")
    parser.add_argument(
        "--encoder",
        metavar="FILE.safetensors",
        help="use this trained context encoder instead of training one",
    )
    parser.add_argument(
        "--pictures", metavar="FILE.npz",
        help="UniHPR: output of `diffpose_ros features`, for a picture encoder (default: the recipe's)",
    )  # fmt: skip
    parser.add_argument("--plan", action="store_true", help="list the stages and how far they are, and stop")
    parser.add_argument("--until", metavar="STAGE", help="do no stage after this one")
    parser.add_argument(
        "--stop-after", type=bounded(float, 0.0), metavar="MINUTES",
        help="save and stop after this time; the same command continues from there",
    )  # fmt: skip
    parser.add_argument(
        "--restart", action="store_true",
        help="repeat stages that were made with other settings or data; their old results are deleted",
    )  # fmt: skip
    group = parser.add_argument_group("instead of the recipe's, in every run")
    group.add_argument("--steps", type=bounded(int, 1), help="optimiser steps")
    group.add_argument("--batch", type=bounded(int, 1), help="clips per step")
    group.add_argument("--device", choices=("auto", "cpu", "cuda"), help="auto: a GPU if there is one")
    group.add_argument(
        "--precision", choices=("auto", "float32", "bfloat16"), help="auto: bfloat16 where it is native"
    )
    group.add_argument("--threads", type=bounded(int, 0, 256), help="CPU threads; 0: all")
    group.add_argument("--seed", type=bounded(int, 0), help="of everything random")
    group.add_argument(
        "--no-compile", action="store_true", help="do not use torch.compile (it needs a C++ compiler)"
    )


def run(args: argparse.Namespace) -> int:
    """Do the stages of a recipe that are not done yet."""
    from diffpose_ros.training.recipe import load_recipe
    from diffpose_ros.training.stages import RecipeRun

    console = Screen(soft_wrap=True)
    work = RecipeRun(_override(load_recipe(args.recipe), args))
    if args.plan:
        _list(work, console)
        return 0
    with _Bar(console) as bar:
        try:
            done = work.run(
                bar.note, until=args.until, restart=args.restart, shield=_signals.shield,
                stop_after_s=None if args.stop_after is None else 60 * args.stop_after,
            )  # fmt: skip
        except _signals.Stopped as stop:
            if bar.stage is not None and bar.stage.steps:
                stop.kept = f"; '{bar.stage.name}' is saved, the same command goes on from there"
            raise
    last = bar.stage
    assert last is not None
    if not done:
        console.print(f"stopped at step {bar.step:,} of '{last.name}', saved in {last.folder}")
    else:
        console.print(f"done: {last.folder}")
    return 0


def _override(recipe: Recipe, args: argparse.Namespace) -> Recipe:
    names = ("steps", "batch", "device", "precision", "threads", "seed")
    options = {n: getattr(args, n) for n in names if getattr(args, n) is not None}
    if args.no_compile:
        options["compile"] = False
    recipe = recipe.tuned(**options)
    if args.encoder:
        recipe = replace(recipe, encoder=replace(recipe.encoder, checkpoint=args.encoder))
    if args.pictures:
        if recipe.unihpr is None:
            raise ConfigError("--pictures: only a recipe with `unihpr` learns from pictures")
        pictures = replace(recipe.unihpr.pictures, file=args.pictures)
        recipe = replace(recipe, unihpr=replace(recipe.unihpr, pictures=pictures))
    changes = {n: getattr(args, n) for n in ("output", "name") if getattr(args, n)}
    if args.data:
        changes["data"] = tuple(args.data)
    return replace(recipe, **changes)


def _list(work: RecipeRun, console: Console) -> None:
    """The stages as a table."""
    from diffpose_ros.training import stage_record

    for stage in work.stages:
        record = stage_record.read(stage.folder)
        state = "not begun" if record is None else "done" if record.done else "begun"
        steps = f"{stage.steps:,} steps" if stage.steps else ""
        console.print(f"{stage.name:24} {steps:>12}  {state:9}  {stage.folder}", highlight=False)


class _Bar:
    """Progress of one stage after the other."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.stage: Stage | None = None
        self.step = 0
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"), TimeRemainingColumn(), console=console,
        )  # fmt: skip
        self._task: TaskID | None = None

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def note(self, stage: Stage, step: int, text: str) -> None:
        """Show where a stage is; words that are no loss stay on the screen."""
        if stage is not self.stage:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task = self._progress.add_task(stage.name, total=stage.steps or None, note="")
            self.stage = stage
        self.step = step
        if text and not text.startswith("loss "):
            self.console.print(f"{stage.name}: {text}", highlight=False)
        assert self._task is not None
        self._progress.update(self._task, completed=step, note=text if step else "")
