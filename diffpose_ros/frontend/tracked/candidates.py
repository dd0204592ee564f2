"""Bodies to be looked at in a frame: where they are expected, and how sure one is of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import People2D, TrackState
from diffpose_ros.core.oks import extent, oks_matrix
from diffpose_ros.frontend.tracked import uncertainty
from diffpose_ros.frontend.tracked.crops import Crops
from diffpose_ros.frontend.tracked.overlap import boxes, covered
from diffpose_ros.frontend.tracked.sightings import unknown
from diffpose_ros.tracking.expected import Expected

SAME_BODY = 0.5
"""OKS from which two rows of one frame are one body."""

MIN_KEYPOINTS = 3

IN_THE_CROP = 0.1
"""A crop that holds so much of somebody else may have shown no one because of them."""


@dataclass(frozen=True)
class Candidates:
    """P bodies, J joints.

    Attributes:
        xy: (P, J, 2) where the keypoints are expected, pixels.
        visible: (P, J) of which joints something is expected.
        unseen_s: (P,) seconds since the last sight.
        new: (P,) they were found by a search and are not followed yet.
        key: (P,) the track's, see :class:`diffpose_ros.tracking.expected.Expected`; -1 for the new.
        sure: (P,) the track is confirmed.
    """

    xy: NDArray[np.float64]
    visible: NDArray[np.bool_]
    unseen_s: NDArray[np.float64]
    new: NDArray[np.bool_]
    key: NDArray[np.int64]
    sure: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.new)

    @classmethod
    def of_tracks(cls, tracks: Expected) -> Candidates:
        """Those who are followed."""
        new = np.zeros(len(tracks), dtype=bool)
        return cls(tracks.xy, tracks.visible, tracks.unseen_s, new, tracks.key, tracks.track_id >= 0)

    @classmethod
    def of_people(cls, people: People2D, keypoint_score: float) -> Candidates:
        """Those who were found, best first."""
        visible = people.score >= max(keypoint_score, 1e-9)
        enough = np.flatnonzero(visible.sum(axis=1) >= MIN_KEYPOINTS)
        n = len(enough)
        return cls(
            people.xy[enough], visible[enough], np.full(n, 0.1), np.ones(n, dtype=bool),
            np.full(n, -1), np.zeros(n, dtype=bool),
        )  # fmt: skip

    def and_(self, others: Candidates) -> Candidates:
        """These, then others."""
        return Candidates(
            np.concatenate([self.xy, others.xy]), np.concatenate([self.visible, others.visible]),
            np.concatenate([self.unseen_s, others.unseen_s]), np.concatenate([self.new, others.new]),
            np.concatenate([self.key, others.key]), np.concatenate([self.sure, others.sure]),
        )  # fmt: skip

    def take(self, rows: NDArray[np.int64] | list[int]) -> Candidates:
        """Those of these rows."""
        i = np.asarray(rows, dtype=np.int64)
        return Candidates(
            self.xy[i], self.visible[i], self.unseen_s[i], self.new[i], self.key[i], self.sure[i]
        )

    def best(self, most: int) -> Candidates:
        """The first ones, the followed before the new, and the longest unseen last."""
        if len(self) <= most:
            return self
        return self.take(np.argsort(self.new + 1e-3 * self.unseen_s, kind="stable")[:most])

    def in_turn(self, most: int, frame: int) -> tuple[Candidates, Candidates]:
        """Those whose turn it is in this frame, ``most`` at most, and those who wait.

        Who is not yet confirmed may not miss a frame; then come those unseen for longest.
        """
        tie = (self.key - frame) % max(len(self), 1)
        order = np.lexsort((tie, -self.unseen_s, self.sure))
        return self.take(np.sort(order[:most])), self.take(np.sort(order[most:]))

    def not_among(self, people: People2D, keypoint_score: float) -> Candidates:
        """Those who are none of these people of the same frame."""
        as_people = People2D(
            xy=np.where(self.visible[..., None], self.xy, 0.0), score=self.visible.astype(np.float64)
        )
        visible = people.score >= max(keypoint_score, 1e-9)
        n = len(people)
        there = Expected(
            np.arange(n), np.full(n, -1), people.xy, visible, extent(people.xy, visible),
            np.zeros(n), np.zeros(n),
        )  # fmt: skip
        return self.take(unknown(as_people, there, 0.5))

    def hidden_by_others(self, seen: People2D) -> NDArray[np.bool_]:
        """(P,) those who are confirmed, whom their crop does not show, and whose crop shows others, too.

        Args:
            seen: what the crops showed, a row for each; of score 0 where there was nobody.
        """
        lost = self.sure & ~self.new & ~shown(seen)
        if not lost.any():
            return np.asarray(lost)
        crops = Crops.around(self.xy, self.visible)
        square = np.concatenate([crops.corner, crops.corner + crops.side[:, None]], axis=1)
        there = (seen.score > 0) & shown(seen)[:, None]
        inside = covered(square, boxes(seen.xy, there)) * there.any(axis=1)
        np.fill_diagonal(inside, 0.0)
        return np.asarray(lost & (inside >= IN_THE_CROP).any(axis=1))

    def agreement(self, people: People2D) -> NDArray[np.float64]:
        """(P,) OKS of each row of people with the candidate of the same row."""
        visible = people.score > 0
        size = np.maximum(extent(self.xy, self.visible), extent(people.xy, visible))
        same = oks_matrix(self.xy, self.visible, people.xy, visible, size[:, None], spread=2.0)
        return np.diagonal(same).copy()


def joined(a: People2D, b: People2D) -> People2D:
    """The people of both, which have covariances unless they are nobody."""
    if not len(b):
        return a
    if not len(a):
        return b
    assert a.covariance is not None
    assert b.covariance is not None
    assert a.person_score is not None
    assert b.person_score is not None
    return People2D(
        xy=np.concatenate([a.xy, b.xy]), score=np.concatenate([a.score, b.score]),
        person_score=np.concatenate([a.person_score, b.person_score]),
        covariance=np.concatenate([a.covariance, b.covariance]),
    )  # fmt: skip


def shown(people: People2D) -> NDArray[np.bool_]:
    """(P,) of which there is enough for a person."""
    assert people.person_score is not None
    return np.asarray((people.person_score > 0) & ((people.score > 0).sum(axis=1) >= MIN_KEYPOINTS))


def drop_doubles(people: People2D, trusted: int, prefer: NDArray[np.float64] | None = None) -> People2D:
    """People without those of score 0, and of those who lie on each other only one.

    Args:
        people: of one frame.
        trusted: so many rows at the beginning stay whatever happens.
        prefer: (P,) the one with more of this stays; otherwise the earlier row.
    """
    visible, enough = people.score > 0, shown(people)
    size = extent(people.xy, visible)
    same = oks_matrix(people.xy, visible, people.xy, visible, np.maximum(size[:, None], size[None]))
    rest = np.arange(trusted, len(people))
    if prefer is not None:
        rest = rest[np.argsort(-prefer[rest], kind="stable")]
    kept: list[int] = list(range(trusted))
    for i in rest:
        if enough[i] and not any(same[i, k] >= SAME_BODY for k in kept):
            kept.append(int(i))
    return people.take(sorted(kept))


PREDICTED_SCORE = 0.2
"""Score of a keypoint that is expected and was not looked at."""


def with_expected(people: People2D, late: Expected) -> People2D:
    """People and those who were not looked at in this frame, by rising identity.

    The latter have the state OCCLUDED, low scores, and a covariance as of a keypoint hardly seen.
    """
    if not len(late):
        return people
    if not len(people):
        people = replace(people, covariance=np.zeros((0, people.xy.shape[1], 2, 2)))
    assert people.covariance is not None
    score = np.where(late.visible, PREDICTED_SCORE, 0.0)
    n = len(late)
    both = People2D(
        xy=np.concatenate([people.xy, late.xy]), score=np.concatenate([people.score, score]),
        joint_set=people.joint_set,
        person_score=np.concatenate([people.person_score, np.full(n, PREDICTED_SCORE)]),  # type: ignore[list-item]
        track_id=np.concatenate([people.track_id, late.track_id]),  # type: ignore[list-item]
        age_s=np.concatenate([people.age_s, late.age_s]),  # type: ignore[list-item]
        state=np.concatenate([people.state, np.full(n, int(TrackState.OCCLUDED))]),  # type: ignore[list-item]
        covariance=np.concatenate([people.covariance, uncertainty.from_score(score * 0, late.size)]),
    )  # fmt: skip
    return both.take(np.argsort(both.track_id, kind="stable"))  # type: ignore[arg-type]
