"""What a recipe without a lifter ends in: the encoder alone, as a model of kind baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from diffpose_ros.methods.diffusion.context_encoder import ContextEncoder
from diffpose_ros.onnxgraph.fp16_weights import round_weights
from diffpose_ros.training.baseline import calibrate_sigma, card, of_encoder, write_baseline
from diffpose_ros.training.build import load_into
from diffpose_ros.training.calibration import judging_views
from diffpose_ros.training.model_card import StageLog, data_lines, licence_of, trained
from diffpose_ros.training.stage_record import StageRecord

if TYPE_CHECKING:
    from diffpose_ros.training.stages import RecipeRun, Stage


def model_stage(work: RecipeRun, before: Sequence[Stage], checkpoint: Path) -> Stage:
    """The last stage: sigma calibrated on held-out clips, graph, configuration and card.

    Args:
        work: the recipe at work.
        before: the stages that train the encoder.
        checkpoint: what they end in.
    """
    from diffpose_ros.training.stages import Stage

    recipe = work.recipe
    logs = tuple(StageLog(s.name, s.folder / "log.jsonl") for s in before if s.steps)
    folder = Path(recipe.output) / recipe.name / "model"
    settings = {"name": recipe.name, "mirror": recipe.encoder.mirror, "calibration": recipe.calibration}
    does = partial(_make, work=work, logs=logs, checkpoint=checkpoint, folder=folder)
    return Stage("model", folder, settings, 0, (checkpoint,), does)


def _make(
    record: StageRecord, *, work: RecipeRun, logs: tuple[StageLog, ...], checkpoint: Path, folder: Path
) -> Iterator[tuple[int, str]]:
    recipe, held = work.recipe, work.motions.held_out
    encoder = ContextEncoder(replace(work.encoder_model, mirror=recipe.encoder.mirror))
    load_into(encoder, checkpoint)
    network = of_encoder(encoder)
    round_weights(network)
    yield 0, "calibrating"
    views = judging_views(work.judging, recipe.encoder.runs[-1].synthesis, recipe.calibration)
    found = calibrate_sigma(network, views)
    record.result = {**asdict(found), "held_out_clips": len(held)}
    seen = "the recipe's cameras and detector" if recipe.calibration.as_trained else "a middling detector"
    clips = f"{len(held)} held-out clips" if held else "the clips trained on, not drawn in training"
    text = card(
        recipe.name, network, found, licence=licence_of(work.motions.train),
        about="- What the models around this encoder have to be better than.",
        training=[*data_lines(recipe, work.motions.train), *trained(logs)],
        views=f"virtual views of {clips}, by {seen}",
        limits=["- Bodies and motions that training has not seen are lifted worse."],
    )  # fmt: skip
    for file in write_baseline(network, folder, name=recipe.name, card=text):
        yield 0, f"{file} ({file.stat().st_size / 1e6:.1f} MB)"
