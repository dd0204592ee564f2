"""The causal video context encoder: 2D history in, a feature per joint and a first answer out.

One token stands for the whole body of a frame. Each block mixes a body's past and then its
features; the joints are told apart again at the end, where the denoiser needs them one by one.
Online the past comes from ring caches and a new frame costs one frame's work; over a clip the same
weights run with a banded causal mask and give the same numbers.

With ``mirror`` a second token stands for the mirror image of the body. It goes through the same weights,
and the answer is the mean of both, mirrored back. One person's frame takes as long as reading the weights
does, so the second token is nearly free.

Shapes are written with the letters of :mod:`diffpose_ros.methods.layers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from diffpose_ros.core import H36M17, ConfigError
from diffpose_ros.core.typed_config import at_least
from diffpose_ros.geometry.mapping import MIRRORED_POINTS
from diffpose_ros.geometry.normalise import MIRRORED_VIEW, VIEW_SIZE, VIEW_WITHOUT_GRAVITY
from diffpose_ros.methods.layers import BodyAttention, Cache, Mlp, banded_ages

JOINTS = 17
_MIRRORED_AXES = (-1.0, 1.0, 1.0)


@dataclass(frozen=True)
class ContextConfig:
    """Sizes of the encoder.

    Attributes:
        width: features per joint handed to the denoiser, C.
        body: features of the body's token; a multiple of ``heads``.
        depth: blocks.
        heads: attention heads.
        keys: features per head that queries and keys are compared in.
        mlp_ratio: hidden width of the MLP over ``body``.
        window: frames of the past that attention sees in each block.
        temporal: false makes the frame-based encoder of the papers: no past at all.
        points: points seen.
        view: entries that say where and how the body was seen: 6, or 9 with gravity, see
            :func:`diffpose_ros.geometry.normalise.observe`.
        mirror: answer for the mirror image too, when not in training, and give the mean.
    """

    width: int = 64
    body: int = 256
    depth: int = 4
    heads: int = 4
    keys: int = 16
    mlp_ratio: float = 2.0
    window: int = 81
    temporal: bool = True
    points: int = 21
    view: int = 6
    mirror: bool = False

    def __post_init__(self) -> None:
        for name in ("width", "body", "depth", "heads", "keys"):
            at_least(name, getattr(self, name), 1)
        if self.body % self.heads:
            raise ConfigError(f"body: {self.body} is not a multiple of {self.heads} heads")
        if self.view not in (VIEW_WITHOUT_GRAVITY, VIEW_SIZE):
            raise ConfigError(
                f"view: expected {VIEW_WITHOUT_GRAVITY} entries, or {VIEW_SIZE} with gravity, got {self.view}"
            )
        if not self.mlp_ratio > 0:
            raise ConfigError(f"mlp_ratio: expected above 0, got {self.mlp_ratio:g}")
        if not 1 <= self.window <= 243:
            raise ConfigError(f"window: expected 1 to 243 frames, got {self.window}")


class Block(nn.Module):
    """Time, then features; each pre-normed, each residual."""

    def __init__(self, config: ContextConfig) -> None:
        super().__init__()
        c = config.body
        self.norm_mlp = nn.LayerNorm(c)
        self.mlp = Mlp(c, config.mlp_ratio)
        if config.temporal:
            self.norm_time = nn.LayerNorm(c)
            self.time = BodyAttention(c, config.heads, config.keys, 2 if config.mirror else 1)
        self.temporal = config.temporal

    def forward(self, x: Tensor, age: Tensor) -> Tensor:
        """Clips (B, T, body) with ages (T, T)."""
        if self.temporal:
            x = x + self.time(self.norm_time(x), age)
        return x + self.mlp(self.norm_mlp(x))

    def step(self, x: Tensor, age: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """The newest frame (P, copies, body) with ages (P, W); gives the frame's cache entry, too."""
        attended, entry = self.time.step(self.norm_time(x), age, cache)
        x = x + attended
        return x + self.mlp(self.norm_mlp(x)), entry


class ContextEncoder(nn.Module):
    """DiffPose's context encoder (sec. 4.3), causal and streaming.

    Args:
        config: sizes.
    """

    mirror_order: Tensor
    mirror_sign: Tensor

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
        # The mirror image of points and view, flattened: entries change places and signs.
        order = [3 * p + i for p in MIRRORED_POINTS for i in range(3)]
        order += [len(order) + i for i in range(config.view)]
        sign = [*_MIRRORED_AXES * len(MIRRORED_POINTS), *MIRRORED_VIEW[: config.view]]
        self.register_buffer("mirror_order", torch.tensor(order), persistent=False)
        self.register_buffer("mirror_sign", torch.tensor(sign), persistent=False)

    @property
    def looking_back(self) -> list[Block]:
        """The blocks with caches: all, or none when frame-based."""
        return [cast(Block, b) for b in self.blocks] if self.config.temporal else []

    @property
    def copies(self) -> int:
        """Tokens per body. Training sees one: it has mirrored clips anyway."""
        return 2 if self.config.mirror and not self.training else 1

    def _embed(self, points: Tensor, view: Tensor) -> Tensor:
        """(R, 21, 3) and (R, 6 or 9) to tokens (R, copies, body)."""
        if view.shape[-1] > self.config.view:
            view = view[..., : self.config.view]
        seen = torch.cat([points.flatten(-2), view], dim=-1)
        if self.copies == 1:
            return self.embed(seen).unsqueeze(1)
        mirrored = seen[:, self.mirror_order] * self.mirror_sign
        return torch.stack([self.embed(seen), self.embed(mirrored)], dim=1)

    def answer(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (R, copies, body) to features (R, 17, C), pose and log sigma (R, 17, 3)."""
        feature = self.tell_apart(self.norm(x)).unflatten(-1, (JOINTS, self.config.width))
        feature = self.norm_joints(feature)
        pose = self._read(feature, self.pose) + self.pose_bias
        pose = pose - pose[..., :1, :]
        # Detached: what the spread learns must not bend the features.
        log_sigma = self._read(feature.detach(), self.log_sigma) + self.log_sigma_bias
        if self.copies == 1:
            pose, log_sigma = pose[:, 0], log_sigma[:, 0]
        else:
            swap = list(H36M17.flip)
            pose = (pose[:, 0] + pose[:, 1][:, swap] * self.mirror_sign[:3]) / 2
            log_sigma = (log_sigma[:, 0] + log_sigma[:, 1][:, swap]) / 2
        return feature[:, 0], pose, log_sigma.clamp(-6.0, 0.0)

    def _read(self, feature: Tensor, head: Tensor) -> Tensor:
        """Features (R, copies, 17, C) through a head (17, C, 3) per joint, to (R, copies, 17, 3).

        In mixed precision the result is single precision again: half of it is not enough for metres.
        """
        rows = feature.flatten(0, 1).transpose(0, 1)
        said = torch.matmul(rows, head).transpose(0, 1)
        return said.reshape(-1, self.copies, JOINTS, 3).float()

    def forward(self, points: Tensor, view: Tensor, times_s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A batch of clips on one time grid.

        Args:
            points: (B, T, 21, 3).
            view: (B, T, 6 or 9); entries that it does not know are left out.
            times_s: (T,) seconds.

        Returns:
            Features (B, T, 17, C), pose (B, T, 17, 3) in metres relative to the hip, and the
            logarithm of its standard deviation (B, T, 17, 3).
        """
        b, t = points.shape[:2]
        x = self.body_tokens(points, view, times_s).transpose(1, 2).flatten(0, 1)
        feature, pose, log_sigma = (y.unflatten(0, (b, t)) for y in self.answer(x))
        return feature, pose, log_sigma

    def newest(self, points: Tensor, view: Tensor, times_s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The last frame of :meth:`forward`, without T: what recomputing a window has to do."""
        return self.answer(self.body_tokens(points, view, times_s)[:, :, -1])

    def body_tokens(self, points: Tensor, view: Tensor, times_s: Tensor) -> Tensor:
        """Clips to tokens behind the last block (B, copies, T, body); each copy is a clip of its own."""
        age = banded_ages(times_s, self.config.window)
        b, t = points.shape[:2]
        x = self._embed(points.flatten(0, 1), view.flatten(0, 1)).unflatten(0, (b, t))
        x = x.transpose(1, 2).flatten(0, 1)
        for block in self.blocks:
            x = block(x, age)
        return x.unflatten(0, (b, self.copies))

    def step(
        self, points: Tensor, view: Tensor, age: Tensor, caches: list[Cache]
    ) -> tuple[Tensor, Tensor, Tensor, list[Cache]]:
        """The newest frame of each person.

        Args:
            points: (P, 21, 3).
            view: (P, 6 or 9).
            age: (P, W) seconds, -1 where empty; unused when frame-based.
            caches: per block that looks back (none when frame-based), keys and values as
                :meth:`~diffpose_ros.methods.layers.BodyAttention.step` takes them.

        Returns:
            As :meth:`forward` without T, and per block the new key and value.
        """
        x, new = self.body_token(points, view, age, caches)
        return (*self.answer(x), new)

    def body_token(
        self, points: Tensor, view: Tensor, age: Tensor, caches: list[Cache]
    ) -> tuple[Tensor, list[Cache]]:
        """The tokens (P, copies, body) behind the last block, for :meth:`answer`, and the new entries; see
        :meth:`step`."""
        x = self._embed(points, view)
        new = []
        if self.config.temporal:
            for block, cache in zip(self.looking_back, caches, strict=True):
                x, entry = block.step(x, age, cache)
                new.append(entry)
        else:
            for frame_based in self.blocks:
                x = frame_based(x, age)
        return x, new
