"""The sub-VP SDE (Song et al., ICLR 2021, eq. 29): the forward process of a score network. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ConfigError

Time = TypeVar("Time", float, NDArray[np.float64])


@dataclass(frozen=True)
class SubVP:
    """x(t) = alpha(t) x(0) + sigma(t) z with z ~ N(0, 1), t from 0 to 1 (ZeDO, eq. 1).

    Attributes:
        beta_min: noise rate at t = 0.
        beta_max: noise rate at t = 1.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        if not 0 < self.beta_min <= self.beta_max < 1000:
            raise ConfigError(
                "beta_min, beta_max: expected 0 < beta_min <= beta_max < 1000, got "
                f"{self.beta_min:g}, {self.beta_max:g}"
            )

    def beta(self, t: Time) -> Time:
        """The rate at time t."""
        return self.beta_min + t * (self.beta_max - self.beta_min)

    def integral(self, t: Time) -> Time:
        """The integral of beta from 0 to t."""
        return t * self.beta_min + 0.5 * t * t * (self.beta_max - self.beta_min)

    def alpha(self, t: Time) -> Time:
        """How much of x(0) is left at t."""
        left: Time = np.exp(-0.5 * self.integral(t))
        return left

    def sigma(self, t: Time) -> Time:
        """Standard deviation of the noise at t."""
        spread: Time = -np.expm1(-self.integral(t))
        return spread

    def noise_level(self, t: Time) -> Time:
        """sigma(t) / alpha(t): the noise on x(0) once alpha is divided out, in units of x."""
        return self.sigma(t) / self.alpha(t)

    def time_of(self, noise_level: Time) -> Time:
        """The t at which :meth:`noise_level` is this."""
        # sigma / alpha = 2 sinh(B / 2) with B the integral of beta.
        integral = 2.0 * np.arcsinh(0.5 * noise_level)
        slope = self.beta_max - self.beta_min
        if slope < 1e-9:
            even: Time = integral / self.beta_min
            return even
        time: Time = (np.sqrt(self.beta_min**2 + 2.0 * slope * integral) - self.beta_min) / slope
        return time
