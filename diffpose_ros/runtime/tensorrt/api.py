"""TensorRT and TensorRT-RTX behind one small adapter: they differ in name and in a few calls.

Written to TensorRT 10 and 11 (Python API) and TensorRT-RTX 1.x, whose builder, engine and context
methods are the same.
"""

from __future__ import annotations

import importlib
import logging
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from diffpose_ros.core import BackendError

log = logging.getLogger(__name__)

MODULES = {"tensorrt": "tensorrt", "tensorrt_rtx": "tensorrt_rtx"}
"""Flavour -> Python module, in the order in which they are tried."""

INSTALL = "pip install tensorrt (or tensorrt-rtx-cu13, for GeForce RTX and RTX workstation GPUs)"


@dataclass(frozen=True)
class Flavour:
    """One installed TensorRT.

    Attributes:
        name: ``tensorrt`` or ``tensorrt_rtx``.
        trt: its Python module.
        version: full version, e.g. ``11.4.1.0``; an engine belongs to exactly one.
    """

    name: str
    trt: Any
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    @property
    def is_rtx(self) -> bool:
        return self.name == "tensorrt_rtx"

    def network_flags(self) -> int:
        """Flags of a strongly typed network: precision is what the graph says.

        Always so from TensorRT 11 on, where the flag is no longer needed.
        """
        if not self.is_rtx and self.major >= 11:
            return 0
        return 1 << int(self.trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)

    def build_flags(self) -> tuple[str, ...]:
        """Names of the builder flags we set; part of the engine's key.

        RTX can only be captured into a CUDA graph if the engine uses the application's memory.
        """
        wanted = ("REQUIRE_USER_ALLOCATION",) if self.is_rtx else ()
        return tuple(f for f in wanted if hasattr(self.trt.BuilderFlag, f))

    def supports(self, sm: str) -> bool:
        """Whether this flavour runs on compute capability ``sm`` such as ``8.9``."""
        if not self.is_rtx:
            return True
        known = getattr(self.trt.ComputeCapability, "__members__", {})
        return f"SM{sm.replace('.', '')}" in known or int(sm.split(".")[0]) >= 12

    def make_context(self, engine: Any) -> Any:
        """An execution context; ``None`` where device memory does not suffice."""
        if not self.is_rtx:
            # A context stays with its profile; by default each would hold the largest one's memory.
            return engine.create_execution_context(
                self.trt.ExecutionContextAllocationStrategy.ON_PROFILE_CHANGE
            )
        config = engine.create_runtime_config()
        # Shape-specialised kernels must be compiled before capture, not while frames arrive.
        strategy = self.trt.DynamicShapesKernelSpecializationStrategy
        config.dynamic_shapes_kernel_specialization_strategy = strategy.EAGER
        config.cuda_graph_strategy = self.trt.CudaGraphStrategy.DISABLED  # we capture ourselves
        return engine.create_execution_context(config)

    def is_capturable(self, context: Any, stream: int) -> bool:
        """Whether the context may be captured into a CUDA graph (only RTX can tell)."""
        ask = getattr(context, "is_stream_capturable", None)
        return True if ask is None else bool(ask(stream))


def find_flavour(sm: str | None = None, name: str | None = None) -> Flavour:
    """The first installed flavour, the named one, or the first that supports GPU ``sm``.

    Raises:
        BackendError: none is installed, or none supports that GPU.
    """
    if name is not None and name not in MODULES:
        raise BackendError(f"flavour: expected one of {', '.join(MODULES)}, got '{name}'")
    refused = []
    for flavour in [name] if name else MODULES:
        module = _import(MODULES[flavour])
        if module is None:
            continue
        found = Flavour(flavour, module, str(module.__version__))
        if sm is None or found.supports(sm):
            return found
        refused.append(f"{flavour} {found.version}")
    if refused:
        raise BackendError(
            f"{', '.join(refused)} does not run on compute capability {sm}; "
            "install TensorRT proper: pip install tensorrt"
        )
    raise BackendError(f"{name or 'TensorRT'} is not installed: {INSTALL}")


def _import(module: str) -> ModuleType | None:
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        if not isinstance(error, ModuleNotFoundError) or error.name != module:
            log.warning("the Python package '%s' is installed but does not load: %s", module, error)
        return None
    except OSError as error:
        log.warning("the Python package '%s' is installed but does not load: %s", module, error)
        return None
    # A folder of that name somewhere on the path imports as an empty namespace package.
    return found if hasattr(found, "__version__") else None


def make_logger(trt: Any) -> Any:
    """A TensorRT logger that writes to `logging` and keeps the last error in ``.last_error``."""
    severity = trt.ILogger.Severity
    levels = {
        severity.INTERNAL_ERROR: logging.ERROR,
        severity.ERROR: logging.ERROR,
        severity.WARNING: logging.INFO,
        severity.INFO: logging.DEBUG,
        severity.VERBOSE: logging.DEBUG,
    }

    class _Logger(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.last_error = ""

        def log(self, level: Any, text: str) -> None:
            text = " ".join(text.split())
            if levels[level] >= logging.ERROR:
                # Our caller raises with this text; a second line here would only repeat it.
                self.last_error = text
                log.debug("%s", text)
            elif level != severity.VERBOSE:
                log.log(levels[level], "%s", text)

    return _Logger()
