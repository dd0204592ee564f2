"""The lifter: keypoints of everyone in one frame in, their skeletons in metres out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import Camera, Hypotheses, InputError, People2D, Skeleton
from diffpose_ros.diffusion.noise import fixed_noise
from diffpose_ros.geometry.mapping import coco_to_points
from diffpose_ros.geometry.root import MEASURED_H36M, root_translation, stature
from diffpose_ros.geometry.undistort import undistort
from diffpose_ros.history import Clock, ClockEvent
from diffpose_ros.lifting.config import LifterConfig
from diffpose_ros.lifting.deadline import DeadlinePlanner
from diffpose_ros.lifting.engine import Engine
from diffpose_ros.lifting.poses import Poses, joint_scores, skeletons, to_real_camera
from diffpose_ros.lifting.result import LiftReport, LiftResult
from diffpose_ros.lifting.selection import Selection, select
from diffpose_ros.methods.diffusion.step_inputs import Memory

Timer = Callable[[], float]

BODY_SCALE_NOISE = 0.05
"""Relative standard deviation of a body's size when only the prior tells it."""


class Lifter:
    """Lifts frame after frame, causally, everyone in one batch.

    One new frame costs one frame's work: caches of earlier frames stand in per-person rows that
    the network reads in  Not thread-safe: one caller at a time.

    Args:
        config: settings.
        timer: monotonic seconds, for the report and the deadline.

    Attributes:
        config: settings.
        spec: the model.
        backend: what runs it at full quality; ``backend.reason`` says why it was chosen.

    Raises:
        ModelError: the model file is missing or wrong.
        BackendError: the backend does not work here.
        ConfigError: a setting is out of range.
    """

    def __init__(
        self, config: LifterConfig | None = None, *, timer: Timer = time.perf_counter
    ) -> None:
        self.config = config or LifterConfig()
        self._timer = timer
        self._engine = Engine(self.config)
        self.spec, self.backend = self._engine.spec, self._engine.backend
        if self.config.deadline_s is None:
            levels = self._engine.warm_up((1,), all_levels=False)
        else:
            levels = self._engine.warm_up((1, 4), all_levels=True)
        self._planner = DeadlinePlanner(levels)
        self._batch = max(self.backend.rows(self.config.max_people), self.config.max_people)
        weights = self.config.guidance_weights or self.spec.guidance
        self._memory = Memory(
            self.spec,
            self._engine.windows,
            self.config.max_tracks,
            self._batch,
            {
                level.hypotheses: fixed_noise(level.hypotheses, seed=self.config.seed)
                for level in levels
            },
            np.asarray(weights if self.config.guidance else (0, 0, 0, 0), dtype=np.float32),
        )
        threshold = self.config.score_threshold
        self._threshold = self.spec.score_floor if threshold is None else threshold
        self._clock = Clock(self.config.max_gap_s)
        self._camera: Camera | None = None
        self._cursor = 0
        self._backend_name = self.backend.name

    def reset(self) -> None:
        """Forget everyone, the camera and the last stamp."""
        self._memory.people.clear()
        self._clock.reset()
        self._camera = None
        self._cursor = 0

    def close(self) -> None:
        """Free the backends."""
        self._engine.close()

    def lift(
        self,
        people: People2D,
        camera: Camera,
        stamp_ns: int,
        *,
        deadline_s: float | None = None,
    ) -> LiftResult:
        """Lift one frame.

        Args:
            people: COCO-17 keypoints in the raw image. People without an identity (-1) are lifted
                from this frame alone.
            camera: what took the frame. A change of it makes everyone start anew.
            stamp_ns: the frame's stamp. A frame not newer than the last one is refused; a clock
                set back by more than ``max_gap_s`` makes everyone start anew.
            deadline_s: seconds left for this call; ``None`` = the configured deadline.

        Returns:
            Skeletons in the order of ``people``, and the report. A refused frame gives no
            skeletons and says why in ``report.refused``; it raises nothing.

        Raises:
            InputError: the keypoints are not COCO-17.
            BackendError: the backend failed. The caches are as before this frame.
        """
        start = self._timer()
        if people.joint_set != "coco17":
            raise InputError(f"keypoints: expected joint set coco17, got '{people.joint_set}'")
        event = self._clock.tick(stamp_ns)
        if event is ClockEvent.STALE:
            late = ((self._clock.last_ns or stamp_ns) - stamp_ns) * 1e-6
            why = f"stamp {stamp_ns} ns is not newer than the last frame's ({late:.1f} ms older)"
            return LiftResult((), LiftReport(refused=why, people=len(people)))
        messages = self._notice(event, camera)
        store = self._memory.people
        store.forget_absent(stamp_ns, round(self.config.max_gap_s * 1e9))
        chosen = select(
            people,
            threshold=self._threshold,
            min_keypoints=self.config.min_keypoints,
            limit=self.config.max_tracks,
            known=store,
        )
        messages.extend(chosen.messages)
        forgotten = store.bring_to_front(list(chosen.track_ids), stamp_ns)
        if forgotten:
            messages.append(f"no room: forgot {forgotten} people out of view (max_tracks)")
        report = LiftReport(
            backend=self.backend.name,
            people=len(people),
            unseen=chosen.unseen,
            left_out=chosen.left_out,
        )
        try:
            result = self._run(people, camera, stamp_ns, chosen, deadline_s, report, start)
        finally:
            self._drop_nameless()
        if self.backend.name != self._backend_name:
            messages.append(f"backend is now {self.backend.name}: {self.backend.reason}")
            self._backend_name = self.backend.name
        return replace(
            result,
            report=replace(result.report, messages=(*messages, *result.report.messages)),
        )

    def _notice(self, event: ClockEvent, camera: Camera) -> list[str]:
        messages = []
        changed = self._camera is not None and (
            camera is not self._camera and not camera.same_as(self._camera)
        )
        if event is ClockEvent.JUMPED_BACK:
            messages.append("the clock jumped back: everyone starts anew")
        if changed:
            messages.append("the camera changed: everyone starts anew")
        if messages:
            self._memory.people.clear()
            self._cursor = 0
        self._camera = camera
        return messages

    def _turn(self, present: int, level_people: int) -> slice:
        """The rows whose turn it is."""
        limit = min(level_people, self.config.max_people)
        if present <= limit:
            self._cursor = 0
            return slice(0, present)
        first = self._cursor if self._cursor < present else 0
        last = min(first + limit, present)
        self._cursor = last
        return slice(first, last)

    def _run(
        self,
        people: People2D,
        camera: Camera,
        stamp_ns: int,
        chosen: Selection,
        deadline_s: float | None,
        report: LiftReport,
        start: float,
    ) -> LiftResult:
        store, timer = self._memory.people, self._timer
        present = len(chosen.track_ids)
        budget = self.config.deadline_s if deadline_s is None else deadline_s
        index, fit = 0, present
        degraded: tuple[str, ...] = ()
        if budget is not None and present:
            index, fit = self._planner.plan(min(present, self.config.max_people), budget)
            degraded = self._degradations(index, fit, present)
        level = self._planner.levels[index]
        rows = self._turn(present, max(fit, 1))
        report = replace(report, hypotheses=level.hypotheses, steps=level.steps, degraded=degraded)
        if not present:
            return LiftResult(
                (), replace(report, stage_s={"total": timer() - start}), self._kept([])
            )
        row_of = np.array([store.row_of(t) for t in chosen.track_ids])
        mine = np.flatnonzero((row_of >= rows.start) & (row_of < rows.stop))
        mine = mine[np.argsort(row_of[mine])]  # in the order of the rows
        waiting = tuple(
            t for t, r in zip(chosen.track_ids, row_of, strict=True)
            if not rows.start <= r < rows.stop
        )  # fmt: skip
        source = chosen.index[mine]  # person in `people` of each row

        t0 = timer()
        tangents = undistort(people.xy[source], camera)
        t1 = timer()
        tangents, score = coco_to_points(tangents, chosen.score[source])
        rotation = self._memory.observe(rows, tangents, score, stamp_ns)
        backend = self._engine.backends[level.steps]
        # Another backend, with other buckets, may have taken over since the arrays were made.
        bound = min(backend.rows(len(source)), self._batch)
        feeds = self._memory.feeds(bound, level.hypotheses)
        t2 = timer()
        outputs = backend.run(feeds)
        t3 = timer()
        good = self._finite(outputs, len(source))
        failed = tuple(int(t) for t in store.track_id[rows][~good])
        poses = to_real_camera(outputs, rotation, keep_hypotheses=self.config.keep_hypotheses)
        real_pose = poses.mean
        if self.config.person_height is not None:
            height = self._memory.smooth_stature(stature(poses.mean))
            poses = poses.scaled(self.config.person_height / np.maximum(height, 0.2))
        self._memory.store(outputs, real_pose, good, stamp_ns)
        t4 = timer()
        root, root_covariance = root_translation(
            poses.mean,
            tangents[:, :17],
            score[:, :17] * MEASURED_H36M,
            scale_noise=0.0 if self.config.person_height is not None else BODY_SCALE_NOISE,
        )
        placed = good & np.isfinite(root).all(axis=-1)
        built, kept = self._build(people, source, poses, score, root, root_covariance, placed)
        end = timer()
        if budget is not None:
            self._planner.observe(index, len(source), end - start)
        return LiftResult(
            tuple(built),
            replace(
                report,
                lifted=len(built),
                waiting=waiting,
                failed=failed,
                unplaced=tuple(int(people.track_id[i]) for i in source[good & ~placed]),  # type: ignore[index]
                stage_s={
                    "undistort": t1 - t0,
                    "window": (t2 - t1) + (t4 - t3),
                    "graph": t3 - t2,
                    "root": end - t4,
                    "total": end - start,
                },
                messages=tuple(
                    f"person {t}: the network's answer is not finite; dropped, starts anew"
                    for t in failed
                ),
            ),
            self._kept(kept),
        )

    def _build(
        self,
        people: People2D,
        source: NDArray[np.int64],
        poses: Poses,
        score: NDArray[np.float64],
        root: NDArray[np.float64],
        root_covariance: NDArray[np.float64],
        placed: NDArray[np.bool_],
    ) -> tuple[list[Skeleton], list[Hypotheses]]:
        order = np.argsort(source)  # back to the order of `people`
        order = order[placed[order]]
        chosen = Poses(
            poses.mean[order],
            poses.covariance[order],
            None if poses.hypotheses is None else poses.hypotheses[order],
        )
        return skeletons(
            people,
            source[order],
            chosen,
            joint_scores(score[order]),
            root[order],
            root_covariance[order],
            metric=self.config.person_height is not None,
        )

    def _kept(self, kept: list[Hypotheses]) -> tuple[Hypotheses, ...] | None:
        return tuple(kept) if self.config.keep_hypotheses else None

    @staticmethod
    def _finite(outputs: dict[str, NDArray[np.float32]], people: int) -> NDArray[np.bool_]:
        """(P,) whether everything the network said of a person is finite: a sum is, if all are."""
        good = np.ones(people, dtype=bool)
        for value in outputs.values():
            good &= np.isfinite(value[:people].reshape(people, -1).sum(axis=1))
        return good

    def _degradations(self, index: int, fit: int, present: int) -> tuple[str, ...]:
        best, level = self._planner.levels[0], self._planner.levels[index]
        out = []
        if level.hypotheses < best.hypotheses:
            out.append(f"{level.hypotheses} of {best.hypotheses} hypotheses")
        if level.steps < best.steps:
            out.append(f"{level.steps} of {best.steps} steps")
        if fit < min(present, self.config.max_people):
            out.append(f"{fit} of {present} people in turns")
        return tuple(out)

    def _drop_nameless(self) -> None:
        """People without an identity cannot be found again in the next frame."""
        store = self._memory.people
        for row in range(store.count - 1, -1, -1):
            if store.track_id[row] < -1:
                store.remove(row)
