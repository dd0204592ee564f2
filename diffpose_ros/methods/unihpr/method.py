"""UniHPR as a method: keypoints to an embedding, and the embedding to poses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from diffpose_ros.core import ModelError
from diffpose_ros.diffusion.noise import fixed_noise
from diffpose_ros.methods.protocol import KEYPOINTS, Field, Level, Observed, Poses, Rows
from diffpose_ros.methods.rehearsal import rehearse
from diffpose_ros.methods.settings import MethodSettings
from diffpose_ros.methods.streaming_inputs import StreamingInputs
from diffpose_ros.methods.unihpr.contract import HYPOTHESES, UniHprSpec, parse
from diffpose_ros.methods.virtual_camera import look, to_real_camera
from diffpose_ros.runtime.load import load_backend
from diffpose_ros.runtime.protocol import Backend

__all__ = ["UniHprMethod", "open_model", "parse"]


def open_model(
    spec: UniHprSpec,
    settings: MethodSettings,
    *,
    every_level: bool,
    timer: Callable[[], float],
) -> UniHprMethod:
    """Open a model; see :func:`diffpose_ros.methods.registry.open_method`. It has one level."""
    if settings.steps not in (None, spec.steps):
        raise ModelError(
            f"{spec.path}: steps: expected {spec.steps}, those of model '{spec.name}', got {settings.steps}"
        )
    hypotheses = settings.hypotheses or spec.hypotheses
    sizes = {**spec.windows(settings.window), HYPOTHESES: hypotheses}
    backend = load_backend(spec.graph, settings.backend, settings.backend_options(sizes))
    return UniHprMethod(spec, backend, hypotheses, settings, timer)


class UniHprMethod:
    """A graph that reads a window of keypoints, embeds it, and samples poses from the embedding alone.

    Args:
        spec: the model.
        backend: what runs it; owned from here on.
        hypotheses: N.
        settings: what the user set.
        timer: monotonic seconds.
    """

    needs = frozenset({KEYPOINTS})

    def __init__(
        self,
        spec: UniHprSpec,
        backend: Backend,
        hypotheses: int,
        settings: MethodSettings,
        timer: Callable[[], float],
    ) -> None:
        self.name, self.kind, self.score_floor = spec.name, spec.kind, spec.score_floor
        self.backend = backend
        self.levels = (Level(hypotheses, spec.steps),)
        self.spare = max(backend.rows(settings.max_people), settings.max_people)
        self._windows = spec.windows(settings.window)
        self._inputs = StreamingInputs(spec, self._windows, self.spare)
        noise = fixed_noise(hypotheses, seed=settings.seed)
        self._noise = np.ascontiguousarray(np.broadcast_to(noise, (self.spare, *noise.shape)))
        self._timer, self._keep_hypotheses = timer, settings.keep_hypotheses

    def state(self) -> Mapping[str, Field]:
        """The encoder's caches."""
        return self._inputs.state()

    def step(self, seen: Observed, rows: Rows, level: Level) -> Poses:
        """Lift the people of one frame; see :meth:`Method.step`.

        The embedding's second part says how each stands to the ray on which the camera sees them.
        """
        view = look(seen, rows)
        self._inputs.fill(view, rows)
        bound = min(self.backend.rows(len(rows)), self.spare)
        feeds = self._inputs.feeds(rows, bound) | {"noise": self._noise[:bound]}
        start = self._timer()
        outputs = self.backend.run(feeds)
        end = self._timer()
        self._inputs.keep(rows, view, outputs)
        poses = to_real_camera(
            outputs, view.rotation, keep_hypotheses=self._keep_hypotheses, graph_s=end - start
        )
        return replace(poses, embedding=outputs["embedding"][: len(rows)].astype(np.float64))

    def rehearse(self, people: int, level: Level, trials: int) -> float:
        """Run the graph on made-up inputs; see :meth:`Method.rehearse`."""
        sizes = {**self._windows, HYPOTHESES: level.hypotheses}
        return rehearse(self.backend, people, sizes, trials, self._timer)

    def close(self) -> None:
        """Close the backend."""
        self.backend.close()
