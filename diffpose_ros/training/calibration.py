"""From trained weights to a model folder: calibration, ONNX graphs, configuration, model card."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from diffpose_ros.data.virtual.camera import CameraConfig
from diffpose_ros.data.virtual.detector_noise import NoiseConfig
from diffpose_ros.data.virtual.synthesis import MotionLibrary, SynthesisConfig, make_batch
from diffpose_ros.diffusion.schedules import ddim_steps
from diffpose_ros.methods.diffusion.export import export_onnx
from diffpose_ros.methods.diffusion.network import LifterNetwork
from diffpose_ros.methods.model_folder import write_checkpoint
from diffpose_ros.training.loop import to_tensors
from diffpose_ros.training.recipe import CalibrationSection
from diffpose_ros.training.rollout import rollout

CALIBRATION_NOISE = NoiseConfig(
    jitter=(0.006, 0.02),
    bias=0.015,
    bursts_per_s=(0.0, 0.5),
    swaps_per_s=(0.0, 0.08),
    blackout=0.02,
)
"""A middling detector: covariances are right for it, wide for better ones, narrow for worse."""

CALIBRATION_CAMERA = CameraConfig(distance=(2.5, 8.0), height=(0.8, 2.2), off_centre=0.5)

MOST_SCALE = 30.0
"""A spread that falls short by more than this is no measure of the error."""


@dataclass(frozen=True)
class Calibration:
    """What calibration measured on held-out views.

    Attributes:
        mpjpe_mm: error of the mean.
        coverage_before: share of coordinates within one sigma before.
        coverage_after: and after.
    """

    mpjpe_mm: float
    coverage_before: float
    coverage_after: float


def held_out(
    library: MotionLibrary,
    synthesis: SynthesisConfig,
    *,
    batches: int,
    batch: int,
    seed: int = 777,
    as_trained: bool = False,
) -> list[dict[str, torch.Tensor]]:
    """Views that training never drew: other seeds, 30 Hz, an ordinary place for the camera, a
    middling detector, unbent poses. Of held-out clips, or of those trained on: the library says which.
    With ``as_trained`` cameras and detector are those of ``synthesis``."""
    config = replace(
        synthesis, rates_hz={30.0: 1.0}, drop=0.0, long_share=0.0,
        augment=replace(synthesis.augment, crossover=0.0, rotation=0.0),
        frames=synthesis.long_frames if synthesis.long_share > 0 else synthesis.frames,
    )  # fmt: skip
    if not as_trained:
        config = replace(config, noise=CALIBRATION_NOISE, camera=CALIBRATION_CAMERA)
    return [
        to_tensors(make_batch(library, batch, np.random.default_rng((seed, i)), config))
        for i in range(batches)
    ]


def judging_views(
    library: MotionLibrary, synthesis: SynthesisConfig, section: CalibrationSection
) -> list[dict[str, torch.Tensor]]:
    """The views that a recipe's calibration asks for; see :func:`held_out`."""
    return held_out(
        library, synthesis, batches=section.batches, batch=section.batch, seed=section.seed,
        as_trained=section.as_trained,
    )  # fmt: skip


def calibrate(
    network: LifterNetwork, batches: list[dict[str, torch.Tensor]], *, target: float = 0.683
) -> Calibration:
    """Scale each joint's covariance so that ``target`` of the truth lies within one sigma, for the
    configured steps and for the network's ``other_steps``; then
    find the factor on all sigmas for each smaller number of hypotheses.

    Variance is scale^2 * spread of the hypotheses + floor^2, both per joint and coordinate; the
    floor is a quarter of the typical error, the scale is found by bisection. Where no scale up to
    :data:`MOST_SCALE` covers enough, the floor is the typical error itself.
    """
    network.covariance_few.fill_(1.0)
    whole = _calibrate(network, batches, network.config.steps, target)
    for steps in network.other_steps:
        if network.calibration(steps):
            _calibrate(network, batches, steps, target)
    for hypotheses in range(1, network.config.hypotheses):
        network.covariance_few[hypotheses] = _inflation(network, batches, hypotheses, target)
    return whole


def _inflation(
    network: LifterNetwork, batches: list[dict[str, torch.Tensor]], hypotheses: int, target: float
) -> float:
    """The factor on sigma with which ``hypotheses`` cover as much as all do."""
    ratios = []
    for batch in batches:
        out = rollout(network, batch, hypotheses=hypotheses)
        skip = min(15, batch["pose"].shape[1] // 2)
        sigma = torch.diagonal(out.covariance, dim1=-2, dim2=-1).sqrt()
        ratios.append(((out.mean - batch["pose"]).abs() / sigma)[:, skip:, 1:].flatten())
    return float(np.quantile(torch.cat(ratios).numpy(), target))


def _calibrate(
    network: LifterNetwork, batches: list[dict[str, torch.Tensor]], steps: int, target: float
) -> Calibration:
    row = network.calibration(steps)
    network.covariance_scale[row] = 1.0
    network.covariance_floor[row] = 1e-4
    errors, spreads = [], []
    visit = tuple(ddim_steps(network.config.schedule.diffusion_steps, steps))
    for batch in batches:
        out = rollout(network, batch, steps=visit)
        skip = min(15, batch["pose"].shape[1] // 2)
        errors.append((out.mean - batch["pose"])[:, skip:].flatten(0, 1))
        spreads.append(torch.diagonal(out.covariance, dim1=-2, dim2=-1)[:, skip:].flatten(0, 1))
    error, spread = torch.cat(errors).abs(), torch.cat(spreads)
    before = (error <= spread.sqrt())[:, 1:].float().mean()
    floor = 0.25 * error.quantile(target, dim=0).clamp(min=1e-3)
    low, high = torch.zeros(17, 3), torch.full((17, 3), MOST_SCALE)
    for _ in range(40):
        middle = 0.5 * (low + high)
        covered = (error.square() <= middle.square() * spread + floor.square()).float().mean(0)
        low = torch.where(covered < target, middle, low)
        high = torch.where(covered < target, high, middle)
    scale = 0.5 * (low + high)
    # Hypotheses that hardly differ say nothing about the error: there its size alone has to.
    covered = (error.square() <= scale.square() * spread + floor.square()).float().mean(0)
    poor = covered < target - 0.02
    floor = torch.where(poor, error.quantile(target, dim=0), floor)
    scale = torch.where(poor, torch.zeros(()), scale)
    scale[0], floor[0] = 1.0, 1e-3
    network.covariance_scale[row] = scale
    network.covariance_floor[row] = floor
    after = (error.square() <= scale.square() * spread + floor.square())[:, 1:].float().mean()
    return Calibration(1000 * float(torch.cat(errors).norm(dim=-1).mean()), float(before), float(after))


def write_weights(network: LifterNetwork, folder: Path) -> list[Path]:
    """Write ``model.safetensors`` and ``config.yaml``, each whole or not at all.

    Returns:
        The files written.
    """
    return write_checkpoint(network, network.config.to_mapping(), folder)


def write_graphs(network: LifterNetwork, folder: Path, *, name: str) -> Iterator[tuple[Path, int]]:
    """Write the graphs with the configured steps and with those of ``other_steps``.

    Yields:
        Each file and its steps, once written.
    """
    yield export_onnx(network, folder / "model.onnx", name=name), network.config.steps
    for steps in network.other_steps:
        yield export_onnx(network, folder / f"model_{steps}.onnx", name=name, steps=steps), steps
