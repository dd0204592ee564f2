"""ZeDO as a method: hypotheses that are optimised anew in every frame, from where the last one left them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ModelError
from diffpose_ros.geometry.root import MEASURED_H36M
from diffpose_ros.methods.protocol import KEYPOINTS, Field, Level, Observed, Poses, Rows
from diffpose_ros.methods.rehearsal import rehearse
from diffpose_ros.methods.settings import MethodSettings
from diffpose_ros.methods.zedo import loop
from diffpose_ros.methods.zedo.anchors import Anchors, facing, level_axes
from diffpose_ros.methods.zedo.contract import HYPOTHESES, ZedoSpec, parse
from diffpose_ros.methods.zedo.loop import Iterations
from diffpose_ros.methods.zedo.rays import translation, unit_rays
from diffpose_ros.runtime.load import load_backend
from diffpose_ros.runtime.protocol import Backend

__all__ = ["ZedoMethod", "open_model", "parse"]

Array = NDArray[np.float64]

FRAME_S = 1.0 / 30.0
LONGEST_S = 0.5
"""Joints that have not been seen for longer may be anywhere."""
SHORT = 2.0
"""One run that goes on from the last frame begins with so much more noise than the model's two: fewer
iterations have to go as far."""


def open_model(
    spec: ZedoSpec,
    settings: MethodSettings,
    *,
    every_level: bool,
    timer: Callable[[], float],
) -> ZedoMethod:
    """Open a model; see :func:`diffpose_ros.methods.registry.open_method`. All levels run one graph."""
    unrolled = spec.loop.unrolled
    if settings.steps is not None and settings.steps % unrolled:
        raise ModelError(
            f"{spec.path}: steps: expected a multiple of {unrolled}, the iterations that the graph of "
            f"model '{spec.name}' holds, got {settings.steps}"
        )
    hypotheses = 1 if settings.paper else settings.hypotheses or spec.hypotheses
    backend = load_backend(
        spec.graph, settings.backend, settings.backend_options({HYPOTHESES: hypotheses})
    )
    return ZedoMethod(spec, backend, hypotheses, settings, timer)


class ZedoMethod:
    """A pose prior's loop.

    Args:
        spec: the model.
        backend: what runs it; owned from here on.
        hypotheses: N at best.
        settings: what the user set.
        timer: monotonic seconds.
    """

    needs = frozenset({KEYPOINTS})

    def __init__(
        self,
        spec: ZedoSpec,
        backend: Backend,
        hypotheses: int,
        settings: MethodSettings,
        timer: Callable[[], float],
    ) -> None:
        self.name, self.kind, self.score_floor = spec.name, spec.kind, spec.score_floor
        self.backend = backend
        self.spare = max(backend.rows(settings.max_people), settings.max_people)
        self._spec, self._n, self._timer = spec, hypotheses, timer
        self._keep_hypotheses, self._paper = settings.wants_hypotheses, settings.paper
        if self._paper:
            steps = loop.PAPER_ITERATIONS
            self._anchors = Anchors(spec.anchors.mean(axis=0, keepdims=True), directions=72)
        else:
            steps = settings.steps or spec.steps
            self._anchors = Anchors(spec.anchors)
        self._told_steps = settings.steps is not None
        self.levels = ladder(hypotheses, min(settings.min_hypotheses, hypotheses), steps, spec.loop.unrolled)
        if self._paper:
            self.levels = self.levels[:1]

    def state(self) -> Mapping[str, Field]:
        """The hypotheses, in the camera's axes, best first, and how they stand."""
        return {
            "zedo.poses": Field((self._n, 17, 3), np.float64),
            "zedo.standing": Field((self._n,), np.float64),
            "zedo.depth": Field((), np.float64),
        }

    def step(self, seen: Observed, rows: Rows, level: Level) -> Poses:
        """Optimise the people of one frame; see :meth:`Method.step`.

        For people whose last frame was optimised one run of the graph goes on from there, unless the user
        has said how many iterations there are to be.
        """
        if not len(rows):
            nobody = np.zeros((0, 17, 3))
            return Poses(nobody, np.zeros((0, 17, 3, 3)))
        turn = level_axes(seen.up)
        rays = unit_rays(seen.rays[:, :17]) @ turn.T
        score = seen.score[:, :17] * MEASURED_H36M
        if self._paper:
            return self._as_printed(rays, score, turn, rows)
        n, config = level.hypotheses, self._spec.loop
        first = rows.first | (rows.dt_s > LONGEST_S)
        spread = self._spread(seen, score, rows)
        poses = rows["zedo.poses"][:, :n] @ turn.T
        standing = np.array(rows["zedo.standing"][:, :n])
        self._begin(poses, standing, rays, spread, first)
        motion = np.where(first, np.inf, config.motion * np.sqrt(np.maximum(rows.dt_s, 1e-3) / FRAME_S))
        whole = np.asarray(first | self._told_steps)
        begin = np.where(first, config.cold, config.warm)
        levels = loop.noise_levels(begin, config.last, level.steps)
        short = loop.noise_levels(SHORT * begin, config.last, config.unrolled)
        levels[~whole, : config.unrolled] = short[~whole]
        before, clean, graph_s = poses, poses.copy(), 0.0
        poses = poses.copy()
        for k in range(0, level.steps, config.unrolled):
            who = np.flatnonzero(whole) if k else np.arange(len(poses))
            if not len(who):
                break
            now = loop.optimise(
                rays[who], spread[who], before[who], motion[who], levels[who, k : k + config.unrolled],
                trust=config.trust, size=self._spec.size,
            )  # fmt: skip
            poses[who], clean[who], seconds = self._run(poses[who], now)
            graph_s += seconds
        cost = loop.misfit(clean, rays, spread)
        standing = config.memory * standing - cost / config.temper
        standing -= standing.max(axis=1, keepdims=True)
        poses = 0.5 * (poses + clean)
        poses -= poses[:, :, :1]
        order = np.argsort(-standing, axis=1)
        standing = np.take_along_axis(standing, order, 1)
        poses = np.take_along_axis(poses, order[..., None, None], 1)
        weight = np.exp(standing)
        weight /= weight.sum(1, keepdims=True)
        place = translation(poses, rays, 1.0 / np.minimum(spread, loop.UNSEEN_M) ** 2)
        depth = np.linalg.norm(np.einsum("pn,pna->pa", weight, place), axis=-1)
        out = self._poses(poses, weight, facing(rays, score), turn, graph_s)
        self._keep(rows, poses @ turn, standing, depth)
        return out

    def _begin(self, poses: Array, standing: Array, rays: Array, spread: Array, first: NDArray) -> None:
        """Anchors for those who begin, and for the least likely hypotheses of the others, in place."""
        weight = 1.0 / np.minimum(spread, loop.UNSEEN_M) ** 2
        n, fresh = poses.shape[1], min(self._spec.loop.fresh, poses.shape[1] - 1)
        if first.any():
            poses[first] = self._anchors.begin(rays[first], weight[first], n)
            standing[first] = 0.0
        if fresh and not first.all():
            poses[~first, n - fresh :] = self._anchors.begin(rays[~first], weight[~first], fresh)

    def _spread(self, seen: Observed, score: Array, rows: Rows) -> Array:
        """Standard deviation of each keypoint beside its ray (P, 17), m; infinite where there is none."""
        config = self._spec.loop
        guessed = config.sharp + config.vague * (1.0 - score) ** 2
        if seen.covariance is not None:
            variance = 0.5 * np.trace(seen.covariance[:, :17], axis1=-2, axis2=-1)
            depth = rows["zedo.depth"][:, None]
            told = np.hypot(config.sharp, depth * np.sqrt(np.maximum(variance, 0.0)))
            guessed = np.where(depth > 0, told, guessed)
        return np.where(score > 0, guessed, np.inf)

    def _run(self, poses: Array, now: Iterations) -> tuple[Array, Array, float]:
        """Some iterations in the graph: poses after the last projection, before it, and seconds."""
        p, n = poses.shape[:2]
        bound = min(self.backend.rows(p), self.spare)
        values = {"pose": poses.reshape(p, n, 51), **vars(now)}
        feeds = {}
        for name in self._spec.graph.inputs:
            value = np.zeros((bound, *values[name].shape[1:]), dtype=np.float32)
            value[:p] = values[name]
            value[p:] = value[0]
            feeds[name] = value
        start = self._timer()
        outputs = self.backend.run(feeds)
        seconds = self._timer() - start
        projected, clean = (
            np.asarray(outputs[name][:p].reshape(p, n, 17, 3), dtype=np.float64)
            for name in ("new_pose", "denoised")
        )
        return projected, clean, seconds

    def _poses(self, poses: Array, weight: Array, facing_axes: Array, turn: Array, graph_s: float) -> Poses:
        """Mean and calibrated covariance, in the camera's axes."""
        mean, covariance = loop.moments(poses, weight)
        axes = facing_axes[:, None]
        scale, floor = self._spec.scale, self._spec.floor
        inside = axes @ covariance @ axes.swapaxes(-1, -2) * (scale[:, :, None] * scale[:, None, :])
        inside = inside + floor[..., None] ** 2 * np.eye(3)
        back = (axes.swapaxes(-1, -2)) @ inside @ axes
        return Poses(
            mean @ turn,
            turn.T @ back @ turn,
            poses @ turn if self._keep_hypotheses else None,
            graph_s=graph_s,
        )

    def _as_printed(self, rays: Array, score: Array, turn: Array, rows: Rows) -> Poses:
        """The paper's own setting: from the mean pose, one frame for itself."""
        poses = self._anchors.begin(rays, score, 1)
        place = translation(poses, rays, score)
        graph_s = 0.0
        for k in range(0, loop.PAPER_ITERATIONS, self._spec.loop.unrolled):
            now = loop.as_printed(rays, score, place, self._spec.sde, k, self._spec.loop.unrolled)
            poses, _, seconds = self._run(poses, now)
            graph_s += seconds
        poses -= poses[:, :, :1]
        self._keep(rows, poses @ turn, np.zeros((len(poses), 1)), np.zeros(len(poses)))
        return self._poses(poses, np.ones((len(poses), 1)), facing(rays, score), turn, graph_s)

    def _keep(self, rows: Rows, poses: Array, standing: Array, depth: Array) -> None:
        """Note the hypotheses; where a cheaper level made fewer, the best one fills up."""
        missing = self._n - poses.shape[1]
        if missing:
            poses = np.concatenate([poses, np.repeat(poses[:, :1], missing, 1)], axis=1)
            worst = np.repeat(standing[:, -1:], missing, 1)
            standing = np.concatenate([standing, worst], axis=1)
        rows.keep(**{"zedo.poses": poses, "zedo.standing": standing, "zedo.depth": depth})

    def rehearse(self, people: int, level: Level, trials: int) -> float:
        """Run a level on made-up people; see :meth:`Method.rehearse`."""
        runs = level.steps // self._spec.loop.unrolled
        return runs * rehearse(self.backend, people, {HYPOTHESES: level.hypotheses}, trials, self._timer)

    def close(self) -> None:
        """Close the backend."""
        self.backend.close()


def ladder(hypotheses: int, min_hypotheses: int, steps: int, unrolled: int) -> list[Level]:
    """Levels from the best to the cheapest: iterations go first, down to one run, then hypotheses."""
    levels = [Level(hypotheses, steps)]
    while steps > unrolled:
        steps = max(unrolled, steps // 2 // unrolled * unrolled)
        levels.append(Level(hypotheses, steps, steps / levels[0].steps))
    share, n = levels[-1].share, hypotheses
    while n > min_hypotheses:
        n = max(min_hypotheses, (n + 1) // 2)
        levels.append(Level(n, steps, share * (0.5 + 0.5 * n / hypotheses)))
    return levels


