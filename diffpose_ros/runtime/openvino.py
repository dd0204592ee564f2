"""OpenVINO: one static model per bucket of people.

A dynamic model pays 10 to 25 ms at every change of its batch size, a static one nothing. People
beyond a bucket's size are padded up to the next bucket; buckets are compiled when first needed, or
by :meth:`OpenVinoBackend.warm_up`.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import BackendError, ModelError
from diffpose_ros.core.openvino import openvino_core
from diffpose_ros.runtime.checks import check_feeds
from diffpose_ros.runtime.graph_spec import GraphSpec
from diffpose_ros.runtime.protocol import BackendOptions, Capabilities, Feeds

NAME = "openvino"
INSTALL = "pip install openvino"
BUCKETS = (1, 2, 5, 10, 20, 50)
NO_SNIPPETS = {"SNIPPETS_MODE": "DISABLE"}
"""OpenVINO 2026.4 crashes when it fuses a chain of narrow fully connected layers (128 wide and less);
without its fusions the shipped models run as fast."""

Key = tuple[int, tuple[tuple[str, int], ...]]
"""Rows, and every other size."""


def probe(spec: GraphSpec | None = None) -> Capabilities:
    """Whether OpenVINO is here."""
    if find_spec("openvino") is None:
        return Capabilities(NAME, False, f"openvino is not installed ({INSTALL})")
    from openvino import get_version

    return Capabilities(NAME, True, f"openvino {get_version()} on cpu")


def create(spec: GraphSpec, options: BackendOptions) -> OpenVinoBackend:
    """Read the model.

    Raises:
        BackendError: OpenVINO is not here.
        ModelError: OpenVINO cannot read the file.
    """
    return OpenVinoBackend(spec, options)


class OpenVinoBackend:
    """Runs static models; see :class:`~diffpose_ros.runtime.protocol.Backend`."""

    name = NAME
    device = "cpu"

    def __init__(self, spec: GraphSpec, options: BackendOptions) -> None:
        try:
            import openvino as ov
        except ImportError as e:
            raise BackendError(f"backend openvino: not installed ({INSTALL})") from e
        self._ov = ov
        self._core: Any = openvino_core()
        try:
            self._core.read_model(str(spec.path))
        except Exception as e:  # a bare RuntimeError with a page of text
            raise ModelError(f"{spec.path}: OpenVINO cannot read it: {_line(e)}") from e
        self.spec = spec
        self.reason = f"openvino {ov.get_version()}, static buckets, {options.threads} thread(s)"
        self._options = options
        self._compiled: dict[Key, Any] = {}
        self._padded: dict[Key, dict[str, NDArray[np.float32]]] = {}

    def rows(self, people: int) -> int:
        """The smallest bucket that holds them; beyond the last one, their own number."""
        return next((b for b in BUCKETS if b >= people), people)

    def run(self, feeds: Feeds) -> dict[str, NDArray[np.float32]]:
        """Run one step; see :meth:`Backend.run`. Rows that fill no bucket are padded by copying."""
        if self._core is None:
            raise BackendError("backend openvino: used after close()")
        rows, sizes = check_feeds(self.spec, feeds)
        key = self.rows(rows), tuple(sorted(sizes.items()))
        bound = dict(feeds) if key[0] == rows else self._pad(key, feeds, rows)
        request = self._request(key)
        try:
            for name in self.spec.inputs:
                if not bound[name].flags.writeable:  # which shared tensors refuse
                    bound[name] = bound[name].copy()
                # The tensor shares this memory and does not keep it alive: `bound` does.
                request.set_tensor(name, self._ov.Tensor(bound[name], shared_memory=True))
            request.infer()
        except Exception as e:
            raise BackendError(f"backend openvino: the run failed: {_line(e)}") from e
        # Its output buffers are overwritten by the next run: hand out copies.
        return {n: request.get_tensor(n).data[:rows].copy() for n in self.spec.outputs}

    def warm_up(self, people: int) -> None:
        """Compile and run every bucket up to the one that holds ``people``."""
        for size in sorted({self.rows(p) for p in range(1, people + 1)}):
            self.run(self.spec.example_feeds(size, self._options.sizes))

    def close(self) -> None:
        """Drop the compiled models."""
        self._compiled.clear()
        self._padded.clear()
        self._core = None

    def _request(self, key: Key) -> Any:
        if key not in self._compiled:
            rows, sizes = key
            try:
                model = self._core.read_model(str(self.spec.path))
                shapes = self.spec.shapes(rows, dict(sizes))
                model.reshape({n: list(shape) for n, shape in shapes.items()})
                compiled = self._compile(model)
                self._compiled[key] = compiled.create_infer_request()
            except Exception as e:
                raise BackendError(
                    f"backend openvino: {self.spec.path} does not compile for {rows} rows: {_line(e)}"
                ) from e
        return self._compiled[key]

    def _compile(self, model: Any) -> Any:
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": self._options.threads,
        }
        if self._options.cache_dir is not None:
            settings["CACHE_DIR"] = str(self._options.cache_dir / "openvino")
        try:
            return self._core.compile_model(model, "CPU", {**settings, **NO_SNIPPETS})
        except RuntimeError as e:
            if not any(name in str(e) for name in NO_SNIPPETS):
                raise
            return self._core.compile_model(model, "CPU", settings)

    def _pad(self, key: Key, feeds: Feeds, rows: int) -> dict[str, NDArray[np.float32]]:
        if key not in self._padded:
            shapes = self.spec.shapes(key[0], dict(key[1]))
            self._padded[key] = {n: np.zeros(s, dtype=np.float32) for n, s in shapes.items()}
        padded = self._padded[key]
        for name, buffer in padded.items():
            per_person = self.spec.inputs[name].per_person
            buffer[: rows if per_person else len(buffer)] = feeds[name]
        return padded


def _line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[-1] if text else type(error).__name__
