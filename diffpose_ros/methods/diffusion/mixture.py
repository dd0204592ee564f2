"""The initial distribution H_K around the context encoder's answer, and its Gaussian mixture.

Poses are diffused as residuals r = (h - c) / s: c is the context encoder's answer, s its own estimate
of its error, per joint and coordinate (H_K is sample-specific, DiffPose sec. 4.1). In these units one
mixture fits every pose; it is found by EM on the residuals of training data.
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

    def assign(self, hypotheses: int) -> NDArray[np.int64]:
        """Component of each of N hypotheses (N,): stratified by weight, so that N draws stand for
        the mixture without chance."""
        edges = np.cumsum(self.weight)
        at = (np.arange(hypotheses) + 0.5) / hypotheses
        return np.minimum(np.searchsorted(edges, at), len(edges) - 1)


def fit_mixture(
    residuals: NDArray[np.floating], components: int = 5, *, rounds: int = 60, seed: int = 0
) -> Mixture:
    """EM for a diagonal Gaussian mixture (DiffPose sec. 4.2, M = 5).

    Args:
        residuals: (S, J, 3) draws.
        components: M.
        rounds: EM iterations.
        seed: of the initial responsibilities.

    Raises:
        InputError: fewer draws than ten per component.
    """
    s, joints, _ = residuals.shape
    if s < 10 * components:
        raise InputError(f"mixture: expected {10 * components} draws or more, got {s}")
    x = residuals.reshape(s, -1).astype(np.float64)
    rng = np.random.default_rng(seed)
    # Start from shells of equal count by size: error distributions differ in width first.
    size = np.square(x).mean(1) * np.exp(0.1 * rng.standard_normal(s))
    shell = np.argsort(np.argsort(size)) * components // s
    share = np.eye(components)[shell]
    for _ in range(rounds):
        mass = share.sum(0) + 1e-9
        weight = mass / mass.sum()
        mean = share.T @ x / mass[:, None]
        var = share.T @ np.square(x) / mass[:, None] - np.square(mean) + 1e-4
        log = -0.5 * (
            np.square(x) @ (1 / var).T - 2 * x @ (mean / var).T
            + (np.square(mean) / var).sum(1) + np.log(var).sum(1)
        ) + np.log(weight)  # fmt: skip
        log -= log.max(axis=1, keepdims=True)
        share = np.exp(log)
        share /= share.sum(axis=1, keepdims=True)
    order = np.argsort(var.mean(1))
    shape = (components, joints, 3)
    return Mixture(
        weight[order].astype(np.float32),
        mean[order].reshape(shape).astype(np.float32),
        np.sqrt(var[order]).reshape(shape).astype(np.float32),
    )
