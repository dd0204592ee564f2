"""``diffpose_ros lift ... --into DIR``: many videos, resumable."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from diffpose_ros.cli._batch import LocalWorkers, Outcome, Task, alone, tasks_of, words_of
from diffpose_ros.cli._exit_codes import NOBODY
from diffpose_ros.cli._options import Screen, bounded, check_camera_place, progress
from diffpose_ros.core import ConfigError, InputError
from diffpose_ros.motion_files import FORMATS

OF_THE_BATCH = {
    *("help", "video", "output", "into", "workers", "ray", "overwrite", "overlay", "view", "keypoints"),
    *("image_size", "pictures", "debug"),
}
MOST_TOLD = 10


def add_batch_options(parser: argparse.ArgumentParser) -> None:
    """``--workers`` and ``--ray``."""
    group = parser.add_argument_group("many videos (--into)")
    group.add_argument(
        "--workers", type=bounded(int, 1, 256), metavar="N", default=1,
        help="videos lifted at once (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--ray", metavar="ADDRESS",
        help="lift on a Ray cluster (ray://HOST:10001, or auto) that reads the videos by the same names "
        "(pip install 'diffpose_ros[ray]')",
    )  # fmt: skip


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Lift what is not done yet."""
    check_camera_place(args)
    for option in ("overlay", "view", "keypoints", "pictures"):
        if getattr(args, option):
            raise ConfigError(f"--{option} is for one video: leave it out, or lift with --output")
    if args.ray and args.workers != 1:
        raise ConfigError("--workers is for this machine; a Ray cluster has its own")
    if not args.video:
        raise InputError("expected videos, or folders of videos, to lift")
    kind = args.format or "npz"
    if FORMATS[kind].one is not None:
        raise ConfigError(f"--into writes one file per video, and {kind} holds one person: use npz")
    into = Path(args.into)
    tasks = tasks_of(args.video, into, f".{kind}")
    words = words_of(parser, args, OF_THE_BATCH)
    screen = Screen()
    with alone(into):
        todo = [task for task in tasks if args.overwrite or not task.done]
        skipped = len(tasks) - len(todo)
        outcomes = _lift(todo, args, words, screen, skipped)
    return _report(outcomes, skipped, into, screen)


def _lift(
    todo: list[Task], args: argparse.Namespace, words: list[str], screen: Screen, skipped: int
) -> list[Outcome]:
    if not todo:
        return []
    workers: LocalWorkers | object
    if args.ray:
        from diffpose_ros.cli._ray import RayWorkers

        workers = RayWorkers(args.ray, words)
    else:
        workers = LocalWorkers(args.workers, words)
    outcomes: list[Outcome] = []
    with progress(screen) as bar:
        shown = bar.add_task("videos", total=len(todo), rate="")
        try:
            for outcome in workers.run(todo):  # type: ignore[union-attr]
                outcomes.append(outcome)
                bar.update(shown, completed=len(outcomes))
                if not outcome.well:
                    print(f"diffpose_ros lift: {_why(outcome)}", file=sys.stderr)
        except KeyboardInterrupt as stop:
            done = skipped + sum(o.well for o in outcomes)
            total = skipped + len(todo)
            stop.kept = f"; {done} of {total} videos are done, the same call goes on with the rest"  # type: ignore[attr-defined]
            raise
    return outcomes


def _why(outcome: Outcome) -> str:
    if outcome.code < 0:
        return f"{outcome.task.video}: its process was killed (signal {-outcome.code}), again and again"
    return outcome.said.removeprefix("diffpose_ros lift: error: ") or f"{outcome.task.video}: failed"


def _report(outcomes: list[Outcome], skipped: int, into: Path, screen: Screen) -> int:
    failed = [o for o in outcomes if not o.well]
    empty = [o for o in outcomes if o.code == NOBODY]
    lifted = len(outcomes) - len(failed)
    text = f"{lifted} videos lifted, {skipped} were done already, {len(failed)} failed -> {into}"
    screen.print(text, highlight=False, markup=False, soft_wrap=True)
    for outcome in empty[:MOST_TOLD]:
        screen.print(f"nobody found in {outcome.task.video}", highlight=False, markup=False, soft_wrap=True)
    if failed:
        names = ", ".join(str(o.task.video) for o in failed[:MOST_TOLD])
        raise InputError(f"{len(failed)} of {lifted + skipped + len(failed)} videos failed: {names}")
    return NOBODY if outcomes and len(empty) == len(outcomes) and not skipped else 0
