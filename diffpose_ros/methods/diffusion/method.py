"""DiffPose and StarPose as a method: one graph per step, from a model file of format 1.

The graph's contract stands in docs/architecture.md. Letters for shapes: P people, N hypotheses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.diffusion.noise import fixed_noise
from diffpose_ros.methods.diffusion.engine import Engine
from diffpose_ros.methods.diffusion.step_inputs import StepInputs
from diffpose_ros.methods.protocol import KEYPOINTS, Field, Level, Observed, Poses, Rows
from diffpose_ros.methods.registry import ModelFile
from diffpose_ros.methods.settings import MethodSettings


def open_model(
    file: ModelFile, settings: MethodSettings, *, every_level: bool, timer: Callable[[], float]
) -> DiffusionMethod:
    """Open a model; see :func:`diffpose_ros.methods.registry.open_method`."""
    engine = Engine(file.path, settings, every_level=every_level)
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
        self.name, self.kind, self.spec = spec.name, spec.kind, spec
        self.levels, self.score_floor, self.backend = engine.levels, spec.score_floor, engine.best
        self.spare = max(self.backend.rows(settings.max_people), settings.max_people)
        self._engine, self._timer = engine, timer
        self._keep_hypotheses = settings.keep_hypotheses
        weights = settings.guidance_weights or spec.guidance
        self._inputs = StepInputs(
            spec,
            engine.windows,
            self.spare,
            {level.hypotheses: fixed_noise(level.hypotheses, seed=settings.seed) for level in self.levels},
            np.asarray(weights if settings.guidance else (0, 0, 0, 0), dtype=np.float32),
        )

    def state(self) -> Mapping[str, Field]:
        """Caches, and what the next frame's inputs are made from."""
        return self._inputs.state()

    def step(self, seen: Observed, rows: Rows, level: Level) -> Poses:
        """Lift the people of one frame; see :meth:`Method.step`."""
        view = self._inputs.observe(seen.rays, seen.score, rows)
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


def to_real_camera(
    outputs: Mapping[str, NDArray[np.float32]],
    rotation: NDArray[np.float64],
    *,
    keep_hypotheses: bool,
    graph_s: float = 0.0,
) -> Poses:
    """Turn the network's answers back: x_real = R^T x_virtual, C_real = R^T C_virtual R.

    Args:
        outputs: the graph's outputs, P rows or more.
        rotation: (P, 3, 3) R with ``virtual = R @ real``.
        keep_hypotheses: whether the hypotheses are wanted.
        graph_s: see :class:`Poses`.
    """
    p = len(rotation)
    mean = outputs["mean"][:p] @ rotation
    turn = rotation[:, None]
    covariance = turn.swapaxes(-1, -2) @ outputs["covariance"][:p] @ turn
    hypotheses = outputs["hypotheses"][:p] @ turn if keep_hypotheses else None
    return Poses(mean, covariance, hypotheses, graph_s=graph_s)
