"""The pose prior: a score network of root-relative poses, trained on 3D poses alone.

Letters for shapes: ``...`` any leading shape; 17 joints are H36M's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from diffpose_ros.core.typed_config import at_least
from diffpose_ros.diffusion.sde import SubVP

JOINTS = 17


@dataclass(frozen=True)
class PriorConfig:
    """Sizes of the network.

    Attributes:
        width: of the hidden layers.
        blocks: residual blocks of two linear layers each.
        frequencies: of the noise level's embedding.
        embedding: width of its hidden layer.
        spread_m: standard deviation of a pose's coordinates, m; sets the scale of inputs and outputs.
        sde: the forward process.
    """

    width: int = 256
    blocks: int = 3
    frequencies: int = 16
    embedding: int = 64
    spread_m: float = 0.3
    sde: SubVP = field(default_factory=SubVP)

    def __post_init__(self) -> None:
        for name in ("width", "blocks", "frequencies", "embedding"):
            at_least(name, getattr(self, name), 1)
        at_least("spread_m", self.spread_m, 1e-3)


class PosePrior(nn.Module):
    """Says of a noisy pose what it was, and with that the score of the noisy poses' density.

    The network is a residual MLP like ZeDO's, preconditioned as in Karras et al. (NeurIPS 2022, eq. 7),
    so that its target has unit variance at every noise level. With y = x(t) / alpha(t) the noise of a
    pose is a standard deviation in metres, and the denoised pose gives the score by Tweedie's formula.
    """

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        self.read = nn.Linear(3 * JOINTS, config.width)
        self.embed = nn.Sequential(nn.Linear(2 * config.frequencies, config.embedding), nn.SiLU())
        self.blocks = nn.ModuleList(
            PriorBlock(config.width, config.embedding) for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(config.width)
        self.write = nn.Linear(config.width, 3 * JOINTS)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)

    def raw(self, scaled: Tensor, noise_level: Tensor) -> Tensor:
        """The network itself (..., 51), unit variance in and out; ``noise_level`` (..., 1) m."""
        step = torch.arange(self.config.frequencies, dtype=torch.float32)
        # Periods from 40 down to 0.6 in the logarithm of the noise level, which runs from about -6 to 3.
        angle = torch.log(noise_level) * (2 * math.pi / 40) * torch.exp(step * (4.2 / len(step)))
        condition = self.embed(torch.cat([torch.sin(angle), torch.cos(angle)], dim=-1))
        hidden = self.read(scaled)
        for block in self.blocks:
            hidden = block(hidden, condition)
        out: Tensor = self.write(self.norm(hidden))
        return out

    def denoise(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        """The mean of the poses that ``noisy`` may have been.

        Args:
            noisy: (..., 51) m, a pose with noise of ``noise_level`` on each coordinate.
            noise_level: (..., 1) m, above 0.
        """
        spread = self.config.spread_m
        total = torch.rsqrt(noise_level * noise_level + spread * spread)
        keep = (spread * total) ** 2
        return keep * noisy + noise_level * spread * total * self.raw(total * noisy, noise_level)

    def score(self, x: Tensor, t: float) -> Tensor:
        """Gradient of log p(x(t)) (ZeDO, eq. 2), for x (..., 51)."""
        sde = self.config.sde
        alpha, sigma = sde.alpha(t), sde.sigma(t)
        level = torch.full_like(x[..., :1], sigma / alpha)
        return (alpha * self.denoise(x / alpha, level) - x) / sigma**2


class PriorBlock(nn.Module):
    """A residual pair of linear layers, shifted by the noise level's embedding in between."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, width)
        self.shift = nn.Linear(embedding, width)
        self.down = nn.Linear(width, width)
        self.act = nn.SiLU()

    def forward(self, hidden: Tensor, condition: Tensor) -> Tensor:
        changed: Tensor = self.down(self.act(self.up(self.norm(hidden)) + self.shift(condition)))
        return hidden + changed
