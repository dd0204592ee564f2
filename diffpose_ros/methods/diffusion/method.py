"""DiffPose and StarPose as a method: one graph per step, from a model file of format 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from diffpose_ros.diffusion.noise import fixed_noise
from diffpose_ros.methods.diffusion.contract import DiffusionSpec, parse
from diffpose_ros.methods.diffusion.engine import Engine
from diffpose_ros.methods.diffusion.step_inputs import StepInputs
from diffpose_ros.methods.protocol import KEYPOINTS, Field, Level, Observed, Poses, Rows
from diffpose_ros.methods.settings import MethodSettings
from diffpose_ros.methods.virtual_camera import look, to_real_camera

__all__ = ["DiffusionMethod", "open_model", "parse"]


def open_model(
    spec: DiffusionSpec,
    settings: MethodSettings,
    *,
    every_level: bool,
    timer: Callable[[], float],
) -> DiffusionMethod:
    """Open a model; see :func:`diffpose_ros.methods.registry.open_method`."""
    engine = Engine(spec, settings, every_level=every_level)
    try:
        return DiffusionMethod(engine, settings, timer)
    except BaseException:
        engine.close()
        raise


class DiffusionMethod:
    """A graph that denoises N hypotheses around what a context encoder says.

    Args:
        engine: its backends; owned from here on.
        settings: what the user set.
        timer: monotonic seconds.
    """

    needs = frozenset({KEYPOINTS})

    def __init__(self, engine: Engine, settings: MethodSettings, timer: Callable[[], float]) -> None:
        spec = engine.spec
        self.name, self.kind = spec.name, spec.kind
        self.levels, self.score_floor, self.backend = engine.levels, spec.score_floor, engine.best
        self.spare = max(self.backend.rows(settings.max_people), settings.max_people)
        self._engine, self._timer = engine, timer
        self._keep_hypotheses = settings.wants_hypotheses
        weights = settings.guidance_weights or spec.guidance
        sizes = {level.hypotheses for level in self.levels}
        self._inputs = self.make_inputs(
            spec,
            engine.windows,
            self.spare,
            {n: fixed_noise(n, seed=settings.seed) for n in sizes},
            np.asarray(weights if settings.guidance else (0, 0, 0, 0), dtype=np.float32),
        )

    def make_inputs(self, spec: DiffusionSpec, *args: Any) -> StepInputs:
        """What the graph reads; see :class:`StepInputs`."""
        return StepInputs(spec, *args)

    def state(self) -> Mapping[str, Field]:
        """Caches, and what the next frame's inputs are made from."""
        return self._inputs.state()

    def step(self, seen: Observed, rows: Rows, level: Level) -> Poses:
        """Lift the people of one frame; see :meth:`Method.step`."""
        view = look(seen, rows)
        self._inputs.fill(view, rows)
        backend = self._engine.backends[level.steps]
        # Another backend, with other buckets, may have taken over since the arrays were made.
        bound = min(backend.rows(len(rows)), self.spare)
        feeds = self._inputs.feeds(rows, bound, level.hypotheses)
        start = self._timer()
        outputs = backend.run(feeds)
        end = self._timer()
        poses = to_real_camera(
            outputs, view.rotation, keep_hypotheses=self._keep_hypotheses, graph_s=end - start
        )
        self._inputs.keep(rows, view, outputs, poses.mean)
        return poses

    def rehearse(self, people: int, level: Level, trials: int) -> float:
        """Run a level's graph on made-up inputs; see :meth:`Method.rehearse`."""
        return self._engine.rehearse(people, level, trials, self._timer)

    def close(self) -> None:
        """Close the backends."""
        self._engine.close()
