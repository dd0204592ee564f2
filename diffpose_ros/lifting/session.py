"""The lifter: keypoints of everyone in a frame in, their skeletons in metres out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from diffpose_ros.core import UNKNOWN, Camera, ConfigError, InputError, People2D, Surroundings
from diffpose_ros.core.depth import DepthImage
from diffpose_ros.core.stamps import StampJudge, Thinner, Verdict
from diffpose_ros.geometry.mapping import coco_to_points, points_covariance
from diffpose_ros.geometry.undistort import undistort, undistort_with_covariance
from diffpose_ros.history import PeopleState, Rows
from diffpose_ros.kinematics import PeopleRotations
from diffpose_ros.lifting.camera_place import CameraPlace
from diffpose_ros.lifting.config import MAX_RATE_HZ, LifterConfig
from diffpose_ros.lifting.deadline import DeadlinePlanner, price
from diffpose_ros.lifting.depth import surfaces, unusable
from diffpose_ros.lifting.poses import joint_scores, skeletons
from diffpose_ros.lifting.result import LiftReport, LiftResult
from diffpose_ros.lifting.selection import Selection, select
from diffpose_ros.lifting.turns import Turns
from diffpose_ros.methods.protocol import KEYPOINTS, Method, Observed, Serving
from diffpose_ros.methods.reduce import jpma
from diffpose_ros.methods.refine import Refiner
from diffpose_ros.methods.registry import open_method
from diffpose_ros.methods.root import RootStage

Timer = Callable[[], float]


class Lifter:
    """Lifts frame by frame, causally, everyone in one batch.

    A new frame costs the same, however long the history is: the method keeps its memory of earlier
    frames in per-person rows and reads them in place. Not thread-safe: one caller at a time.

    Args:
        config: settings.
        method: lifting method; ``None``: the model that ``config`` names. The lifter owns and closes it.
        timer: monotonic clock in seconds, for the report and the deadline.

    Attributes:
        config: settings.
        method: lifting method.
        people: memory of everyone.

    Raises:
        ModelError: the model file is missing or wrong.
        BackendError: the backend does not work here.
        ConfigError: a setting is out of range, or the method needs inputs that this lifter lacks.
    """

    def __init__(
        self,
        config: LifterConfig | None = None,
        *,
        method: Method | None = None,
        timer: Timer = time.perf_counter,
    ) -> None:
        self.config = config or LifterConfig()
        self._timer = timer
        hurried = self.config.deadline_s is not None
        self.method = method or open_method(self.config, every_level=hurried, timer=timer)
        try:
            if missing := self.method.needs - {KEYPOINTS}:
                raise ConfigError(
                    f"model '{self.method.name}' needs {', '.join(sorted(missing))}, "
                    f"and this lifter is given {KEYPOINTS} alone"
                )
            if self.config.reduce != "mean" and self.method.levels[0].hypotheses == 1:
                raise ConfigError(
                    f"reduce: {self.config.reduce} chooses among hypotheses, and model "
                    f"'{self.method.name}' gives one"
                )
            prices = price(self.method, (1, 4) if hurried else (1,), every_level=hurried)
            self._planner = DeadlinePlanner(prices)
            self._root = RootStage()
            self._refiner = Refiner() if self.config.refine else None
            refining = {} if self._refiner is None else self._refiner.state()
            self.people = PeopleState(
                self.config.max_tracks,
                {**self.method.state(), **self._root.state(), **refining},
                spare=self.method.spare,
            )
        except BaseException:
            self.method.close()
            raise
        threshold = self.config.score_threshold
        self._threshold = self.method.score_floor if threshold is None else threshold
        self._judge, self._thinner = StampJudge(), Thinner(MAX_RATE_HZ)
        self._camera: Camera | None = None
        self._turns = Turns(self.config.max_people)
        self._rotations = PeopleRotations()
        self._place = CameraPlace() if self.config.estimate_gravity else None
        self._backend_name = self.backend.name

    @property
    def backend(self) -> Serving:
        """The backend that runs the model at full quality; ``backend.reason`` says why it was chosen."""
        return self.method.backend

    def reset(self) -> None:
        """Forget everyone, the camera and the last stamp."""
        self._judge.reset()
        self._thinner.reset()
        self._camera = None
        self._begin_anew()

    def set_prompt(self, text: str) -> None:
        """Replace the prompt: what is known of people, in words; see ``prompt`` of the settings.

        Raises:
            ConfigError: the method takes no prompts, or the text has unknown words.
        """
        tell = getattr(self.method, "set_prompt", None)
        if tell is not None:
            tell(text)
        elif text.strip():
            raise ConfigError(f"prompt: model '{self.method.name}' is not told by prompts")

    def close(self) -> None:
        """Free the method's resources."""
        self.method.close()

    def lift(
        self,
        people: People2D,
        camera: Camera,
        stamp_ns: int,
        *,
        deadline_s: float | None = None,
        around: Surroundings = UNKNOWN,
        depth: DepthImage | None = None,
    ) -> LiftResult:
        """Lift one frame.

        Args:
            people: COCO-17 keypoints in the raw image. People with id -1 are lifted without history.
            camera: camera of the frame. If it changes, everyone restarts without history.
            stamp_ns: stamp of the frame, checked by :class:`~diffpose_ros.core.stamps.StampJudge`. A frame
                that is not newer than the last one is refused. If the stream jumps back, everyone restarts
                without history. Frames above :data:`MAX_RATE_HZ` are skipped.
            deadline_s: time limit for this call, s; ``None``: the configured deadline.
            around: gravity and the camera's height in this frame. With both, the floor gives distance and
                size of people. If gravity is unknown and ``estimate_gravity`` is set, it is learnt from the
                people.
            depth: depth image of the same moment, registered to this image or with its own camera: the best
                source of distance and size. If it does not fit, it is not used, and ``report.messages``
                says why.

        Returns:
            Skeletons in the order of ``people``, and the report. A refused frame has no skeletons, and
            ``report.refused`` says why. A skipped frame has none either, and sets ``report.thinned``.
            Neither raises an error or changes the memory.

        Raises:
            InputError: the keypoints are not COCO-17.
            BackendError: the backend failed. The memory is as before this frame.
        """
        start = self._timer()
        if people.joint_set != "coco17":
            raise InputError(f"keypoints: expected joint set coco17, got '{people.joint_set}'")
        before = self._judge.last_ns
        verdict = self._judge(stamp_ns)
        if verdict.dropped:
            late = ((before or stamp_ns) - stamp_ns) * 1e-6
            why = f"stamp {stamp_ns} ns is not newer than the last frame's ({late:.1f} ms older)"
            return LiftResult((), LiftReport(refused=why, people=len(people)))
        if verdict is Verdict.JUMPED_BACK:
            self._thinner.reset()
        if not self._thinner(stamp_ns):
            return LiftResult((), LiftReport(people=len(people), thinned=True))
        messages = self._notice(verdict, camera)
        self.people.forget_absent(stamp_ns, round(self.config.max_gap_s * 1e9))
        chosen = select(
            people,
            threshold=self._threshold,
            min_keypoints=self.config.min_keypoints,
            limit=self.config.max_tracks,
            known=self.people,
            size=(camera.width, camera.height),
        )
        messages.extend(chosen.messages)
        forgotten = self.people.bring_to_front(list(chosen.track_ids), stamp_ns)
        if forgotten:
            messages.append(f"no room: forgot {forgotten} people out of view (max_tracks)")
        if depth is not None and (why := unusable(depth, camera, stamp_ns)):
            messages.append(why)
            depth = None
        learning = self._place if around.up is None else None
        if learning is not None:
            # Not its height: floors that are learnt place people no better than their bodies do.
            around = replace(around, up=learning.up, camera_height=None)
        try:
            result = self._run(people, camera, stamp_ns, chosen, deadline_s, around, depth, start)
        finally:
            self._drop_nameless()
        if learning is not None:
            learning.see(result.skeletons, stamp_ns)
            result = replace(result, report=replace(result.report, place=learning.said, up=around.up))
        if self.backend.name != self._backend_name:
            messages.append(f"backend is now {self.backend.name}: {self.backend.reason}")
            self._backend_name = self.backend.name
        return replace(
            result,
            report=replace(result.report, messages=(*messages, *result.report.messages)),
        )

    def _notice(self, verdict: Verdict, camera: Camera) -> list[str]:
        messages = []
        changed = self._camera is not None and (
            camera is not self._camera and not camera.same_as(self._camera)
        )
        if verdict is Verdict.JUMPED_BACK:
            messages.append("the clock jumped back: everyone starts anew")
        if changed:
            messages.append("the camera changed: everyone starts anew")
        if messages:
            self._begin_anew()
        self._camera = camera
        return messages

    def _begin_anew(self) -> None:
        self.people.clear()
        self._turns.reset()
        self._rotations.reset()
        if self._place is not None:
            self._place.reset()

    def _run(
        self,
        people: People2D,
        camera: Camera,
        stamp_ns: int,
        chosen: Selection,
        deadline_s: float | None,
        around: Surroundings,
        depth: DepthImage | None,
        start: float,
    ) -> LiftResult:
        timer = self._timer
        present = len(chosen.track_ids)
        budget = self.config.deadline_s if deadline_s is None else deadline_s
        index, fit = 0, present
        degraded: tuple[str, ...] = ()
        if budget is not None and present:
            index, fit = self._planner.plan(min(present, self.config.max_people), budget)
            degraded = self._degradations(index, fit, present)
        level = self._planner.levels[index].level
        report = LiftReport(
            backend=self.backend.name,
            hypotheses=level.hypotheses,
            steps=level.steps,
            people=len(people),
            unseen=chosen.unseen,
            left_out=chosen.left_out,
            degraded=degraded,
        )
        where = self._turns.take(present, fit)
        if not present:
            nothing = () if self.config.keep_hypotheses else None
            return LiftResult((), replace(report, stage_s={"total": timer() - start}), nothing)
        row_of = np.array([self.people.row_of(t) for t in chosen.track_ids])
        now = (row_of >= where.start) & (row_of < where.stop)
        mine = np.flatnonzero(now)
        source = chosen.index[mine[np.argsort(row_of[mine])]]  # person in `people` of each row

        t0 = timer()
        ray_covariance = None
        if people.covariance is None:
            tangents = undistort(people.xy[source], camera)
        else:
            tangents, told = undistort_with_covariance(people.xy[source], people.covariance[source], camera)
            ray_covariance = points_covariance(told)
        t1 = timer()
        rays, score = coco_to_points(tangents, chosen.score[source])
        surface = None
        if depth is not None:
            surface = surfaces(depth, people.xy[source], chosen.score[source], rays, score)
        seen = Observed(
            stamp_ns, camera, rays, score, covariance=ray_covariance,
            up=around.up, camera_height=around.camera_height, common_floor=around.common_floor,
            person_height=self.config.person_height,
            person_height_stddev=self.config.person_height_stddev,
            depth=surface,
        )  # fmt: skip
        rows = Rows(self.people, where, stamp_ns)
        poses = self.method.step(seen, rows, level)
        if self.config.reduce == "jpma":
            poses = jpma(poses, seen)
        if not self.config.keep_hypotheses:
            poses = replace(poses, hypotheses=None)
        if self._refiner is not None:
            poses = self._refiner.refine(poses, seen, rows)
        good = poses.finite() & rows.finite()
        t2 = timer()
        placed = self._root.place(poses, seen, rows)
        if (placed.scale != 1).any():
            poses = poses.scaled(placed.scale)
        t3 = timer()
        failed = tuple(int(t) for t in self.people.track_id[where][~good])
        rows.commit(good)
        t4 = timer()
        wanted = good & placed.known()
        built, kept = skeletons(
            people, source, poses, joint_scores(score), placed, wanted, self._rotations, stamp_ns
        )
        end = timer()
        if budget is not None:
            self._planner.observe(index, len(source), end - start)
        report = replace(
            report,
            lifted=len(built),
            waiting=tuple(t for t, turn in zip(chosen.track_ids, now, strict=True) if not turn),
            failed=failed,
            unplaced=tuple(int(people.track_id[i]) for i in source[good & ~wanted]),  # type: ignore[index]
            floor_refused=tuple(
                int(people.track_id[i]) for i in source[wanted & placed.floor_refused]  # type: ignore[index]
            ),
            stage_s={
                "undistort": t1 - t0,
                "window": t2 - t1 - poses.graph_s + t4 - t3,
                "graph": poses.graph_s,
                "root": t3 - t2 + end - t4,
                "total": end - start,
            },
            messages=tuple(
                f"person {t}: the network's answer is not finite; dropped, starts anew" for t in failed
            ),
        )
        embeddings = poses.embedding
        if embeddings is not None:
            order = np.argsort(source)
            embeddings = embeddings[order[wanted[order]]]
        hypotheses = None if poses.hypotheses is None else tuple(kept)
        return LiftResult(tuple(built), report, hypotheses, embeddings)

    def _degradations(self, index: int, fit: int, present: int) -> tuple[str, ...]:
        best, level = self._planner.levels[0].level, self._planner.levels[index].level
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
        for row in range(self.people.count - 1, -1, -1):
            if self.people.track_id[row] < -1:
                self.people.remove(row)
