"""torch: the reference. Runs the network itself, from the checkpoint beside the ONNX file."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import BackendError, ModelError
from diffpose_ros.methods.model_file import read_model_file
from diffpose_ros.methods.registry import METHODS
from diffpose_ros.runtime.checks import check_feeds
from diffpose_ros.runtime.graph_spec import GraphSpec
from diffpose_ros.runtime.protocol import BackendOptions, Capabilities, Feeds

NAME = "torch"
INSTALL = "pip install torch safetensors"


def _files(spec: GraphSpec) -> tuple[Path, Path]:
    return spec.path.with_name("model.safetensors"), spec.path.with_name("config.yaml")


def probe(spec: GraphSpec | None = None) -> Capabilities:
    """Whether torch is here, and the checkpoint beside the ONNX file."""
    for package in ("torch", "safetensors"):
        if find_spec(package) is None:
            return Capabilities(NAME, False, f"{package} is not installed ({INSTALL})")
    missing = [f.name for f in _files(spec) if not f.is_file()] if spec else []
    if spec and missing:
        return Capabilities(NAME, False, f"{' and '.join(missing)} not found beside {spec.path.name}")
    import torch

    return Capabilities(NAME, True, f"torch {torch.__version__} on cpu")


def create(spec: GraphSpec, options: BackendOptions) -> TorchBackend:
    """Load the checkpoint.

    Raises:
        BackendError: torch is not here.
        ModelError: the checkpoint is missing or does not fit.
    """
    return TorchBackend(spec, options)


class TorchBackend:
    """Runs the torch module eagerly; see :class:`~diffpose_ros.runtime.protocol.Backend`."""

    name = NAME
    device = "cpu"

    def __init__(self, spec: GraphSpec, options: BackendOptions) -> None:
        file = read_model_file(spec.path)
        try:
            import torch

            module = importlib.import_module(METHODS[file.kind].torch)
        except ImportError as e:
            raise BackendError(f"backend torch: not installed ({INSTALL})") from e
        self._torch = torch
        torch.set_num_threads(options.threads)
        self._graph: Any = module.step_graph(file)
        caches = {s["input"]: tuple(n for n in s["shape"] if n != -1) for s in self._graph.state()}
        if set(self._graph.input_names) != set(spec.inputs) or caches != {
            n: tuple(s for s in spec.inputs[n].shape if isinstance(s, int)) for n in spec.caches
        }:
            raise ModelError(
                f"{_files(spec)[0]}: its inputs are not those of {spec.path.name}; "
                "export the checkpoint again"
            )
        self.spec = spec
        self.reason = f"torch {torch.__version__}, eager, {options.threads} thread(s)"
        self._options = options

    def rows(self, people: int) -> int:
        """Any number of people is as good as another."""
        return people

    def run(self, feeds: Feeds) -> dict[str, NDArray[np.float32]]:
        """Run one step; see :meth:`Backend.run`."""
        if self._graph is None:
            raise BackendError("backend torch: used after close()")
        check_feeds(self.spec, feeds)
        flat = [self._torch.from_numpy(feeds[n]) for n in self._graph.input_names]
        with self._torch.inference_mode():
            values = self._graph(*flat)
        made = dict(zip(self._graph.output_names, values, strict=True))
        return {n: np.array(made[n].numpy()) for n in self.spec.outputs}

    def warm_up(self, people: int) -> None:
        """Run once."""
        self.run(self.spec.example_feeds(people, self._options.sizes))

    def close(self) -> None:
        """Drop the network."""
        self._graph = None
