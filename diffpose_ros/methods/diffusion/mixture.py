"""The initial distribution H_K around the context encoder's answer, and its Gaussian mixture.

Poses are diffused as residuals r = (h - c) / s: c is the context encoder's answer, s its own estimate
of its error, per joint and coordinate (H_K is sample-specific, DiffPose sec. 4.1). In these units one
mixture fits every pose; training finds it by EM on the residuals of its data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError


@dataclass(frozen=True)
class Mixture:
    """A Gaussian mixture with diagonal covariance over residuals.

    Attributes:
        weight: (M,) pi_m, sums to 1.
        mean: (M, J, 3) mu_m, in units of s.
        std: (M, J, 3) square root of the diagonal of Sigma_m, in units of s.
    """

    weight: NDArray[np.float32]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    def __post_init__(self) -> None:
        m = len(self.weight)
        if self.mean.shape != self.std.shape or self.mean.shape[0] != m:
            raise InputError(
                f"mixture: expected {m} means and deviations, got {self.mean.shape}, {self.std.shape}"
            )
        if not np.isclose(self.weight.sum(), 1.0, atol=1e-3) or (self.std <= 0).any():
            raise InputError("mixture: expected weights that sum to 1 and positive deviations")

    @classmethod
    def standard(cls, joints: int = 17) -> Mixture:
        """One standard Gaussian: the plain forward process (Stand-Diff in DiffPose)."""
        shape = (1, joints, 3)
        return cls(np.ones(1, np.float32), np.zeros(shape, np.float32), np.ones(shape, np.float32))
