"""One batch size of an engine: its context, its buffers, bound once, and its CUDA graph."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import BackendError
from diffpose_ros.runtime.cuda_driver import Cuda, CudaError
from diffpose_ros.runtime.protocol import Feeds, ModelSpec
from diffpose_ros.runtime.tensorrt_api import Flavour

log = logging.getLogger(__name__)

ALIGNMENT = 256
"""What TensorRT asks of every tensor's address."""

_WARM_RUNS = 2
"""Runs before capture: the first ones allocate and load kernels, which a capture may not."""


class _Arena:
    """Tensors side by side in one block, on the device and mirrored in page-locked memory.

    One block means one copy for all tensors, whatever their number.
    """

    def __init__(self, cuda: Cuda, shapes: dict[str, tuple[int, ...]]) -> None:
        self._cuda = cuda
        offsets, end = {}, 0
        for name, shape in shapes.items():
            offsets[name] = end
            size = 4 * int(np.prod(shape, dtype=np.int64))
            end += -(-size // ALIGNMENT) * ALIGNMENT
        self.size = max(end, ALIGNMENT)
        self.device = cuda.allocate(self.size)
        try:
            self.host, block = cuda.allocate_host(self.size)
        except CudaError:
            cuda.free(self.device)
            raise
        self.address = {name: self.device + at for name, at in offsets.items()}
        self.view: dict[str, NDArray[np.float32]] = {
            name: block[at : at + 4 * int(np.prod(shapes[name], dtype=np.int64))]
            .view(np.float32)
            .reshape(shapes[name])
            for name, at in offsets.items()
        }

    def close(self) -> None:
        self.view.clear()
        for free, pointer in ((self._cuda.free, self.device), (self._cuda.free_host, self.host)):
            with contextlib.suppress(CudaError):  # a lost device has freed it already
                free(pointer)


class Bucket:
    """Runs up to `size` rows; fewer are padded with what stood there before.

    Rows do not see each other, so what the padding holds is of no consequence.
    """

    def __init__(
        self,
        cuda: Cuda,
        flavour: Flavour,
        engine: Any,
        logger: Any,
        spec: ModelSpec,
        *,
        profile: int,
        shapes: dict[str, tuple[int, ...]],
        use_graph: bool = True,
    ) -> None:
        """Allocate, bind, run and capture.

        Args:
            cuda: the device, current in this thread.
            flavour: which TensorRT.
            engine: the deserialised engine.
            logger: its logger.
            spec: the model.
            profile: index of the optimisation profile.
            shapes: input name -> shape of this bucket.
            use_graph: replay a CUDA graph rather than queue call by call.

        Raises:
            BackendError: device memory does not suffice, or TensorRT refuses a shape.
        """
        self._cuda, self._logger = cuda, logger
        self._spec, self._shapes = spec, shapes
        self.size = shapes["points"][0]
        self._graph: int | None = None
        self._arenas: list[_Arena] = []
        self._context = flavour.make_context(engine)
        if self._context is None:
            raise BackendError(f"no context for {self.size} people: {self._why()}")
        try:
            self._bind(profile)
            for _ in range(_WARM_RUNS):
                self._enqueue()
                cuda.wait()
            if use_graph:
                self._capture(flavour)
        except BaseException:
            self.close()
            raise

    @property
    def has_graph(self) -> bool:
        """Whether a run is one graph launch."""
        return self._graph is not None

    def run(self, feeds: Feeds, start: int, stop: int) -> dict[str, NDArray[np.float32]]:
        """Run rows ``start`` to ``stop`` of the feeds.

        Raises:
            BackendError: the device failed.
        """
        rows = stop - start
        for name, view in self._inputs.view.items():
            if name == "guidance":
                view[:] = feeds[name]
            else:
                view[:rows] = feeds[name][start:stop]
        if self._graph is not None:
            self._cuda.launch(self._graph)
        else:
            self._enqueue()
        self._cuda.wait()
        return {name: view[:rows].copy() for name, view in self._outputs.view.items()}

    def close(self) -> None:
        """Free the graph and the buffers; a second call does nothing."""
        if self._graph is not None:
            with contextlib.suppress(CudaError):  # a lost device has freed it already
                self._cuda.free_graph(self._graph)
            self._graph = None
        self._context = None
        for arena in self._arenas:
            arena.close()
        self._arenas.clear()

    def _bind(self, profile: int) -> None:
        context = self._context
        if not context.set_optimization_profile_async(profile, self._cuda.stream):
            raise BackendError(f"TensorRT refuses profile {profile}: {self._why()}")
        self._cuda.wait()
        for name, shape in self._shapes.items():
            if not context.set_input_shape(name, shape):
                raise BackendError(f"TensorRT refuses {name} {list(shape)}: {self._why()}")
        results = {n: tuple(context.get_tensor_shape(n)) for n in self._spec.outputs}
        if unknown := [n for n, shape in results.items() if min(shape, default=0) < 0]:
            raise BackendError(f"TensorRT does not know the shape of {', '.join(unknown)}")
        self._inputs = _Arena(self._cuda, self._shapes)
        self._arenas.append(self._inputs)
        self._outputs = _Arena(self._cuda, results)
        self._arenas.append(self._outputs)
        for arena in self._arenas:
            for name, address in arena.address.items():
                if not context.set_tensor_address(name, address):
                    raise BackendError(f"TensorRT refuses the buffer of {name}: {self._why()}")

    def _enqueue(self) -> None:
        """Queue upload, network and download."""
        self._cuda.upload(self._inputs.device, self._inputs.host, self._inputs.size)
        if not self._context.execute_async_v3(self._cuda.stream):
            raise BackendError(f"TensorRT failed while running: {self._why()}")
        self._cuda.download(self._outputs.host, self._outputs.device, self._outputs.size)

    def _capture(self, flavour: Flavour) -> None:
        """Record one run; where that is not possible every run queues its calls one by one."""
        if not flavour.is_capturable(self._context, self._cuda.stream):
            log.info("this engine cannot be captured as a CUDA graph; running it call by call")
            return
        try:
            self._cuda.begin_capture()
            self._enqueue()
            self._graph = self._cuda.end_capture()
            self._cuda.launch(self._graph)
            self._cuda.wait()
        except BackendError as error:
            self._cuda.abandon_capture()
            if isinstance(error, CudaError) and error.out_of_memory:
                raise
            log.warning("no CUDA graph for %d people (%s); running call by call", self.size, error)
            if self._graph is not None:
                with contextlib.suppress(CudaError):
                    self._cuda.free_graph(self._graph)
                self._graph = None

    def _why(self) -> str:
        return self._logger.last_error or "TensorRT gives no reason (device memory?)"
