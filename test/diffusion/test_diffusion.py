"""Schedules, mixtures, noise and samplers against their equations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from diffpose_ros.core import H36M17, ConfigError, InputError
from diffpose_ros.diffusion.noise import fixed_noise
from diffpose_ros.diffusion.schedules import PAPER, Schedule, ddim_steps
from diffpose_ros.methods.diffusion.mixture import Mixture, fit_mixture


def test_the_papers_schedule_does_not_reach_noise_and_the_default_does() -> None:
    assert PAPER.alphas()[50] == pytest.approx(0.949, abs=1e-3)
    assert Schedule().alphas()[50] < 0.02
    assert Schedule().alphas()[0] == 1.0


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_alphas_fall(name: str) -> None:
    alphas = Schedule(beta_schedule=name).alphas()
    assert len(alphas) == 51
    assert all(a > b for a, b in itertools.pairwise(alphas))


@pytest.mark.parametrize(
    ("change", "text"),
    [({"beta_schedule": "sqrt"}, "linear or cosine"), ({"diffusion_steps": 0}, "1 or more"),
     ({"beta_start": 0.5, "beta_end": 0.1}, "beta_start <= beta_end")],
)  # fmt: skip
def test_wrong_schedules_are_refused(change: dict, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Schedule(**change)


def test_ddim_visits_even_steps() -> None:
    assert ddim_steps(50, 5) == (50, 40, 30, 20, 10, 0)
    assert ddim_steps(50, 1) == (50, 0)
    with pytest.raises(ConfigError, match="expected 1 to 50"):
        ddim_steps(50, 51)


@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_fixed_noise_is_centred_and_of_unit_variance(n: int) -> None:
    noise = fixed_noise(n)
    assert noise.shape == (n, 17, 3)
    assert np.allclose(noise.mean(0), 0, atol=1e-6)
    assert np.allclose((noise**2).mean(0), 1, atol=1e-5)
    if n >= 4:
        cross = np.einsum("nji,njk->jik", noise, noise) / n
        assert np.allclose(cross, np.eye(3), atol=1e-5)
    assert np.array_equal(noise, fixed_noise(n))


def test_the_noise_of_one_hypothesis_does_not_move_the_body_as_a_whole() -> None:
    noise = fixed_noise(1)[0]
    assert np.allclose(noise.mean(0), 0, atol=1e-6)
    assert np.allclose(noise.std(0), 1, atol=1e-5)
    left, right = list(H36M17.left), list(H36M17.right)
    assert np.allclose(noise[left], -noise[right])
    assert np.allclose(fixed_noise(1, joints=5).mean(1), 0, atol=1e-6)


def test_em_finds_two_components() -> None:
    rng = np.random.default_rng(0)
    narrow = rng.normal(0, 0.3, (3000, 17, 3))
    wide = rng.normal(0.5, 2.0, (1000, 17, 3))
    fitted = fit_mixture(np.concatenate([narrow, wide]), components=2)
    assert fitted.weight == pytest.approx([0.75, 0.25], abs=0.01)
    assert fitted.std[0].mean() == pytest.approx(0.3, abs=0.02)
    assert fitted.std[1].mean() == pytest.approx(2.0, abs=0.1)
    assert fitted.mean[1].mean() == pytest.approx(0.5, abs=0.1)


def test_em_needs_draws() -> None:
    with pytest.raises(InputError, match="50 draws or more, got 10"):
        fit_mixture(np.zeros((10, 17, 3)))


def test_hypotheses_share_the_components_by_weight() -> None:
    shape = (2, 17, 3)
    mixture = Mixture(np.array([0.6, 0.4], np.float32), np.zeros(shape), np.ones(shape))
    assert mixture.assign(5).tolist() == [0, 0, 0, 1, 1]
