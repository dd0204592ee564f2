"""The people of one step, as a method sees them: read what is remembered, note what is to be kept.

Nothing is written before the step is over and its answers are known to be finite: a step that raises
leaves everyone as they were, and a person whose answer is unusable starts anew.

Letters for shapes: P people of the step, R rows that a run binds (R >= P), W slots of a ring.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.history.people import PeopleState


class Rows:
    """Some consecutive rows of everyone's memory during one step.

    Args:
        people: everyone's memory.
        where: the P rows.
        now_ns: stamp of the frame.

    Attributes:
        now_ns: stamp of the frame.
        track_id: (P,) identities; below 0 where nobody follows the person.
        first: (P,) whether nothing is remembered of the person yet.
        dt_s: (P,) seconds since the person's last frame; 0 where ``first``.
        age_s: (P,) seconds since the person's first frame; 0 where ``first``.
    """

    def __init__(self, people: PeopleState, where: slice, now_ns: int) -> None:
        self.now_ns = now_ns
        self._people, self._where = people, where
        self.track_id: NDArray[np.int64] = people.track_id[where]
        warm = people.warm[where]
        self.first: NDArray[np.bool_] = ~warm
        self.dt_s = np.where(warm, (now_ns - people.last_ns[where]) * 1e-9, 0.0)
        self.age_s = np.where(warm, (now_ns - people.first_ns[where]) * 1e-9, 0.0)
        self._kept: dict[str, NDArray] = {}
        self._pushed: list[tuple[str, Mapping[str, NDArray], bool]] = []

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, name: str) -> NDArray:
        """What a field holds, (P, *shape), in place: do not write into it."""
        return self._people.arrays[name][self._where]

    def bound(self, name: str, rows: int) -> NDArray:
        """The same with ``rows`` (R) rows: those behind the P hold anything finite."""
        start = self._where.start
        return self._people.arrays[name][start : start + rows]

    def ages(self, ring: str, out: NDArray[np.float32]) -> None:
        """Write seconds between each slot of a ring and now into ``out`` (P, W); -1 where empty."""
        self._people.rings[ring].ages(self._where, self.now_ns, out)

    def keep(self, **values: NDArray) -> None:
        """Note the new contents (P, *shape) of fields that are no rings."""
        self._kept.update(values)

    def push(self, ring: str, entries: Mapping[str, NDArray], *, of_last_frame: bool = False) -> None:
        """Note the newest entries of a ring's fields.

        Args:
            ring: name of the ring.
            entries: field -> (P, *shape) with one slot, or without the slot axis; more rows than P
                are ignored.
            of_last_frame: what is kept describes each person's last frame and gets its stamp; a
                person's first frame then leaves nothing.
        """
        self._pushed.append((ring, entries, of_last_frame))

    def finite(self) -> NDArray[np.bool_]:
        """(P,) whether everything noted for a person is finite: a sum is, if all its terms are."""
        p = len(self)
        good = np.ones(p, dtype=bool)
        noted = [*self._kept.values(), *(e for _, made, _ in self._pushed for e in made.values())]
        for value in noted:
            good &= np.isfinite(value[:p].reshape(p, -1).sum(axis=1))
        return good

    def commit(self, good: NDArray[np.bool_]) -> None:
        """Write what was noted for those who are ``good`` (P,); the others start anew."""
        people, p = self._people, len(self)
        everyone = np.arange(self._where.start, self._where.start + p)
        for ring, entries, of_last_frame in self._pushed:
            wanted = good & ~self.first if of_last_frame else good
            kept = np.flatnonzero(wanted)
            rows = everyone[kept]
            stamps = people.last_ns[rows] if of_last_frame else np.full(len(rows), self.now_ns)
            chosen = {n: e[:p] if len(kept) == p else e[kept] for n, e in entries.items()}
            people.push(ring, rows, stamps, chosen)
        index = np.flatnonzero(good)
        rows = everyone[index]
        for name, value in self._kept.items():
            people.arrays[name][rows] = value[index]
        people.mark(rows, self.now_ns)
        if len(index) < p:
            people.reset(everyone[~good])
