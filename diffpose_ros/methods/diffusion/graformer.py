"""The denoiser g: GraFormer blocks (Chebyshev graph convolutions and attention) on the skeleton.

Input is a noisy residual pose per hypothesis, condition is what the context encoder and the history
module know of the person. Shapes are written with the letters of :mod:`diffpose_ros.methods.layers`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from diffpose_ros.core import H36M17, ConfigError
from diffpose_ros.core.typed_config import at_least
from diffpose_ros.methods.layers import JointAttention

JOINTS = 17
_STEP_EMBEDDING = 256


@dataclass(frozen=True)
class DenoiserConfig:
    """Sizes of the denoiser.

    Attributes:
        width: features per joint; a multiple of ``heads``.
        depth: GraFormer blocks.
        heads: attention heads.
        context: width of the conditioning features.
        dropout: between the graph convolutions, in training.
    """

    width: int = 64
    depth: int = 3
    heads: int = 4
    context: int = 96
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("width", "depth", "heads", "context"):
            at_least(name, getattr(self, name), 1)
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"dropout: expected from 0 to below 1, got {self.dropout:g}")
        if self.width % self.heads:
            raise ConfigError(f"denoiser width {self.width} is not a multiple of {self.heads} heads")


def laplacian_basis() -> Tensor:
    """Chebyshev polynomials T_0..T_2 of the skeleton's scaled normalised Laplacian, (3, 17, 17)."""
    adjacency = torch.zeros(JOINTS, JOINTS)
    for a, b in H36M17.bones:
        adjacency[a, b] = adjacency[b, a] = 1.0
    degree = adjacency.sum(1).rsqrt()
    # L - I with the largest eigenvalue taken as 2: the scaled Laplacian is minus the normalised graph.
    scaled = -(degree[:, None] * adjacency * degree[None, :])
    eye = torch.eye(JOINTS)
    return torch.stack([eye, scaled, 2 * scaled @ scaled - eye])


class ChebConv(nn.Module):
    """Chebyshev graph convolution of order 2, with a learnable addition to the graph of bones.

    y = W [T_0 x, (T_1 + A) x, T_2 x] + b (Defferrard et al. 2016, eq. 4; A as in GraFormer).
    """

    basis: Tensor

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.register_buffer("basis", laplacian_basis(), persistent=False)
        self.learned = nn.Parameter(torch.zeros(JOINTS, JOINTS))
        self.linear = nn.Linear(3 * width_in, width_out)

    def forward(self, x: Tensor) -> Tensor:
        """(R, 17, Cin) -> (R, 17, Cout)."""
        near = torch.matmul(self.basis[1] + self.learned, x)
        far = torch.matmul(self.basis[2], x)
        return self.linear(torch.cat([x, near, far], dim=-1))


class Block(nn.Module):
    """Two graph convolutions and one self-attention, pre-normed, residual."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        c = config.width
        self.norm_graph, self.norm_attention = nn.LayerNorm(c), nn.LayerNorm(c)
        self.first, self.second = ChebConv(c, c), ChebConv(c, c)
        self.attention = JointAttention(c, config.heads, JOINTS)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, condition: Tensor, step: Tensor) -> Tensor:
        """Features (R, 17, C), embeddings of the condition (R, 17, C) and of the step (R or 1, 1, C)."""
        y = functional.silu(self.first(self.norm_graph(x) + step + condition))
        x = x + self.second(self.dropout(y))
        return x + self.attention(self.norm_attention(x))


class Denoiser(nn.Module):
    """Noisy residual (x_0 parametrised) to clean residual.

    Block i sees ``embeddings[i](condition + step)``. The sum is worked out in two parts, because the
    condition is the same in all steps of a frame, and a step is the same in all frames.

    Args:
        config: sizes.
    """

    frequencies: Tensor

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        c = config.width
        self.pose = nn.Linear(3, c)
        self.condition = nn.Linear(config.context, c)
        self.step = nn.Sequential(nn.Linear(_STEP_EMBEDDING, c), nn.SiLU(), nn.Linear(c, c))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.embeddings = nn.ModuleList(nn.Linear(c, c) for _ in range(config.depth))
        self.norm = nn.LayerNorm(c)
        self.out = nn.Linear(c, 3)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        half = torch.arange(_STEP_EMBEDDING // 2)
        self.register_buffer(
            "frequencies", torch.exp(-half * (2 * math.log(10000.0) / _STEP_EMBEDDING)),
            persistent=False,
        )  # fmt: skip
        self.register_load_state_dict_pre_hook(_rename)

    def embed_step(self, k: Tensor) -> Tensor:
        """Sinusoidal embedding (DiffPose: even index sin, odd cos) of step numbers (S,), to (S, C)."""
        angle = k[:, None] * self.frequencies
        return self.step(torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2))

    def embed_condition(
        self, feature: Tensor, hypotheses: int = 1, more: Tensor | None = None
    ) -> Tensor:
        """Embeddings of what is known of a person, for the input and for each block, side by side.

        Args:
            feature: (P, 17, context).
            hypotheses: N, how often each person's embeddings are repeated.
            more: (P, 1, C) added to the condition of every joint.

        Returns:
            (P N, 17, (1 + depth) C). Work it out once per frame: hypotheses and steps share it.
        """
        condition = self.condition(feature)
        if more is not None:
            condition = condition + more
        each = torch.cat([condition, *(embed(condition) for embed in self.embeddings)], dim=-1)
        return each.unsqueeze(1).expand(-1, hypotheses, -1, -1).flatten(0, 1)

    def forward(self, noisy: Tensor, condition: Tensor, step: Tensor) -> Tensor:
        """One denoising.

        Args:
            noisy: (R, 17, 3) residuals r_k, one row per hypothesis.
            condition: (R, 17, (1 + depth) C) from :meth:`embed_condition`.
            step: (R or 1, C) from :meth:`embed_step`.

        Returns:
            (R, 17, 3) clean residuals.
        """
        at_input, *at_blocks = condition.split(self.config.width, dim=-1)
        x = self.pose(noisy) + at_input
        for block, embed, known in zip(self.blocks, self.embeddings, at_blocks, strict=True):
            step_embedding = functional.linear(step, cast(nn.Linear, embed).weight)
            x = block(x, known, step_embedding.unsqueeze(1))
        return self.out(self.norm(x))


def current_name(name: str) -> str:
    """Today's name of a weight: older checkpoints call the embeddings ``shifts``."""
    return re.sub(r"(^|\.)shifts\.(?=\d)", r"\1embeddings.", name)


def _rename(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    for name in [n for n in state if n.startswith(f"{prefix}shifts.")]:
        state[current_name(name)] = state.pop(name)
