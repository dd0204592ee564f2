"""``diffpose_ros convert``: skeletons that were lifted, in another program's format."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from diffpose_ros.cli._options import add_overwrite_option, command
from diffpose_ros.core.files import claim
from diffpose_ros.data.formats.archive import read_plain
from diffpose_ros.motion_files import ARRAYS, FORMATS, NEEDED, checked, format_of, write

EXAMPLES = """
diffpose_ros convert walk.npz walk.trc
diffpose_ros convert walk.npz walk.bvh walk.csv --overwrite
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "convert", "convert lifted skeletons to other formats", EXAMPLES)
    kinds = "\n".join(f"  .{name:<8} {kind.text}" for name, kind in FORMATS.items())
    parser.epilog = f"formats:\n{kinds}\n\n{parser.epilog}"
    parser.add_argument("skeletons", metavar="IN.npz", help="output of `diffpose_ros lift`")
    parser.add_argument("outputs", nargs="+", metavar="OUT", help="files to write; their endings choose")
    add_overwrite_option(parser)


def run(args: argparse.Namespace) -> int:
    """Read the arrays, write each file."""
    formats = [format_of(path) for path in args.outputs]
    named = {f"output {n}": path for n, path in enumerate(args.outputs, 1)}
    targets = claim(named, sources=[args.skeletons], overwrite=args.overwrite)
    arrays = read_plain(args.skeletons, "skeletons of `diffpose_ros lift`", NEEDED, tuple(ARRAYS))
    arrays = checked(arrays, args.skeletons)
    apart = [Path(args.skeletons), *targets.values()]
    for path, kind in zip(targets.values(), formats, strict=True):
        for written in write(arrays, path, kind, overwrite=args.overwrite, apart=apart):
            print(written)
    return 0
