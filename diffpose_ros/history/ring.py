"""Stamps and write positions of one ring, for all people at once.

Letters for shapes: C capacity (rows), W slots, P people.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EMPTY = np.iinfo(np.int64).min
"""Stamp of a slot that holds nothing."""


class RingStamps:
    """Which slot was written when.

    Attributes:
        stamps: (C, W) int64 nanoseconds, :data:`EMPTY` where nothing is.
        head: (C,) the slot that is written next: the oldest, or the first empty one.
    """

    def __init__(self, capacity: int, slots: int) -> None:
        self.stamps: NDArray[np.int64] = np.full((capacity, slots), EMPTY, dtype=np.int64)
        self.head: NDArray[np.int64] = np.zeros(capacity, dtype=np.int64)

    @property
    def slots(self) -> int:
        """W."""
        return int(self.stamps.shape[1])

    def ages(self, rows: slice, now_ns: int, out: NDArray[np.float32]) -> None:
        """Write seconds between each slot and ``now_ns`` into ``out`` (P, W); -1 where empty."""
        stamps = self.stamps[rows]
        empty = stamps == EMPTY
        # Substitute before subtracting: now - EMPTY would overflow.
        np.multiply(now_ns - np.where(empty, now_ns, stamps), 1e-9, out=out, casting="unsafe")
        out[empty] = -1.0

    def push(self, rows: NDArray[np.int64], stamps_ns: NDArray[np.int64]) -> None:
        """Stamp the head slot of each of ``rows`` (P,) and move the head on."""
        head = self.head[rows]
        self.stamps[rows, head] = stamps_ns
        self.head[rows] = (head + 1) % self.slots

    def reset(self, rows: slice | list[int] | NDArray[np.int64]) -> None:
        """Empty these rows."""
        self.stamps[rows] = EMPTY
        self.head[rows] = 0
