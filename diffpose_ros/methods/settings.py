"""Settings of a method."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from diffpose_ros.core import ConfigError
from diffpose_ros.methods.reduce import REDUCTIONS
from diffpose_ros.runtime.load import BACKEND_CHOICES
from diffpose_ros.runtime.protocol import PRECISIONS, PROVIDERS, BackendOptions

CHOICES = {
    "backend": BACKEND_CHOICES, "provider": PROVIDERS, "precision": PRECISIONS, "reduce": REDUCTIONS,
}  # fmt: skip
"""Allowed values, shared by settings, node parameters and the command line."""


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """Settings of a lifting method, checked together; each method uses those it knows.

    Attributes:
        model: name of a shipped model, or path of an ``.onnx`` file.
        backend: ``auto`` or a name of :data:`~diffpose_ros.runtime.load.BACKENDS`.
        hypotheses: poses sampled per person, N; ``None``: the model's default.
        steps: denoising steps, one of the numbers the model was exported with; ``None``: the largest.
        guidance: whether STPG guides the sampler.
        guidance_weights: weights of STPG's four energies; ``None``: the model's own.
        window: frames of context kept per person; ``None``: the model's default.
        max_people: largest number of people lifted per frame; more take turns.
        min_hypotheses: fewest hypotheses that a deadline may leave.
        reduce: how the hypotheses become one pose: ``mean`` or ``jpma``, see
            :data:`~diffpose_ros.methods.reduce.REDUCTIONS`.
        keep_hypotheses: return the hypotheses with each result.
        threads: CPU threads of the backend.
        provider: execution provider of ONNX Runtime: ``cpu``, ``cuda`` or ``tensorrt``.
        precision: ``fp32`` or ``fp16`` (accelerators only).
        cache_dir: folder of compiled engines; ``None``: the user's cache folder.
        seed: seed of the fixed noise.
        prompt: for FinePOSE: what is known of everyone, such as ``action: walking``, and of single people
            (``; 3: lying``); empty: inferred.
        paper: use the setting of the method's paper, if it has one (ZeDO); slow.

    Raises:
        ConfigError: a value is out of range, or two values contradict each other.
    """

    model: str | Path = "starpose"
    backend: str = "auto"
    hypotheses: int | None = None
    steps: int | None = None
    guidance: bool = True
    guidance_weights: tuple[float, float, float, float] | None = None
    window: int | None = None
    max_people: int = 20
    min_hypotheses: int = 2
    reduce: str = "mean"
    keep_hypotheses: bool = False
    threads: int = 1
    provider: str = "cpu"
    precision: str = "fp32"
    cache_dir: Path | None = None
    seed: int = 0
    prompt: str = ""
    paper: bool = False

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"{name}: expected one of {', '.join(choices)}, got '{getattr(self, name)}'"
                )
        self._whole("hypotheses", 1, 1000)
        self._whole("steps", 1, 1000)
        self._whole("window", 1, 1000)
        self._whole("max_people", 1, 1000)
        self._whole("min_hypotheses", 1, 1000)
        self._whole("threads", 1, 256)
        self._whole("seed", 0, 2**31 - 1)
        if self.hypotheses is not None and self.min_hypotheses > self.hypotheses:
            object.__setattr__(self, "min_hypotheses", self.hypotheses)
        w = self.guidance_weights
        if w is not None and (len(w) != 4 or not all(math.isfinite(x) and 0 <= x <= 1000 for x in w)):
            raise ConfigError(f"guidance_weights: expected 4 numbers from 0 to 1000, got {w}")

    @property
    def wants_hypotheses(self) -> bool:
        """Whether a method has to return its hypotheses."""
        return self.keep_hypotheses or self.reduce != "mean"

    def backend_options(self, sizes: Mapping[str, int]) -> BackendOptions:
        """Options for a backend whose graph runs with these ``sizes``."""
        return BackendOptions(
            max_people=self.max_people,
            sizes=sizes,
            threads=self.threads,
            provider=self.provider,
            precision=self.precision,
            cache_dir=self.cache_dir,
        )

    def _whole(self, name: str, low: int, high: int) -> None:
        value = getattr(self, name)
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ConfigError(f"{name}: expected a whole number, {low} to {high}, got {value!r}")

    def _number(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigError(f"{name}: expected a number, got {value!r}")
        if not low <= value <= high:  # also refuses NaN
            raise ConfigError(f"{name}: expected {low:g} to {high:g}, got {value:g}")
