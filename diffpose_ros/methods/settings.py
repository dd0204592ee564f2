"""What a user may set on a method."""

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
"""What may be asked for: the settings' choices, the node's parameters' and the command line's."""


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """Settings that reach the method, validated together; a method takes those it knows.

    Attributes:
        model: name of a shipped model, or path of an ``.onnx`` file.
        backend: ``auto`` or a name of :data:`~diffpose_ros.runtime.load.BACKENDS`.
        hypotheses: poses sampled per person, N; ``None`` = what the model was made for.
        steps: denoising steps, of those the model was exported with; ``None`` = the most.
        guidance: whether STPG guides the sampler.
        guidance_weights: weights of its four energies; ``None`` = the model's own.
        window: frames of context kept per person; ``None`` = what the model was made for.
        max_people: people lifted in one frame; more take turns.
        min_hypotheses: fewest hypotheses that a missed deadline leaves.
        reduce: how one pose is made of N: ``mean`` or ``jpma``, see
            :data:`~diffpose_ros.methods.reduce.REDUCTIONS`.
        keep_hypotheses: hand the N hypotheses out with each result.
        threads: CPU threads of the backend.
        provider: execution provider of ONNX Runtime: ``cpu``, ``cuda`` or ``tensorrt``.
        precision: ``fp32`` or ``fp16`` (accelerators only).
        cache_dir: where compiled engines are kept; ``None`` = the user's cache folder.
        seed: seed of the fixed noise.
        prompt: what is known of everyone, for methods that prompts tell (FinePOSE), such as
            ``action: walking``, and of single people (``; 3: lying``); empty: it is worked out.
        paper: run a method as its paper prints it, where it can do both (ZeDO); slow.

    Raises:
        ConfigError: a value is out of range or two contradict each other.
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
        """Whether a method has to hand hypotheses out."""
        return self.keep_hypotheses or self.reduce != "mean"

    def backend_options(self, sizes: Mapping[str, int]) -> BackendOptions:
        """How to start a backend on a graph that runs with these ``sizes``."""
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
