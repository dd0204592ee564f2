"""The diffusion decoder: from an embedding, and the word where it came from, to poses.

Letters for shapes: P people, N hypotheses, D numbers of an embedding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from diffpose_ros.diffusion.samplers import sample_ddim
from diffpose_ros.diffusion.schedules import ddim_steps
from diffpose_ros.methods.unihpr.config import DecoderConfig
from diffpose_ros.methods.unihpr.contract import SOURCES
from diffpose_ros.methods.unihpr.encoders import Residual

COORDINATES = 51
FREQUENCIES = 16


class Decoder(nn.Module):
    """Denoises poses under a condition: embedding + time + source token, added up (UniHPR, sec. III-A).

    It predicts the clean pose (x_0), which is steadier than the noise or the score at few steps.
    """

    def __init__(self, config: DecoderConfig, size: int) -> None:
        super().__init__()
        self.config = config
        self.alphas = config.schedule.alphas()
        self.visit = ddim_steps(config.schedule.diffusion_steps, config.steps)
        width = config.width
        self.source = nn.Embedding(len(SOURCES), width)
        self.hear = nn.Linear(size, width)
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.read = nn.Linear(COORDINATES, width)
        self.blocks = nn.ModuleList(Residual(width, width) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(width)
        self.write = nn.Linear(width, COORDINATES)

    def condition(self, embedding: Tensor, source: Tensor) -> Tensor:
        """Embeddings (..., D) and indices of :data:`SOURCES` (...,) to conditions (..., width)."""
        out: Tensor = self.hear(embedding * embedding.shape[-1] ** 0.5) + self.source(source)
        return out

    def denoise(self, noisy: Tensor, step: Tensor, condition: Tensor) -> Tensor:
        """The clean pose (..., 51) that ``noisy`` (..., 51) was, both of about unit variance.

        Args:
            noisy: at step k.
            step: (..., 1) k over K.
            condition: (..., width).
        """
        rate = torch.exp(torch.arange(FREQUENCIES, dtype=noisy.dtype) * (math.log(40.0) / FREQUENCIES))
        angle = step * rate * 2.0
        condition = condition + self.time(torch.cat([torch.sin(angle), torch.cos(angle)], dim=-1))
        hidden = self.read(noisy)
        for block in self.blocks:
            hidden = block(hidden, condition)
        out: Tensor = self.write(self.norm(hidden))
        return out

    def sample(self, embedding: Tensor, source: Tensor, noise: Tensor) -> Tensor:
        """Poses of size 1 in the viewer's axes (P, N, 17, 3), by DDIM.

        Args:
            embedding: (P, D).
            source: (P,) indices of :data:`SOURCES`.
            noise: (P, N, 17, 3) standard normal.
        """
        condition = self.condition(embedding, source).unsqueeze(1)
        last = self.config.schedule.diffusion_steps

        def denoise(h: Tensor, k: int) -> Tensor:
            step = torch.full_like(h[..., 0, :1], k / last)
            return self.denoise(h.flatten(-2), step, condition).unflatten(-1, (17, 3))

        found = sample_ddim(denoise, noise, torch.zeros_like(noise), self.alphas, self.visit)
        poses = self.config.spread * found
        return poses - poses[..., :1, :]
