"""The causal video context encoder: 2D history in, a feature per joint and a first answer out.

Each block mixes the joints of a frame, then each joint's past, then features. Online the past
comes from ring caches and a new frame costs one frame's work; over a clip the same weights run
with a banded causal mask and give the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffpose_ros.core import ConfigError
from diffpose_ros.models.layers import JointAttention, Mlp, TemporalAttention, banded_ages

JOINTS = 17


@dataclass(frozen=True)
class ContextConfig:
    """Sizes of the encoder.

    Attributes:
        width: features per joint, C; a multiple of ``heads``.
        depth: blocks.
        heads: attention heads.
        mlp_ratio: hidden width of the MLP over ``width``.
        window: frames of the past that attention sees in each block.
        temporal: false makes the frame-based encoder of the papers: no past at all.
    """

    width: int = 96
    depth: int = 4
    heads: int = 4
    mlp_ratio: float = 2.0
    window: int = 81
    temporal: bool = True
    points: int = 21
    view: int = 6

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigError(f"context width {self.width} is not a multiple of {self.heads} heads")
        if not 1 <= self.window <= 243:
            raise ConfigError(f"context window: expected 1 to 243 frames, got {self.window}")


class Block(nn.Module):
    """Joints, time, features; each pre-normed, each residual."""

    def __init__(self, config: ContextConfig) -> None:
        super().__init__()
        c = config.width
        self.norm_joints, self.norm_mlp = nn.LayerNorm(c), nn.LayerNorm(c)
        self.joints = JointAttention(c, config.heads, JOINTS)
        self.mlp = Mlp(c, config.mlp_ratio)
        if config.temporal:
            self.norm_time = nn.LayerNorm(c)
            self.time = TemporalAttention(c, config.heads, JOINTS)
        self.temporal = config.temporal

    def forward(self, x: Tensor, age: Tensor) -> Tensor:
        b, t, j, c = x.shape
        x = x + self.joints(self.norm_joints(x).view(b * t, j, c)).view(b, t, j, c)
        if self.temporal:
            x = x + self.time(self.norm_time(x), age)
        return x + self.mlp(self.norm_mlp(x))

    def step(
        self, x: Tensor, age: Tensor, cache: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        x = x + self.joints(self.norm_joints(x))
        mixed, key, value = self.time.step(self.norm_time(x), age, *cache)
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
        self.embed = nn.Linear(config.points * 3 + config.view, JOINTS * c)
        self.embed_own = nn.Parameter(torch.randn(JOINTS, 3, c) * 0.3)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(c)
        self.pose = nn.Linear(c, 3)
        self.log_sigma = nn.Linear(c, 3)
        nn.init.constant_(self.log_sigma.bias, -3.0)
        nn.init.zeros_(self.log_sigma.weight)

    def _embed(self, points: Tensor, view: Tensor) -> Tensor:
        flat = torch.cat([points.flatten(-2), view], dim=-1)
        dense = self.embed(flat).unflatten(-1, (JOINTS, self.config.width))
        own = torch.matmul(points[..., :JOINTS, None, :], self.embed_own).squeeze(-2)
        return dense + own

    def _answer(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        feature = self.norm(x)
        pose = self.pose(feature)
        pose = pose - pose[..., :1, :]
        log_sigma = self.log_sigma(feature.detach() if self.training else feature)
        return feature, pose, log_sigma.clamp(-6.0, 0.0)

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
        x = self._embed(points, view)
        for block in self.blocks:
            x = block(x, age)
        return self._answer(x)

    def step(
        self, points: Tensor, view: Tensor, age: Tensor, caches: list[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
        """The newest frame of each person.

        Args:
            points: (P, 21, 3).
            view: (P, 6).
            age: (P, W) seconds, negative where empty.
            caches: per block, keys (P, H, D, W) and values (P, H, W, 17 (D + 1)).

        Returns:
            As :meth:`forward` without T, and per block the new key (P, H, D) and value
            (P, H, 17 (D + 1)).
        """
        x = self._embed(points, view)
        new = []
        for block, cache in zip(self.blocks, caches, strict=True):
            x, entry = block.step(x, age, cache)
            new.append(entry)
        return (*self._answer(x), new)
