"""What is asked of an index: poses like one, or like those of a name, and motions."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.search import windows
from diffpose_ros.search.gallery import Taught
from diffpose_ros.search.index import Hit, PoseIndex
from diffpose_ros.search.index_rows import ROW, values
from diffpose_ros.search.vectors import JOINTS, distance

Array = NDArray[np.float64]

APART_S = 1.0
"""Of one person's poses that are nearer in time the nearest is told."""
STRIDE_S = 0.2
"""Motions are looked for that end so often: a fifth of a second is within their warping."""
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
    """The moments that are most like one of several names; the whole index is read, piece by piece."""
    poses = [one for one in taught if not one.motion]
    motions = [one for one in taught if one.motion]
    found = _like_poses(index, poses, count) if poses else []
    found += [hit for one in motions for hit in like_motion(index, one, count)]
    return moments(found, count)


def like_motion(index: PoseIndex, taught: Taught, count: int) -> list[Hit]:
    """The moments at which the motions end that are most like a taught one, recording by recording."""
    best: list[Hit] = []
    for vectors, table in index.recordings():
        poses = vectors.reshape(-1, JOINTS, 3).astype(np.float64)
        told = values(table)
        stamps, who = told[:, ROW.index("stamp_s")], told[:, ROW.index("track_id")]
        ends, apart = [], []
        for track_id in np.unique(who):
            rows = np.flatnonzero(who == track_id)
            rows = rows[np.argsort(stamps[rows], kind="stable")]
            for end, distance_m in _motions(stamps[rows], poses[rows], taught):
                ends.append(rows[end])
                apart.append(distance_m)
        if ends:
            best = moments([*best, *index.hits(table, np.array(ends), np.array(apart))], count)
    return best


def _motions(stamps: Array, poses: Array, taught: Taught) -> Iterator[tuple[int, float]]:
    """Rows at which one person's motions end, of those that are like a taught one at all, and distances."""
    last = -np.inf
    for k, stamp in enumerate(stamps):
        if stamp - last < STRIDE_S:
            continue
        last = stamp
        first = int(np.searchsorted(stamps, stamp - taught.seconds - windows.LONGEST_GAP_S))
        seen = windows.window(stamps[first : k + 1], poses[first : k + 1], float(stamp), taught.seconds)
        if seen is not None and np.isfinite(apart := taught.distance(seen)):
            yield k, apart


def _like_poses(index: PoseIndex, taught: Sequence[Taught], count: int) -> list[Hit]:
    """The poses that are most like one of several names, many of the same moments."""
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
    return [hit for _, _, hit in best]


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
