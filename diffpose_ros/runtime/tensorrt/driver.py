"""The few CUDA calls a runner needs, straight from the driver library that every NVIDIA GPU has.

No CUDA package is needed: ``libcuda.so.1`` comes with the driver and its interface is stable. It
works on the device's primary context, which is also the one TensorRT uses. `ctypes` releases the
interpreter during each call, so waiting for the device blocks no other thread.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_ulonglong, c_void_p

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import BackendError

LIBRARY = "libcuda.so.1"
OUT_OF_MEMORY = 2
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_NON_BLOCKING_STREAM = 1
_QUIET_EVENT = 1 | 2  # sleep instead of spinning while waiting, keep no time
_CAPTURE_THIS_THREAD = 1

_HANDLE = POINTER(c_void_p)
_SIGNATURES: dict[str, tuple] = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetName": (c_char_p, c_int, c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDevicePrimaryCtxRetain": (_HANDLE, c_int),
    "cuDevicePrimaryCtxRelease_v2": (c_int,),
    "cuCtxSetCurrent": (c_void_p,),
    "cuMemAlloc_v2": (POINTER(c_ulonglong), c_size_t),
    "cuMemFree_v2": (c_ulonglong,),
    "cuMemHostAlloc": (_HANDLE, c_size_t, c_uint),
    "cuMemFreeHost": (c_void_p,),
    "cuMemcpyHtoDAsync_v2": (c_ulonglong, c_void_p, c_size_t, c_void_p),
    "cuMemcpyDtoHAsync_v2": (c_void_p, c_ulonglong, c_size_t, c_void_p),
    "cuStreamCreate": (_HANDLE, c_uint),
    "cuStreamDestroy_v2": (c_void_p,),
    "cuStreamSynchronize": (c_void_p,),
    "cuStreamBeginCapture_v2": (c_void_p, c_int),
    "cuStreamEndCapture": (c_void_p, _HANDLE),
    "cuGraphInstantiateWithFlags": (_HANDLE, c_void_p, c_ulonglong),
    "cuGraphLaunch": (c_void_p, c_void_p),
    "cuGraphExecDestroy": (c_void_p,),
    "cuGraphDestroy": (c_void_p,),
    "cuEventCreate": (_HANDLE, c_uint),
    "cuEventRecord": (c_void_p, c_void_p),
    "cuEventSynchronize": (c_void_p,),
    "cuEventDestroy_v2": (c_void_p,),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
}


class CudaError(BackendError):
    """A CUDA call failed.

    Attributes:
        code: the driver's number, e.g. 2 for out of memory.
    """

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code

    @property
    def out_of_memory(self) -> bool:
        return self.code == OUT_OF_MEMORY


class Cuda:
    """One GPU with one stream.

    Attributes:
        name: the device's name.
        sm: compute capability, e.g. ``8.9``.
        version: CUDA version of the driver, e.g. ``13.0``.
        stream: handle of the stream all work goes to.

    Raises:
        BackendError: no driver, no device, or the device does not start.
    """

    def __init__(self, index: int = 0, library: str | None = None) -> None:
        self._lib = _load(library or LIBRARY)
        try:
            self._call("cuInit", 0)
        except CudaError as error:  # the driver's library is here, a device or its module is not
            raise CudaError(f"no NVIDIA GPU works here: {error}", error.code) from error
        version, count, device = c_int(), c_int(), c_int()
        self._call("cuDriverGetVersion", byref(version))
        self._call("cuDeviceGetCount", byref(count))
        if index >= count.value:
            raise BackendError(f"no GPU {index}: the NVIDIA driver reports {count.value}")
        self._call("cuDeviceGet", byref(device), index)
        self._device = device.value
        name = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", name, len(name), self._device)
        self.name = name.value.decode(errors="replace")
        self.sm = f"{self._attribute(_MAJOR)}.{self._attribute(_MINOR)}"
        self.version = f"{version.value // 1000}.{version.value % 1000 // 10}"
        self._context = c_void_p()
        self._call("cuDevicePrimaryCtxRetain", byref(self._context), self._device)
        self._open = True
        try:
            self.activate()
            self.stream = self._new("cuStreamCreate", _NON_BLOCKING_STREAM)
            self._event = self._new("cuEventCreate", _QUIET_EVENT)
        except CudaError:
            self._lib.cuDevicePrimaryCtxRelease_v2(self._device)
            raise

    def activate(self) -> None:
        """Make the device current in the calling thread; needed once before other calls there."""
        self._call("cuCtxSetCurrent", self._context)

    def allocate(self, size: int) -> int:
        """Address of ``size`` bytes on the device, aligned to 256 or more."""
        pointer = c_ulonglong()
        self._call("cuMemAlloc_v2", byref(pointer), max(size, 1))
        return pointer.value

    def free(self, pointer: int) -> None:
        self._call("cuMemFree_v2", pointer)

    def allocate_host(self, size: int) -> tuple[int, NDArray[np.uint8]]:
        """Page-locked memory, zeroed: its address and a view (valid until `free_host`)."""
        pointer = self._new("cuMemHostAlloc", max(size, 1), 0)
        view = np.ctypeslib.as_array((ctypes.c_uint8 * max(size, 1)).from_address(pointer))
        view[:] = 0
        return pointer, view

    def free_host(self, pointer: int) -> None:
        self._call("cuMemFreeHost", pointer)

    def upload(self, device: int, host: int, size: int) -> None:
        """Queue a copy to the device."""
        self._call("cuMemcpyHtoDAsync_v2", device, host, size, self.stream)

    def download(self, host: int, device: int, size: int) -> None:
        """Queue a copy from the device."""
        self._call("cuMemcpyDtoHAsync_v2", host, device, size, self.stream)

    def wait(self) -> None:
        """Sleep until the stream is done."""
        self._call("cuEventRecord", self._event, self.stream)
        self._call("cuEventSynchronize", self._event)

    def begin_capture(self) -> None:
        """From here on this thread's calls on the stream are recorded, not run."""
        self._call("cuStreamBeginCapture_v2", self.stream, _CAPTURE_THIS_THREAD)

    def end_capture(self) -> int:
        """The recorded calls as one launchable graph."""
        graph = self._new_from("cuStreamEndCapture", self.stream)
        try:
            return self._new("cuGraphInstantiateWithFlags", graph, 0)
        finally:
            self._lib.cuGraphDestroy(graph)

    def abandon_capture(self) -> None:
        """Leave capture mode after a failed recording; does nothing outside of it."""
        graph = c_void_p()
        if self._lib.cuStreamEndCapture(self.stream, byref(graph)) == 0 and graph.value:
            self._lib.cuGraphDestroy(graph)

    def launch(self, graph: int) -> None:
        """Queue a captured graph."""
        self._call("cuGraphLaunch", graph, self.stream)

    def free_graph(self, graph: int) -> None:
        self._call("cuGraphExecDestroy", graph)

    def close(self) -> None:
        """Give the stream and the device back; a second call does nothing."""
        if not self._open:
            return
        self._open = False
        # A lost device answers every call with an error; there is nothing left to give back then.
        self._lib.cuCtxSetCurrent(self._context)
        self._lib.cuStreamSynchronize(self.stream)
        self._lib.cuEventDestroy_v2(self._event)
        self._lib.cuStreamDestroy_v2(self.stream)
        self._lib.cuDevicePrimaryCtxRelease_v2(self._device)

    def _attribute(self, number: int) -> int:
        value = c_int()
        self._call("cuDeviceGetAttribute", byref(value), number, self._device)
        return value.value

    def _new(self, function: str, *arguments) -> int:
        """Call a function whose first argument receives a handle."""
        handle = c_void_p()
        self._call(function, byref(handle), *arguments)
        return int(handle.value or 0)

    def _new_from(self, function: str, *arguments) -> int:
        """Call a function whose last argument receives a handle."""
        handle = c_void_p()
        self._call(function, *arguments, byref(handle))
        return int(handle.value or 0)

    def _call(self, function: str, *arguments) -> None:
        code = getattr(self._lib, function)(*arguments)
        if code != 0:
            name = c_char_p()
            self._lib.cuGetErrorName(code, byref(name))
            text = (name.value or b"unknown error").decode()
            raise CudaError(f"the GPU failed: {function} returned {text} ({code})", code)


def _load(library: str) -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL(library)
        for name, arguments in _SIGNATURES.items():
            function = getattr(lib, name)
            function.argtypes, function.restype = arguments, c_int
    except OSError as error:
        raise BackendError(f"no NVIDIA driver here: {library} cannot be loaded") from error
    except AttributeError as error:
        raise BackendError(f"the NVIDIA driver is too old: {error}; install CUDA 12 or newer") from error
    return lib
