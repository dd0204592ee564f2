"""The first stage: train the context encoder to answer (x, y, z) itself, then freeze it."""

from __future__ import annotations

import torch
from torch import Tensor

from diffpose_ros.core import H36M17
from diffpose_ros.methods.diffusion.context_encoder import ContextEncoder
from diffpose_ros.training import losses
from diffpose_ros.training.config import TrainingConfig

WEIGHTS = {"pose": 1.0, "velocity": 2.0, "acceleration": 0.5, "bone": 0.3, "nll": 0.01}


class ContextTask:
    """Loss of the context encoder over whole clips, all frames at once.

    Args:
        encoder: the network.
        config: weights of the loss terms, precision, compilation.
    """

    def __init__(self, encoder: ContextEncoder, config: TrainingConfig) -> None:
        self.encoder = encoder
        self.forward = torch.compile(encoder, dynamic=False) if config.optimiser.compile else encoder
        self.bfloat16 = config.optimiser.precision == "bfloat16"
        self.weights = {**WEIGHTS, **config.loss}

    def __call__(self, batch: dict[str, Tensor], step: int) -> tuple[Tensor, dict[str, float]]:
        times = batch["times_s"]
        with torch.autocast(times.device.type, torch.bfloat16, enabled=self.bfloat16):
            _, pose, log_sigma = self.forward(batch["points"], batch["view"], times)
        pose, log_sigma = pose.float(), log_sigma.float()
        truth = batch["pose"]
        error = pose - truth
        turned = torch.matmul(error, batch["rotation"])  # R^T e for row vectors
        parts = {
            "pose": losses.weighted_mpjpe(error),
            "velocity": losses.velocity(turned, times),
            "acceleration": losses.acceleration(turned, times),
            "bone": losses.bone_length(pose, truth, H36M17.bones),
            "nll": losses.gaussian_nll(error.detach()[..., 1:, :], log_sigma[..., 1:, :]),
        }
        total = sum((self.weights[k] * v for k, v in parts.items()), torch.zeros(()))
        logs = {k: round(float(v.detach()), 5) for k, v in parts.items()}
        logs["mpjpe_mm"] = round(1000 * float(error.detach().norm(dim=-1).mean()), 2)
        return total, logs
