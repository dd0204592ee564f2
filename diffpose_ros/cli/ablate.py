"""``diffpose_ros ablate``: what each part of the training data and of a lifter is worth."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from diffpose_ros.cli._options import Screen, add_overwrite_option, bounded, command, outputs
from diffpose_ros.core import ConfigError
from diffpose_ros.core.files import probe, write_text

EXAMPLES = """
diffpose_ros ablate config/ablation/data.yaml --data cmu_mocap_30hz.npz --benchmark lifting_val.npz
diffpose_ros ablate config/ablation/lifter.yaml --benchmark val.npz --encoder encoder/model.safetensors
diffpose_ros ablate config/ablation/data.yaml --benchmark val.npz --only "no crossover of limbs"
diffpose_ros ablate config/ablation/data.yaml --benchmark val.npz --plot out/ablation.png
diffpose_ros ablate config/ablation/data.yaml --benchmark val.npz --output /tmp/ablation.md
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "ablate", "train with one thing changed at a time", EXAMPLES)
    parser.add_argument("config", type=Path, metavar="CONFIG.yaml", help="base recipe and variants")
    parser.add_argument(
        "--data", nargs="+", metavar="PATH",
        help="motion capture: archives and folders of BVH files (default: the recipe's)",
    )  # fmt: skip
    parser.add_argument(
        "--encoder", metavar="FILE.safetensors",
        help="a trained context encoder for all lifters (default: each trains its own)",
    )  # fmt: skip
    parser.add_argument("--benchmark", required=True, metavar="FILE.npz", help="what to score on")
    parser.add_argument(
        "--folder", type=Path, default=Path("out/training/ablation"),
        help="folder of the checkpoints; a stopped run continues from there (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="TABLE.md", help="(default: ablation.md in --folder)")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="a picture of the table")
    add_overwrite_option(parser)
    parser.add_argument(
        "--only",
        action="append",
        metavar="VARIANT",
        help="train only this variant, without a table; repeatable",
    )
    parser.add_argument("--threads", type=bounded(int, 0, 256), help="CPU threads; 0: all")
    parser.add_argument(
        "--restart", action="store_true", help="repeat what was made with other settings or data"
    )


def run(args: argparse.Namespace) -> int:
    """Train and score each variant, write the page."""
    from diffpose_ros.data import benchmark
    from diffpose_ros.training.ablation import load_plan, page, plot, run_variant

    if args.only and (args.output or args.plot):
        raise ConfigError("--only trains variants and writes no table: leave out --output and --plot")
    console = Screen()
    plan = load_plan(args.config)
    folder = args.folder / args.config.stem
    given = outputs(args, "--output", "--plot", sources=[args.config, args.benchmark, *(args.data or [])])
    picture, output = given.get("--plot"), given.get("--output")
    if output is None and not args.only:
        output = folder / "ablation.md"  # the run's own: a run that goes on replaces it
        probe(output)
    variants = plan.variants
    if args.only:
        names = [v.name for v in variants]
        for name in args.only:
            if name not in names:
                raise ConfigError(f"--only: no variant '{name}', expected one of: {'; '.join(names)}")
        variants = [v for v in variants if v.name in args.only]
    sequences = benchmark.load(args.benchmark)
    outcomes = []
    for number, variant in enumerate(variants, start=1):
        title = f"{number}/{len(variants)} {variant.name}"
        with console.status(title) as status:
            outcome = run_variant(
                variant, folder, sequences, data=args.data, encoder=args.encoder, threads=args.threads,
                restart=args.restart,
                note=lambda step, steps, t=title: status.update(f"{t}: step {step:,} of {steps:,}"),  # type: ignore[misc]
            )  # fmt: skip
        outcomes.append(outcome)
        console.print(
            f"{variant.name}: MPJPE {outcome.scores.mpjpe_mm:.1f} mm, "
            f"P-MPJPE {outcome.scores.p_mpjpe_mm:.1f} mm ({outcome.seconds:.0f} s of training)"
        )
    if output is not None:
        write_text(output, page(plan, outcomes))
        console.print(str(output))
    if picture is not None:
        plot(plan, outcomes, picture)
        console.print(str(picture))
    return 0
