"""What a simulated robot is told of gravity."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core import ConfigError
from diffpose_ros.data.virtual.gravity import GravityConfig, told_gravity

TIMES = np.arange(60) / 30.0


def truth(people: int) -> np.ndarray:
    up = np.random.default_rng(1).normal(size=(people, 1, 3)).repeat(len(TIMES), 1)
    return (up / np.linalg.norm(up, axis=-1, keepdims=True)).astype(np.float32)


def degrees_apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.rad2deg(np.arccos(np.clip((a * b).sum(-1), -1, 1)))


def test_nothing_known_draws_nothing() -> None:
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    assert told_gravity(truth(4), TIMES, rng, GravityConfig()) is None
    assert rng.bit_generator.state == before


def test_it_is_told_to_the_share_asked_and_as_wrong_as_asked() -> None:
    up = truth(4000)
    config = GravityConfig(known=0.5, error_deg=2.0, shake_deg=0.5, late=0.0)
    told = told_gravity(up, TIMES, np.random.default_rng(0), config)
    assert told is not None
    known = np.abs(told).sum(-1) > 0
    assert (known == known[:, :1]).all()  # a segment is told or it is not
    assert known.mean() == pytest.approx(0.5, abs=0.03)
    np.testing.assert_allclose(np.linalg.norm(told[known], axis=-1), 1.0, atol=1e-5)
    off = degrees_apart(told, up)[known]
    # two axes turn a vector, each by the constant error and the shake
    assert np.sqrt((off**2).mean()) == pytest.approx(np.sqrt(2 * (2.0**2 + 0.5**2)), rel=0.05)
    shake = told[known[:, 0]] - told[known[:, 0]].mean(1, keepdims=True)
    assert np.rad2deg(np.sqrt((shake**2).sum(-1).mean())) == pytest.approx(np.sqrt(2) * 0.5, rel=0.3)


def test_some_learn_of_it_late_or_lose_it() -> None:
    config = GravityConfig(known=1.0, late=0.4)
    told = told_gravity(truth(3000), TIMES, np.random.default_rng(0), config)
    known = np.abs(told).sum(-1) > 0
    changes = np.diff(known.astype(int), axis=1)
    assert (np.abs(changes).sum(1) <= 1).all()
    assert (changes == 1).any(1).mean() == pytest.approx(0.2, abs=0.03)
    assert (changes == -1).any(1).mean() == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("wrong", [{"known": 1.5}, {"error_deg": -1.0}, {"late": -0.1}, {"shake_deg": -2.0}])
def test_values_out_of_range_are_named(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        GravityConfig(**wrong)
