"""Which people of a frame are lifted, and which of their keypoints count."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import People2D


@dataclass(frozen=True)
class Selection:
    """The people of one frame who can be lifted.

    Attributes:
        index: (S,) their positions in the frame.
        track_ids: their identities, distinct; below -1 for those who have none.
        score: (P, 17) scores of everyone, 0 where a keypoint does not count.
        unseen: identities of those with too few keypoints.
        left_out: people beyond the limit.
        messages: what is worth a log line.
    """

    index: NDArray[np.int64]
    track_ids: tuple[int, ...]
    score: NDArray[np.float64]
    unseen: tuple[int, ...]
    left_out: int
    messages: tuple[str, ...]


def select(
    people: People2D,
    *,
    threshold: float,
    min_keypoints: int,
    limit: int,
    known: Container[int],
    size: tuple[int, int] | None = None,
) -> Selection:
    """Choose.

    Args:
        people: the frame.
        threshold: keypoints scored lower do not count.
        min_keypoints: people with fewer are not lifted.
        limit: most people; those already known come first, then those with the best scores.
        known: identities that are remembered.
        size: width and height of the image, pixels: a keypoint farther out of it than it is large was not
            seen.
    """
    score = np.where(people.score >= threshold, people.score, 0.0)
    if size is not None:
        extent = np.asarray(size, dtype=np.float64)
        score[((people.xy < -extent) | (people.xy > 2 * extent)).any(axis=2)] = 0.0
    enough = (score > 0).sum(axis=1) >= min_keypoints
    identity: NDArray[np.int64] = people.track_id  # type: ignore[assignment]
    seen: set[int] = set()
    index, ids, twice = [], [], []
    for i in np.flatnonzero(enough):
        tid = int(identity[i])
        if tid < 0:
            tid = -2 - int(i)
        elif tid in seen:
            twice.append(tid)
            continue
        seen.add(tid)
        index.append(int(i))
        ids.append(tid)
    messages = []
    if twice:
        messages.append(f"track ids given to several people, the first one is lifted: {twice}")
    left_out = max(0, len(index) - limit)
    if left_out:
        person: NDArray[np.float64] = people.person_score  # type: ignore[assignment]
        rank = sorted(range(len(index)), key=lambda k: (ids[k] not in known, -person[index[k]]))
        keep = sorted(rank[:limit])
        index, ids = [index[k] for k in keep], [ids[k] for k in keep]
        messages.append(f"{left_out} people beyond max_tracks ({limit}) are left out")
    return Selection(
        index=np.asarray(index, dtype=np.int64),
        track_ids=tuple(ids),
        score=score,
        unseen=tuple(int(t) for t in identity[~enough]),
        left_out=left_out,
        messages=tuple(messages),
    )
