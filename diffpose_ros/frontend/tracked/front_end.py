"""People followed by crops, found in the whole image.

The tracker says where everyone is expected. Whoever stands alone is looked at in a crop, by a
network made for one person. Bodies that lie on each other, and crowds, go to the whole-image
network, which keeps their limbs apart; crops fill in whom it misses. Now and then the whole-image
network looks for new people, beside the frames; it starts tracks, and crops have to confirm them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import BackendError, People2D
from diffpose_ros.core.oks import extent
from diffpose_ros.frontend.detectors.movenet import MoveNet, MoveNetConfig
from diffpose_ros.frontend.detectors.protocol import check_image
from diffpose_ros.frontend.protocol import FrontEndReport
from diffpose_ros.frontend.pyramid import Pyramid
from diffpose_ros.frontend.tracked import uncertainty
from diffpose_ros.frontend.tracked.candidates import Candidates, drop_doubles, joined, shown, with_expected
from diffpose_ros.frontend.tracked.config import TrackedConfig
from diffpose_ros.frontend.tracked.crops import Crops
from diffpose_ros.frontend.tracked.discovery import Beside, Finder, InStep
from diffpose_ros.frontend.tracked.heads import Prior
from diffpose_ros.frontend.tracked.overlap import boxes, covered
from diffpose_ros.frontend.tracked.pace import Pace
from diffpose_ros.frontend.tracked.sightings import PosesOfLate, unknown
from diffpose_ros.frontend.tracked.single_pose import SinglePose
from diffpose_ros.tracking import Tracker

FOLLOW_S = 0.3
"""Whoever has not been seen for this long is no longer looked at; only discovery brings them back."""

FOLLOW_SLOWLY_S = 1.0
"""Where frames are further apart than that, whoever was seen in the last one is looked at."""

OVERLAP = 0.25
"""Bodies whose boxes share this much of the smaller one go to the whole image."""

CLOSE_S = 0.5
"""Where a crop shows nobody, or somebody else, because people stand close, they go to the whole image for
this long: crops would lose one of them again in most of these frames."""

START_SCORE = 0.4
"""Mean keypoint score of a crop from which it starts a track."""

PRIOR_WIDTH, PRIOR_GROWTH_PER_S = 0.08, 0.6
"""How far from its expected place a keypoint may well be, of the crop's side, and how that grows
while a person is unseen."""


class Tracked:
    """See the module, and :class:`diffpose_ros.frontend.FrontEnd`.

    Args:
        config: settings.
        tracker: tracker that assigns ids; by default a new one.
        whole: network for whole images, instead of MoveNet MultiPose.
        single: network for crops, instead of MoveNet SinglePose.
        timer: monotonic clock in seconds; the duration of a frame decides what is reduced.

    Raises:
        ModelError: a network's file is missing or damaged.
        BackendError: the requested runtime is not installed.
    """

    name = "movenet"
    joint_set = "coco17"

    def __init__(
        self, config: TrackedConfig | None = None, tracker: Tracker | None = None, *,
        whole: Finder | None = None, single: SinglePose | None = None,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:  # fmt: skip
        self.config = c = config or TrackedConfig()
        self._timer = timer
        self.tracker = Tracker() if tracker is None else tracker
        self.whole = whole or MoveNet(
            MoveNetConfig(
                input_size=c.input_size, person_threshold=c.person_threshold,
                keypoint_threshold=c.keypoint_threshold, threads=c.threads, runtime=c.runtime,
            )
        )  # fmt: skip
        self.single = single or SinglePose(c.network, threads=c.threads, runtime=c.runtime)
        self.reason = self.single.reason
        self._discovery: InStep | Beside = (InStep if c.in_step else Beside)(self.whole)
        self._pace = Pace(c)
        self._late = PosesOfLate()
        self._counts: dict[str, int] = {}
        self._report = FrontEndReport()
        self._size: tuple[int, ...] | None = None
        self._stamp_ns: int | None = None
        self._closed = False
        self._close_until_ns: int | None = None
        self._follow_s = FOLLOW_S
        self._waiting: Candidates | None = None
        self._frame = 0

    @property
    def report(self) -> FrontEndReport:
        """What it did in the last frame."""
        return self._report

    def see(self, rgb: NDArray[np.uint8], stamp_ns: int) -> People2D:
        """See :meth:`diffpose_ros.frontend.FrontEnd.see`."""
        check_image(rgb)
        if self._closed:
            raise BackendError("tracked: the front end was closed; make a new one")
        start = self._timer()
        if self._size not in (None, rgb.shape) or stamp_ns < (self._stamp_ns or stamp_ns):
            self.reset()
        gap_s = (stamp_ns - (self._stamp_ns or stamp_ns)) * 1e-9
        self._follow_s = max(FOLLOW_S, min(gap_s * 1.01, FOLLOW_SLOWLY_S))
        self._size, self._stamp_ns = rgb.shape, stamp_ns
        self._frame += 1
        pyramid = Pyramid(rgb)
        candidates = self._candidates(pyramid, stamp_ns)
        looked = self._timer()
        found, how = self._look(pyramid, candidates, stamp_ns)
        tracking = self._timer()
        undone = self.tracker.exchanges_undone
        people = self.tracker.update(found, stamp_ns)
        people = self._with_waiting(people, stamp_ns)
        self._count("left/right exchanges undone", self.tracker.exchanges_undone - undone)
        self._remember(stamp_ns)
        if not self.config.in_step and self._pace.due(stamp_ns):
            self._search(pyramid, stamp_ns)
        end = self._timer()
        self._pace.frame(end - start)
        self._report = FrontEndReport(
            counts=dict(self._counts), values={"keypoints from": how, **self._pace.values()},
            stages_s={"discover": looked - start, "look": tracking - looked, "track": end - tracking},
        )  # fmt: skip
        return people

    def reset(self) -> None:
        """Forget everyone; the next people get new ids."""
        self.tracker.reset()
        self._late.clear()
        self._discovery.clear()
        self._pace.reset()
        self._close_until_ns = None
        self._stamp_ns = None

    def close(self) -> None:
        """End the search and free the networks."""
        self._closed = True
        if self._discovery.close() and isinstance(self.whole, MoveNet):
            self.whole.close()

    # ---- who is to be looked at

    def _candidates(self, pyramid: Pyramid, stamp_ns: int) -> Candidates:
        """Those who are followed, and those whom a search has found."""
        if self.config.in_step and self._pace.due(stamp_ns):
            self._search(pyramid, stamp_ns)
        expected = self.tracker.expected(stamp_ns)
        expected = expected.take(expected.unseen_s <= self._follow_s)
        sighting = self._discovery.poll()
        followed = Candidates.of_tracks(expected)
        if sighting is None:
            return followed.best(self.config.max_people)
        at_that_time = expected if sighting.stamp_ns == stamp_ns else self._late.at(sighting.stamp_ns)
        rows = unknown(sighting.people, at_that_time, self.config.keypoint_threshold)
        self._count("people found by searching", len(rows))
        if len(rows):
            self._pace.news(stamp_ns)
        seeds = Candidates.of_people(sighting.people.take(rows), self.config.keypoint_threshold)
        return followed.and_(seeds).best(self.config.max_people)

    def _search(self, pyramid: Pyramid, stamp_ns: int) -> None:
        self._pace.searched(stamp_ns)
        self._count("searches")
        self._discovery.offer(pyramid, stamp_ns, self._pace.pixels(self.config.search_size))

    def _remember(self, stamp_ns: int) -> None:
        now = self.tracker.expected(stamp_ns)
        lost = (now.unseen_s > 0) & (now.track_id >= 0)
        if (lost & (now.unseen_s <= FOLLOW_S)).any():
            self._pace.news(stamp_ns)
        self._late.add(stamp_ns, now.take(now.unseen_s <= FOLLOW_S))

    # ---- looking

    def _look(self, pyramid: Pyramid, candidates: Candidates, stamp_ns: int) -> tuple[People2D, str]:
        self._waiting = None
        if not len(candidates):
            return People2D.empty(), "nobody is followed"
        box = boxes(candidates.xy, candidates.visible)
        overlapping = (covered(box) >= OVERLAP).any(axis=1)
        crowd = len(candidates) > self.config.max_crops
        close = self._close_until_ns is not None and stamp_ns <= self._close_until_ns
        if not (overlapping.any() or crowd or close):
            turn, self._waiting = candidates.in_turn(self._pace.crops(len(candidates)), self._frame)
            seen = self._crops(pyramid, turn)
            found, lost = self._without_doubles(seen, turn)
            if lost or turn.hidden_by_others(seen).any():
                self._close_until_ns = stamp_ns + int(CLOSE_S * 1e9)
            return found, f"{len(turn)} crops of {self._crop_size()} px"
        self._count("frames looked at whole")
        whole = self.whole.find(pyramid, input_size=self._pace.pixels(self.config.input_size))
        self._pace.searched(stamp_ns)
        whole = self._with_covariance(whole)
        missed = candidates.not_among(whole, self.config.keypoint_threshold)
        most = self._pace.crops(min(len(missed), self.config.max_crops))
        missed, self._waiting = missed.in_turn(most, self._frame)
        extra = self._crops(pyramid, missed)
        both = drop_doubles(joined(whole, extra), len(whole))
        why = "bodies overlap" if overlapping.any() else "a crowd" if crowd else "people stand close"
        return both, f"the whole image ({why}), {len(missed)} crops"

    def _crops(self, pyramid: Pyramid, candidates: Candidates) -> People2D:
        """What crops around the candidates show; a row each, of score 0 where there is nobody."""
        if not len(candidates):
            return People2D.empty()
        c = self.config
        crops = Crops.around(candidates.xy, candidates.visible)
        width = PRIOR_WIDTH + PRIOR_GROWTH_PER_S * candidates.unseen_s
        prior = Prior(crops.to_unit(candidates.xy), candidates.visible, width)
        seen = self.single.look(crops.cut(pyramid, self._crop_size()), prior)
        xy = crops.to_image(seen.at)
        mean = seen.score.mean(axis=1)
        there = mean >= np.where(candidates.new, START_SCORE, c.crop_threshold)
        height, width_px = pyramid.shape
        inside = ((xy > -0.5) & (xy < (width_px - 0.5, height - 0.5))).all(axis=-1)
        score = np.where(inside & (seen.score >= c.keypoint_threshold), seen.score, 0.0)
        score = np.where(there[:, None], score, 0.0)
        return People2D(
            xy=np.where(score[..., None] > 0, xy, 0.0),
            score=score,
            person_score=np.where(there, mean, 0.0),
            covariance=uncertainty.from_heatmap(seen.spread, seen.score, crops.side),
        )

    def _without_doubles(self, found: People2D, candidates: Candidates) -> tuple[People2D, int]:
        """Two crops that show one body: it is the one who was expected there. And how many that cost."""
        kept = drop_doubles(found, 0, prefer=candidates.agreement(found))
        lost = int(np.count_nonzero(shown(found))) - len(kept)
        self._count("crops that showed someone else", lost)
        return kept, lost

    def _with_waiting(self, people: People2D, stamp_ns: int) -> People2D:
        """The people, and those who wait for their turn, where they are expected: as OCCLUDED."""
        if self._waiting is None or not self._waiting.sure.any() or self._pace.level.share == 1:
            return people
        expected = self.tracker.expected(stamp_ns)
        waiting = np.isin(expected.key, self._waiting.key) & (expected.track_id >= 0)
        late = expected.take(waiting & ~np.isin(expected.track_id, people.track_id))  # type: ignore[arg-type]
        self._count("people predicted, not looked at", len(late))
        return with_expected(people, late)

    def _with_covariance(self, people: People2D) -> People2D:
        size = extent(people.xy, people.score > 0)
        return replace(people, covariance=uncertainty.from_score(people.score, size))

    def _crop_size(self) -> int:
        return self._pace.pixels(self.config.crop_size or self.single.size)

    def _count(self, what: str, by: int = 1) -> None:
        self._counts[what] = self._counts.get(what, 0) + by
