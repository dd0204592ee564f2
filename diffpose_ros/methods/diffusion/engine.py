"""The backends of a diffusion model: one for each number of denoising steps, and their levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from diffpose_ros.core import ModelError
from diffpose_ros.methods.catalog import step_variants
from diffpose_ros.methods.diffusion.contract import HYPOTHESES, DiffusionSpec
from diffpose_ros.methods.protocol import Level
from diffpose_ros.methods.rehearsal import rehearse
from diffpose_ros.methods.settings import MethodSettings
from diffpose_ros.runtime.load import load_backend
from diffpose_ros.runtime.protocol import Backend


class Engine:
    """Backends by number of steps.

    Args:
        spec: the model.
        settings: what the user set.
        every_level: load the variants with fewer steps, too.

    Attributes:
        spec: the model, with the number of steps that was asked for.
        windows: ring -> slots.
        backends: steps -> backend.
        levels: from the best to the cheapest.

    Raises:
        ModelError: a model file is wrong, or there is none with the wanted number of steps.
        BackendError: no backend works here.
    """

    def __init__(self, spec: DiffusionSpec, settings: MethodSettings, *, every_level: bool) -> None:
        if settings.steps is not None and settings.steps != spec.steps:
            spec = _variant(spec, settings.steps)
        self.spec = spec
        self.windows = spec.windows(settings.window)
        hypotheses = settings.hypotheses or spec.hypotheses
        sizes = {**self.windows, HYPOTHESES: hypotheses}
        options = settings.backend_options(sizes)
        models = {spec.steps: spec}
        if every_level:
            fewer = step_variants(spec.path)
            models |= {s: _read(file) for s, file in fewer.items() if s < spec.steps}
        self.backends: dict[int, Backend] = {}
        try:
            for steps, model in models.items():
                if model.state != spec.state or set(model.graph.inputs) != set(spec.graph.inputs):
                    raise ModelError(f"{model.path}: its inputs differ from those of {spec.path}")
                self.backends[steps] = load_backend(model.graph, settings.backend, options)
        except BaseException:
            self.close()
            raise
        least = min(settings.min_hypotheses, hypotheses)
        self.levels = ladder(hypotheses, least, sorted(models, reverse=True))

    @property
    def best(self) -> Backend:
        """What runs the model at full quality."""
        return self.backends[self.spec.steps]

    def rehearse(self, people: int, level: Level, trials: int, timer: Callable[[], float]) -> float:
        """Run a level on made-up inputs; the least seconds of ``trials`` runs after a first one."""
        sizes = {**self.windows, HYPOTHESES: level.hypotheses}
        return rehearse(self.backends[level.steps], people, sizes, trials, timer)

    def close(self) -> None:
        """Close every backend."""
        for backend in self.backends.values():
            backend.close()
        self.backends.clear()


def ladder(hypotheses: int, min_hypotheses: int, steps: Sequence[int]) -> list[Level]:
    """Levels from the best to the cheapest: N goes first, as accuracy hangs on it least.

    Args:
        hypotheses: N at full quality.
        min_hypotheses: fewest allowed.
        steps: available numbers of steps, the full one first.
    """
    most = steps[0]
    levels = [Level(hypotheses, most)]
    n = hypotheses
    while n > min_hypotheses:
        n = max(min_hypotheses, (n + 1) // 2)
        levels.append(Level(n, most, _share(n / hypotheses)))
    for s in sorted(steps[1:], reverse=True):
        if s < most:
            levels.append(Level(n, s, _share(n / hypotheses * s / most)))
    return levels


def _share(sampling: float) -> float:
    """Cost of a fraction of the sampling: the encoder's third does not shrink with it."""
    return 1 / 3 + 2 / 3 * sampling


def _read(path: Path) -> DiffusionSpec:
    from diffpose_ros.methods.registry import read_spec  # the registry knows this module by name

    spec = read_spec(path)
    if not isinstance(spec, DiffusionSpec):
        raise ModelError(f"{path}: kind: expected a diffusion model, got '{spec.kind}'")
    return spec


def _variant(spec: DiffusionSpec, steps: int) -> DiffusionSpec:
    variants = step_variants(spec.path)
    if steps not in variants:
        have = sorted({spec.steps, *variants})
        raise ModelError(f"{spec.path}: expected steps to be one of {have}, got {steps}")
    return _read(variants[steps])
