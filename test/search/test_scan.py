"""The exact scan of small indexes."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core import InputError
from diffpose_ros.search.scan import Scan


def test_the_nearest_are_those_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 51)).astype(np.float32)
    for query in rng.normal(size=(5, 51)):
        found, squared = Scan(rows).nearest(query, 7)
        apart = ((rows - query) ** 2).sum(axis=1)
        assert found.tolist() == np.argsort(apart)[:7].tolist()
        assert np.allclose(squared, np.sort(apart)[:7], rtol=1e-5)


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 1000])
@pytest.mark.parametrize("count", [1, 7, 40, 999, 2000])
def test_any_number_of_any_number_of_rows_is_found(rows: int, count: int) -> None:
    rng = np.random.default_rng(rows)
    vectors = rng.normal(size=(rows, 6)).astype(np.float32)
    vectors[rows // 2 :] = vectors[: rows - rows // 2]  # ties
    query = rng.normal(size=6)
    apart = np.sort(((vectors - query) ** 2).sum(axis=1))[:count]
    found, squared = Scan(vectors).nearest(query, count)
    assert len(set(found.tolist())) == len(apart)
    assert np.allclose(squared, apart, rtol=1e-5)
    assert np.allclose(((vectors[found] - query) ** 2).sum(axis=1), squared, rtol=1e-5)


def test_a_row_is_at_no_distance_of_itself() -> None:
    rows = 100.0 + np.random.default_rng(0).normal(size=(50, 51))
    found, squared = Scan(rows).nearest(rows[7], 99)
    assert found[0] == 7 and squared[0] < 1e-8 and len(found) == 50


def test_a_query_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="expected a vector of 3 numbers, got 4"):
        Scan(np.zeros((2, 3))).nearest(np.zeros(4), 1)
