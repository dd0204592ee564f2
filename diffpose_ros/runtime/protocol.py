"""What a backend is: the one contract that ONNX Runtime, OpenVINO, TensorRT and torch fulfil.

A backend module ``runtime/<name>_backend.py`` exposes two functions and imports its library only
inside them:

- ``probe(spec) -> Capabilities``: can it work here, and why (not);
- ``create(spec, options) -> Backend``: start it.

Letters for shapes: P people, R bound rows (R >= P).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ConfigError
from diffpose_ros.runtime.graph_spec import GraphSpec

PROVIDERS = ("cpu", "cuda", "tensorrt")
"""Execution providers of ONNX Runtime."""

PRECISIONS = ("fp32", "fp16")

Feeds = Mapping[str, NDArray[np.float32]]
"""Input name -> C-contiguous float32 array; those with a row per person have R rows."""


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
        sizes: sizes of the graph that runs will have, where they differ from what it was made for.
        threads: intra-op CPU threads. More than one is slower beside another busy process.
        provider: ONNX Runtime's execution provider: ``cpu``, ``cuda`` or ``tensorrt``.
        precision: ``fp32`` or ``fp16`` (accelerators only).
        cache_dir: where compiled models may be kept; ``None`` means the backend's default.
        fallback: starts the backend that serves while this one gets ready in the background.

    Raises:
        ConfigError: a value is out of range.
    """

    max_people: int = 10
    sizes: Mapping[str, int] = field(default_factory=dict)
    threads: int = 1
    provider: str = "cpu"
    precision: str = "fp32"
    cache_dir: Path | None = None
    fallback: Callable[[], Backend] | None = None

    def __post_init__(self) -> None:
        for name, low in (("max_people", 1), ("threads", 1)):
            if getattr(self, name) < low:
                raise ConfigError(f"{name}: expected at least {low}, got {getattr(self, name)}")
        for name, choices in (("provider", PROVIDERS), ("precision", PRECISIONS)):
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"{name}: expected one of {', '.join(choices)}, got '{getattr(self, name)}'"
                )


@runtime_checkable
class Backend(Protocol):
    """Runs one graph.

    Attributes:
        name: backend name, e.g. ``onnxruntime``.
        device: ``cpu``, or the accelerator's name.
        reason: one line that says which device and version serves, and why this one.
        spec: the graph.
    """

    name: str
    device: str
    reason: str
    spec: GraphSpec

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
            feeds: every input of ``spec.inputs``, shapes as :meth:`GraphSpec.shapes` says.

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
