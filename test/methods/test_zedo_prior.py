"""The pose prior: its score, against a density whose score is known."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: networks need it")

from diffpose_ros.diffusion.sde import SubVP
from diffpose_ros.methods.zedo.prior import PosePrior, PriorConfig


class Gaussian(PosePrior):
    """A prior of poses N(0, spread^2), whose denoiser is the mean of a Gaussian posterior."""

    def raw(self, scaled, noise_level):
        return torch.zeros_like(scaled)


@pytest.mark.parametrize("t", [0.02, 0.1, 0.3, 1.0])
def test_the_score_of_a_gaussian_prior_is_its_own(t: float) -> None:
    """x(t) ~ N(0, alpha^2 spread^2 + sigma^2), so the score is -x over that."""
    config = PriorConfig(width=8, blocks=1, spread_m=0.25)
    x = torch.randn(5, 51, dtype=torch.float64)
    sde = SubVP()
    variance = (sde.alpha(t) * 0.25) ** 2 + sde.sigma(t) ** 2
    torch.testing.assert_close(Gaussian(config).score(x, t), -x / variance, rtol=1e-5, atol=1e-8)


def test_a_prior_that_has_learnt_nothing_is_that_gaussian() -> None:
    torch.manual_seed(0)
    config = PriorConfig(width=32, blocks=2)
    x = torch.randn(4, 51)
    torch.testing.assert_close(PosePrior(config).score(x, 0.2), Gaussian(config).score(x, 0.2))


def test_a_trained_prior_has_the_score_of_a_correlated_gaussian() -> None:
    """A few hundred steps on poses that are one random number times a fixed pose."""
    torch.manual_seed(1)
    shape = 0.3 * torch.randn(51)
    prior = PosePrior(PriorConfig(width=64, blocks=2, frequencies=8, embedding=16))
    optimiser = torch.optim.Adam(prior.parameters(), 2e-3)
    for _ in range(400):
        pose = torch.randn(128, 1) * shape
        level = torch.exp(torch.empty(128, 1).uniform_(-3.2, -1.6))
        error = prior.denoise(pose + level * torch.randn_like(pose), level) - pose
        loss = ((1 / level**2 + 1 / 0.3**2) * error.square()).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    sde, t = SubVP(), 0.1
    alpha, sigma = sde.alpha(t), sde.sigma(t)
    x = alpha * torch.randn(64, 1) * shape + sigma * torch.randn(64, 51)
    covariance = alpha**2 * torch.outer(shape, shape) + sigma**2 * torch.eye(51)
    expected = -torch.linalg.solve(covariance, x.T).T
    with torch.no_grad():
        found = prior.score(x, t)
    assert float((found - expected).norm() / expected.norm()) < 0.15
    # Across the one direction in which poses differ, noise is all there is; along it, hardly any.
    along = shape / shape.norm()
    across = expected - expected @ torch.outer(along, along)
    assert float(((found - expected) @ along).norm()) < 0.5 * float(across.norm())
