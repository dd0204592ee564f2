"""The stages of a recipe, one after the other: each resumable, each skipped where nothing it depends on
has changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from diffpose_ros.core import ConfigError
from diffpose_ros.core.files import whole, write_text
from diffpose_ros.data.motion import Motions, choose, fingerprint, load_motion
from diffpose_ros.data.virtual.synthesis import MotionLibrary, make_batch
from diffpose_ros.methods.diffusion.checkpoint import load_network
from diffpose_ros.methods.diffusion.context_encoder import ContextConfig, ContextEncoder
from diffpose_ros.methods.diffusion.export import check_parity
from diffpose_ros.methods.diffusion.network import LifterNetwork
from diffpose_ros.onnxgraph.fp16_weights import round_weights
from diffpose_ros.training import stage_record
from diffpose_ros.training.build import build, lifter_config, load_into, read_weights
from diffpose_ros.training.calibration import calibrate, judging_views, write_graphs, write_weights
from diffpose_ros.training.choose_guidance import choose_guidance
from diffpose_ros.training.config import LifterModel, TrainingConfig
from diffpose_ros.training.encoder_model import model_stage
from diffpose_ros.training.key_compression import compress_keys
from diffpose_ros.training.loop import Trainer, to_tensors
from diffpose_ros.training.model_card import StageLog, model_card
from diffpose_ros.training.recipe import Recipe, Run
from diffpose_ros.training.stage_record import StageRecord


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: what to call it.
        folder: where it works and leaves what it made.
        settings: what its result depends on, but for data and input files; see
            :func:`stage_record.open_stage`.
        steps: optimiser steps; 0 where nothing is trained.
        inputs: files it reads.
        work: does it; takes the stage's record, yields (step, note), and fills in the record's result.
    """

    name: str
    folder: Path
    settings: dict[str, Any]
    steps: int
    inputs: tuple[Path, ...]
    work: Callable[[StageRecord], Iterator[tuple[int, str]]]


class RecipeRun:
    """A recipe at work.

    Args:
        recipe: what to make.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.encoder_model = recipe.encoder.model
        self._deadline: float | None = None
        self._shield: Callable[[], AbstractContextManager] = nullcontext

    @cached_property
    def motions(self) -> Motions:
        """The clips, read once and only where a stage needs them."""
        return choose(load_motion(self.recipe.data), self.recipe.clips)

    @cached_property
    def library(self) -> MotionLibrary:
        """What is learnt from."""
        return MotionLibrary.from_clips(self.motions.train)

    @cached_property
    def judging(self) -> MotionLibrary:
        """What guidance and covariance are fitted on: held-out clips, or the same where none are."""
        held = self.motions.held_out
        return MotionLibrary.from_clips(held) if held else self.library

    @cached_property
    def stages(self) -> list[Stage]:
        """All stages, in order."""
        recipe = self.recipe
        if recipe.zedo is not None:
            from diffpose_ros.training.zedo import zedo_stages

            return zedo_stages(self, recipe.zedo)
        if recipe.finepose is not None:
            from diffpose_ros.training.finepose import finepose_stages

            return finepose_stages(self, recipe.finepose)
        stages, checkpoint = self._encoder_stages()
        if recipe.unihpr is not None:
            from diffpose_ros.training.unihpr import unihpr_stages

            return unihpr_stages(self, recipe.unihpr, stages, checkpoint)
        if recipe.lifter is None:
            return [*stages, model_stage(self, stages, checkpoint)]
        root = Path(recipe.output) / recipe.name
        start: Path | None = None
        for i, run in enumerate(recipe.lifter.runs, start=1):
            config = self._training(recipe.lifter.task, root / f"run-{i}", run, start, context=checkpoint)
            stages.append(self._trained(f"{recipe.name} run {i}", config, recipe.lifter.model))
            start = root / f"run-{i}" / "model.safetensors"
        assert start is not None
        logs = tuple(StageLog(s.name, s.folder / "log.jsonl") for s in stages if s.steps)
        stages.append(
            Stage(
                "calibration", root / "calibration", {"calibration": recipe.calibration}, 0,
                (start, checkpoint), partial(self._calibrate, start=start, context=checkpoint),
            )
        )  # fmt: skip
        made = root / "calibration" / "model.safetensors"
        stages.append(
            Stage(
                "model", root / "model", {"name": recipe.name}, 0, (made,),
                partial(self._export, root=root, logs=logs),
            )
        )  # fmt: skip
        return stages

    def run(
        self,
        note: Callable[[Stage, int, str], None] = lambda stage, step, text: None,
        *,
        until: str | None = None,
        stop_after_s: float | None = None,
        restart: bool = False,
        shield: Callable[[], AbstractContextManager] = nullcontext,
    ) -> bool:
        """Bring every stage to its end; go on where a run before stopped.

        Args:
            note: called with the stage, its step and what there is to say.
            until: name of the last stage to do.
            stop_after_s: stop, saved, after this long.
            restart: begin stages anew that were made with other settings, data or inputs.
            shield: makes a context in which signals wait; see :meth:`Trainer.run`.

        Returns:
            Whether all stages are done.

        Raises:
            ConfigError: a stage was begun with something else, or there is no stage ``until``.
            InputError, ModelError: data or a checkpoint cannot be used.
        """
        names = [s.name for s in self.stages]
        if until is not None and until not in names:
            raise ConfigError(f"until: expected one of: {', '.join(names)}; got '{until}'")
        self._deadline = None if stop_after_s is None else time.monotonic() + stop_after_s
        self._shield = shield
        for stage in self.stages:
            with stage_record.alone(stage.folder):
                record = stage_record.open_stage(stage.folder, self._wanted(stage), restart=restart)
                if record.done:
                    note(stage, stage.steps, "done before")
                else:
                    step = 0
                    for step, text in stage.work(record):
                        note(stage, step, text)
                    if step < stage.steps:  # out of time, and saved
                        return False
                    record.done = True
                    stage_record.write(stage.folder, record)
            if stage.name == until:
                break
        return True

    def _wanted(self, stage: Stage) -> dict[str, Any]:
        hashes = {f"{p.parent.name}/{p.name}": stage_record.file_hash(p) for p in stage.inputs}
        wanted: dict[str, Any] = {"settings": stage.settings, "inputs": hashes}
        if stage.name != "model":
            used = self.motions.held_out if stage.name == "calibration" else self.motions.train
            wanted["data"] = fingerprint(used or self.motions.train)
        return wanted

    def _encoder_stages(self) -> tuple[list[Stage], Path]:
        """Stages of the encoder, and the checkpoint they end in."""
        section = self.recipe.encoder
        if section.checkpoint:
            return [], Path(section.checkpoint)
        root = Path(self.recipe.output) / section.name
        stages: list[Stage] = []
        start: Path | None = None
        for i, run in enumerate(section.runs, start=1):
            config = self._training("context", root / f"run-{i}", run, start)
            stages.append(self._trained(f"{section.name} run {i}", config, section.model))
            start = root / f"run-{i}" / "model.safetensors"
        assert start is not None
        cut = section.compression
        if cut is None:
            return stages, start
        settings = {"keys": cut.keys, "batches": cut.batches, "model": section.model,
                    "synthesis": section.runs[-1].synthesis}  # fmt: skip
        stages.append(
            Stage(
                "key compression", root / "keys", settings, 0, (start,),
                partial(self._compress, start=start, folder=root / "keys"),
            )
        )  # fmt: skip
        start = root / "keys" / "model.safetensors"
        if cut.run is not None:
            self.encoder_model = replace(section.model, keys=cut.keys)
            config = self._training("context", root / "keys-trained", cut.run, start)
            stages.append(
                self._trained(f"{section.name} after the cut", config, self.encoder_model)
            )
            start = root / "keys-trained" / "model.safetensors"
        return stages, start

    def _training(
        self, task: str, folder: Path, run: Run, start: Path | None, context: Path | None = None
    ) -> TrainingConfig:
        recipe = self.recipe
        lifter = {} if recipe.lifter is None or task == "context" else {"lifter": recipe.lifter.model}
        return TrainingConfig(
            task=task, data=recipe.data, output=str(folder), clips=recipe.clips,
            context=str(context or ""), start=str(start or ""), encoder=self.encoder_model, loss=run.loss,
            rollouts=run.rollouts, optimiser=run.optimiser, synthesis=run.synthesis, **lifter,
        )  # fmt: skip

    def _trained(self, name: str, config: TrainingConfig, model: ContextConfig | LifterModel) -> Stage:
        settings = {
            "task": config.task, "model": model, "loss": config.loss, "rollouts": config.rollouts,
            "optimiser": config.optimiser, "synthesis": config.synthesis,
        }  # fmt: skip
        inputs = tuple(Path(p) for p in (config.start, config.context) if p)
        steps = config.optimiser.steps
        return Stage(name, Path(config.output), settings, steps, inputs, lambda record: self._train(config))

    def _train(self, config: TrainingConfig) -> Iterator[tuple[int, str]]:
        torch.compiler.reset()  # what other stages compiled counts against a limit
        job = build(config, self.library)
        done = job.trainer.step
        yield done, f"resuming at step {done:,}" if done else job.precision
        yield from self.trained(job.trainer)

    @property
    def out_of_time(self) -> bool:
        """Whether this run has to stop."""
        return self._deadline is not None and time.monotonic() > self._deadline

    def trained(self, trainer: Trainer) -> Iterator[tuple[int, str]]:
        """Run a trainer to its end, or until this run's time is up; yields (step, note)."""
        left = None if self._deadline is None else self._deadline - time.monotonic()
        for progress in trainer.run(left, shield=self._shield):
            yield progress.step, f"loss {progress.loss:.4f}"

    def _compress(self, record: StageRecord, start: Path, folder: Path) -> Iterator[tuple[int, str]]:
        cut = self.recipe.encoder.compression
        assert cut is not None
        encoder = ContextEncoder(self.recipe.encoder.model)
        load_into(encoder, start)
        run = self.recipe.encoder.runs[-1]
        views = [
            to_tensors(make_batch(self.judging, 16, np.random.default_rng((4321, i)), run.synthesis))
            for i in range(cut.batches)
        ]
        found = compress_keys(encoder, views, cut.keys)
        record.result = {"kept": found.kept, "singular_values": found.singular_values.tolist()}
        with whole(folder / "model.safetensors") as part:
            save_file({n: t.contiguous() for n, t in found.encoder.state_dict().items()}, part)
        yield 0, f"{100 * found.kept:.2f} % of the squared singular values stay"

    def _calibrate(
        self, record: StageRecord, start: Path, context: Path
    ) -> Iterator[tuple[int, str]]:
        recipe = self.recipe
        assert recipe.lifter is not None
        network = LifterNetwork(lifter_config(recipe.lifter.model, read_weights(context)))
        load_into(network, start)
        round_weights(network)
        section = recipe.calibration
        views = judging_views(self.judging, recipe.lifter.runs[-1].synthesis, section)
        if section.guidance:
            yield 0, "choosing guidance"
            chosen = choose_guidance(network, views[: section.guidance_batches]).weights
            yield 0, "guidance weights: " + ", ".join(f"{w:g}" for w in chosen)
        yield 0, "calibrating"
        found = calibrate(network, views)
        record.result = {**asdict(found), "held_out_clips": len(self.motions.held_out)}
        write_weights(network, start.parent.parent / "calibration")
        yield 0, f"{100 * found.coverage_after:.0f} % of coordinates within one sigma"

    def _export(
        self, record: StageRecord, root: Path, logs: tuple[StageLog, ...]
    ) -> Iterator[tuple[int, str]]:
        network = load_network(root / "calibration")
        folder = root / "model"
        calibration = stage_record.read(root / "calibration")
        assert calibration is not None
        write_weights(network, folder)
        card = model_card(
            self.recipe, network.config, sum(p.numel() for p in network.parameters()),
            calibration.result, logs=logs, clips=self.motions.train,
        )  # fmt: skip
        write_text(folder / "MODEL_CARD.md", card)
        for path, steps in write_graphs(network, folder, name=self.recipe.name):
            worst = check_parity(network, path, steps=steps)
            yield 0, f"{path} ({path.stat().st_size / 1e6:.1f} MB, {1e6 * worst:.1f} um from torch)"
