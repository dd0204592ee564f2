"""Each level runs the graph with its number of steps, and costs its share; the noise is that of the seed."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from diffpose_ros.diffusion.noise import fixed_noise
from diffpose_ros.methods.diffusion import method
from diffpose_ros.methods.diffusion.engine import ladder
from diffpose_ros.methods.protocol import Level


def test_hypotheses_go_first_and_then_steps():
    levels = ladder(8, 3, [5, 2, 1])
    assert [(x.hypotheses, x.steps) for x in levels] == [(8, 5), (4, 5), (3, 5), (3, 2), (3, 1)]
    # a third for the encoder; the rest goes with hypotheses times steps
    want = [1.0, 1 / 3 + 2 / 3 / 2, 1 / 3 + 2 / 3 * 3 / 8, *(1 / 3 + 2 / 3 * 3 / 8 * s / 5 for s in (2, 1))]
    assert [x.share for x in levels] == pytest.approx(want)


def test_a_level_runs_the_graph_of_its_own_steps(monkeypatch):
    def backend(value):
        answer = {"mean": np.full((1, 17, 3), value), "covariance": np.zeros((1, 17, 3, 3))}
        return MagicMock(rows=lambda n: n, run=lambda feeds: answer)

    whole, quick = backend(1.0), backend(2.0)
    made = method.DiffusionMethod.__new__(method.DiffusionMethod)
    made._engine = SimpleNamespace(backends={5: whole, 2: quick}, best=whole)
    made._inputs, made._timer, made.spare, made._keep_hypotheses = MagicMock(), lambda: 0.0, 1, False
    monkeypatch.setattr(method, "look", lambda seen, rows: SimpleNamespace(rotation=np.eye(3)[None]))
    rows = MagicMock(__len__=lambda self: 1)
    for steps, value in ((5, 1.0), (2, 2.0)):
        assert (made.step(None, rows, Level(4, steps)).mean == value).all()
        made._inputs.feeds.assert_called_with(rows, 1, 4)


def test_the_noise_is_that_of_the_seed(make):
    lifter = make(seed=3)
    ((n, noise),) = list(lifter.method._inputs._noise.items())[:1]
    np.testing.assert_array_equal(noise[0], fixed_noise(n, seed=3))
    assert not np.array_equal(fixed_noise(n, seed=3), fixed_noise(n, seed=0))
