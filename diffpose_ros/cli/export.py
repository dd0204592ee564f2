"""``diffpose_ros export``: a trained model folder to ONNX graphs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from diffpose_ros.cli._options import Screen, add_overwrite_option, bounded, command
from diffpose_ros.core.files import claim

EXAMPLES = """
diffpose_ros export out/training/starpose/model
diffpose_ros export out/training/starpose/model --steps 5 3 1 --output /tmp/mine --name mine
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "export", "a trained checkpoint to ONNX", EXAMPLES)
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER",
        help="folder with model.safetensors and config.yaml, as `train` leaves it",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="DIR", help="where the graphs go (default: FOLDER)")
    add_overwrite_option(parser)
    parser.add_argument("--name", help="the model's name (default: its architecture)")
    parser.add_argument(
        "--steps", type=bounded(int, 1, 1000), nargs="+", metavar="S",
        help="DDIM steps; the first becomes model.onnx, the others model_S.onnx "
        "(default: the trained number, then 2 and 1)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Export, and check each graph against the network."""
    from diffpose_ros.methods.diffusion.checkpoint import load_network
    from diffpose_ros.methods.diffusion.export import check_parity, export_onnx

    console = Screen()
    network = load_network(args.folder)
    folder = args.output or args.folder
    steps = args.steps or [network.config.steps, 2, 1]
    paths = [folder / ("model.onnx" if i == 0 else f"model_{s}.onnx") for i, s in enumerate(steps)]
    claim({f"--steps {s}": path for s, path in zip(steps, paths, strict=True)}, overwrite=args.overwrite)
    for path, s in zip(paths, steps, strict=True):
        export_onnx(network, path, name=args.name or network.config.kind, steps=s)
        worst = check_parity(network, path, steps=s)
        console.print(
            f"{path}: {s} step{'s' if s > 1 else ''}, {path.stat().st_size / 1e6:.1f} MB, "
            f"differs from torch by {1e6 * worst:.1f} um at most"
        )
    return 0
