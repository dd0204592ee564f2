"""The first stage: train the context encoder to answer (x, y, z) itself, then freeze it."""

from __future__ import annotations

import torch
from torch import Tensor

from diffpose_ros.core import H36M17
from diffpose_ros.methods.diffusion.context_encoder import ContextEncoder
from diffpose_ros.training import losses
from diffpose_ros.training.config import TrainingConfig


class ContextTask:
    """Loss of the context encoder over whole clips, all frames at once.

    Args:
        encoder: the network.
        config: weights of the loss terms, compilation.
        bfloat16: whether to run under autocast.
    """

    def __init__(self, encoder: ContextEncoder, config: TrainingConfig, *, bfloat16: bool = False) -> None:
        self.encoder = encoder
        self.forward = torch.compile(encoder, dynamic=False) if config.optimiser.compile else encoder
        self.bfloat16 = bfloat16
        self.weights = {**losses.TERMS[config.task], **config.loss}

    def __call__(self, batch: dict[str, Tensor], step: int) -> tuple[Tensor, dict[str, float]]:
        self.encoder.train()
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
