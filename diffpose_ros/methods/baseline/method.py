"""The baseline as a method: one pose per person with its own error, no diffusion."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from diffpose_ros.core import ModelError
from diffpose_ros.methods.model_file import ModelFile
from diffpose_ros.methods.protocol import KEYPOINTS, Field, Level, Observed, Poses, Rows
from diffpose_ros.methods.rehearsal import rehearse
from diffpose_ros.methods.settings import MethodSettings
from diffpose_ros.methods.streaming import INPUTS, StreamingSpec, parse_streaming
from diffpose_ros.methods.streaming_inputs import StreamingInputs
from diffpose_ros.methods.virtual_camera import look, to_real_camera
from diffpose_ros.runtime.load import load_backend
from diffpose_ros.runtime.protocol import Backend

OUTPUTS = ("mean", "covariance")


def parse(file: ModelFile) -> StreamingSpec:
    """Read and check the file; see :func:`diffpose_ros.methods.registry.read_spec`."""
    return StreamingSpec(**parse_streaming(file, INPUTS, required=tuple(INPUTS), outputs=OUTPUTS, sizes={}))


def open_model(
    spec: StreamingSpec,
    settings: MethodSettings,
    *,
    every_level: bool,
    timer: Callable[[], float],
) -> BaselineMethod:
    """Open a model; see :func:`diffpose_ros.methods.registry.open_method`. It has one level."""
    for name in ("steps", "hypotheses"):
        if getattr(settings, name) not in (None, 1):
            raise ModelError(
                f"{spec.path}: {name}: expected 1, as model '{spec.name}' does not sample, "
                f"got {getattr(settings, name)}"
            )
    windows = spec.windows(settings.window)
    backend = load_backend(spec.graph, settings.backend, settings.backend_options(windows))
    return BaselineMethod(spec, backend, windows, settings, timer)


class BaselineMethod:
    """A context encoder's graph.

    Args:
        spec: the model.
        backend: what runs it; owned from here on.
        windows: ring -> slots.
        settings: what the user set.
        timer: monotonic seconds.
    """

    needs = frozenset({KEYPOINTS})
    levels = (Level(),)

    def __init__(
        self,
        spec: StreamingSpec,
        backend: Backend,
        windows: Mapping[str, int],
        settings: MethodSettings,
        timer: Callable[[], float],
    ) -> None:
        self.name, self.kind, self.score_floor = spec.name, spec.kind, spec.score_floor
        self.backend = backend
        self.spare = max(backend.rows(settings.max_people), settings.max_people)
        self._inputs = StreamingInputs(spec, windows, self.spare)
        self._timer, self._keep_hypotheses = timer, settings.wants_hypotheses

    def state(self) -> Mapping[str, Field]:
        """The encoder's caches."""
        return self._inputs.state()

    def step(self, seen: Observed, rows: Rows, level: Level) -> Poses:
        """Lift the people of one frame; see :meth:`Method.step`. The only hypothesis is the mean."""
        view = look(seen, rows)
        self._inputs.fill(view, rows)
        bound = min(self.backend.rows(len(rows)), self.spare)
        start = self._timer()
        outputs = self.backend.run(self._inputs.feeds(rows, bound))
        end = self._timer()
        self._inputs.keep(rows, view, outputs)
        if self._keep_hypotheses:
            outputs = {**outputs, "hypotheses": outputs["mean"][:, None]}
        return to_real_camera(
            outputs, view.rotation, keep_hypotheses=self._keep_hypotheses, graph_s=end - start
        )

    def rehearse(self, people: int, level: Level, trials: int) -> float:
        """Run the graph on made-up inputs; see :meth:`Method.rehearse`."""
        return rehearse(self.backend, people, self._inputs.windows, trials, self._timer)

    def close(self) -> None:
        """Close the backend."""
        self.backend.close()
