"""Skeletons of whatever a command is given: lifted already, in a bag, or a picture or video to be lifted."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from diffpose_ros.cli._batch import Task, run_one
from diffpose_ros.core import InputError
from diffpose_ros.media.bag_reader import is_bag, read_skeletons
from diffpose_ros.search.recorded import Recorded, read_lifted


def add_lifting_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``lift`` for pictures and videos."""
    group = parser.add_argument_group("pictures and videos, which are lifted")
    group.add_argument("--camera", metavar="CAMERA.yaml", help="their calibration file")
    group.add_argument("--fov", metavar="DEG", help="their diagonal field of view, without --camera")
    group.add_argument("--model", metavar="NAME|PATH", help="the lifter (default: that of `lift`)")


def recording_of(path: Path, args: argparse.Namespace) -> tuple[Recorded, str]:
    """The skeletons of a file, and the video that shows them (empty: not known).

    Raises:
        InputError: it is missing, damaged, or holds none.
    """
    if path.suffix.lower() == ".npz":
        return read_lifted(path), video_beside(path)
    if is_bag(path):
        return Recorded(str(path), **_of_a_bag(path)), ""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    words = [
        w
        for name in ("camera", "fov", "model")
        if getattr(args, name)
        for w in (f"--{name}", getattr(args, name))
    ]
    with tempfile.TemporaryDirectory() as folder:
        task = Task(path, Path(folder) / "skeletons.npz")
        outcome = run_one(task, words, lambda process: None)
        if not outcome.well:
            raise InputError(outcome.said.removeprefix("diffpose_ros lift: error: ") or f"{path}: not lifted")
        made = read_lifted(task.output)
    return Recorded(
        str(path), *(getattr(made, n) for n in ("stamp_s", "frame", "track_id", "xyz", "up", "box"))
    ), str(path.resolve())


def _of_a_bag(path: Path) -> dict[str, Any]:
    return read_skeletons(path)


def video_beside(path: Path) -> str:
    """The video that lies beside its skeletons under the same name; empty: there is none."""
    from diffpose_ros.cli._batch import VIDEOS

    for ending in sorted(VIDEOS):
        for name in (
            path.with_suffix(ending),
            path.with_suffix("") if path.stem.lower().endswith(ending) else None,
        ):
            if name is not None and name.is_file():
                return str(name.resolve())
    return ""
