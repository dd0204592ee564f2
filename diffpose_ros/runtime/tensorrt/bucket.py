"""One batch size of an engine: its context, its buffers, bound once, and its CUDA graph."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import BackendError
from diffpose_ros.runtime.graph_spec import GraphSpec
from diffpose_ros.runtime.protocol import Feeds
from diffpose_ros.runtime.tensorrt.api import Flavour
from diffpose_ros.runtime.tensorrt.driver import Cuda, CudaError

log = logging.getLogger(__name__)

ALIGNMENT = 256
"""What TensorRT asks of every tensor's address."""

_WARM_RUNS = 2
"""Runs before capture: the first ones allocate and load kernels, which a capture may not."""


class _Block:
    """Tensors side by side in one piece of device memory.

    Attributes:
        address: tensor -> where it lies, aligned.
        size: of the whole, bytes.
    """

    def __init__(self, cuda: Cuda, shapes: dict[str, tuple[int, ...]]) -> None:
        self._cuda = cuda
        self._offsets, end = {}, 0
        for name, shape in shapes.items():
            self._offsets[name] = end
            size = 4 * int(np.prod(shape, dtype=np.int64))
            end += -(-size // ALIGNMENT) * ALIGNMENT
        self.size = max(end, ALIGNMENT)
        self.device = cuda.allocate(self.size)
        self.address = {name: self.device + at for name, at in self._offsets.items()}

    def close(self) -> None:
        with contextlib.suppress(CudaError):  # a lost device has freed it already
            self._cuda.free(self.device)


class _MirroredBlock(_Block):
    """A block with its twin in page-locked memory: one copy for all tensors, whatever their number.

    Attributes:
        host: address of the twin.
        view: tensor -> its part of the twin.
    """

    def __init__(self, cuda: Cuda, shapes: dict[str, tuple[int, ...]]) -> None:
        super().__init__(cuda, shapes)
        try:
            self.host, block = cuda.allocate_host(self.size)
        except CudaError:
            super().close()
            raise
        self.view: dict[str, NDArray[np.float32]] = {
            name: block[at : at + 4 * int(np.prod(shapes[name], dtype=np.int64))]
            .view(np.float32)
            .reshape(shapes[name])
            for name, at in self._offsets.items()
        }

    def close(self) -> None:
        self.view.clear()
        super().close()
        with contextlib.suppress(CudaError):
            self._cuda.free_host(self.host)


class Bucket:
    """Runs up to `size` rows; fewer are padded with what stood there before.

    Rows do not see each other, so what the padding holds is of no consequence. The small inputs
    travel together, inside the graph. The caches are megabytes a person: they go straight from
    where the caller keeps them, only the rows in use, ahead of the graph.
    """

    def __init__(
        self,
        cuda: Cuda,
        flavour: Flavour,
        engine: Any,
        logger: Any,
        spec: GraphSpec,
        *,
        size: int,
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
            size: rows.
            profile: index of the optimisation profile.
            shapes: input name -> shape of this bucket.
            use_graph: replay a CUDA graph rather than queue call by call.

        Raises:
            BackendError: device memory does not suffice, or TensorRT refuses a shape.
        """
        self._cuda, self._logger = cuda, logger
        self._spec, self._shapes = spec, shapes
        self.size = size
        self._graph: int | None = None
        self._blocks: list[_Block] = []
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

    def run(self, feeds: Feeds, start: int, stop: int) -> dict[str, NDArray[np.float32]]:
        """Run rows ``start`` to ``stop`` of the feeds.

        Raises:
            BackendError: the device failed.
        """
        rows = stop - start
        for name, view in self._inputs.view.items():
            if self._spec.inputs[name].per_person:
                view[:rows] = feeds[name][start:stop]
            else:
                view[:] = feeds[name]
        kept = [np.ascontiguousarray(feeds[name][start:stop]) for name in self._states.address]
        for address, part in zip(self._states.address.values(), kept, strict=True):
            self._cuda.upload(address, part.ctypes.data, part.nbytes)
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
        for block in self._blocks:
            block.close()
        self._blocks.clear()

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
        small = {n: s for n, s in self._shapes.items() if n not in self._spec.caches}
        large = {n: s for n, s in self._shapes.items() if n in self._spec.caches}
        self._inputs = _MirroredBlock(self._cuda, small)
        self._blocks.append(self._inputs)
        self._states = _Block(self._cuda, large)
        self._blocks.append(self._states)
        self._outputs = _MirroredBlock(self._cuda, results)
        self._blocks.append(self._outputs)
        for block in self._blocks:
            for name, address in block.address.items():
                if not context.set_tensor_address(name, address):
                    raise BackendError(f"TensorRT refuses the buffer of {name}: {self._why()}")

    def _enqueue(self) -> None:
        """Queue upload of the small inputs, network and download."""
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
