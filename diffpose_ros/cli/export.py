"""``diffpose_ros export``: a trained model folder to ONNX graphs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffpose_ros.cli._options import Screen, add_overwrite_option, bounded, command
from diffpose_ros.core import InputError
from diffpose_ros.core.files import claim

if TYPE_CHECKING:
    from diffpose_ros.methods.diffusion.network import LifterNetwork

EXAMPLES = """
diffpose_ros export out/training/starpose/model
diffpose_ros export out/training/starpose/model --steps 5 3 1 --output /tmp/mine --name mine
diffpose_ros export out/training/starpose/model --baseline mocap_30hz.npz --output out/baseline
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "export", "export a trained checkpoint to ONNX", EXAMPLES)
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER",
        help="folder with model.safetensors and config.yaml, as written by `train`",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="DIR", help="where the graphs go (default: FOLDER)")
    add_overwrite_option(parser)
    parser.add_argument("--name", help="the model's name (default: its architecture)")
    parser.add_argument(
        "--steps", type=bounded(int, 1, 1000), nargs="+", metavar="S",
        help="DDIM steps; the first becomes model.onnx, the others model_S.onnx "
        "(default: the trained number, then those with calibrated covariances: 2 and 1; finepose: 10, 2 "
        "and 1)",
    )  # fmt: skip
    parser.add_argument(
        "--baseline", type=Path, metavar="MOCAP.npz",
        help="export only the context encoder, as a model of kind baseline, with its sigma calibrated on "
        "virtual views of this motion capture; needs --output",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Export, and check each graph against the network."""
    if args.baseline is not None:
        return _baseline(args)
    from diffpose_ros.methods.diffusion.export import check_parity, export_onnx

    console = Screen()
    network = _load(args.folder)
    folder = args.output or args.folder
    own = network.config.steps
    steps = args.steps or [own, *(s for s in network.other_steps if s != own)]
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


def _load(folder: Path) -> LifterNetwork:
    """The network of a lifter's folder, of whatever kind."""
    from diffpose_ros.methods.diffusion import checkpoint
    from diffpose_ros.methods.finepose import checkpoint as finepose

    return finepose.load_network(folder) if finepose.is_finepose(folder) else checkpoint.load_network(folder)


def _baseline(args: argparse.Namespace) -> int:
    """The encoder alone, as a model folder of its own."""
    from diffpose_ros.data.motion import load_motion
    from diffpose_ros.data.virtual.synthesis import MotionLibrary, SynthesisConfig
    from diffpose_ros.onnxgraph.fp16_weights import round_weights
    from diffpose_ros.training.baseline import calibrate_sigma, card, from_lifter, write_baseline
    from diffpose_ros.training.calibration import held_out
    from diffpose_ros.training.model_card import licence_of

    console = Screen()
    if args.output is None or args.steps is not None:
        raise InputError("--baseline: expected --output for its folder, and no --steps: it takes none")
    files = ("model.safetensors", "config.yaml", "MODEL_CARD.md", "model.onnx")
    claim({f"--output, {n}": args.output / n for n in files}, overwrite=args.overwrite)
    lifter = _load(args.folder)
    network = from_lifter(lifter)
    round_weights(network)
    clips = load_motion([args.baseline])
    with console.status("calibrating on virtual views"):
        synthesis = SynthesisConfig()
        views = held_out(MotionLibrary.from_clips(clips), synthesis, batches=4, batch=64)
        calibration = calibrate_sigma(network, views)
    name = args.name or "baseline"
    text = card(
        name, network, calibration, licence=licence_of(clips),
        about="- The figure that every other method has to be better than.",
        training=[
            f"- It is the first stage of `{lifter.config.kind}`; see that model's card for data and time."
        ],
        views=f"virtual views of {args.baseline.name} with a middling simulated detector, from other seeds "
        "than training's",
        limits=[
            f"- Those of `{lifter.config.kind}`: bodies and motions that training has not seen are lifted "
            "worse."
        ],
    )  # fmt: skip
    for file in write_baseline(network, args.output, name=name, card=text):
        console.print(f"{file}: {file.stat().st_size / 1e6:.1f} MB", highlight=False)
    return 0
