"""The stages of a recipe that makes a ZeDO model: a pose prior, anchors, calibration, the model's folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from diffpose_ros.core.files import write_text
from diffpose_ros.methods.model_folder import write_checkpoint
from diffpose_ros.methods.zedo.export import export_onnx
from diffpose_ros.methods.zedo.network import Zedo, ZedoConfig, load_network, to_mapping
from diffpose_ros.methods.zedo.prior import PosePrior
from diffpose_ros.onnxgraph.fp16_weights import round_weights
from diffpose_ros.training import stage_record
from diffpose_ros.training.anchors import cluster, facing_poses
from diffpose_ros.training.build import load_into, set_up
from diffpose_ros.training.loop import Trainer
from diffpose_ros.training.model_card import StageLog
from diffpose_ros.training.pose_prior import PoseDataset, ScoreTask, body_size
from diffpose_ros.training.recipe import PriorRun, ZedoSection
from diffpose_ros.training.stage_record import StageRecord
from diffpose_ros.training.zedo_calibration import calibrate_spread, views
from diffpose_ros.training.zedo_card import zedo_card

if TYPE_CHECKING:
    from diffpose_ros.training.stages import RecipeRun, Stage

"""Options of the optimiser that do not change what comes out; a prior always learns in float32."""


def zedo_stages(work: RecipeRun, section: ZedoSection) -> list[Stage]:
    """All stages, in order."""
    from diffpose_ros.training.stages import Stage

    recipe = work.recipe
    root = Path(recipe.output) / recipe.name
    stages: list[Stage] = []
    start: Path | None = None
    for i, run in enumerate(section.runs, start=1):
        settings = {"prior": section.prior, "optimiser": run.optimiser, "poses": run.poses}
        folder = root / f"prior-{i}"
        stages.append(
            Stage(
                f"prior run {i}", folder, settings, run.optimiser.steps, () if start is None else (start,),
                partial(_train, work=work, section=section, run=run, folder=folder, start=start),
            )
        )  # fmt: skip
        start = folder / "model.safetensors"
    assert start is not None
    logs = tuple(StageLog(s.name, s.folder / "log.jsonl") for s in stages)
    clusters: dict[str, Any] = {"anchors": section.anchors, "poses": section.anchor_poses}
    calibration: dict[str, Any] = {"calibration": recipe.calibration, "loop": section.loop}
    named: dict[str, Any] = {"name": recipe.name}
    # Stage and folder, settings, what it reads, what it does; each writes a whole model for the next.
    for name, settings, reads, does in (
        ("anchors", clusters, start, partial(_cluster, work=work, section=section, start=start)),
        ("calibration", calibration, root / "anchors" / "model.safetensors",
         partial(_calibrate, work=work, root=root)),
        ("model", named, root / "calibration" / "model.safetensors",
         partial(_export, work=work, root=root, logs=logs)),
    ):  # fmt: skip
        folder = root / name
        stages.append(Stage(name, folder, settings, 0, (reads,), partial(does, folder=folder)))
    return stages


def _train(
    record: StageRecord, *, work: RecipeRun, section: ZedoSection, run: PriorRun, folder: Path,
    start: Path | None,
) -> Iterator[tuple[int, str]]:  # fmt: skip
    options = run.optimiser
    device = set_up(options)
    prior = PosePrior(section.prior)
    if start is not None:
        load_into(prior, start)
    dataset = PoseDataset(
        work.library, prior, options.batch, options.seed, run.poses, body_size(work.library)
    )
    trainer = Trainer(prior.to(device), ScoreTask(prior), dataset, options, folder)
    trainer.resume()
    yield trainer.step, f"resuming at step {trainer.step:,}" if trainer.step else "float32"
    yield from work.trained(trainer)


def _cluster(
    record: StageRecord, *, work: RecipeRun, section: ZedoSection, start: Path, folder: Path
) -> Iterator[tuple[int, str]]:
    network = Zedo(ZedoConfig(section.anchors, section.prior, section.loop))
    load_into(network.prior, start)
    round_weights(network)
    size = body_size(work.library)
    poses = facing_poses(work.library, section.anchor_poses, size)
    yield 0, f"{section.anchors} clusters of {section.anchor_poses:,} poses"
    found = cluster(poses, section.anchors).astype(np.float16).astype(np.float32)
    network.anchors.copy_(torch.from_numpy(found))
    network.size.fill_(size)
    write_checkpoint(network, to_mapping(network), folder)


def _calibrate(
    record: StageRecord, *, work: RecipeRun, root: Path, folder: Path
) -> Iterator[tuple[int, str]]:
    network = load_network(root / "anchors")
    section, held = work.recipe.calibration, work.motions.held_out
    seen = views(held or work.motions.train, section.batches * section.batch, section.seed)
    yield 0, f"calibrating on {len(seen)} views"
    found = calibrate_spread(network, seen, folder / "uncalibrated")
    record.result = {**asdict(found), "held_out_clips": len(held), "views": len(seen)}
    write_checkpoint(network, to_mapping(network), folder)
    yield 0, f"{100 * found.coverage_after:.0f} % of coordinates within one sigma"


def _export(
    record: StageRecord, *, work: RecipeRun, root: Path, logs: tuple[StageLog, ...], folder: Path
) -> Iterator[tuple[int, str]]:
    network = load_network(root / "calibration")
    calibration = stage_record.read(root / "calibration")
    assert calibration is not None
    write_checkpoint(network, to_mapping(network), folder)
    path = export_onnx(network, folder / "model.onnx", name=work.recipe.name)
    text = zedo_card(work.recipe, network, calibration.result, logs=logs, clips=work.motions.train)
    write_text(folder / "MODEL_CARD.md", text)
    yield 0, f"{path} ({path.stat().st_size / 1e6:.1f} MB)"
