"""The stages of a recipe that makes a FinePOSE model: encoded views, training, calibration, the folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from diffpose_ros.core import ConfigError
from diffpose_ros.core.files import write_text
from diffpose_ros.data.clips import Clip
from diffpose_ros.data.virtual.synthesis import MotionLibrary
from diffpose_ros.methods.catalog import find_model
from diffpose_ros.methods.diffusion.checkpoint import load_network as load_lifter
from diffpose_ros.methods.diffusion.export import check_parity
from diffpose_ros.methods.diffusion.network import LifterNetwork
from diffpose_ros.methods.finepose.checkpoint import load_network, to_mapping
from diffpose_ros.methods.finepose.network import FinePoseConfig, FinePoseNetwork
from diffpose_ros.methods.model_folder import write_checkpoint
from diffpose_ros.onnxgraph.fp16_weights import round_weights
from diffpose_ros.training import stage_record
from diffpose_ros.training.action_labels import label_clips
from diffpose_ros.training.build import load_into, set_up
from diffpose_ros.training.calibration import calibrate, judging_views, write_graphs
from diffpose_ros.training.config import TrainingConfig
from diffpose_ros.training.diffusion import RESIDUAL_LIMIT
from diffpose_ros.training.finepose_card import finepose_card
from diffpose_ros.training.finepose_config import FinePoseSection, PromptRun
from diffpose_ros.training.loop import Trainer
from diffpose_ros.training.mixture import fit_mixture
from diffpose_ros.training.model_card import StageLog
from diffpose_ros.training.precision import choose_precision
from diffpose_ros.training.prompt_gains import measure_gains
from diffpose_ros.training.prompt_task import PromptTask
from diffpose_ros.training.prompted_views import (
    PromptedViews,
    balance,
    make_views,
    observed_prompts,
    read_views,
    view_file,
)
from diffpose_ros.training.stage_record import StageRecord

if TYPE_CHECKING:
    from diffpose_ros.training.recipe import Recipe
    from diffpose_ros.training.stages import RecipeRun, Stage

_RESIDUAL_FILES = 20


def finepose_stages(work: RecipeRun, section: FinePoseSection) -> list[Stage]:
    """All stages, in order."""
    from diffpose_ros.training.stages import Stage

    recipe = work.recipe
    root = Path(recipe.output) / recipe.name
    begin = find_model(section.start).with_name("model.safetensors")
    model = {"prompts": section.prompts, "schedule": section.schedule,
             "hypotheses": section.hypotheses, "steps": section.steps}  # fmt: skip
    seen = {"views": section.views, "synthesis": recipe.synthesis,
            "words": section.prompts.words}  # fmt: skip
    views = root / "views"
    stages = [
        Stage("views", views, seen, section.views.batches, (begin,),
              partial(_see, work=work, section=section, folder=views)),
    ]  # fmt: skip
    start: Path | None = None
    for i, run in enumerate(section.runs, start=1):
        folder = root / f"run-{i}"
        last = view_file(views, section.views.batches - 1)
        inputs = (begin, last) if start is None else (begin, last, start)
        stages.append(
            Stage(f"{recipe.name} run {i}", folder, {"model": model, "run": run},
                  run.optimiser.steps, inputs,
                  partial(_train, work=work, section=section, run=run, folder=folder, start=start))
        )  # fmt: skip
        start = folder / "model.safetensors"
    assert start is not None
    logs = tuple(StageLog(s.name, s.folder / "log.jsonl") for s in stages[1:])
    stages.append(
        Stage("calibration", root / "calibration", {"calibration": recipe.calibration}, 0,
              (begin, start), partial(_calibrate, work=work, section=section, start=start, root=root))
    )  # fmt: skip
    stages.append(
        Stage("model", root / "model", {"name": recipe.name}, 0,
              (root / "calibration" / "model.safetensors",),
              partial(_export, work=work, root=root, logs=logs))
    )  # fmt: skip
    return stages


def labelled(clips: tuple[Clip, ...]) -> MotionLibrary:
    """Motions with what is done in each frame."""
    library = MotionLibrary.from_clips(clips)
    library.labels = label_clips(clips)
    return library


def new_network(section: FinePoseSection) -> FinePoseNetwork:
    """A network that answers as the lifter it begins with, its encoder frozen.

    Raises:
        ConfigError: that lifter has a history, which FinePOSE has not.
        ModelError: it cannot be read.
    """
    lifter = load_lifter(find_model(section.start).parent)
    if lifter.history is not None:
        raise ConfigError(
            f"start: expected a lifter without history, such as diffpose, got '{section.start}'"
        )
    network = FinePoseNetwork(_config(section, lifter))
    own = network.state_dict()
    taken = {n: t for n, t in lifter.state_dict().items() if n in own and own[n].shape == t.shape}
    network.load_state_dict(taken, strict=False)
    network.context.requires_grad_(False)
    return network


def _config(section: FinePoseSection, lifter: LifterNetwork) -> FinePoseConfig:
    return FinePoseConfig(
        context=lifter.config.context, denoiser=lifter.config.denoiser, schedule=section.schedule,
        components=1, hypotheses=section.hypotheses, steps=section.steps, prompts=section.prompts,
    )  # fmt: skip


def _see(
    record: StageRecord, *, work: RecipeRun, section: FinePoseSection, folder: Path
) -> Iterator[tuple[int, str]]:
    torch.set_num_threads(section.runs[0].optimiser.threads or torch.get_num_threads())
    network = new_network(section)
    library = labelled(work.motions.train)
    balance(library, section.views.balance)
    made = make_views(network, network.vocabulary, library, work.recipe.synthesis, section.views, folder)
    yield next(made), "encoded before"
    for done in made:
        yield done, "encoded"
        if work.out_of_time and done < section.views.batches:
            return


def _train(
    record: StageRecord, *, work: RecipeRun, section: FinePoseSection, run: PromptRun, folder: Path,
    start: Path | None,
) -> Iterator[tuple[int, str]]:  # fmt: skip
    options = run.optimiser
    device = set_up(options)
    views = folder.parent / "views"
    network = new_network(section)
    if start is not None:
        load_into(network, start)
    _fit_start(network, views, section.views.batches)
    bfloat16, reason = choose_precision(options.precision, device)
    config = TrainingConfig("diffpose", work.recipe.data, str(folder), loss=run.loss, optimiser=options)
    task = PromptTask(network.to(device), config, run, bfloat16=bfloat16)
    dataset = PromptedViews(views, section.views.batches, options.seed)
    trainer = Trainer(network, task, dataset, options, folder)
    trainer.resume()
    yield trainer.step, f"resuming at step {trainer.step:,}" if trainer.step else reason
    yield from work.trained(trainer)


def _fit_start(network: FinePoseNetwork, views: Path, batches: int) -> None:
    """Measure the one Gaussian that diffusion ends in, on the encoder's errors in the views."""
    parts = []
    for number in range(min(batches, _RESIDUAL_FILES)):
        batch = read_views(views, number)
        residual = (batch["pose"] - batch["answer"]) / batch["log_sigma"].exp()
        parts.append(residual.clamp(-RESIDUAL_LIMIT, RESIDUAL_LIMIT)[:, ::4].flatten(0, 1).numpy())
    residuals = np.concatenate(parts)
    residuals[:, 0] = np.random.default_rng(0).normal(0, 0.1, residuals[:, 0].shape)
    network.set_mixture(fit_mixture(residuals, 1))


def _calibrate(
    record: StageRecord, *, work: RecipeRun, section: FinePoseSection, start: Path, root: Path
) -> Iterator[tuple[int, str]]:
    torch.set_num_threads(section.runs[-1].optimiser.threads or torch.get_num_threads())
    network = new_network(section)
    load_into(network, start)
    round_weights(network)
    held = work.motions.held_out
    views = prompted(network, labelled(held or work.motions.train), work.recipe)
    yield 0, f"calibrating on {sum(len(v['points']) for v in views)} views"
    found = calibrate(network, views)
    yield 0, "telling prompts, right and wrong ones"
    gains = measure_gains(network, views)
    record.result = {**asdict(found), "held_out_clips": len(held), "gains": [asdict(g) for g in gains]}
    write_checkpoint(network, to_mapping(network), root / "calibration")
    yield 0, f"{100 * found.coverage_after:.0f} % of coordinates within one sigma"


def prompted(network: FinePoseNetwork, library: MotionLibrary, recipe: Recipe) -> list[dict[str, Tensor]]:
    """Views to calibrate on, with what a robot would say of them; the action is left to the network."""
    section = recipe.calibration
    balance(library, 0.5)
    views = judging_views(library, recipe.synthesis, section)
    for batch in views:
        told = torch.from_numpy(observed_prompts(network.vocabulary, batch))
        if network.head is not None:
            told[..., network.vocabulary.segment("action")] = 0.0
        batch["prompt"] = told
    return views


def _export(
    record: StageRecord, *, work: RecipeRun, root: Path, logs: tuple[StageLog, ...]
) -> Iterator[tuple[int, str]]:
    network = load_network(root / "calibration")
    folder = root / "model"
    calibration = stage_record.read(root / "calibration")
    assert calibration is not None
    write_checkpoint(network, to_mapping(network), folder)
    card = finepose_card(work.recipe, network, calibration.result, logs=logs, clips=work.motions.train)
    write_text(folder / "MODEL_CARD.md", card)
    for path, steps in write_graphs(network, folder, name=work.recipe.name):
        worst = check_parity(network, path, steps=steps)
        yield 0, f"{path} ({path.stat().st_size / 1e6:.1f} MB, {1e6 * worst:.1f} um from torch)"
