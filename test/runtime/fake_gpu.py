"""A machine with a GPU, for tests: a C stand-in for the driver and a Python one for TensorRT.

The stand-in TensorRT has the calls that TensorRT 10, 11 and RTX share; its "plan" is the ONNX graph
with the profiles, its contexts compute with ONNX Runtime on the addresses they were given. So the
package's own code runs unchanged, pointers, streams, captures and all.
"""

from __future__ import annotations

import ctypes
import enum
import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import pytest

CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int)
SOURCE = Path(__file__).with_name("fake_cuda.c")


def build_driver(folder: Path) -> Path:
    """Compile the stand-in driver; skips the test where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler (cc or gcc) for the stand-in CUDA driver")
    library = folder / "libfakecuda.so"
    words = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE)]
    subprocess.run(words, check=True, capture_output=True, text=True)
    return library


class FakeDriver:
    """The steering side of the stand-in driver."""

    def __init__(self, library: Path) -> None:
        self.path = str(library)
        self.lib = ctypes.CDLL(self.path)
        self.lib.fake_live.restype = self.lib.fake_launches.restype = ctypes.c_long
        self.lib.fake_limit.argtypes = [ctypes.c_long]
        self.lib.fake_fail.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_int]
        self.lib.fake_enqueue.argtypes = [CALLBACK, ctypes.c_int]

    def reset(self) -> None:
        self.lib.fake_reset()

    def fail(self, function: str, code: int, after: int = 0) -> None:
        """Let a driver call fail with `code`, from its `after`-th further call on."""
        self.lib.fake_fail(function.encode(), code, after)

    def recover(self) -> None:
        self.lib.fake_fail(b"", 0, 0)

    def limit_memory(self, size: int) -> None:
        self.lib.fake_limit(size)

    @property
    def live(self) -> int:
        """Things allocated and not given back."""
        return self.lib.fake_live()

    @property
    def launches(self) -> int:
        return self.lib.fake_launches()


def install(monkeypatch: pytest.MonkeyPatch, library: Path) -> FakeTensorRT:
    """Give this test a machine with the stand-in GPU and TensorRT.

    Args:
        monkeypatch: takes everything back after the test.
        library: what `build_driver` built.
    """
    from diffpose_ros.runtime.tensorrt import driver as cuda_driver

    monkeypatch.setattr(cuda_driver, "LIBRARY", str(library))
    driver = FakeDriver(library)
    driver.reset()
    trt = FakeTensorRT(driver)
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    return trt


class _Severity(enum.IntEnum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    Severity = _Severity

    def __init__(self) -> None:
        pass


class IProgressMonitor:
    def __init__(self) -> None:
        pass


class _Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, list] = {}

    def set_shape(self, name: str, least: tuple, usual: tuple, most: tuple) -> None:
        self.shapes[name] = [list(least), list(most)]


class _Config:
    def __init__(self) -> None:
        self.profiles: list[_Profile] = []
        self.flags: list[str] = []
        self.progress_monitor: Any = None
        self.timing: bytes | None = None

    def add_optimization_profile(self, profile: _Profile) -> None:
        self.profiles.append(profile)

    def set_flag(self, flag: str) -> None:
        self.flags.append(flag)

    def create_timing_cache(self, data: bytes) -> bytes | None:
        return data if data.startswith(b"timings") or not data else None

    def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
        self.timing = cache or b"timings:"
        return True

    def get_timing_cache(self) -> Any:
        text = self.timing

        class _Cache:
            def serialize(self) -> bytes:
                return (text or b"") + b"+"

        return _Cache()


class FakeTensorRT(ModuleType):
    """Stands in for the `tensorrt` module.

    Attributes:
        builds: how many engines were built.
        refuse_plans: `deserialize_cuda_engine` returns None so many times.
        fail_runs: `execute_async_v3` returns False so many times.
        no_context: `create_execution_context` returns None.
        no_start: `Builder` and `Runtime` cannot be made, as without a GPU.
        parse_error: what the parser complains about, if anything.
    """

    def __init__(self, driver: FakeDriver, version: str = "11.4.1.0") -> None:
        super().__init__("tensorrt")
        self.__version__ = version
        self.driver = driver
        self.builds = self.refuse_plans = self.fail_runs = 0
        self.no_context = self.no_start = False
        self.parse_error = ""
        self.build_error = ""
        self.float32 = "float32"
        self.ILogger, self.IProgressMonitor = ILogger, IProgressMonitor
        self.BuilderFlag = type("BuilderFlag", (), {})
        self.ExecutionContextAllocationStrategy = enum.Enum(
            "ExecutionContextAllocationStrategy", ["STATIC", "ON_PROFILE_CHANGE", "USER_MANAGED"]
        )
        self.network_flags: list[int] = []
        self.timings: list[bytes | None] = []
        self.NetworkDefinitionCreationFlag = enum.IntEnum(
            "NetworkDefinitionCreationFlag", {"STRONGLY_TYPED": 1}
        )

    def Builder(self, logger: Any) -> Any:  # noqa: N802 - TensorRT's name
        self._must_start(logger)
        return _Builder(self, logger)

    def OnnxParser(self, network: dict, logger: Any) -> Any:  # noqa: N802 - TensorRT's name
        return _Parser(self, network)

    def Runtime(self, logger: Any) -> Any:  # noqa: N802 - TensorRT's name
        self._must_start(logger)
        return _Runtime(self, logger)

    def _must_start(self, logger: Any) -> None:
        if self.no_start:
            logger.log(_Severity.ERROR, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")


class _Builder:
    def __init__(self, trt: FakeTensorRT, logger: Any) -> None:
        self.trt, self.logger = trt, logger

    def create_network(self, flags: int) -> dict:
        self.trt.network_flags.append(flags)
        return {}

    def create_builder_config(self) -> _Config:
        return _Config()

    def create_optimization_profile(self) -> _Profile:
        return _Profile()

    def build_serialized_network(self, network: dict, config: _Config) -> bytes | None:
        monitor = config.progress_monitor
        if monitor is not None:
            monitor.phase_start("Building engine", None, 2)
            if not monitor.step_complete("Building engine", 0):
                return None
            monitor.phase_finish("Building engine")
        self.trt.builds += 1
        self.trt.timings.append(config.timing)
        if self.trt.build_error:
            self.logger.log(_Severity.ERROR, self.trt.build_error)
            return None
        head = json.dumps([p.shapes for p in config.profiles]).encode()
        return b"FAKE" + struct.pack("<I", len(head)) + head + network["graph"]


class _ParserError:
    def __init__(self, text: str) -> None:
        self.text = text

    def desc(self) -> str:
        return self.text

    def node(self) -> int:
        return 7

    def node_name(self) -> str:
        return "attention"


class _Parser:
    def __init__(self, trt: FakeTensorRT, network: dict) -> None:
        self.trt, self.network = trt, network

    def parse(self, graph: bytes) -> bool:
        self.network["graph"] = graph
        return not self.trt.parse_error

    @property
    def num_errors(self) -> int:
        return 1 if self.trt.parse_error else 0

    def get_error(self, index: int) -> _ParserError:
        return _ParserError(self.trt.parse_error)


class _Runtime:
    def __init__(self, trt: FakeTensorRT, logger: Any) -> None:
        self.trt, self.logger = trt, logger

    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        if self.trt.refuse_plans or not plan.startswith(b"FAKE"):
            self.trt.refuse_plans = max(self.trt.refuse_plans - 1, 0)
            self.logger.log(_Severity.ERROR, "the plan was made by another version")
            return None
        return _Engine(self.trt, self.logger, plan)


class _Engine:
    def __init__(self, trt: FakeTensorRT, logger: Any, plan: bytes) -> None:
        (size,) = struct.unpack_from("<I", plan, 4)
        self.trt, self.logger = trt, logger
        self.profiles = json.loads(plan[8 : 8 + size])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(plan[8 + size :], options)
        self.symbols = {i.name: i.shape for i in self.session.get_inputs()}
        self.inputs = list(self.symbols)
        self.outputs = {o.name: o.shape for o in self.session.get_outputs()}

    @property
    def num_io_tensors(self) -> int:
        return len(self.inputs) + len(self.outputs)

    def get_tensor_name(self, index: int) -> str:
        return [*self.inputs, *self.outputs][index]

    def get_tensor_dtype(self, name: str) -> str:
        return "float32"

    @property
    def num_optimization_profiles(self) -> int:
        return len(self.profiles)

    def create_execution_context(self, strategy: Any) -> Any:
        assert strategy is self.trt.ExecutionContextAllocationStrategy.ON_PROFILE_CHANGE
        if self.trt.no_context:
            self.logger.log(_Severity.ERROR, "out of device memory")
            return None
        return _Context(self)


_CONTEXTS: list[Any] = []
"""Every context made; a recorded run knows its own by index."""


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self.engine = engine
        self.profile: dict[str, list] | None = None
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.id = len(_CONTEXTS)
        _CONTEXTS.append(self)

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        self.profile = self.engine.profiles[index]
        return stream != 0

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert self.profile is not None, "shapes come after the profile"
        least, most = self.profile[name]
        self.shapes[name] = tuple(shape)
        return all(a <= s <= b for a, s, b in zip(least, shape, most, strict=True))

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        known = {
            symbol: size
            for i, shape in self.shapes.items()
            for symbol, size in zip(self.engine.symbols[i], shape, strict=True)
        }
        return tuple(known.get(d, d) for d in self.engine.outputs[name])

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return address % 256 == 0

    def execute_async_v3(self, stream: int) -> bool:
        trt = self.engine.trt
        if trt.fail_runs:
            trt.fail_runs -= 1
            self.engine.logger.log(_Severity.ERROR, "device lost")
            return False
        assert stream != 0, "TensorRT wants a stream of our own"
        return trt.driver.lib.fake_enqueue(_compute, self.id) == 0

    def compute(self) -> None:
        feeds = {n: _at(self.addresses[n], s).copy() for n, s in self.shapes.items()}
        results = self.engine.session.run(list(self.engine.outputs), feeds)
        for name, value in zip(self.engine.outputs, results, strict=True):
            _at(self.addresses[name], value.shape)[...] = value


def _at(address: int, shape: tuple[int, ...]) -> np.ndarray:
    count = int(np.prod(shape))
    return np.ctypeslib.as_array((ctypes.c_float * count).from_address(address)).reshape(shape)


@CALLBACK
def _compute(index: int) -> None:
    _CONTEXTS[index].compute()
