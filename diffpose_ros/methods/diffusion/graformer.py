"""The denoiser g: GraFormer blocks (Chebyshev graph convolutions and attention) on the skeleton.

Input is a noisy residual pose per hypothesis, condition is what the context encoder and the history
module know of the person. The condition and the step embedding are projected once per person and once
per step, so hypotheses share them.
"""

from __future__ import annotations

import math
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
    """Graph convolution of order 2 with a learnable addition to the graph; one matrix product."""

    basis: Tensor

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.register_buffer("basis", laplacian_basis(), persistent=False)
        self.learned = nn.Parameter(torch.zeros(JOINTS, JOINTS))
        self.linear = nn.Linear(3 * width_in, width_out)

    def forward(self, rows: Tensor, shift: Tensor | None = None) -> Tensor:
        """(R 17, Cin) -> (R 17, Cout): sum_k T_k x W_k, as one product with W and one with T.

        ``shift`` (1, Cin) is added to every row; it and the bias go through the product with W, the
        bias by way of T_0, which is the identity.
        """
        width, out = self.linear.in_features // 3, self.linear.out_features
        weight = self.linear.weight.view(-1, 3, width).permute(2, 1, 0).reshape(width, -1)
        bias = torch.cat([self.linear.bias, torch.zeros_like(self.linear.bias).repeat(2)])
        if shift is not None:
            bias = bias + torch.matmul(shift, weight)
        graph = torch.stack([self.basis[0], self.basis[1] + self.learned, self.basis[2]], dim=-1)
        lifted = torch.addmm(bias, rows, weight).view(-1, 3 * JOINTS, out)
        return torch.matmul(graph.view(JOINTS, 3 * JOINTS), lifted).view(-1, out)


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

    def forward(self, rows: Tensor, known: Tensor, clock: Tensor | None) -> Tensor:
        """Rows (R 17, C), what is known of each row's joint (R 17, C), and of the step (1, C)."""
        y = functional.silu(self.first(self.norm_graph(rows) + known, clock))
        rows = rows + self.second(self.dropout(y))
        return rows + self.attention(self.norm_attention(rows))


class Denoiser(nn.Module):
    """Noisy residual (x_0 parametrised) to clean residual.

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
        self.shifts = nn.ModuleList(nn.Linear(c, c) for _ in range(config.depth))
        self.norm = nn.LayerNorm(c)
        self.out = nn.Linear(c, 3)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        half = torch.arange(_STEP_EMBEDDING // 2)
        self.register_buffer(
            "frequencies", torch.exp(-half * (2 * math.log(10000.0) / _STEP_EMBEDDING)),
            persistent=False,
        )  # fmt: skip

    def embed_step(self, k: Tensor) -> Tensor:
        """Sinusoidal embedding (DiffPose: even index sin, odd cos) of step numbers (S,), to (S, C)."""
        angle = k[:, None] * self.frequencies
        return self.step(torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2))

    def embed_condition(self, feature: Tensor, hypotheses: int = 1) -> list[Tensor]:
        """Conditioning features (P, 17, context) to (P N 17, C) for the input and for each block.

        Once per person and frame: hypotheses and steps share them.
        """
        c = self.config.width
        shifts = [cast(nn.Linear, m) for m in self.shifts]
        condition = self.condition(feature.reshape(-1, self.config.context))
        weight, bias = (torch.cat([getattr(m, n) for m in shifts]) for n in ("weight", "bias"))
        each = torch.cat([condition, functional.linear(condition, weight, bias)], dim=-1)
        wide = c * (1 + len(shifts))
        rows = each.view(-1, 1, JOINTS, wide).expand(-1, hypotheses, -1, -1).reshape(-1, wide)
        return list(rows.split(c, dim=-1))

    def forward(
        self, noisy: Tensor, condition: list[Tensor], step: Tensor, hypotheses: int | None = None
    ) -> Tensor:
        """One denoising.

        Args:
            noisy: (P, N, 17, 3) residuals r_k.
            condition: (P N 17, C) each, from :meth:`embed_condition`.
            step: (P or 1, C) from :meth:`embed_step`.
            hypotheses: N, where it is at hand: read off ``noisy`` it costs a graph nodes.

        Returns:
            (P, N, 17, 3) clean residuals.
        """
        rows = self.pose(noisy.reshape(-1, 3)) + condition[0]
        for block, shift, known in zip(self.blocks, self.shifts, condition[1:], strict=True):
            clock: Tensor | None = functional.linear(step, shift.weight)
            if step.shape[0] > 1:  # each person has a step of its own: training
                clocks = cast(Tensor, clock)
                known = known + clocks.repeat_interleave(known.shape[0] // clocks.shape[0], dim=0)
                clock = None
            rows = block(rows, known, clock)
        n = noisy.shape[1] if hypotheses is None else hypotheses
        return self.out(self.norm(rows)).view(-1, n, JOINTS, 3)
