"""The native TensorRT backend: one engine, and per bucket of people a context with its CUDA graph.

Buffers are bound once. A frame is one copy into page-locked memory, the upload of the caches, one
graph launch (upload of the rest, the whole lifter, download) and one wait that sleeps; the
interpreter is free meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import BackendError, InputError, ModelError
from diffpose_ros.runtime.checks import check_feeds
from diffpose_ros.runtime.fallback import DoesNotFitError, FallbackBackend
from diffpose_ros.runtime.graph_spec import GraphSpec
from diffpose_ros.runtime.protocol import Backend, BackendOptions, Capabilities, Feeds
from diffpose_ros.runtime.tensorrt.api import Flavour, find_flavour, make_logger
from diffpose_ros.runtime.tensorrt.bucket import Bucket
from diffpose_ros.runtime.tensorrt.build import GpuInfo, Recipe, cached_plan
from diffpose_ros.runtime.tensorrt.cache import EngineCache
from diffpose_ros.runtime.tensorrt.driver import Cuda, CudaError

log = logging.getLogger(__name__)

NAME = "tensorrt"

Shrunk = tuple[tuple[str, int], ...]
"""Sizes of a run that are smaller than the engine's."""


def probe(spec: GraphSpec | None = None) -> Capabilities:
    """Whether a GPU with its driver and a TensorRT that supports it are here.

    Whether the model builds is found out by building it: nothing less tells.
    """
    try:
        cuda = Cuda()
    except BackendError as error:
        return Capabilities(NAME, False, str(error))
    try:
        flavour = find_flavour(cuda.sm)
    except BackendError as error:
        return Capabilities(NAME, False, str(error), cuda.name)
    finally:
        cuda.close()
    return Capabilities(NAME, True, _describe(flavour, cuda), cuda.name)


def create(spec: GraphSpec, options: BackendOptions) -> Backend:
    """Start the backend.

    With ``options.fallback`` it serves at once from there, gets ready in the background and
    switches between two frames; without, this call builds the engine if need be and waits for it.

    Raises:
        ModelError: the model cannot be built with this precision.
        BackendError: no GPU, no TensorRT, or the engine cannot be built or started.
    """
    if options.fallback is None:
        return _start_warm(spec, options)

    def prepare(cancelled: threading.Event) -> Backend:
        from diffpose_ros.runtime.tensorrt.background_build import build_aside

        build_aside(spec, options, cancelled)
        return _start_warm(spec, options)

    return FallbackBackend(options.fallback(), prepare, name=NAME)


def _start_warm(spec: GraphSpec, options: BackendOptions) -> TensorRTBackend:
    """Every bucket ready: making one takes too long to do it while frames arrive."""
    backend = TensorRTBackend.start(spec, options)
    try:
        backend.warm_up(options.max_people)
    except BackendError:
        backend.close()
        raise
    return backend


class TensorRTBackend:
    """Runs one engine on one GPU; calls from several threads take turns.

    Attributes:
        name: ``tensorrt``.
        device: the GPU's name.
        reason: flavour, version, device and precision.
        spec: the model.
    """

    name = NAME

    def __init__(
        self,
        plan: bytes,
        recipe: Recipe,
        flavour: Flavour,
        cuda: Cuda,
        *,
        use_graphs: bool = True,
    ) -> None:
        """Deserialise a plan.

        Args:
            plan: the engine's bytes.
            recipe: what it was built from.
            flavour: the TensorRT that built it.
            cuda: the device; owned from here on.
            use_graphs: replay CUDA graphs; without, each run queues its calls one by one.

        Raises:
            EngineRefusedError: TensorRT does not take the plan.
            BackendError: its inputs and outputs are not the model's.
        """
        self.spec, self.device = recipe.spec, cuda.name
        self.reason = f"{_describe(flavour, cuda)}, {recipe.precision}"
        self._recipe, self._flavour, self._cuda = recipe, flavour, cuda
        self._use_graphs = use_graphs
        self._lock = threading.RLock()
        self._buckets: dict[tuple[int, Shrunk], Bucket] = {}
        self._logger = make_logger(flavour.trt)
        try:
            self._runtime = flavour.trt.Runtime(self._logger)
        except (TypeError, RuntimeError) as error:  # its binding's way to say "none"
            reason = self._logger.last_error or error
            raise BackendError(f"TensorRT cannot start its runtime: {reason}") from error
        self._engine: Any = self._runtime.deserialize_cuda_engine(plan)
        self._closed = False
        if self._engine is None:
            raise EngineRefusedError(self._logger.last_error or "TensorRT does not deserialise it")
        self._check_tensors()

    @classmethod
    def start(cls, spec: GraphSpec, options: BackendOptions, *, use_graphs: bool = True) -> TensorRTBackend:
        """Find the GPU and the engine (built where there is none), and start.

        Raises:
            ModelError: the model cannot be built with this precision.
            BackendError: no GPU, no TensorRT, or the engine cannot be built or started.
        """
        cuda = Cuda()
        try:
            flavour = find_flavour(cuda.sm)
            recipe, gpu = Recipe.of(spec, options), GpuInfo(cuda.name, cuda.sm, cuda.version)
            cache = EngineCache(options.cache_dir)
            plan, path, built = cached_plan(recipe, flavour, gpu, cache)
            try:
                return cls(plan, recipe, flavour, cuda, use_graphs=use_graphs)
            except EngineRefusedError as refused:
                # A fresh engine that is refused will not get better by building it again.
                if built or path is None:
                    raise BackendError(f"the new engine does not start: {refused}") from refused
                cache.reject(recipe.key(flavour, gpu), f"TensorRT refuses it: {refused}")
            plan, _, _ = cached_plan(recipe, flavour, gpu, cache)
            try:
                return cls(plan, recipe, flavour, cuda, use_graphs=use_graphs)
            except EngineRefusedError as refused:
                raise BackendError(f"the rebuilt engine does not start: {refused}") from refused
        except BaseException:
            cuda.close()
            raise

    def rows(self, people: int) -> int:
        """The bucket that ``people`` fall into; above the largest, ``people``."""
        return next((b for b in self._recipe.buckets if b >= people), people)

    def warm_up(self, people: int) -> None:
        """Make ready every bucket up to the one for ``people``: allocate, run, capture.

        Raises:
            BackendError: the device failed or its memory does not suffice.
        """
        with self._lock, self._device_errors():
            last = min(self.rows(people), self._recipe.max_people)
            for size in self._recipe.buckets:
                if size <= last:
                    self._bucket(size, ())

    def run(self, feeds: Feeds) -> dict[str, NDArray[np.float32]]:
        """Run one step; more rows than the largest bucket go in several turns.

        Raises:
            InputError: an input is missing or wrong.
            DoesNotFitError: the engine was not built for this N or these rings' lengths.
            BackendError: the device failed.
        """
        rows, shrunk = self._check(feeds)
        most = self._recipe.max_people
        with self._lock, self._device_errors():
            if self._closed:
                raise BackendError("backend tensorrt: used after close")
            turns = [
                self._bucket(self.rows(min(rows - at, most)), shrunk).run(feeds, at, min(at + most, rows))
                for at in range(0, max(rows, 1), most)
            ]
        if len(turns) == 1:
            return turns[0]
        return {name: np.concatenate([t[name] for t in turns]) for name in turns[0]}

    def close(self) -> None:
        """Free the buckets, the engine and the device; a second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            with contextlib.suppress(CudaError):  # a lost device has nothing left to free
                self._cuda.activate()
            for bucket in self._buckets.values():
                bucket.close()
            self._buckets.clear()
            self._engine = self._runtime = None
            self._cuda.close()

    def _bucket(self, size: int, shrunk: Shrunk) -> Bucket:
        found = self._buckets.get((size, shrunk))
        if found is None:
            found = Bucket(
                self._cuda, self._flavour, self._engine, self._logger, self.spec,
                size=size,
                profile=self._recipe.buckets.index(size),
                shapes=self._recipe.shapes(size, dict(shrunk)),
                use_graph=self._use_graphs,
            )  # fmt: skip
            self._buckets[size, shrunk] = found
        return found

    def _check(self, feeds: Feeds) -> tuple[int, Shrunk]:
        """Rows of a run, and the sizes that are smaller than the engine's."""
        rows, sizes = check_feeds(self.spec, feeds)
        shrunk = []
        for name, built in self.spec.with_sizes(self._recipe.sizes).items():
            size = sizes.get(name, built)
            if name in self.spec.may_shrink and 1 <= size < built:
                shrunk.append((name, size))
            elif size != built:
                least = "1 to " if name in self.spec.may_shrink else ""
                raise DoesNotFitError(
                    f"expected {least}{built} {name}, for which this engine was built, got {size}"
                )
        for name in self.spec.inputs:
            if feeds[name].dtype != np.float32:
                raise InputError(f"input '{name}': expected float32, got {feeds[name].dtype}")
        return rows, tuple(shrunk)

    def _check_tensors(self) -> None:
        trt, engine = self._flavour.trt, self._engine
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        wanted = {*self.spec.inputs, *self.spec.outputs}
        wrong = [n for n in names if engine.get_tensor_dtype(n) != trt.float32]
        if set(names) != wanted or wrong:
            raise EngineRefusedError(
                f"its tensors are not the model's: {sorted(set(names) ^ wanted) or wrong}"
            )
        if engine.num_optimization_profiles != len(self._recipe.buckets):
            raise EngineRefusedError(f"it has {engine.num_optimization_profiles} profiles")

    @contextlib.contextmanager
    def _device_errors(self):
        """Turn what comes out of TensorRT's binding into our error; set the device current."""
        try:
            self._cuda.activate()
            yield
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, BackendError | ModelError):
                raise
            raise BackendError(f"TensorRT failed: {error}") from error


class EngineRefusedError(BackendError):
    """TensorRT does not take an engine that is whole: made elsewhere, or for something else."""


def _describe(flavour: Flavour, cuda: Cuda) -> str:
    name = "TensorRT-RTX" if flavour.is_rtx else "TensorRT"
    return f"{name} {flavour.version} on {cuda.name} (compute capability {cuda.sm})"
