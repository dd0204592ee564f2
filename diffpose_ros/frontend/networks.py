"""What runs a front end's network: ONNX Runtime, or OpenVINO where the CPU computes in bfloat16.

Both read the same ONNX file and give the same numbers. With 32-bit floats they are equally fast;
in bfloat16, which only OpenVINO offers on a CPU, a network takes half the time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from diffpose_ros.core import BackendError, ConfigError, ModelError
from diffpose_ros.core.choices import RUNTIMES
from diffpose_ros.core.openvino import openvino_core

SHAPES_KEPT = 8
"""Input shapes whose compiled network OpenVINO keeps; a camera needs one per number of people."""

Port = tuple[str, str, list[Any]]
"""Name, type and shape of an input or output; what is not fixed in the shape is no number."""

Check = Callable[[Path, list[Port], list[Port]], None]
"""Raises ModelError unless a file's inputs and outputs are those of the network expected."""


class Network(Protocol):
    """A network that was read and checked; it has one input.

    Attributes:
        reason: what runs it, and why that.
        inputs: its input.
        outputs: its outputs, in the order of :meth:`run`.
        metadata: what its author wrote into the file.
    """

    reason: str
    inputs: list[Port]
    outputs: list[Port]
    metadata: Mapping[str, str]

    def run(self, tensor: NDArray[Any]) -> list[NDArray[Any]]:
        """All outputs for an input.

        Raises:
            BackendError: the network failed.
        """
        ...


def open_network(
    path: Path, runtime: str, threads: int, *, owner: str, check: Check | None = None
) -> Network:
    """Read a network.

    Args:
        path: ONNX file.
        runtime: one of :data:`RUNTIMES`; ``auto`` takes OpenVINO where it is installed and the CPU
            computes in bfloat16, ONNX Runtime otherwise.
        threads: threads of one run.
        owner: whose network it is, for the texts of errors.
        check: looks at its inputs and outputs.

    Raises:
        ConfigError: no such runtime.
        BackendError: the runtime is not installed.
        ModelError: the file is missing, is not ONNX, or is another network.
    """
    check_runtime(runtime, owner)
    name, why = choose() if runtime == "auto" else (runtime, "as asked")
    maker: Any = OnnxRuntimeNetwork if name == "onnxruntime" else OpenVinoNetwork
    return maker(path, threads, why, owner=owner, check=check)


def check_runtime(runtime: Any, owner: str) -> None:
    """Raise ConfigError unless this is one of :data:`RUNTIMES`."""
    if runtime not in RUNTIMES:
        raise ConfigError(f"{owner} runtime: expected one of {', '.join(RUNTIMES)}, got {runtime!r}")


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
    return [str(name) for name in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")]


class OnnxRuntimeNetwork:
    """See :class:`Network`."""

    def __init__(
        self, path: Path, threads: int, why: str, *, owner: str, check: Check | None = None
    ) -> None:
        self._owner = owner
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise _not_installed(owner, "onnxruntime") from error
        _check_file(owner, path)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise _incomplete(owner, path, _first_line(error)) from error
        ins, outs = (
            [(p.name, p.type.removeprefix("tensor(").removesuffix(")"), list(p.shape)) for p in ports]
            for ports in (session.get_inputs(), session.get_outputs())
        )
        _check_ports(owner, path, ins, outs, check)
        self.inputs, self.outputs = ins, outs
        self.metadata: Mapping[str, str] = dict(session.get_modelmeta().custom_metadata_map)
        self._session: Any = session
        self._input = ins[0][0]
        self.reason = f"onnxruntime {ort.__version__}: {why}"

    def run(self, tensor: NDArray[Any]) -> list[NDArray[Any]]:
        """See :meth:`Network.run`."""
        try:
            return list(self._session.run(None, {self._input: tensor}))
        except Exception as error:
            raise BackendError(f"{self._owner}: inference failed: {_first_line(error)}") from error


class OpenVinoNetwork:
    """See :class:`Network`.

    A network of fixed shape is faster than one of any shape, so it is compiled for each shape that
    comes, when it first comes.
    """

    def __init__(
        self, path: Path, threads: int, why: str, *, owner: str, check: Check | None = None
    ) -> None:
        self._owner = owner
        try:
            import openvino as ov
        except ImportError as error:
            raise _not_installed(owner, "openvino") from error
        _check_file(owner, path)
        self._core = openvino_core()
        try:
            self._model: Any = self._core.read_model(str(path))
        except Exception as error:
            raise _incomplete(owner, path, _last_line(error)) from error
        self.inputs, self.outputs = _ov_ports(self._model.inputs), _ov_ports(self._model.outputs)
        _check_ports(owner, path, self.inputs, self.outputs, check)
        self.metadata: Mapping[str, str] = _ov_metadata(self._model)
        precision = "bf16" if "BF16" in cpu_capabilities() else "f32"
        self._options = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": precision,
        }
        self._requests: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self.reason = f"openvino {ov.get_version().split('-')[0]} in {precision}: {why}"

    def run(self, tensor: NDArray[Any]) -> list[NDArray[Any]]:
        """See :meth:`Network.run`."""
        try:
            request = self._request(tensor.shape)
            request.infer([tensor])
            # the next run writes into the same memory
            return [request.get_output_tensor(i).data.copy() for i in range(len(self.outputs))]
        except Exception as error:
            raise BackendError(f"{self._owner}: inference failed: {_last_line(error)}") from error

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


def _check_ports(
    owner: str, path: Path, ins: list[Port], outs: list[Port], check: Check | None
) -> None:
    if len(ins) != 1 or not outs:
        raise ModelError(
            f"{owner}: {path} is another network: expected one input, got {len(ins)} inputs "
            f"and {len(outs)} outputs"
        )
    if check is not None:
        check(path, ins, outs)


def describe(ports: list[Port]) -> str:
    """Inputs or outputs in one line, for the texts of errors."""
    return ", ".join(f"{name} {kind} {shape}" for name, kind, shape in ports)


def _ov_metadata(model: Any) -> dict[str, str]:
    try:
        info = model.get_rt_info()["framework"]
        return {str(name): str(info[name].value) for name in info}
    except Exception:  # a file without metadata
        return {}


def _ov_ports(ports: Any) -> list[Port]:
    kinds = {"i32": "int32", "f32": "float", "f16": "float16", "u8": "uint8", "i64": "int64"}
    found: list[Port] = []
    for port in ports:
        kind, shape = port.get_element_type().get_type_name(), port.get_partial_shape()
        sizes = [] if shape.rank.is_dynamic else [d.get_length() if d.is_static else "?" for d in shape]
        found.append((port.get_any_name() if port.get_names() else "", kinds.get(kind, kind), sizes))
    return found


def _check_file(owner: str, path: Path) -> None:
    if not path.is_file():
        raise ModelError(f"{owner}: no model file at {path}")


def _incomplete(owner: str, path: Path, why: str) -> ModelError:
    return ModelError(f"{owner}: {path} is not a complete ONNX model ({why})")


def _not_installed(owner: str, package: str) -> BackendError:
    return BackendError(f"{owner} needs {package}, which is not installed: pip install {package}")


def _first_line(error: Exception) -> str:
    return _lines(error)[0][:200]


def _last_line(error: Exception) -> str:
    """Of OpenVINO's errors, whose first lines are places in its sources."""
    return _lines(error)[-1][:200]


def _lines(error: Exception) -> list[str]:
    lines = [line.strip() for line in str(error).splitlines()]
    return [line for line in lines if line] or [type(error).__name__]
