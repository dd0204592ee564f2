"""Identities of people across frames.

Written here because no kept library fits: supervision and trackers associate boxes only, boxmot
needs torch and is AGPL, and norfair counts occlusion in frames where a robot needs seconds.

Each frame: predict everyone, compare predictions with detections by OKS (a keypoint measure tells
two overlapping people apart where boxes cannot), assign in three rounds: confirmed tracks with
confident detections, those left over with faint ones (as ByteTrack does: an occluded person's
score falls before it vanishes), then unconfirmed tracks with what confident detections remain.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from diffpose_ros.core import People2D, TrackState, joint_set
from diffpose_ros.core.oks import extent, oks_matrix
from diffpose_ros.tracking._track import Track
from diffpose_ros.tracking.config import TrackerConfig
from diffpose_ros.tracking.exchanges import find_exchanged, side_order
from diffpose_ros.tracking.expected import Expected

_SPREAD = 2.0
"""COCO's sigmas say how annotators differ; motion between frames needs about twice that."""

_SPREAD_GROWTH_PER_S = 3.0
"""How fast the place of an unseen person becomes uncertain."""

_FAINT_MAX_UNSEEN_S = 0.5
"""Faint detections continue only people who were there a moment ago."""

_DOUBTFUL_SHARE = 0.25
"""A keypoint whose standard deviation exceeds this share of the body's size places nobody."""


class Tracker:
    """Assigns persistent ids to people.

    Ids count up from 0. A tracker never reuses one, not even after :meth:`reset`.

    Attributes:
        exchanges_undone: number of left/right exchanges undone since creation.
    """

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self.config = config or TrackerConfig()
        self._tracks: list[Track] = []
        self._next_id = 0
        self._next_key = 0
        self.exchanges_undone = 0
        self._stamp_ns: int | None = None
        self._joint_set: str | None = None

    @property
    def candidates(self) -> int:
        """People seen in the last frame who have not been seen often enough to be published."""
        return sum(track.track_id < 0 for track in self._tracks)

    def reset(self) -> None:
        """Forget everyone; the next people get new ids."""
        self._tracks.clear()
        self._stamp_ns = None

    def reconfigure(self, config: TrackerConfig) -> None:
        """Forget everyone and continue with other settings; ids keep counting up."""
        self.config = config
        self.reset()

    def update(self, people: People2D, stamp_ns: int) -> People2D:
        """Assign ids to the people of one frame.

        Args:
            people: the detector's output; its ids are ignored.
            stamp_ns: stamp of the image, checked before (:class:`~diffpose_ros.core.stamps.StampJudge` drops
                late ones). A stamp before the last one (a bag in a loop, a clock that jumps) resets the
                tracker, and so does another joint set.

        Returns:
            The confirmed people in this frame, sorted by id. Keypoints and scores are unchanged, except that
            exchanged sides are corrected. The state is NEW in the first published frame of a person, and
            TRACKED afterwards. With ``include_occluded``, unseen people follow as OCCLUDED.
        """
        if self._stamp_ns is not None and stamp_ns < self._stamp_ns:
            self.reset()
        if people.joint_set != self._joint_set:
            self.reset()
        self._joint_set, self._stamp_ns = people.joint_set, stamp_ns
        self._forget(stamp_ns)

        matched = self._associate(people, stamp_ns)
        taken = {id(track) for track in matched.values()}
        # An unconfirmed person who is missed once was nobody.
        self._tracks = [t for t in self._tracks if t.track_id >= 0 or id(t) in taken]
        visible = self._visible(people)
        fresh: set[int] = set()
        people, visible = self._put_sides_right(people, visible, matched, stamp_ns)
        for row, track in matched.items():
            told = None if people.covariance is None else people.covariance[row]
            track.update(people.xy[row], visible[row], stamp_ns, told)
            track.hits += track.track_id < 0
        for row in self._rows(people, high=True):
            if row not in matched and visible[row].sum() >= 3:
                matched[row] = Track.start(people.xy[row], visible[row], stamp_ns, self._next_key)
                self._next_key += 1
                self._tracks.append(matched[row])
        for _, track in sorted(matched.items()):
            if track.track_id < 0 and track.hits >= self.config.min_hits:
                track.track_id = self._next_id
                self._next_id += 1
                fresh.add(track.track_id)
        return self._publish(people, matched, fresh, stamp_ns)

    def expected(self, stamp_ns: int) -> Expected:
        """Predicted keypoints of everyone in memory at a time, including unconfirmed people."""
        tracks = [] if self._joint_set is None else self._tracks
        joints = len(joint_set(self._joint_set or "coco17"))
        return Expected(
            key=np.array([t.key for t in tracks], dtype=np.int64),
            track_id=np.array([t.track_id for t in tracks], dtype=np.int64),
            xy=np.array([t.predict(stamp_ns) for t in tracks]).reshape(-1, joints, 2),
            visible=np.array([t.visible for t in tracks], dtype=bool).reshape(-1, joints),
            size=np.array([t.size for t in tracks], dtype=np.float64),
            unseen_s=np.array([t.unseen_s(stamp_ns) for t in tracks], dtype=np.float64),
            age_s=np.array([(stamp_ns - t.first_ns) * 1e-9 for t in tracks], dtype=np.float64),
        )

    def _put_sides_right(
        self, people: People2D, visible: NDArray[np.bool_], matched: dict[int, Track], stamp_ns: int
    ) -> tuple[People2D, NDArray[np.bool_]]:
        if not matched:
            return people, visible
        tracks = list(matched.values())
        at = list(matched)
        exchanged = find_exchanged(
            np.stack([t.predict(stamp_ns) for t in tracks]), np.stack([t.visible for t in tracks]),
            people.xy[at], visible[at], np.array([t.size for t in tracks]), people.joint_set,
        )  # fmt: skip
        undo = [t.exchanges.to_undo(groups, stamp_ns) for t, groups in zip(tracks, exchanged, strict=True)]
        if not any(undo):
            return people, visible
        order = np.tile(np.arange(visible.shape[1]), (len(people), 1))
        for row, groups in zip(at, undo, strict=True):
            order[row] = side_order(groups, people.joint_set)
        self.exchanges_undone += sum(bool(groups) for groups in undo)
        rows = np.arange(len(people))[:, None]
        covariance = None if people.covariance is None else people.covariance[rows, order]
        righted = replace(
            people, xy=people.xy[rows, order], score=people.score[rows, order], covariance=covariance
        )
        return righted, visible[rows, order]

    def _forget(self, stamp_ns: int) -> None:
        limit = self.config.max_occlusion_s
        self._tracks = [t for t in self._tracks if t.unseen_s(stamp_ns) <= limit or t.track_id < 0]

    def _visible(self, people: People2D) -> NDArray[np.bool_]:
        visible = people.score > max(self.config.keypoint_score, 1e-9)
        if people.covariance is None:
            return visible
        limit = _DOUBTFUL_SHARE * extent(people.xy, visible)
        variance = np.trace(people.covariance, axis1=-2, axis2=-1) / 2
        return visible & (variance <= limit[:, None] ** 2)

    def _rows(self, people: People2D, *, high: bool) -> list[int]:
        score, c = people.person_score, self.config
        assert score is not None  # filled in when People2D is made
        mask = score >= c.high_score if high else (score >= c.low_score) & (score < c.high_score)
        return [int(i) for i in np.flatnonzero(mask)]

    def _associate(self, people: People2D, stamp_ns: int) -> dict[int, Track]:
        """Detection row -> track."""
        confirmed = [t for t in self._tracks if t.track_id >= 0]
        unconfirmed = [t for t in self._tracks if t.track_id < 0]
        high, low = self._rows(people, high=True), self._rows(people, high=False)
        found = self._assign(people, high, confirmed, stamp_ns)
        taken = {id(t) for t in found.values()}
        recent = [t for t in confirmed if id(t) not in taken and t.unseen_s(stamp_ns) <= _FAINT_MAX_UNSEEN_S]
        found |= self._assign(people, low, recent, stamp_ns)
        left = [row for row in high if row not in found]
        return found | self._assign(people, left, unconfirmed, stamp_ns)

    def _assign(
        self, people: People2D, rows: list[int], tracks: list[Track], stamp_ns: int
    ) -> dict[int, Track]:
        if not rows or not tracks:
            return {}
        unseen = np.array([t.unseen_s(stamp_ns) for t in tracks])
        doubt = 1 + _SPREAD_GROWTH_PER_S * unseen
        size = np.array([t.size for t in tracks])
        similarity = oks_matrix(
            np.stack([t.predict(stamp_ns) for t in tracks]),
            np.stack([t.visible for t in tracks]),
            people.xy[rows],
            self._visible(people)[rows],
            (size * doubt)[:, None],
            spread=_SPREAD,
            covariance_b=None if people.covariance is None else people.covariance[rows],
        )
        # Pairs below the gate count as staying alone, so they never push out a good one. The
        # rest is divided by the doubt, as a likelihood is by its width: a hidden person, who
        # could be anywhere near, must not take over the one who is passing in front.
        gated = np.where(similarity >= self.config.min_similarity, similarity / doubt[:, None], 0.0)
        a, b = linear_sum_assignment(-gated)
        return {rows[j]: tracks[i] for i, j in zip(a, b, strict=True) if gated[i, j] > 0}

    def _publish(
        self, people: People2D, matched: dict[int, Track], fresh: set[int], stamp_ns: int
    ) -> People2D:
        seen = sorted(
            ((t, row) for row, t in matched.items() if t.track_id >= 0),
            key=lambda pair: pair[0].track_id,
        )
        known = {id(t) for t, _ in seen}
        hidden: list[Track] = []
        if self.config.include_occluded:
            hidden = [t for t in self._tracks if t.track_id >= 0 and id(t) not in known]
        hidden.sort(key=lambda t: t.track_id)
        rows = [row for _, row in seen]
        tracks = [t for t, _ in seen] + hidden
        joints = len(joint_set(people.joint_set))
        blank = np.zeros((len(hidden), joints))
        place = np.array([t.predict(stamp_ns) for t in hidden]).reshape(-1, joints, 2)
        state = [TrackState.NEW if t.track_id in fresh else TrackState.TRACKED for t, _ in seen]
        assert people.person_score is not None
        covariance = None
        if people.covariance is not None and not hidden:
            covariance = people.covariance[rows].reshape(-1, joints, 2, 2)
        return People2D(
            covariance=covariance,
            xy=np.concatenate([people.xy[rows].reshape(-1, joints, 2), place]),
            score=np.concatenate([people.score[rows].reshape(-1, joints), blank]),
            joint_set=people.joint_set,
            person_score=np.concatenate([people.person_score[rows], np.zeros(len(hidden))]),
            track_id=np.array([t.track_id for t in tracks], dtype=np.int64),
            age_s=np.array([(stamp_ns - t.first_ns) * 1e-9 for t in tracks]),
            state=np.array([*state, *[TrackState.OCCLUDED] * len(hidden)], dtype=np.int64),
        )
