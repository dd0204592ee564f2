"""``diffpose_ros index``: poses of recordings into an index that can be searched."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from diffpose_ros.cli._options import Screen, command, progress
from diffpose_ros.cli._recordings import add_lifting_options, recording_of
from diffpose_ros.cli._signals import shield
from diffpose_ros.core import InputError
from diffpose_ros.media.bag_reader import is_bag
from diffpose_ros.search.index import PoseIndex

EXAMPLES = """
diffpose_ros index lifted/*.npz --into poses/
diffpose_ros index lifted/ --into poses/
diffpose_ros index walk_bag/ hall.mp4 --into poses/ --fov 65
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "index", "index the poses of recordings for search", EXAMPLES)
    parser.add_argument(
        "sources", nargs="+", metavar="FILE",
        help="output of `diffpose_ros lift` (.npz), folders of such files, bags with skeletons, or pictures "
        "and videos, which are lifted first",
    )  # fmt: skip
    parser.add_argument(
        "--into", required=True, metavar="DIR", help="folder of the index; created if it does not exist"
    )
    add_lifting_options(parser)


def run(args: argparse.Namespace) -> int:
    """Add what is not in the index yet, file by file."""
    screen = Screen()
    paths = files_of(args.sources)
    index = PoseIndex(args.into, create=True)
    failed: list[str] = []
    poses = skipped = 0
    with index.writing(), progress(screen) as bar:
        shown = bar.add_task("indexing", total=len(paths), rate="")
        for k, path in enumerate(paths):
            if index.has(path):
                skipped += 1
            else:
                try:
                    recording, video = recording_of(path, args)
                except InputError as error:
                    failed.append(str(path))
                    print(f"diffpose_ros index: {error}", file=sys.stderr)
                    continue
                with shield():
                    poses += index.add(path, recording, video)
            bar.update(shown, completed=k + 1, rate=f"{poses} poses")
        if poses:
            index.settle()
    screen.print(
        f"{poses} poses of {len(paths) - skipped - len(failed)} recordings added, {skipped} recordings were "
        f"there already; {len(index)} poses -> {args.into}",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
    if failed:
        raise InputError(f"{len(failed)} of {len(paths)} recordings were left out: {', '.join(failed[:10])}")
    return 0


def files_of(sources: list[str]) -> list[Path]:
    """Files and bags; of other folders the .npz files in them.

    Raises:
        InputError: one is missing, or a folder holds none.
    """
    out: dict[Path, None] = {}
    for source in sources:
        path = Path(source)
        if path.is_dir() and not is_bag(path):
            inside = sorted(p for p in path.rglob("*.npz") if not p.name.startswith("."))
            if not inside:
                raise InputError(
                    f"{source}: neither a bag nor a folder with what `diffpose_ros lift` wrote (.npz)"
                )
            out.update(dict.fromkeys(inside))
        elif path.exists():
            out[path] = None
        else:
            raise InputError(f"{source}: no such file or folder")
    return list(out)
