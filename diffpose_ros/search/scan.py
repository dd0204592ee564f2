"""The nearest of vectors that fit into memory, one by one: exact, and faster than an index up to 50,000."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError

BLOCK = 64
"""Rows of which the nearest is looked at first."""


class Scan:
    """N vectors to look through.

    They stand as columns, with half of their squared lengths below, so that one product with a query gives
    what orders them. The ``count`` nearest are in the ``count`` blocks whose nearest rows are nearest: most
    rows are never sorted.

    Args:
        vectors: (N, D).
    """

    def __init__(self, vectors: NDArray) -> None:
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        rows, size = self._vectors.shape
        self._columns = np.zeros((size + 1, -(-rows // BLOCK) * BLOCK), np.float32)
        self._columns[:size, :rows] = self._vectors.T
        self._columns[size, :rows] = 0.5 * np.einsum("ij,ij->i", self._vectors, self._vectors)
        self._columns[size, rows:] = np.inf  # fills the last block

    def __len__(self) -> int:
        return len(self._vectors)

    def nearest(self, query: NDArray, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The nearest by Euclidean distance.

        Args:
            query: (D,) finite.
            count: how many, at most N.

        Returns:
            Their rows and squared distances, nearest first.

        Raises:
            InputError: the query is not finite or of another size.
        """
        wanted = checked_query(query, self._vectors.shape[1])
        count = min(count, len(self))
        rows = self._rows(np.append(-wanted, np.float32(1.0)) @ self._columns, count)
        apart = self._vectors[rows] - wanted  # exact, where the difference of squares cancels
        squared = np.einsum("ij,ij->i", apart, apart).astype(np.float64)
        order = np.argsort(squared, kind="stable")
        return rows[order], squared[order]

    def _rows(self, half: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """The rows of the ``count`` smallest, in no order."""
        if count == len(self):
            return np.arange(count)
        blocks = half.reshape(-1, BLOCK)
        if count < len(blocks):
            first = np.argpartition(blocks.min(axis=1), count - 1)[:count]
            inside = np.argpartition(blocks[first].reshape(-1), count - 1)[:count]
            return np.asarray(first[inside // BLOCK] * BLOCK + inside % BLOCK)
        return np.argpartition(half, count - 1)[:count]


def checked_query(query: NDArray, size: int) -> NDArray[np.float32]:
    """A query as (D,) float32.

    Raises:
        InputError: it is empty, of another size, or not finite.
    """
    made = np.asarray(query, dtype=np.float32).reshape(-1)
    if made.size != size:
        raise InputError(f"query: expected a vector of {size} numbers, got {made.size}")
    if not np.isfinite(made).all():
        raise InputError("query: expected finite numbers, got NaN or infinity")
    return made
