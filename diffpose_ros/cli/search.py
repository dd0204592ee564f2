"""``diffpose_ros search``: moments of indexed recordings that show a pose."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from diffpose_ros.cli import _options
from diffpose_ros.cli._exit_codes import NOBODY
from diffpose_ros.cli._options import Screen, bounded, command
from diffpose_ros.cli._recordings import add_lifting_options, recording_of
from diffpose_ros.core import InputError
from diffpose_ros.core.files import write_text
from diffpose_ros.media.sheet import ENDINGS, Thumbnail, write_sheet
from diffpose_ros.search import gallery_file, parts, windows
from diffpose_ros.search.finding import like_motion, like_pose, like_taught
from diffpose_ros.search.gallery import Example, Taught
from diffpose_ros.search.index import Hit, PoseIndex
from diffpose_ros.search.recorded import Recorded
from diffpose_ros.search.vectors import JOINTS, variants

EXAMPLES = """
diffpose_ros search --in poses/ --like "arm raised"
diffpose_ros search --in poses/ --like picture.jpg --sheet found.png
diffpose_ros search --in poses/ --like walk.npz --at 2.5 --track 3 --count 50 --json found.json
diffpose_ros search --in poses/ --like wave.mp4 --at 4 --seconds 1.5 --part "right arm"
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "search", "find a pose in indexed recordings", EXAMPLES)
    parser.add_argument("--in", dest="index", required=True, metavar="DIR", help="folder that `index` made")
    parser.add_argument(
        "--like", required=True, metavar="POSE",
        help="output of `lift`, a picture, a video or a bag that shows the pose, or words from the name of "
        "a taught pose",
    )  # fmt: skip
    parser.add_argument(
        "--at", type=bounded(float, 0), metavar="S", default=0.0, help="moment in the file, seconds"
    )
    parser.add_argument(
        "--seconds", type=bounded(float, 0.2, windows.LONGEST_S), metavar="S",
        help="search for a motion of this length, not a pose; it ends at --at (default: the file's end)",
    )  # fmt: skip
    parser.add_argument(
        "--part", choices=tuple(parts.PARTS), default=parts.WHOLE, metavar="NAME",
        help=f"joints of the motion that count: {', '.join(parts.PARTS)} (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--track", type=bounded(int, 0), metavar="ID", help="who in the file shows it")
    parser.add_argument(
        "--gallery", metavar="FILE", default="",
        help="gallery with the taught names (default: the user's, else that of the package)",
    )  # fmt: skip
    parser.add_argument(
        "--count",
        type=bounded(int, 1, 1000),
        metavar="N",
        default=10,
        help="most moments to list (default: %(default)s)",
    )
    parser.add_argument(
        "--within",
        type=bounded(float, 1),
        metavar="MM",
        help="largest distance, mm (default: any)",
    )
    parser.add_argument("--sheet", metavar="OUT.png", help="a picture of what was found, as thumbnails")
    parser.add_argument("--json", metavar="OUT.json", help="also write the table as JSON")
    _options.add_overwrite_option(parser)
    add_lifting_options(parser)


def run(args: argparse.Namespace) -> int:
    """Look it up, show the table, write the sheet."""
    if args.sheet is not None and Path(args.sheet).suffix.lower() not in ENDINGS:
        raise InputError(f"{args.sheet}: expected a name ending in {', '.join(ENDINGS)}")
    written = _options.outputs(
        args, "--sheet", "--json", sources=[args.like if Path(args.like).is_file() else None]
    )
    index = PoseIndex(args.index)
    hits = found(index, args)
    if args.within is not None:
        hits = [hit for hit in hits if 1e3 * hit.distance <= args.within]
    screen = Screen()
    for hit in hits:
        screen.print(line(hit), highlight=False, markup=False, soft_wrap=True)
    if not hits:
        screen.print(f"nothing like it among {len(index)} poses", highlight=False, markup=False)
    if "--json" in written:
        write_text(written["--json"], json.dumps([as_json(hit) for hit in hits], indent=1) + "\n")
    if "--sheet" in written and hits:
        shown = write_sheet(written["--sheet"], [thumbnail(hit) for hit in hits])
        text = f"{written['--sheet']}: {shown} of {len(hits)} with their images"
        screen.print(text, highlight=False, markup=False, soft_wrap=True)
    return 0 if hits else NOBODY


def found(index: PoseIndex, args: argparse.Namespace) -> list[Hit]:
    """What is like what was asked for.

    Raises:
        InputError: it is neither a file nor a name that was taught.
    """
    path = Path(args.like)
    if not path.exists():
        if args.seconds is not None:
            raise InputError(f"--seconds: is for files; '{args.like}' is as long as it was taught")
        gallery = gallery_file.begin(gallery_file.place(args.gallery), shipped=not args.gallery)
        named = gallery.like(args.like)
        if not named:
            known = ", ".join(one.name for one in gallery.taught if one.told)
            raise InputError(f"--like {args.like}: neither a file nor a taught pose; taught are {known}")
        return like_taught(index, named, args.count)
    recording, _ = recording_of(path, args)
    if args.seconds is not None:
        return like_motion(index, motion_of(recording, args), args.count)
    end = args.at + 0.5 if args.at else 0.0
    person = recording.between(args.at, end).only(-1 if args.track is None else args.track)
    nearest = int(np.abs(person.stamp_s - recording.stamp_s.min() - args.at).argmin())
    up = person.up[nearest]
    return like_pose(index, variants(person.xyz[nearest], up if np.isfinite(up).all() else None), args.count)


def motion_of(recording: Recorded, args: argparse.Namespace) -> Taught:
    """The motion that a file shows.

    Raises:
        InputError: it is shorter, or nobody or several people are in it.
    """
    begin = max(0.0, args.at - args.seconds - windows.LONGEST_GAP_S) if args.at else 0.0
    person = recording.between(begin, args.at).only(-1 if args.track is None else args.track)
    example = Example(person.window(args.seconds), recording.source)
    return Taught("motion", (example,), part=args.part, seconds=args.seconds)


def line(hit: Hit) -> str:
    """A hit as a line of the table."""
    place = f" at ({', '.join(f'{v:.1f}' for v in hit.root)}) m" if np.isfinite(hit.root).all() else ""
    return (
        f"{1e3 * hit.distance:4.0f} mm  {hit.source.path}  {hit.stamp_s:.2f} s  frame {hit.frame}  "
        f"person {hit.track_id}{place}"
    )


def as_json(hit: Hit) -> dict[str, Any]:
    """A hit for other programs."""
    return {
        "file": hit.source.path, "video": hit.source.video, "stamp_s": hit.stamp_s, "frame": hit.frame,
        "track_id": hit.track_id, "distance_mm": round(1e3 * hit.distance, 1),
        "root_m": [round(float(v), 3) for v in hit.root] if np.isfinite(hit.root).all() else None,
    }  # fmt: skip


def thumbnail(hit: Hit) -> Thumbnail:
    """A hit as a place of the sheet."""
    text = f"{1e3 * hit.distance:.0f} mm, {hit.stamp_s:.1f} s, person {hit.track_id}"
    return Thumbnail(
        (text, Path(hit.source.path).name),
        hit.vector.reshape(JOINTS, 3), hit.source.video, hit.frame, hit.box,
    )  # fmt: skip
