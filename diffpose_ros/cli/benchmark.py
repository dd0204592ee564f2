"""``diffpose_ros benchmark``: files for `evaluate` with views that lifters find hard, from motion capture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from diffpose_ros.cli._options import Screen, add_overwrite_option, bounded, command, progress
from diffpose_ros.core import InputError
from diffpose_ros.core.files import claim

EXAMPLES = """
diffpose_ros benchmark --data mocap_30hz.npz --output hard/ --subjects cmu035 cmu061
diffpose_ros benchmark --data mocap_30hz.npz --output hard/ --actions exercise --kinds above rolled
diffpose_ros benchmark --data bvh/ --output mine/ --seconds 20 --views 4 --noise made
diffpose_ros evaluate --data hard/above.npz                                   # then
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(
        subparsers, "benchmark", "make benchmark files of hard views from motion capture", EXAMPLES
    )
    parser.add_argument(
        "--data", nargs="+", required=True, metavar="PATH",
        help="motion capture: archives (.npz) and folders of BVH files",
    )  # fmt: skip
    parser.add_argument(
        "--output", required=True, type=Path, metavar="DIR", help="folder for a file KIND.npz per kind"
    )
    parser.add_argument(
        "--kinds", nargs="+", metavar="KIND", help="level, above, rolled, close, children (default: all)"
    )
    group = parser.add_argument_group("which motions")
    group.add_argument("--subjects", nargs="+", default=[], metavar="NAME", help="these people's")
    group.add_argument("--actions", nargs="+", default=[], metavar="NAME", help="and anyone's of these")
    group.add_argument(
        "--clips", type=bounded(int, 1), default=40, metavar="N",
        help="at most this many clips, spread evenly over the chosen ones (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--seconds", type=bounded(float, 0.5, 600), default=8.0, metavar="S",
        help="length taken from the middle of each clip (default: %(default)g)",
    )  # fmt: skip
    group = parser.add_argument_group("how they are seen")
    group.add_argument(
        "--views", type=bounded(int, 1, 100), default=1, metavar="N",
        help="cameras per clip (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--noise", choices=("learnt", "made"), default="learnt",
        help="the detector's errors: learnt from rendered people or drawn from ranges (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--seed", type=bounded(int, 0), default=0, help="of everything (default: %(default)s)")
    add_overwrite_option(parser)


def run(args: argparse.Namespace) -> int:
    """Write one file per kind."""
    from diffpose_ros.data.benchmark import to_benchmark
    from diffpose_ros.data.motion import load_motion, select
    from diffpose_ros.data.virtual.benchmark import record
    from diffpose_ros.data.virtual.detector_noise import NoiseConfig
    from diffpose_ros.data.virtual.kinds import KINDS

    names = args.kinds or list(KINDS)
    for name in names:
        if name not in KINDS:
            raise InputError(f"--kinds: expected of {', '.join(KINDS)}; got '{name}'")
    clips = select(load_motion(args.data), subjects=args.subjects, actions=args.actions)
    if len(clips) > args.clips:
        clips = [clips[i * len(clips) // args.clips] for i in range(args.clips)]
    clips = [clip.middle(args.seconds) for clip in clips]
    paths = {name: args.output / f"{name}.npz" for name in names}
    claim({f"--output ({n})": p for n, p in paths.items()}, sources=args.data, overwrite=args.overwrite)
    console = Screen(soft_wrap=True)
    noise = NoiseConfig(kind=args.noise, made_share=0.0)
    with progress(console) as bar:
        task = bar.add_task("recording", total=len(names) * len(clips), rate="")
        for name, path in paths.items():
            seen = []
            for i, clip in enumerate(clips):
                seen += record(
                    [clip], seed=args.seed * 100_003 + i, views=args.views, noise=noise, kind=KINDS[name]
                )
                bar.advance(task)
            frames = to_benchmark(path, seen)
            text = f"{path}: {len(seen)} sequences, {frames} frames; {KINDS[name].about}"
            console.print(text, highlight=False, markup=False)
    return 0
