"""The causal video context encoder: 2D history in, a feature per joint and a first answer out.

One token stands for the whole body of a frame. Each block mixes a body's past and then its
features; the joints are told apart again at the end, where the denoiser needs them one by one.
Online the past comes from ring caches and a new frame costs one frame's work; over a clip the same
weights run with a banded causal mask and give the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from diffpose_ros.core import ConfigError
from diffpose_ros.models.layers import Mlp, TemporalAttention, age_biases, banded_ages

JOINTS = 17


@dataclass(frozen=True)
class ContextConfig:
    """Sizes of the encoder.

    Attributes:
        width: features per joint handed to the denoiser, C.
        body: features of the body's token; a multiple of ``heads``.
        depth: blocks.
        heads: attention heads.
        mlp_ratio: hidden width of the MLP over ``body``.
        window: frames of the past that attention sees in each block.
        temporal: false makes the frame-based encoder of the papers: no past at all.
    """

    width: int = 64
    body: int = 256
    depth: int = 4
    heads: int = 4
    mlp_ratio: float = 2.0
    window: int = 81
    temporal: bool = True
    points: int = 21
    view: int = 6

    def __post_init__(self) -> None:
        if self.body % self.heads:
            raise ConfigError(f"context body {self.body} is not a multiple of {self.heads} heads")
        if not 1 <= self.window <= 243:
            raise ConfigError(f"context window: expected 1 to 243 frames, got {self.window}")


class Block(nn.Module):
    """Time, then features; each pre-normed, each residual."""

    def __init__(self, config: ContextConfig) -> None:
        super().__init__()
        c = config.body
        self.norm_mlp = nn.LayerNorm(c)
        self.mlp = Mlp(c, config.mlp_ratio)
        if config.temporal:
            self.norm_time = nn.LayerNorm(c)
            self.time = TemporalAttention(c, config.heads, 1)
        self.temporal = config.temporal

    def forward(self, x: Tensor, age: Tensor) -> Tensor:
        if self.temporal:
            x = x + self.time(self.norm_time(x).unsqueeze(-2), age).squeeze(-2)
        return x + self.mlp(self.norm_mlp(x))

    def step(
        self, x: Tensor, bias: Tensor, cache: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        mixed, key, value = self.time.step(self.norm_time(x), bias, *cache)
        x = x + mixed
        return x + self.mlp(self.norm_mlp(x)), (key, value)


class ContextEncoder(nn.Module):
    """DiffPose's context encoder, causal and streaming.

    Args:
        config: sizes.
    """

    def __init__(self, config: ContextConfig) -> None:
        super().__init__()
        self.config = config
        c = config.width
        self.embed = nn.Linear(config.points * 3 + config.view, config.body)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.body)
        self.tell_apart = nn.Linear(config.body, JOINTS * c)
        self.norm_joints = nn.LayerNorm(c)
        # Each joint reads its own answer out of its own feature: heads (C, 3) per joint.
        self.pose = nn.Parameter(torch.randn(JOINTS, c, 3) * (0.3 * c**-0.5))
        self.pose_bias = nn.Parameter(torch.zeros(JOINTS, 3))
        self.log_sigma = nn.Parameter(torch.zeros(JOINTS, c, 3))
        self.log_sigma_bias = nn.Parameter(torch.full((JOINTS, 3), -3.0))

    @property
    def looking_back(self) -> list[Block]:
        """The blocks with caches: all, or none when frame-based."""
        return [cast(Block, b) for b in self.blocks] if self.config.temporal else []

    def _embed(self, points: Tensor, view: Tensor) -> Tensor:
        """Rows (R, 21, 3), (R, 6) to tokens (R, body)."""
        flat = points.reshape(-1, self.config.points * 3)
        return self.embed(torch.cat([flat, view], dim=-1))

    def _answer(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (R, body) to features (R, 17, C), pose and log sigma (R, 17, 3)."""
        apart = self.tell_apart(self.norm(x)).view(-1, JOINTS, self.config.width)
        feature = self.norm_joints(apart)
        rows = feature.transpose(0, 1)  # one product per joint
        if self.training:  # the spread must not bend the features
            pose = torch.matmul(rows, self.pose).transpose(0, 1)
            width = torch.matmul(rows.detach(), self.log_sigma).transpose(0, 1)
        else:
            both = torch.matmul(rows, torch.cat([self.pose, self.log_sigma], dim=-1)).transpose(0, 1)
            pose, width = both.split(3, dim=-1)
        pose = pose + self.pose_bias
        return feature, pose - pose[:, :1], (width + self.log_sigma_bias).clamp(-6.0, 0.0)

    def forward(
        self, points: Tensor, view: Tensor, times_s: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A batch of clips on one time grid.

        Args:
            points: (B, T, 21, 3).
            view: (B, T, 6).
            times_s: (T,) seconds.

        Returns:
            Features (B, T, 17, C), pose (B, T, 17, 3) in metres relative to the hip, and the
            logarithm of its standard deviation (B, T, 17, 3).
        """
        age = banded_ages(times_s, self.config.window)
        b, t = points.shape[:2]
        x = self._embed(points.flatten(0, 1), view.flatten(0, 1)).unflatten(0, (b, t))
        for block in self.blocks:
            x = block(x, age)
        feature, pose, log_sigma = (y.unflatten(0, (b, t)) for y in self._answer(x.flatten(0, 1)))
        return feature, pose, log_sigma

    def step(
        self, points: Tensor, view: Tensor, age: Tensor, caches: list[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
        """The newest frame of each person.

        Args:
            points: (P, 21, 3).
            view: (P, 6).
            age: (P, W) seconds, negative where empty; unused when frame-based.
            caches: per block that looks back (none when frame-based), keys (P, H, D, W) and
                values (P, H, W, D + 1).

        Returns:
            As :meth:`forward` without T, and per block the new key (P, H, D) and value (P, H, D + 1).
        """
        x = self._embed(points, view)
        new = []
        if not self.config.temporal:
            for block in self.blocks:
                x = block(x, age)
        else:
            biases = age_biases([b.time.age_bias for b in self.looking_back], age)
            for block, bias, cache in zip(self.looking_back, biases, caches, strict=True):
                x, entry = block.step(x, bias, cache)
                new.append(entry)
        return (*self._answer(x), new)
