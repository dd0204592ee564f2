"""Schedules, mixtures, noise and samplers against their equations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from diffpose_ros.core import H36M17, ConfigError
from diffpose_ros.diffusion.noise import fixed_noise
from diffpose_ros.diffusion.schedules import PAPER, Schedule, ddim_steps


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


def test_alphas_are_products_of_what_each_step_leaves() -> None:
    """Three steps with betas 0.1, 0.2, 0.3; a single step has the last beta."""
    three = Schedule(diffusion_steps=3, beta_start=0.1, beta_end=0.3).alphas()
    assert three == pytest.approx((1.0, 0.9, 0.9 * 0.8, 0.9 * 0.8 * 0.7))
    assert Schedule(diffusion_steps=1, beta_start=0.1, beta_end=0.3).alphas() == pytest.approx((1.0, 0.7))


def test_the_cosine_schedule_is_that_of_its_paper() -> None:
    """Nichol and Dhariwal, 2021, eq. 17, with their s = 0.008; never quite zero."""
    f = [np.cos((i / 4 + 0.008) / 1.008 * np.pi / 2) ** 2 for i in range(5)]
    alphas = Schedule(beta_schedule="cosine", diffusion_steps=4).alphas()
    assert alphas[:4] == pytest.approx([v / f[0] for v in f[:4]])
    assert alphas[4] == 1e-4


def test_ddim_visits_even_steps() -> None:
    assert ddim_steps(50, 5) == (50, 40, 30, 20, 10, 0)
    assert ddim_steps(50, 3) == (50, 33, 17, 0)
    assert ddim_steps(2, 2) == (2, 1, 0)
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
