"""Noise schedules: the alpha_k of the papers (alpha-bar in DDPM's terms). Plain numbers, no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from diffpose_ros.core import ConfigError
from diffpose_ros.core.typed_config import one_of

SCHEDULES = ("linear", "cosine")


@dataclass(frozen=True)
class Schedule:
    """A forward process of K steps.

    Attributes:
        beta_schedule: ``linear`` (DiffPose, StarPose) or ``cosine`` (FinePOSE).
        diffusion_steps: K.
        beta_start: first beta, linear only.
        beta_end: last beta, linear only. The papers print 2e-3, with which alpha_50 = 0.949: the
            process never reaches its own noise. The default reaches alpha_50 = 0.011, so that a
            draw from the fitted distribution is what the sampler was trained to start from.
    """

    beta_schedule: str = "linear"
    diffusion_steps: int = 50
    beta_start: float = 1e-3
    beta_end: float = 0.17

    def __post_init__(self) -> None:
        one_of("beta_schedule", self.beta_schedule, SCHEDULES)
        if self.diffusion_steps < 1:
            raise ConfigError(f"diffusion_steps: expected 1 or more, got {self.diffusion_steps}")
        if not 0 < self.beta_start <= self.beta_end < 1:
            raise ConfigError(
                "beta_start, beta_end: expected 0 < beta_start <= beta_end < 1, got "
                f"{self.beta_start:g}, {self.beta_end:g}"
            )

    def alphas(self) -> tuple[float, ...]:
        """alpha_0 .. alpha_K with alpha_0 = 1; alpha_k = prod_{i<=k} (1 - beta_i)."""
        k = self.diffusion_steps
        if self.beta_schedule == "cosine":
            f = [math.cos((i / k + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(k + 1)]
            return tuple(max(v / f[0], 1e-4) for v in f)
        out = [1.0]
        for i in range(k):
            part = i / (k - 1) if k > 1 else 1.0
            out.append(
                out[-1] * (1.0 - (self.beta_start + part * (self.beta_end - self.beta_start)))
            )
        return tuple(out)


PAPER = Schedule(beta_start=1e-4, beta_end=2e-3)
"""The constants as DiffPose and StarPose print them."""


def ddim_steps(diffusion_steps: int, steps: int) -> tuple[int, ...]:
    """The k at which DDIM evaluates the network: ``steps`` even ones from K down, then 0.

    Raises:
        ConfigError: more steps than the process has.
    """
    if not 1 <= steps <= diffusion_steps:
        raise ConfigError(f"steps: expected 1 to {diffusion_steps}, got {steps}")
    return (*(round(diffusion_steps * (1 - i / steps)) for i in range(steps)), 0)
