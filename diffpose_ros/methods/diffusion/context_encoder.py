"""The causal video context encoder: 2D history in, a feature per joint and a first answer out.

One token stands for the whole body of a frame. Each block mixes a body's past and then its
features; the joints are told apart again at the end, where the denoiser needs them one by one.
Online the past comes from ring caches and a new frame costs one frame's work; over a clip the same
weights run with a banded causal mask and give the same numbers.

With ``mirror`` a second token stands for the mirror image of the body. It goes through the same weights
and the answer is the mean of both, mirrored back. The products of one person's frame read every weight for
a single row and take as long as the reading: the second row is nearly free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from diffpose_ros.core import H36M17, ConfigError
from diffpose_ros.core.typed_config import at_least
from diffpose_ros.geometry.mapping import MIRRORED_POINTS
from diffpose_ros.geometry.normalise import MIRRORED_VIEW
from diffpose_ros.methods.layers import BodyAttention, Mlp, age_biases, banded_ages

JOINTS = 17
_ANSWER = 6
"""What each joint says: x, y, z and the logarithms of their standard deviations."""


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
        view: entries that say where and how the body was seen.
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
        if self.temporal:
            x = self.time(self.norm_time(x), age, x)
        if self.training:
            return x + self.mlp(self.norm_mlp(x))
        rows = x.reshape(-1, x.shape[-1])
        return self.mlp.add_to(rows, self.norm_mlp(rows)).view(x.shape)

    def step(
        self, x: Tensor, bias: Tensor, cache: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        x, entry = self.time.step(self.norm_time(x), bias, cache, x)
        return self.mlp.add_to(x, self.norm_mlp(x)), entry


def _said_to_answer(copies: int) -> Tensor:
    """(2 17 3, copies 17 6) what makes poses relative to the hip, and logarithms of sigma, of what the
    joints of each copy say: the mean of the copies, the second mirrored back."""
    pose, log_sigma = torch.zeros(2, JOINTS, 3, copies, JOINTS, _ANSWER)
    share = 1.0 / copies
    for copy in range(copies):
        for j in range(JOINTS):
            said = H36M17.flip[j] if copy else j
            for i in range(3):
                sign = -share if copy and i == 0 else share
                pose[j, i, copy, said, i] += sign
                pose[j, i, copy, 0, i] -= sign
                log_sigma[j, i, copy, said, 3 + i] = share
    return torch.cat([pose, log_sigma]).reshape(2 * JOINTS * 3, copies * JOINTS * _ANSWER)


class ContextEncoder(nn.Module):
    """DiffPose's context encoder, causal and streaming.

    Args:
        config: sizes.
    """

    _alone: Tensor
    _together: Tensor

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
        self.register_buffer("_alone", _said_to_answer(1), persistent=False)
        self.register_buffer("_together", _said_to_answer(2), persistent=False)

    @property
    def looking_back(self) -> list[Block]:
        """The blocks with caches: all, or none when frame-based."""
        return [cast(Block, b) for b in self.blocks] if self.config.temporal else []

    @property
    def copies(self) -> int:
        """Tokens per body. Training sees one: it has mirrored clips anyway."""
        return 2 if self.config.mirror and not self.training else 1

    def _embed(self, points: Tensor, view: Tensor) -> Tensor:
        """Rows (R, 21, 3), (R, 6) to tokens (R copies, body)."""
        flat = torch.cat([points.reshape(-1, self.config.points * 3), view], dim=-1)
        weight, bias = self.embed.weight, self.embed.bias
        if self.copies == 1:
            return functional.linear(flat, weight, bias)
        order = [3 * p + i for p in MIRRORED_POINTS for i in range(3)]
        sign = [-1.0, 1.0, 1.0] * len(MIRRORED_POINTS)
        order += [len(order) + i for i in range(len(MIRRORED_VIEW))]
        mirrored = (weight * weight.new_tensor([*sign, *MIRRORED_VIEW]))[:, order]
        both = functional.linear(flat, torch.cat([weight, mirrored]), torch.cat([bias, bias]))
        return both.view(-1, self.config.body)

    def _answer(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (R copies, body) to features (R, 17, C), pose and log sigma (R, 17, 3)."""
        copies = self.copies
        apart = self.tell_apart(self.norm(x)).view(-1, JOINTS, self.config.width)
        feature = self.norm_joints(apart)
        rows = feature.transpose(0, 1)  # one product per joint
        if self.training:  # the spread must not bend the features
            pose, width = torch.matmul(rows, self.pose), torch.matmul(rows.detach(), self.log_sigma)
            said = torch.cat([pose, width], dim=-1)
        else:
            said = torch.matmul(rows, torch.cat([self.pose, self.log_sigma], dim=-1))
        bias = torch.cat([self.pose_bias, self.log_sigma_bias], dim=-1).flatten()
        together = self._together if copies == 2 else self._alone
        flat = said.transpose(0, 1).reshape(-1, copies * JOINTS * _ANSWER).float()
        with torch.autocast(flat.device.type, enabled=False):  # half a number is not enough for metres
            answer = functional.linear(flat, together, torch.mv(together, bias.repeat(copies)))
        pose, width = answer.view(-1, 2 * JOINTS, 3).split(JOINTS, dim=1)
        return feature[::copies], pose, width.clamp(-6.0, 0.0)

    def forward(self, points: Tensor, view: Tensor, times_s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A batch of clips on one time grid.

        Args:
            points: (B, T, 21, 3).
            view: (B, T, 6).
            times_s: (T,) seconds.

        Returns:
            Features (B, T, 17, C), pose (B, T, 17, 3) in metres relative to the hip, and the
            logarithm of its standard deviation (B, T, 17, 3).
        """
        b, t = points.shape[:2]
        x = self._tokens(points, view, times_s).view(b, self.copies, t, -1).transpose(1, 2)
        answers = self._answer(x.reshape(b * t * self.copies, -1))
        feature, pose, log_sigma = (y.unflatten(0, (b, t)) for y in answers)
        return feature, pose, log_sigma

    def newest(self, points: Tensor, view: Tensor, times_s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The last frame of :meth:`forward`, without T: what recomputing a window has to do."""
        return self._answer(self._tokens(points, view, times_s)[:, -1])

    def _tokens(self, points: Tensor, view: Tensor, times_s: Tensor) -> Tensor:
        """Clips to tokens behind the last block (B copies, T, body); each copy is a clip of its own."""
        age = banded_ages(times_s, self.config.window)
        b, t = points.shape[:2]
        x = self._embed(points.flatten(0, 1), view.flatten(0, 1)).view(b, t, self.copies, -1)
        x = x.transpose(1, 2).reshape(b * self.copies, t, -1)
        for block in self.blocks:
            x = block(x, age)
        return x

    def step(
        self, points: Tensor, view: Tensor, age: Tensor, caches: list[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
        """The newest frame of each person.

        Args:
            points: (P, 21, 3).
            view: (P, 6).
            age: (P, W) seconds, -1 where empty; unused when frame-based.
            caches: per block that looks back (none when frame-based), keys and values as
                :meth:`~diffpose_ros.methods.layers.BodyAttention.step` takes them.

        Returns:
            As :meth:`forward` without T, and per block the new key and value.
        """
        x = self._embed(points, view)
        new = []
        if not self.config.temporal:
            for block in self.blocks:
                x = block(x, age)
        else:
            biases = age_biases([b.time for b in self.looking_back], age)
            for block, bias, cache in zip(self.looking_back, biases, caches, strict=True):
                x, entry = block.step(x, bias, cache)
                new.append(entry)
        return (*self._answer(x), new)
