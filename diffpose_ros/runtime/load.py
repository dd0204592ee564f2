"""Chooses a backend and starts it."""

from __future__ import annotations

import importlib
import logging
from dataclasses import replace
from types import ModuleType

from diffpose_ros.core import BackendError, ConfigError, ModelError
from diffpose_ros.runtime.graph_spec import GraphSpec
from diffpose_ros.runtime.protocol import Backend, BackendOptions, Capabilities

log = logging.getLogger(__name__)

BACKENDS = {
    "tensorrt": "diffpose_ros.runtime.tensorrt.backend",
    "onnxruntime": "diffpose_ros.runtime.onnxruntime",
    "openvino": "diffpose_ros.runtime.openvino",
    "torch": "diffpose_ros.methods.torch_backend",
}
"""Known backends and the module of each, the one that ``auto`` prefers first.

TensorRT comes first because it is only available beside a GPU; OpenVINO computes no faster than
ONNX Runtime here and pads to its buckets; torch is the reference."""

BACKEND_CHOICES = ("auto", *sorted(BACKENDS))
"""What a user may ask for."""


def _module(name: str) -> ModuleType:
    return importlib.import_module(BACKENDS[name])


def probe_backends(spec: GraphSpec | None = None) -> dict[str, Capabilities]:
    """What each known backend can do here, in the order in which ``auto`` tries them."""
    return {name: _module(name).probe(spec) for name in BACKENDS}


def _with_fallback(spec: GraphSpec, options: BackendOptions) -> BackendOptions:
    """What serves while an engine builds, or after a device failed: ONNX Runtime on the CPU."""
    if options.fallback is not None or not _module("onnxruntime").probe(spec).available:
        return options
    plain = replace(options, provider="cpu", precision="fp32")
    return replace(options, fallback=lambda: _module("onnxruntime").create(spec, plain))


def load_backend(spec: GraphSpec, backend: str = "auto", options: BackendOptions | None = None) -> Backend:
    """Start a backend on a graph.

    Args:
        spec: the graph.
        backend: a name of :data:`BACKENDS`, or ``auto``: the first of them that works here. Why is
            logged and stands in the backend's ``reason``.
        options: see :class:`BackendOptions`.

    Raises:
        ConfigError: unknown backend name.
        ModelError: the backend cannot load the file.
        BackendError: the backend asked for cannot work here, or none can.
    """
    options = _with_fallback(spec, options or BackendOptions())
    if backend != "auto":
        if backend not in BACKENDS:
            raise ConfigError(f"unknown backend '{backend}', expected auto or one of: {', '.join(BACKENDS)}")
        can = _module(backend).probe(spec)
        if not can.available:
            raise BackendError(f"backend {backend}: {can.reason}")
        started: Backend = _module(backend).create(spec, options)
        started.reason = f"{started.reason} (asked for)"
        log.info("backend %s: %s", started.name, started.reason)
        return started
    passed_over = []
    for name in BACKENDS:
        can = _module(name).probe(spec)
        if not can.available:
            passed_over.append(f"{name}: {can.reason}")
            continue
        try:
            started = _module(name).create(spec, options)
        except ModelError:
            raise
        except BackendError as e:
            passed_over.append(f"{name}: {e}")
            continue
        started.reason = f"{started.reason} (best here; " + (
            "; ".join(passed_over) + ")" if passed_over else "tried first)"
        )
        log.info("backend %s: %s", started.name, started.reason)
        return started
    raise BackendError("no backend works here: " + "; ".join(passed_over))
