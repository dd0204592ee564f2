"""ONNX Runtime: the default backend, light and everywhere."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import BackendError, ModelError
from diffpose_ros.runtime.checks import check_feeds
from diffpose_ros.runtime.graph_spec import GraphSpec
from diffpose_ros.runtime.protocol import BackendOptions, Capabilities, Feeds

NAME = "onnxruntime"
INSTALL = "pip install onnxruntime"
_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


def probe(spec: GraphSpec | None = None) -> Capabilities:
    """Whether ONNX Runtime is here, and which providers it has."""
    if find_spec("onnxruntime") is None:
        return Capabilities(NAME, False, f"onnxruntime is not installed ({INSTALL})")
    import onnxruntime as ort

    device = "cuda" if _PROVIDERS["cuda"] in ort.get_available_providers() else "cpu"
    return Capabilities(NAME, True, f"onnxruntime {ort.__version__} on {device}", device)


def create(spec: GraphSpec, options: BackendOptions) -> OnnxRuntimeBackend:
    """Start a session.

    Raises:
        BackendError: ONNX Runtime or the wanted provider is not here.
        ModelError: ONNX Runtime cannot load the file.
    """
    return OnnxRuntimeBackend(spec, options)


class OnnxRuntimeBackend:
    """Runs the file in one sequential session; see :class:`~diffpose_ros.runtime.protocol.Backend`.

    One thread that does not spin: with a second busy process on the machine, two spinning threads
    are ten times slower.
    """

    name = NAME

    def __init__(self, spec: GraphSpec, options: BackendOptions) -> None:
        try:
            import onnxruntime as ort
        except ImportError as e:
            raise BackendError(f"backend onnxruntime: not installed ({INSTALL})") from e
        wanted = _PROVIDERS[options.provider]
        if wanted not in ort.get_available_providers():
            raise BackendError(
                f"backend onnxruntime: provider '{options.provider}' is not in this build, it has "
                f"{', '.join(ort.get_available_providers())}; install onnxruntime-gpu"
            )
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = options.threads
        settings.inter_op_num_threads = 1
        settings.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        settings.log_severity_level = 3
        providers = [wanted] if options.provider == "cpu" else [wanted, _PROVIDERS["cpu"]]
        try:
            self._session: Any = ort.InferenceSession(
                str(spec.path), sess_options=settings, providers=providers
            )
        except Exception as e:  # its exceptions share no base class
            raise ModelError(f"{spec.path}: ONNX Runtime cannot load it: {_line(e)}") from e
        active = self._session.get_providers()[0]
        if active != wanted:
            self._session = None
            raise BackendError(
                f"backend onnxruntime: provider '{options.provider}' did not start; "
                "check the driver and CUDA libraries"
            )
        self.spec = spec
        self.device = options.provider if options.provider != "tensorrt" else "cuda"
        self.reason = f"onnxruntime {ort.__version__}, {active}, {options.threads} thread(s)"
        self._options = options
        self._outputs = list(spec.outputs)

    def rows(self, people: int) -> int:
        """Any number of people is as good as another."""
        return people

    def run(self, feeds: Feeds) -> dict[str, NDArray[np.float32]]:
        """Run one step; see :meth:`Backend.run`."""
        if self._session is None:
            raise BackendError("backend onnxruntime: used after close()")
        check_feeds(self.spec, feeds)
        try:
            values = self._session.run(self._outputs, {n: feeds[n] for n in self.spec.inputs})
        except Exception as e:  # its exceptions share no base class
            raise BackendError(f"backend onnxruntime: the run failed: {_line(e)}") from e
        return dict(zip(self._outputs, values, strict=True))

    def warm_up(self, people: int) -> None:
        """Run once, so that kernels and the arena are ready."""
        self.run(self.spec.example_feeds(people, self._options.sizes))

    def close(self) -> None:
        """Drop the session."""
        self._session = None


def _line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
