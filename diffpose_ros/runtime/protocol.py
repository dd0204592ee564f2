"""What a backend is: the one contract that ONNX Runtime, OpenVINO, TensorRT and torch fulfil.

A backend module ``runtime/<name>_backend.py`` exposes two functions and imports its library only
inside them:

- ``probe(spec) -> Capabilities``: can it work here, and why (not);
- ``create(spec, options) -> Backend``: start it.

Letters for shapes: P people, R bound rows (R >= P), N hypotheses, W slots of a ring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ConfigError
from diffpose_ros.runtime.graph_spec import ModelSpec, RingSpec, StateSpec, read_spec

__all__ = [
    "Backend",
    "BackendOptions",
    "Capabilities",
    "Feeds",
    "ModelSpec",
    "RingSpec",
    "StateSpec",
    "example_feeds",
    "read_spec",
]

PROVIDERS = ("cpu", "cuda", "tensorrt")
"""Execution providers of ONNX Runtime."""

PRECISIONS = ("fp32", "fp16")

Feeds = Mapping[str, NDArray[np.float32]]
"""Input name -> C-contiguous float32 array; all but ``guidance`` share the leading size R."""


@dataclass(frozen=True)
class Capabilities:
    """Whether a backend can work here.

    Attributes:
        name: backend name, e.g. ``onnxruntime``.
        available: it can run the given model on this machine now.
        reason: one line for people: the version and device, or what is missing and what to install.
        device: ``cpu``, or the accelerator's name.
    """

    name: str
    available: bool
    reason: str
    device: str = "cpu"


@dataclass(frozen=True)
class BackendOptions:
    """How to start a backend.

    Attributes:
        max_people: largest number of rows in one run; profiles and buckets end there.
        hypotheses: N the lifter will ask for most; others work too.
        windows: ring name -> number of slots W; rings not named have their model's default length.
        threads: intra-op CPU threads. More than one is slower beside another busy process.
        provider: ONNX Runtime's execution provider: ``cpu``, ``cuda`` or ``tensorrt``.
        precision: ``fp32`` or ``fp16`` (accelerators only).
        cache_dir: where compiled models may be kept; ``None`` means the backend's default.
        fallback: starts the backend that serves while this one gets ready in the background.

    Raises:
        ConfigError: a value is out of range.
    """

    max_people: int = 10
    hypotheses: int = 5
    windows: Mapping[str, int] = field(default_factory=dict)
    threads: int = 1
    provider: str = "cpu"
    precision: str = "fp32"
    cache_dir: Path | None = None
    fallback: Callable[[], Backend] | None = None

    def __post_init__(self) -> None:
        for name, low in (("max_people", 1), ("hypotheses", 1), ("threads", 1)):
            if getattr(self, name) < low:
                raise ConfigError(f"{name}: expected at least {low}, got {getattr(self, name)}")
        if self.provider not in ("cpu", "cuda", "tensorrt"):
            raise ConfigError(f"provider: expected cpu, cuda or tensorrt, got '{self.provider}'")
        if self.precision not in ("fp32", "fp16"):
            raise ConfigError(f"precision: expected fp32 or fp16, got '{self.precision}'")

    def window(self, ring: RingSpec) -> int:
        """Number of slots of ``ring``."""
        return self.windows.get(ring.name, ring.length)


@runtime_checkable
class Backend(Protocol):
    """Runs one lifter model.

    Attributes:
        name: backend name, e.g. ``onnxruntime``.
        device: ``cpu``, or the accelerator's name.
        reason: one line that says which device and version serves, and why this one.
        spec: the model.
    """

    name: str
    device: str
    reason: str
    spec: ModelSpec

    def rows(self, people: int) -> int:
        """How many rows to bind for ``people``: the bucket's size, or ``people`` itself.

        Rows from ``people`` on may hold anything finite; their outputs are ignored. Binding fewer
        rows than this is correct too, but the backend then pads by copying.
        """
        ...

    def run(self, feeds: Feeds) -> dict[str, NDArray[np.float32]]:
        """Run one step.

        Inputs are read in place, never written and not kept. The returned arrays are the
        caller's: the next run does not overwrite them.

        Args:
            feeds: every input of ``spec.inputs``, shapes as in :class:`ModelSpec`.

        Returns:
            Every output of ``spec.outputs`` with R rows.

        Raises:
            InputError: an input is missing or has another shape.
            BackendError: the device failed; the backend may be closed and started again.
        """
        ...

    def warm_up(self, people: int) -> None:
        """Make the first real run of up to ``people`` rows as quick as the later ones."""
        ...

    def close(self) -> None:
        """Free everything; calling it twice does no harm."""
        ...


def example_feeds(
    spec: ModelSpec, people: int, options: BackendOptions | None = None, *, seed: int = 0
) -> dict[str, NDArray[np.float32]]:
    """Plausible random inputs for ``people`` rows with full rings: for warm-up, tests and bench."""
    options = options or BackendOptions(max_people=people, hypotheses=spec.hypotheses)
    rng = np.random.default_rng(seed)
    feeds: dict[str, NDArray[np.float32]] = {}
    for name in spec.inputs:
        shape = spec.input_shape(name, people, options.hypotheses, options.windows)
        value = 0.1 * rng.standard_normal(shape)
        if name in spec.age_inputs:
            value = np.broadcast_to(np.arange(shape[1], 0, -1) / 30.0, shape)
        elif name == "previous_age":
            value = np.full(shape, 1 / 30.0)
        elif name == "guidance":
            value = np.asarray(spec.guidance)
        elif name == "bone_mean":
            value = np.full(shape, 0.25)
        elif name in ("points", "previous_points"):
            value[..., 2] = 0.9
        feeds[name] = np.ascontiguousarray(value, dtype=np.float32)
    return feeds
