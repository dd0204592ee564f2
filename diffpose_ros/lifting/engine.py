"""The lifter's backends: one for each number of denoising steps that the deadline may ask for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from diffpose_ros.core import BackendError, ModelError
from diffpose_ros.lifting.config import LifterConfig
from diffpose_ros.lifting.deadline import Level, ladder
from diffpose_ros.runtime.catalog import find_model, step_variants, with_steps
from diffpose_ros.runtime.load import load_backend
from diffpose_ros.runtime.protocol import (
    Backend,
    BackendOptions,
    ModelSpec,
    example_feeds,
    read_spec,
)

_TRIALS = 3


class Engine:
    """Backends by number of steps, and the levels a deadline planner may choose from.

    Args:
        config: the lifter's settings.

    Raises:
        ModelError: a model file is wrong, or there is none with the wanted number of steps.
        BackendError: no backend works here.
        ConfigError: the window is longer than the model allows.
    """

    def __init__(self, config: LifterConfig) -> None:
        path = find_model(config.model)
        self.spec: ModelSpec = read_spec(path)
        if config.steps is not None and config.steps != self.spec.steps:
            path = _variant(path, self.spec, config.steps)
            self.spec = read_spec(path)
        self.windows = {n: r.length for n, r in self.spec.rings.items()}
        if config.window is not None and "context" in self.windows:
            ring = self.spec.rings["context"]
            if config.window > ring.max_length:
                raise ModelError(
                    f"{path}: window: expected at most {ring.max_length} frames, "
                    f"got {config.window}"
                )
            self.windows["context"] = config.window
        self.hypotheses = config.hypotheses or self.spec.hypotheses
        self.options = BackendOptions(
            max_people=config.max_people,
            hypotheses=self.hypotheses,
            windows=self.windows,
            threads=config.threads,
            provider=config.provider,
            precision=config.precision,
            cache_dir=config.cache_dir,
        )
        files = {self.spec.steps: path}
        if config.deadline_s is not None:
            for steps, file in step_variants(path).items():
                if steps < self.spec.steps:
                    files[steps] = file
        self.backends: dict[int, Backend] = {}
        try:
            for steps, file in files.items():
                backend = load_backend(file, config.backend, self.options)
                self.backends[steps] = backend
                if backend.spec.state != self.spec.state or backend.spec.inputs != self.spec.inputs:
                    raise ModelError(f"{file}: its inputs differ from those of {path}")
        except (ModelError, BackendError):
            self.close()
            raise
        self.backend = self.backends[self.spec.steps]
        least = min(config.min_hypotheses, self.hypotheses)
        self._rungs = ladder(self.hypotheses, least, sorted(files, reverse=True))

    def warm_up(self, people: Sequence[int], *, all_levels: bool) -> list[Level]:
        """Run the levels once or more; return what each costs here.

        Args:
            people: numbers of people to try, e.g. ``(1, 4)``.
            all_levels: try each level; otherwise the best one alone, which tells enough of those
                with fewer hypotheses to keep a deadline that is set later.
        """
        best = self._measure(*self._rungs[0], people)
        if all_levels:
            return [best, *(self._measure(n, steps, people) for n, steps in self._rungs[1:])]
        return [
            replace(best, hypotheses=n, each_s=best.each_s * _share(n / best.hypotheses))
            for n, _ in self._rungs
        ]

    def _measure(self, hypotheses: int, steps: int, people: Sequence[int]) -> Level:
        backend = self.backends[steps]
        seconds = []
        for p in people:
            options = BackendOptions(max_people=p, hypotheses=hypotheses, windows=self.windows)
            feeds = example_feeds(backend.spec, backend.rows(p), options)
            backend.run(feeds)
            times = []
            for _ in range(_TRIALS):
                start = time.perf_counter()
                backend.run(feeds)
                times.append(time.perf_counter() - start)
            seconds.append(min(times))
        if len(people) == 1:
            return Level(hypotheses, steps, 0.0, seconds[0] / people[0])
        each, fixed = np.polyfit(people, seconds, 1)
        each = max(float(each), 1e-5)
        return Level(hypotheses, steps, max(float(fixed), 0.0), each)

    def close(self) -> None:
        """Close every backend."""
        for backend in self.backends.values():
            backend.close()
        self.backends.clear()


def _share(hypotheses: float) -> float:
    """Cost of a fraction of the hypotheses: the encoder's third does not shrink with them."""
    return 1 / 3 + 2 / 3 * hypotheses


def _variant(path: Path, spec: ModelSpec, steps: int) -> Path:
    found = with_steps(path, steps)
    if found is None:
        have = sorted({spec.steps, *step_variants(path)})
        raise ModelError(f"{path}: expected steps to be one of {have}, got {steps}")
    return found
