"""What runs MoveNet's network: ONNX Runtime, or OpenVINO where the CPU computes in bfloat16.

Both read the same ONNX file and give the same rows. With 32-bit floats they are equally fast;
in bfloat16, which only OpenVINO offers on a CPU, the network takes half the time.
"""

from __future__ import annotations

from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import COCO17, BackendError, ConfigError, ModelError

RUNTIMES = ("auto", "onnxruntime", "openvino")
"""Values of the setting ``runtime``."""

ROW = 3 * len(COCO17) + 5
SHAPES_KEPT = 4
"""Input shapes whose compiled network OpenVINO keeps; a camera has one."""

Port = tuple[str, str, list[Any]]
"""Name, type and shape of an input or output; what is not fixed in the shape is no number."""


class Network(Protocol):
    """A network that was read and checked.

    Attributes:
        reason: what runs it, and why that.
    """

    reason: str

    def run(self, tensor: NDArray[np.int32]) -> NDArray[np.float32]:
        """Rows (1, 6, 56) for a padded image (1, H, W, 3).

        Raises:
            BackendError: the network failed.
        """
        ...


def open_network(path: Path, runtime: str, threads: int) -> Network:
    """Read the network.

    Args:
        path: ONNX file.
        runtime: one of :data:`RUNTIMES`; ``auto`` takes OpenVINO where it is installed and the CPU
            computes in bfloat16, ONNX Runtime otherwise.
        threads: threads of one run.

    Raises:
        ConfigError: no such runtime.
        BackendError: the runtime is not installed.
        ModelError: the file is missing, is not ONNX, or is another network.
    """
    check_runtime(runtime)
    name, why = choose() if runtime == "auto" else (runtime, "as asked")
    maker: Any = OnnxRuntimeNetwork if name == "onnxruntime" else OpenVinoNetwork
    return maker(path, threads, why)


def check_runtime(runtime: Any) -> None:
    """Raise ConfigError unless this is one of :data:`RUNTIMES`."""
    if runtime not in RUNTIMES:
        raise ConfigError(f"movenet runtime: expected one of {', '.join(RUNTIMES)}, got {runtime!r}")


def choose() -> tuple[str, str]:
    """The runtime that ``auto`` stands for here, and why."""
    if find_spec("openvino") is None:
        return "onnxruntime", "openvino is not installed (pip install openvino)"
    try:
        capabilities = cpu_capabilities()
    except Exception as error:  # whatever ails it, the other one still works
        return "onnxruntime", f"openvino does not start: {_last_line(error)}"
    if "BF16" in capabilities:
        return "openvino", "this CPU has bfloat16, half the time of onnxruntime"
    return "onnxruntime", "this CPU has no bfloat16, without which openvino is no faster"


def cpu_capabilities() -> list[str]:
    """What OpenVINO says that this CPU computes well, such as FP32, BF16, INT8."""
    import openvino as ov

    return [str(name) for name in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")]


class OnnxRuntimeNetwork:
    """See :class:`Network`."""

    def __init__(self, path: Path, threads: int, why: str) -> None:
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise _not_installed("onnxruntime") from error
        _check_file(path)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise _incomplete(path, _first_line(error)) from error
        ins, outs = (
            [(p.name, p.type.removeprefix("tensor(").removesuffix(")"), list(p.shape)) for p in ports]
            for ports in (session.get_inputs(), session.get_outputs())
        )
        check_ports(path, ins, outs)
        self._session: Any = session
        self._input = ins[0][0]
        self.reason = f"onnxruntime {ort.__version__}: {why}"

    def run(self, tensor: NDArray[np.int32]) -> NDArray[np.float32]:
        """See :meth:`Network.run`."""
        try:
            (rows,) = self._session.run(None, {self._input: tensor})
        except Exception as error:
            raise BackendError(f"movenet: inference failed: {_first_line(error)}") from error
        return rows


class OpenVinoNetwork:
    """See :class:`Network`.

    A network of fixed shape is faster than one of any shape, so it is compiled for each shape that
    comes, when it first comes.
    """

    def __init__(self, path: Path, threads: int, why: str) -> None:
        try:
            import openvino as ov
        except ImportError as error:
            raise _not_installed("openvino") from error
        _check_file(path)
        self._core: Any = ov.Core()
        try:
            self._model: Any = self._core.read_model(str(path))
        except Exception as error:
            raise _incomplete(path, _last_line(error)) from error
        check_ports(path, _ov_ports(self._model.inputs), _ov_ports(self._model.outputs))
        precision = "bf16" if "BF16" in cpu_capabilities() else "f32"
        self._options = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": precision,
        }
        self._requests: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self.reason = f"openvino {ov.get_version().split('-')[0]} in {precision}: {why}"

    def run(self, tensor: NDArray[np.int32]) -> NDArray[np.float32]:
        """See :meth:`Network.run`."""
        try:
            request = self._request(tensor.shape)
            request.infer([tensor])
            # the next run writes into the same memory
            return request.get_output_tensor(0).data.copy()
        except Exception as error:
            raise BackendError(f"movenet: inference failed: {_last_line(error)}") from error

    def _request(self, shape: tuple[int, ...]) -> Any:
        if shape not in self._requests:
            model = self._model.clone()
            model.reshape(list(shape))
            compiled = self._core.compile_model(model, "CPU", self._options)
            self._requests[shape] = compiled.create_infer_request()
            if len(self._requests) > SHAPES_KEPT:
                self._requests.popitem(last=False)
        self._requests.move_to_end(shape)
        return self._requests[shape]


def check_ports(path: Path, ins: list[Port], outs: list[Port]) -> None:
    """Raise ModelError unless inputs and outputs are those of MoveNet MultiPose."""
    shape_in = ins[0][2] if len(ins) == 1 else []
    shape_out = outs[0][2] if len(outs) == 1 else []
    right = (
        len(shape_in) == 4
        and shape_in[3] == 3
        and ins[0][1] == "int32"
        and len(shape_out) == 3
        and shape_out[2] == ROW
    )
    if not right:
        got = ", ".join(f"{name} {kind} {shape}" for name, kind, shape in [*ins, *outs])
        raise ModelError(
            f"movenet: {path} is another network: expected int32 (1, H, W, 3) in and "
            f"float (1, 6, {ROW}) out, got {got}"
        )


def _ov_ports(ports: Any) -> list[Port]:
    kinds = {"i32": "int32", "f32": "float"}
    found: list[Port] = []
    for port in ports:
        kind, shape = port.get_element_type().get_type_name(), port.get_partial_shape()
        sizes = [] if shape.rank.is_dynamic else [d.get_length() if d.is_static else "?" for d in shape]
        found.append((port.get_any_name() if port.get_names() else "", kinds.get(kind, kind), sizes))
    return found


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise ModelError(f"movenet: no model file at {path}")


def _incomplete(path: Path, why: str) -> ModelError:
    return ModelError(f"movenet: {path} is not a complete ONNX model ({why})")


def _not_installed(package: str) -> BackendError:
    return BackendError(f"movenet needs {package}, which is not installed: pip install {package}")


def _first_line(error: Exception) -> str:
    return _lines(error)[0][:200]


def _last_line(error: Exception) -> str:
    """Of OpenVINO's errors, whose first lines are places in its sources."""
    return _lines(error)[-1][:200]


def _lines(error: Exception) -> list[str]:
    lines = [line.strip() for line in str(error).splitlines()]
    return [line for line in lines if line] or [type(error).__name__]
