"""Quaternions and matrices are each other's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from diffpose_ros.core.rotations import quaternions, rotations

ALL = Rotation.random(500, random_state=np.random.default_rng(3)).as_matrix()
HALF_TURNS = np.array([np.diag(d) for d in ([1, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, 1])], dtype=float)


@pytest.mark.parametrize("matrix", [ALL, HALF_TURNS, ALL[0], ALL.reshape(50, 10, 3, 3)])
def test_a_matrix_comes_back(matrix) -> None:
    q = quaternions(matrix)
    assert q.shape == (*matrix.shape[:-2], 4)
    assert (q[..., 3] >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(q, axis=-1), 1)
    np.testing.assert_allclose(
        Rotation.from_quat(q.reshape(-1, 4)).as_matrix(), matrix.reshape(-1, 3, 3), atol=1e-9
    )
    np.testing.assert_allclose(rotations(q), matrix, atol=1e-9)


def test_what_is_not_known_stays_unknown_and_touches_no_other() -> None:
    matrix = ALL[:5].copy()
    matrix[2] = np.nan
    q = quaternions(matrix)
    assert np.isnan(q[2]).all()
    assert np.isfinite(np.delete(q, 2, axis=0)).all()
