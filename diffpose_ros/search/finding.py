"""What is asked of an index: poses like one, or like those of a name."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError
from diffpose_ros.search.gallery import Taught
from diffpose_ros.search.index import Hit, PoseIndex
from diffpose_ros.search.vectors import JOINTS, distance

Array = NDArray[np.float64]

APART_S = 1.0
"""Of one person's poses that are nearer in time the nearest is told."""
CROWD = 30
"""How many frames are asked for, for each that is told: many are of the same moments."""


def like_pose(index: PoseIndex, vectors: Array, count: int) -> list[Hit]:
    """The moments that are most like a pose.

    Args:
        index: where.
        vectors: (V, 17, 3) the pose, in each of its variants.
        count: how many moments at most.
    """
    found = [hit for one in vectors for hit in index.nearest(one.reshape(-1), CROWD * count)]
    return moments(found, count)


def like_taught(index: PoseIndex, taught: Sequence[Taught], count: int) -> list[Hit]:
    """The moments that are most like one of several names; the whole index is read, piece by piece.

    Raises:
        InputError: a name is a motion: an index holds poses.
    """
    for one in taught:
        if one.motion:
            raise InputError(f"'{one.name}' is a motion, and an index holds poses: name a pose")
    best: list[tuple[float, int, Hit]] = []
    order = 0
    for vectors, table in index.batches():
        poses = vectors.reshape(-1, JOINTS, 3).astype(np.float64)
        apart = np.min([_to_nearest(one, poses) for one in taught], axis=0)
        rows = np.argpartition(apart, min(CROWD * count, len(apart)) - 1)[: CROWD * count]
        if len(best) >= CROWD * count:
            rows = rows[apart[rows] < -best[0][0]]
        for hit in index.hits(table, rows, apart[rows]):
            order += 1
            item = (-hit.distance, order, hit)
            if len(best) < CROWD * count:
                heapq.heappush(best, item)
            else:
                heapq.heappushpop(best, item)
    return moments([hit for _, _, hit in best], count)


def _to_nearest(taught: Taught, poses: Array) -> Array:
    """(N,) distances of poses to the nearest example, metres."""
    seen, out = taught.seen(poses), np.full(len(poses), np.inf)
    for example in taught.compared[:, 0]:
        np.minimum(out, distance(seen, example), out=out)
    return out


def moments(hits: Sequence[Hit], count: int) -> list[Hit]:
    """The nearest hits, of one person one within :data:`APART_S`."""
    told: list[Hit] = []
    times: dict[tuple[int, int], list[float]] = {}
    for hit in sorted(hits, key=lambda h: h.distance):
        when = times.setdefault((hit.source.number, hit.track_id), [])
        if all(abs(hit.stamp_s - t) >= APART_S for t in when):
            when.append(hit.stamp_s)
            told.append(hit)
        if len(told) == count:
            break
    return told
