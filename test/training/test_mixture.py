"""The mixture of H_K, found in draws of known ones."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed: training needs it")
pytest.importorskip("torch", reason="torch is not installed: training needs it")

from diffpose_ros.core import InputError
from diffpose_ros.training.mixture import fit_mixture


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


def test_the_same_draws_give_the_same_mixture() -> None:
    draws = np.random.default_rng(1).standard_t(3, (600, 17, 3))
    a, b = fit_mixture(draws), fit_mixture(draws)
    for name in ("weight", "mean", "std"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
        assert getattr(a, name).dtype == np.float32
    assert len(a.weight) == 5
    assert (np.diff(np.square(a.std).mean((1, 2))) >= 0).all(), "the narrowest first"


def test_a_draw_that_repeats_has_a_width_all_the_same() -> None:
    assert fit_mixture(np.zeros((60, 17, 3)), components=2).std.min() == pytest.approx(0.01, rel=1e-3)


def test_nan_is_refused() -> None:
    with pytest.raises(InputError, match="mixture: expected finite residuals"):
        fit_mixture(np.full((60, 17, 3), np.nan))
