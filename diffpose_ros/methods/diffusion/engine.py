"""The backends of a diffusion model: one for each number of denoising steps, and their levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from diffpose_ros.core import ModelError
from diffpose_ros.methods.protocol import Level
from diffpose_ros.methods.settings import MethodSettings
from diffpose_ros.runtime.catalog import step_variants, with_steps
from diffpose_ros.runtime.load import load_backend
from diffpose_ros.runtime.protocol import (
    Backend,
    BackendOptions,
    ModelSpec,
    example_feeds,
    read_spec,
)


class Engine:
    """Backends by number of steps.

    Args:
        path: the model file.
        settings: what the user set.
        every_level: load the variants with fewer steps, too.

    Attributes:
        spec: the model.
        windows: ring -> slots.
        backends: steps -> backend.
        levels: from the best to the cheapest.

    Raises:
        ModelError: a model file is wrong, or there is none with the wanted number of steps.
        BackendError: no backend works here.
    """

    def __init__(self, path: Path, settings: MethodSettings, *, every_level: bool) -> None:
        self.spec: ModelSpec = read_spec(path)
        if settings.steps is not None and settings.steps != self.spec.steps:
            path = _variant(path, self.spec, settings.steps)
            self.spec = read_spec(path)
        self.windows = _windows(self.spec, settings.window)
        hypotheses = settings.hypotheses or self.spec.hypotheses
        options = BackendOptions(
            max_people=settings.max_people,
            hypotheses=hypotheses,
            windows=self.windows,
            threads=settings.threads,
            provider=settings.provider,
            precision=settings.precision,
            cache_dir=settings.cache_dir,
        )
        files = {self.spec.steps: path}
        if every_level:
            fewer = step_variants(path)
            files |= {s: file for s, file in fewer.items() if s < self.spec.steps}
        self.backends: dict[int, Backend] = {}
        try:
            for steps, file in files.items():
                backend = load_backend(file, settings.backend, options)
                self.backends[steps] = backend
                if backend.spec.state != self.spec.state or backend.spec.inputs != self.spec.inputs:
                    raise ModelError(f"{file}: its inputs differ from those of {path}")
        except BaseException:
            self.close()
            raise
        least = min(settings.min_hypotheses, hypotheses)
        self.levels = ladder(hypotheses, least, sorted(files, reverse=True))

    @property
    def best(self) -> Backend:
        """What runs the model at full quality."""
        return self.backends[self.spec.steps]

    def rehearse(self, people: int, level: Level, trials: int, timer: Callable[[], float]) -> float:
        """Run a level on made-up inputs; the least seconds of ``trials`` runs after a first one."""
        backend = self.backends[level.steps]
        options = BackendOptions(max_people=people, hypotheses=level.hypotheses, windows=self.windows)
        feeds = example_feeds(backend.spec, backend.rows(people), options)
        backend.run(feeds)
        times = []
        for _ in range(trials):
            start = timer()
            backend.run(feeds)
            times.append(timer() - start)
        return min(times)

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


def _windows(spec: ModelSpec, window: int | None) -> dict[str, int]:
    windows = {name: ring.length for name, ring in spec.rings.items()}
    if window is not None and "context" in windows:
        most = spec.rings["context"].max_length
        if window > most:
            raise ModelError(f"{spec.path}: window: expected at most {most} frames, got {window}")
        windows["context"] = window
    return windows


def _variant(path: Path, spec: ModelSpec, steps: int) -> Path:
    found = with_steps(path, steps)
    if found is None:
        have = sorted({spec.steps, *step_variants(path)})
        raise ModelError(f"{path}: expected steps to be one of {have}, got {steps}")
    return found
