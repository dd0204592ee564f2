"""The baseline's model folder, made from the context encoder inside a lifter's checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diffpose_ros.core.files import write_text
from diffpose_ros.geometry.normalise import VIEW_SIZE
from diffpose_ros.methods.baseline.export import export_onnx
from diffpose_ros.methods.baseline.network import Baseline, to_mapping
from diffpose_ros.methods.diffusion.context_encoder import ContextEncoder
from diffpose_ros.methods.diffusion.network import LifterNetwork
from diffpose_ros.methods.model_folder import write_checkpoint

WARM_UP_FRAMES = 15
"""Frames at a clip's start that calibration leaves out: few have been seen yet."""


@dataclass(frozen=True)
class SigmaCalibration:
    """What calibration measured on held-out views.

    Attributes:
        mpjpe_mm: error of the poses.
        coverage_before: share of coordinates within the encoder's own sigma.
        coverage_after: the same with the scaled sigma.
    """

    mpjpe_mm: float
    coverage_before: float
    coverage_after: float


def from_lifter(lifter: LifterNetwork) -> Baseline:
    """The baseline with a lifter's context encoder, not calibrated."""
    return of_encoder(lifter.context)


def of_encoder(encoder: ContextEncoder) -> Baseline:
    """The baseline with a copy of this encoder, not calibrated."""
    network = Baseline(encoder.config)
    network.context.load_state_dict(encoder.state_dict())
    return network.eval()


@torch.no_grad()
def calibrate_sigma(
    network: Baseline, views: list[dict[str, Tensor]], *, target: float = 0.683
) -> SigmaCalibration:
    """Scale the sigma of each joint and coordinate so that ``target`` of the truth lies within.

    Args:
        network: its ``sigma_scale`` is set.
        views: batches of clips that nothing is judged by.
        target: share wanted.
    """
    errors, sigmas = [], []
    for batch in views:
        _, pose, log_sigma = network.context(batch["points"], batch["view"], batch["times_s"])
        skip = min(WARM_UP_FRAMES, pose.shape[1] // 2)
        errors.append((pose - batch["pose"])[:, skip:].flatten(0, 1))
        sigmas.append(torch.exp(log_sigma)[:, skip:].flatten(0, 1))
    error, sigma = torch.cat(errors), torch.cat(sigmas)
    ratio = error.abs() / sigma
    scale = ratio.kthvalue(max(1, round(target * len(ratio))), dim=0).values
    scale[0] = 1.0  # the root's own place is not in question
    network.sigma_scale.copy_(scale)
    before, after = ((ratio <= s)[:, 1:].float().mean() for s in (1.0, scale))
    return SigmaCalibration(1000 * float(error.norm(dim=-1).mean()), float(before), float(after))


def write_baseline(network: Baseline, folder: Path, *, name: str, card: str) -> list[Path]:
    """Write a model folder: weights, configuration, card, graph; return the files."""
    text = folder / "MODEL_CARD.md"
    made = write_checkpoint(network, to_mapping(network), folder)
    write_text(text, card)
    return [*made, text, export_onnx(network, folder / "model.onnx", name=name)]


def card(
    name: str,
    network: Baseline,
    calibration: SigmaCalibration,
    *,
    about: str,
    training: Sequence[str],
    views: str,
    limits: Sequence[str],
    licence: str,
) -> str:
    """The model card (Markdown).

    Args:
        name: the model's name.
        network: what it is made of.
        calibration: what calibration measured.
        about: what it is for, lines.
        training: how its encoder was trained, lines.
        views: what calibration looked at.
        limits: lines.
        licence: what must be said of the motion capture.
    """
    seen = network.context.config
    count = sum(p.numel() for p in network.parameters())
    past = "frame-based"
    if seen.temporal:
        past = f"{seen.keys}-number keys per head, window of {seen.window} frames"
    gravity = "; uses gravity if known" if seen.view == VIEW_SIZE else ""
    return "\n".join(
        [
            f"# {name}",
            "",
            "A causal context encoder alone. It gives one pose per person and frame, with its own error "
            "estimate, without sampling or denoising.",
            "",
            "## What it is for",
            about,
            "- A lifter for machines that are too slow for the other models. It gives one hypothesis, and "
            "each joint's covariance has the axes of the person's virtual camera.",
            "",
            "## What it is",
            f"- {count:,} parameters; {seen.body} wide, {seen.depth} blocks, {past}{gravity}"
            + (", mean of the answers for the image and its mirror image." if seen.mirror else "."),
            "",
            "## Training",
            *training,
            "",
            "## Calibration",
            f"- On {views}: MPJPE {calibration.mpjpe_mm:.1f} mm; "
            f"{100 * calibration.coverage_before:.0f} % of coordinates within one sigma before scaling, "
            f"{100 * calibration.coverage_after:.0f} % after.",
            "- One factor per joint and coordinate, from "
            f"{network.sigma_scale[1:].min():.2f} to {network.sigma_scale[1:].max():.2f}.",
            "",
            "## Limits",
            *limits,
            "- Not for medical, biometric or safety-certified use.",
            "",
            "## Licence",
            "Weights: Apache-2.0. " + licence,
            "",
        ]
    )
