"""``diffpose_ros render``: pictures of people with known joints, from motion capture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from diffpose_ros.cli._options import Screen, bounded, command, progress
from diffpose_ros.core import InputError
from diffpose_ros.core.files import claim

EXAMPLES = """
diffpose_ros render --data mocap_30hz.npz --output pictures/ --count 1000
diffpose_ros render --data mocap_30hz.npz --output crops/ --count 2000 --crop --size 256x256 --workers 2
diffpose_ros render --data mocap_30hz.npz --output videos/ --count 3200 --frames 32
diffpose_ros render --data bvh/ --output kids/ --count 500 --backgrounds photos/ --ages 4 12
diffpose_ros render --data mocap_30hz.npz --output videos/ --count 9600 --frames 24 --detect --learn my.json
diffpose_ros render --data mocap_30hz.npz --output pictures/ --count 2000             # 1000 more
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "render", "render pictures of people with known joints", EXAMPLES)
    parser.add_argument(
        "--data", nargs="+", required=True, metavar="PATH",
        help="motion capture: archives (.npz) and folders of BVH files",
    )  # fmt: skip
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder for pictures/ and truth/; existing pictures are not drawn again",
    )
    parser.add_argument(
        "--count",
        type=bounded(int, 1),
        default=1000,
        metavar="N",
        help="number of pictures (default: %(default)s)",
    )
    parser.add_argument("--seed", type=bounded(int, 0), default=0, help="random seed (default: %(default)s)")
    parser.add_argument(
        "--workers", type=bounded(int, 1, 256), metavar="N",
        help="number of processes; the pictures do not depend on it (default: one per core)",
    )  # fmt: skip
    parser.add_argument(
        "--detect", action="store_true",
        help="then run the detector on the pictures, into detected/; existing results are kept",
    )  # fmt: skip
    parser.add_argument(
        "--learn", type=Path, metavar="NOISE.json",
        help="with --detect and --frames of 10 or more: write a model of the detector's errors, for a "
        "recipe's `noise: {kind: learnt, model: NOISE.json}`",
    )  # fmt: skip
    group = parser.add_argument_group("what is drawn")
    group.add_argument(
        "--size", type=size, default=(640, 480), metavar="WxH", help="pixels (default: 640x480)"
    )
    group.add_argument("--crop", action="store_true", help="the person fills the picture, as in a crop")
    group.add_argument(
        "--frames", type=bounded(int, 1, 3000), default=1, metavar="N",
        help="pictures per scene, at 30 Hz (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--builds", type=bounded(int, 10), default=400, metavar="N",
        help="number of bodies; every tenth is marked unseen (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--ages", type=bounded(float, 0.5, 100), nargs=2, default=(1.0, 80.0), metavar="YEARS",
        help="youngest and oldest; half of the people are under 18 (default: 1 80)",
    )  # fmt: skip
    group.add_argument(
        "--distance", type=bounded(float, 0.5, 50), nargs=2, metavar="M",
        help="nearest and farthest camera (default: 1.2 9)",
    )  # fmt: skip
    group.add_argument(
        "--backgrounds", metavar="DIR", help="pictures to put behind people, instead of random places"
    )
    group.add_argument("--quality", type=bounded(int, 10, 100), default=90, help="of the JPEGs (default: 90)")


def size(text: str) -> tuple[int, int]:
    """An argparse type: ``640x480``."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(p.isascii() and p.isdigit() and 64 <= int(p) <= 4096 for p in parts):
        raise argparse.ArgumentTypeError(f"expected WxH with sides of 64 to 4096, got '{text}'")
    return int(parts[0]), int(parts[1])


def run(args: argparse.Namespace) -> int:
    """Draw what is missing."""
    from dataclasses import replace

    from diffpose_ros.data.motion import load_motion
    from diffpose_ros.rendering import dataset
    from diffpose_ros.rendering.backdrop import pictures_in
    from diffpose_ros.rendering.bodies import check_installed
    from diffpose_ros.rendering.draw import CAMERAS, SceneConfig

    check_installed()
    if args.learn is not None and not args.detect:
        raise InputError("--learn needs --detect: what the detector saw")
    claim({"--learn": args.learn})
    for name in ("ages", "distance"):
        value = getattr(args, name)
        if value is not None and value[0] > value[1]:
            raise InputError(f"--{name}: expected the lower one first, got {value[0]:g} {value[1]:g}")
    camera = replace(CAMERAS, distance=tuple(args.distance)) if args.distance else CAMERAS
    scene = SceneConfig(
        width=args.size[0], height=args.size[1], crop=args.crop, frames=args.frames, builds=args.builds,
        age_years=tuple(args.ages), camera=camera,
    )  # fmt: skip
    config = dataset.RenderConfig(
        seed=args.seed, scene=scene, data=tuple(args.data), backgrounds=args.backgrounds or "",
        quality=args.quality, per_shard=max(1, 64 // args.frames),
    )  # fmt: skip
    if args.backgrounds:
        pictures_in(args.backgrounds)
    clips = load_motion(args.data)
    dataset.claim_folder(args.output, config, clips)
    scenes = -(-args.count // args.frames)
    console = Screen(soft_wrap=True)
    with progress(console) as bar:
        task = bar.add_task("drawing", total=scenes, rate="")
        made = dataset.render(
            args.output, config, scenes, workers=args.workers or dataset.cores(),
            done=lambda scenes, pictures: bar.advance(task, scenes),
        )  # fmt: skip
    if args.detect:
        _detect(args, console, made)
    if args.learn is not None:
        _learn(args, console)
    console.print(f"{made} pictures of {scenes} scenes -> {args.output}", highlight=False, markup=False)
    return 0


def _detect(args: argparse.Namespace, console: Screen, pictures: int) -> None:
    from diffpose_ros.rendering.dataset import cores
    from diffpose_ros.rendering.detect import detect_folder

    with progress(console) as bar:
        task = bar.add_task("detecting", total=pictures, rate="")
        detect_folder(
            args.output, workers=args.workers or cores(), done=lambda count: bar.advance(task, count)
        )


def _learn(args: argparse.Namespace, console: Screen) -> None:
    from diffpose_ros import __version__
    from diffpose_ros.rendering.detect import load_detected
    from diffpose_ros.rendering.noise_fit import fit_noise, save_noise

    seen = load_detected(args.output)
    frames = int(seen["found"].sum())
    save_noise(
        args.learn, fit_noise(seen), frames=frames,
        about=f"MoveNet SinglePose Lightning by crops, on rendered people; diffpose_ros {__version__} render",
    )  # fmt: skip
    console.print(f"errors in {frames} frames -> {args.learn}", highlight=False, markup=False)
