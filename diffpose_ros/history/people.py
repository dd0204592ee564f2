"""Rows of per-person state that a network reads in place.

Each person owns one row of every array. Rows 0..count-1 are taken; those of the people in the
current frame stand in front, so that ``array[a:b]`` is what a run needs and nothing is gathered.
Arrays are made once: people come and go without any allocation.

Letters for shapes: C capacity (rows), P people, W slots of a ring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ConfigError
from diffpose_ros.history.field import Field
from diffpose_ros.history.ring import RingStamps

Where = slice | list[int] | NDArray[np.int64]
"""How rows are named."""

FREE = -1
"""Identity of a row that nobody owns."""


class PeopleState:
    """Everything that is remembered of everyone.

    Args:
        capacity: people that can be remembered.
        fields: name -> what is remembered under it.
        spare: rows behind the capacity, so that a run may bind more rows than there are people.

    Attributes:
        capacity: C without the spare rows.
        count: rows taken.
        track_id: (C,) identities; :data:`FREE` where nobody is.
        last_ns: (C,) stamp of the last frame that updated the row; meaningful where ``warm``.
        first_ns: (C,) stamp of the first such frame since the last reset.
        seen_ns: (C,) stamp of the last frame in which the person was present, updated or not: who waits
            for a turn is not absent.
        warm: (C,) whether the row holds anything since its last reset.
        rings: ring name -> stamps.
        arrays: name -> (C + spare, *shape) array of every field.

    Raises:
        ConfigError: there is no room, or two fields of a ring differ in their slots.
    """

    def __init__(
        self,
        capacity: int,
        fields: Mapping[str, Field],
        *,
        spare: int = 0,
    ) -> None:
        if capacity < 1:
            raise ConfigError(f"people to remember: expected at least 1, got {capacity}")
        rows = capacity + spare
        self.capacity = capacity
        self.count = 0
        self.track_id: NDArray[np.int64] = np.full(rows, FREE, dtype=np.int64)
        self.last_ns: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self.first_ns: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self.seen_ns: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self.warm: NDArray[np.bool_] = np.zeros(rows, dtype=bool)
        self.fields = dict(fields)
        self.rings = {name: RingStamps(rows, slots) for name, slots in ring_slots(fields).items()}
        # np.zeros commits no memory: a row costs nothing before somebody stands in it.
        self.arrays: dict[str, NDArray] = {
            name: np.zeros((rows, *f.shape), dtype=f.dtype) for name, f in fields.items()
        }
        self._slot_first = {
            name: np.moveaxis(self.arrays[name], f.slot_axis + 1, 1) for name, f in fields.items() if f.ring
        }
        self._row_of: dict[int, int] = {}

    def __contains__(self, track_id: object) -> bool:
        return track_id in self._row_of

    def row_of(self, track_id: int) -> int:
        """Row of a person.

        Raises:
            KeyError: nobody of that identity is remembered.
        """
        return self._row_of[track_id]

    def forget_absent(self, now_ns: int, max_gap_ns: int) -> int:
        """Free the rows of people not present for longer than ``max_gap_ns``; return how many."""
        taken = slice(0, self.count)
        late = np.flatnonzero(now_ns - self.seen_ns[taken] > max_gap_ns)
        for row in late[::-1]:
            self.remove(int(row))
        return len(late)

    def bring_to_front(self, track_ids: Sequence[int], now_ns: int) -> int:
        """Give the people of a frame the rows 0..P-1, newcomers an empty one each.

        Those who stand in front already stay where they are: as long as the same people are in
        view nothing moves. When every row is taken, the person unseen for longest is forgotten.

        Args:
            track_ids: distinct identities, at most ``capacity``.
            now_ns: stamp of the frame; all of them count as seen then.

        Returns:
            How many people had to be forgotten.
        """
        present = set(track_ids)
        assert len(present) == len(track_ids) <= self.capacity
        forgotten = 0
        for tid in track_ids:
            if tid in self._row_of:
                continue
            if self.count == self.capacity:
                absent = [r for r in range(self.count) if int(self.track_id[r]) not in present]
                self.remove(min(absent, key=lambda r: int(self.seen_ns[r])))
                forgotten += 1
            row = self.count
            self.count += 1
            self.track_id[row] = tid
            self._row_of[tid] = row
            self.reset([row])
            self.last_ns[row] = now_ns
        self.seen_ns[[self._row_of[t] for t in track_ids]] = now_ns
        front = len(track_ids)
        holes = [r for r in range(front) if int(self.track_id[r]) not in present]
        behind = [r for t in track_ids if (r := self._row_of[t]) >= front]
        for hole, row in zip(holes, behind, strict=True):
            self._swap(hole, row)
        return forgotten

    def remove(self, row: int) -> None:
        """Free a row; the last person moves into it."""
        last = self.count - 1
        if row != last:
            self._swap(row, last)
        del self._row_of[int(self.track_id[last])]
        self.track_id[last] = FREE
        self.warm[last] = False
        self.count = last

    def reset(self, rows: Where) -> None:
        """Empty these rows; their owners stay. Nobody else is touched.

        Rings keep their numbers, which are finite: an empty slot's age masks them.
        """
        self.warm[rows] = False
        for name, field in self.fields.items():
            if not field.ring:
                self.arrays[name][rows] = 0
        for ring in self.rings.values():
            ring.reset(rows)

    def clear(self) -> None:
        """Forget everyone."""
        self.track_id[:] = FREE
        self.count = 0
        self._row_of.clear()
        self.reset(slice(None))

    def push(
        self,
        ring: str,
        rows: NDArray[np.int64],
        stamps_ns: NDArray[np.int64],
        entries: Mapping[str, NDArray],
    ) -> None:
        """Write the newest entries of one ring.

        Args:
            ring: name of the ring.
            rows: (P,) rows to write, distinct.
            stamps_ns: (P,) the entries' stamps.
            entries: field -> (P, *shape with one slot), or without the slot axis.
        """
        if not len(rows):
            return
        stamps = self.rings[ring]
        head = stamps.head[rows]
        for name, entry in entries.items():
            slots = self._slot_first[name]
            slots[rows, head] = entry.reshape(len(rows), *slots.shape[2:])
        stamps.push(rows, stamps_ns)

    def mark(self, rows: NDArray[np.int64], stamp_ns: int) -> None:
        """Note that ``rows`` were updated by the frame of ``stamp_ns``."""
        self.first_ns[rows] = np.where(self.warm[rows], self.first_ns[rows], stamp_ns)
        self.last_ns[rows] = self.seen_ns[rows] = stamp_ns
        self.warm[rows] = True

    def _swap(self, a: int, b: int) -> None:
        for array in self._per_row():
            held = array[a].copy()
            array[a] = array[b]
            array[b] = held
        for row in (a, b):
            if self.track_id[row] != FREE:
                self._row_of[int(self.track_id[row])] = row

    def _per_row(self) -> Iterable[NDArray]:
        yield from (self.track_id, self.last_ns, self.first_ns, self.seen_ns, self.warm)
        yield from self.arrays.values()
        for ring in self.rings.values():
            yield from (ring.stamps, ring.head)


def ring_slots(fields: Mapping[str, Field]) -> dict[str, int]:
    """Ring -> slots.

    Raises:
        ConfigError: two fields of a ring differ in their slots.
    """
    out: dict[str, int] = {}
    for name, field in fields.items():
        if field.ring and out.setdefault(field.ring, field.slots) != field.slots:
            raise ConfigError(
                f"field '{name}': expected {out[field.ring]} slots as the others of ring "
                f"'{field.ring}', got {field.slots}"
            )
    return out
