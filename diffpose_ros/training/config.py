"""Training configuration: YAML to checked dataclasses, unknown keys refused."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from diffpose_ros.core import ConfigError
from diffpose_ros.data.virtual.synthesis import SynthesisConfig

T = TypeVar("T")


@dataclass(frozen=True)
class OptimiserConfig:
    """How weights are moved.

    Attributes:
        steps: optimiser steps in all.
        batch: clips per step.
        learning_rate: peak of a cosine schedule with linear warm-up.
        warmup: steps of warm-up.
        weight_decay: AdamW's.
        clip: gradient norm bound.
        ema: decay of the exponential moving average of the weights.
        optimiser: ``adamw``, or ``muon`` for the matrices of residual blocks (AdamW moves the rest).
        precision: ``float32`` or ``bfloat16`` (autocast).
        device: ``cpu``, ``cuda`` (one GPU), or ``auto``: a GPU where torch sees one.
        threads: CPU threads.
        compile: use ``torch.compile``.
        seed: of everything random.
        save_every: steps between checkpoints.
    """

    steps: int = 4000
    batch: int = 24
    learning_rate: float = 1e-3
    warmup: int = 200
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.998
    optimiser: str = "adamw"
    precision: str = "bfloat16"
    device: str = "auto"
    threads: int = 1
    compile: bool = True
    seed: int = 0
    save_every: int = 250

    def __post_init__(self) -> None:
        if self.precision not in ("float32", "bfloat16"):
            raise ConfigError(f"precision: expected float32 or bfloat16, got '{self.precision}'")
        if self.optimiser not in ("adamw", "muon"):
            raise ConfigError(f"optimiser: expected adamw or muon, got '{self.optimiser}'")
        if self.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"device: expected auto, cpu or cuda, got '{self.device}'")
        for name in ("steps", "batch", "threads", "save_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected 1 or more, got {getattr(self, name)}")


@dataclass(frozen=True)
class TrainingConfig:
    """One training run.

    Attributes:
        task: ``context``, ``diffpose`` or ``starpose``.
        data: motion capture file (npz).
        output: folder for checkpoints and logs.
        context: checkpoint of the frozen context encoder (not for the ``context`` task).
        start: checkpoint whose matching weights to start from (optional).
        model: sizes, passed to the task's own dataclass; for a lifter also ``window`` and ``mirror`` of
            its context encoder, which change no weights.
        loss: weights of the loss terms.
        rollouts: share of the steps in which a lifter's history is what it made of the whole clips, frame
            after frame on its own answers, as on a robot; in the others it comes from one or two
            parallel passes, which are faster.
        optimiser: see :class:`OptimiserConfig`.
        synthesis: see :class:`~diffpose_ros.data.virtual.synthesis.SynthesisConfig`.
    """

    task: str
    data: str
    output: str
    context: str = ""
    start: str = ""
    model: dict[str, Any] = field(default_factory=dict)
    loss: dict[str, float] = field(default_factory=dict)
    rollouts: float = 0.0
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)

    def __post_init__(self) -> None:
        if self.rollouts and self.task != "starpose":
            raise ConfigError(f"rollouts: task {self.task} has no history to roll out; use starpose")
        if not 0.0 <= self.rollouts <= 1.0:
            raise ConfigError(f"rollouts: expected a share from 0 to 1, got {self.rollouts:g}")


def from_mapping(cls: type[T], mapping: dict[str, Any], where: str = "") -> T:
    """Build a (nested) dataclass from a mapping.

    Raises:
        ConfigError: an unknown key, a missing one, or a value of the wrong type.
    """
    hints = typing.get_type_hints(cls)
    known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in mapping:
        if key not in known:
            raise ConfigError(
                f"{where or 'configuration'}: unknown key '{key}', expected: {', '.join(sorted(known))}"
            )
    values: dict[str, Any] = {}
    for key, value in mapping.items():
        hint = hints[key]
        if dataclasses.is_dataclass(hint) and isinstance(value, dict):
            value = from_mapping(hint, value, f"{where}.{key}".lstrip("."))  # type: ignore[arg-type]
        elif typing.get_origin(hint) is tuple and isinstance(value, list):
            value = tuple(value)
        elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
            value = float(value)
        elif hint in (int, float, str, bool) and type(value) is not hint:
            raise ConfigError(
                f"{where}.{key}".lstrip(".")
                + f": expected {hint.__name__}, got {type(value).__name__} ({value!r})"
            )
        values[key] = value
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(f"{where or 'configuration'}: {error}") from error


def load(path: str | Path) -> TrainingConfig:
    """Read a training YAML.

    Raises:
        ConfigError: the file is missing, is not YAML, or says something that is not understood.
    """
    return from_mapping(TrainingConfig, read_yaml(path))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file that holds a mapping.

    Raises:
        ConfigError: the file is missing, is not YAML, or holds something else.
    """
    try:
        content = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise ConfigError(f"training configuration {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"training configuration {path}: not YAML ({error})") from error
    if not isinstance(content, dict):
        raise ConfigError(f"training configuration {path}: expected a mapping")
    return content
