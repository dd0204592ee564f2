"""What a user may set on the lifter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from diffpose_ros.core import ConfigError

_BACKENDS = ("auto", "onnxruntime", "openvino", "tensorrt", "torch")


@dataclass(frozen=True, kw_only=True)
class LifterConfig:
    """Settings of a :class:`~diffpose_ros.lifting.Lifter`, validated together.

    Attributes:
        model: name of a shipped model, or path of an ``.onnx`` file.
        backend: ``auto``, ``onnxruntime``, ``openvino``, ``tensorrt`` or ``torch``.
        hypotheses: poses sampled per person, N; ``None`` = what the model was made for.
        steps: denoising steps, of those the model was exported with; ``None`` = the most.
        guidance: whether STPG guides the sampler.
        guidance_weights: weights of its four energies; ``None`` = the model's own.
        window: frames of context kept per person; ``None`` = what the model was made for.
        max_people: people lifted in one frame; more take turns.
        max_tracks: people remembered at once; more are left out, best scores first.
        max_gap_s: a person unseen for longer starts anew, s.
        person_height: standing height of everyone in view, m; ``None`` = trust the body prior.
        deadline_s: time one frame may take, s; ``None`` = as long as it takes. Models with fewer
            steps are loaded only when it is set.
        min_hypotheses: fewest hypotheses that a missed deadline leaves.
        score_threshold: keypoints scored lower are ignored; ``None`` = the model's own.
        min_keypoints: a person with fewer usable keypoints is not lifted in that frame.
        keep_hypotheses: hand the N hypotheses out with each result.
        threads: CPU threads of the backend.
        provider: execution provider of ONNX Runtime: ``cpu``, ``cuda`` or ``tensorrt``.
        precision: ``fp32`` or ``fp16`` (accelerators only).
        cache_dir: where compiled engines are kept; ``None`` = the user's cache folder.
        seed: seed of the fixed noise.

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
    max_tracks: int = 50
    max_gap_s: float = 1.0
    person_height: float | None = None
    deadline_s: float | None = None
    min_hypotheses: int = 2
    score_threshold: float | None = None
    min_keypoints: int = 4
    keep_hypotheses: bool = False
    threads: int = 1
    provider: str = "cpu"
    precision: str = "fp32"
    cache_dir: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.backend not in _BACKENDS:
            raise ConfigError(
                f"backend: expected one of {', '.join(_BACKENDS)}, got '{self.backend}'"
            )
        self._whole("hypotheses", 1, 1000)
        self._whole("steps", 1, 1000)
        self._whole("window", 1, 1000)
        self._whole("max_people", 1, 1000)
        self._whole("max_tracks", 1, 1000)
        self._whole("min_hypotheses", 1, 1000)
        self._whole("min_keypoints", 3, 17)
        self._whole("threads", 1, 256)
        self._whole("seed", 0, 2**31 - 1)
        self._number("max_gap_s", 0.05, 60.0)
        self._number("person_height", 0.4, 2.8)
        self._number("deadline_s", 1e-4, 60.0)
        self._number("score_threshold", 0.0, 1.0)
        if self.max_people > self.max_tracks:
            raise ConfigError(
                f"max_people: expected at most max_tracks ({self.max_tracks}), "
                f"got {self.max_people}"
            )
        if self.hypotheses is not None and self.min_hypotheses > self.hypotheses:
            object.__setattr__(self, "min_hypotheses", self.hypotheses)
        w = self.guidance_weights
        if w is not None and (
            len(w) != 4 or not all(math.isfinite(x) and 0 <= x <= 1000 for x in w)
        ):
            raise ConfigError(f"guidance_weights: expected 4 numbers from 0 to 1000, got {w}")

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
