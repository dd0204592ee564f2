"""Pickles of numpy arrays in plain containers, read without trusting them.

Python's unpickler calls what the stream names. Here a stream may name numpy's few constructors, and
even those are stand-ins written in Python that note shape, type and bytes: numpy's own trust the
stream and crash on a crafted one. The arrays are made afterwards, from checked parts. The unpickler
is the standard library's in Python, since the one in C can be made to ask for any amount of memory.
"""

from __future__ import annotations

import math
import pickle
import re
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_CODE = re.compile(r"[?bBhHiIlLqQefd]|[biufc](1|2|4|8|16)|[SU][1-9]\d{0,5}|O[48]?")
_PLAIN = (bool, int, float, complex, str, bytes, np.generic)
_ORDERS = ("<", ">", "=", "|")


class RefusedError(Exception):
    """The stream asks for something that is not read; the text says what."""


class _Dtype:
    """Stands for ``numpy.dtype``: a code such as ``f4``, then a byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        if not (isinstance(code, str) and _CODE.fullmatch(code)):
            raise RefusedError(f"the data type {code!r}")
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        _version, order, *structure = state[:5]
        if order not in _ORDERS or structure != [None, None, None]:
            raise RefusedError("a structured data type")
        self.order = order

    def numpy(self) -> np.dtype:
        return np.dtype(self.code if self.order == "|" else self.order + self.code)


class _Array:
    """Stands for ``numpy.ndarray`` until the whole stream has been read."""

    __slots__ = ("data", "dtype", "fortran", "shape")

    def __setstate__(self, state: Any) -> None:
        _version, self.shape, self.dtype, self.fortran, self.data = state

    def numpy(self, memo: dict[int, Any]) -> NDArray:
        shape = tuple(self.shape)
        if not all(isinstance(n, int) and n >= 0 for n in shape):
            raise RefusedError(f"the array shape {shape!r}")
        if not isinstance(self.dtype, _Dtype):
            raise RefusedError("an array without a data type")
        order: Any = "F" if self.fortran else "C"
        if isinstance(self.data, list):
            if len(self.data) != math.prod(shape):
                raise RefusedError("an array whose shape and content differ")
            flat = np.empty(len(self.data), dtype=object)
            for i, item in enumerate(self.data):
                flat[i] = _resolve(item, memo)
            return flat.reshape(shape, order=order)
        return _from_bytes(self.data, self.dtype, shape, order)


# Stand-ins are instances without attributes: a stream can set none on them.
class _Reconstruct:
    __slots__ = ()

    def __call__(self, _kind: Any, _shape: Any, _code: Any) -> _Array:
        return _Array()


class _MakeDtype:
    __slots__ = ()

    def __call__(self, code: Any, _align: Any = False, _copy: Any = True) -> _Dtype:
        return _Dtype(code)


class _Scalar:
    __slots__ = ()

    def __call__(self, dtype: Any, data: Any) -> Any:
        if not isinstance(dtype, _Dtype):
            raise RefusedError("a number without a data type")
        return _from_bytes(data, dtype, (), "C")[()]


class _FromBuffer:
    __slots__ = ()

    def __call__(self, data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
        out = _Array()
        out.__setstate__((1, shape, dtype, order == "F", data))
        return out


class _Encode:
    """``_codecs.encode`` as old pickles of bytes use it."""

    __slots__ = ()

    def __call__(self, text: Any, encoding: Any) -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise RefusedError(f"the codec {encoding!r}")
        return str(text).encode("latin1")


_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): object(),
    ("numpy", "dtype"): _MakeDtype(),
    ("_codecs", "encode"): _Encode(),
}
for _core in ("numpy.core", "numpy._core"):  # before and after numpy 2
    _KNOWN[f"{_core}.multiarray", "_reconstruct"] = _Reconstruct()
    _KNOWN[f"{_core}.multiarray", "scalar"] = _Scalar()
    _KNOWN[f"{_core}.numeric", "_frombuffer"] = _FromBuffer()


class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise RefusedError(f"'{module}.{name}'") from None

    def persistent_load(self, pid: Any) -> Any:
        raise RefusedError("a persistent reference")


def load(stream: IO[bytes]) -> Any:
    """Read one object: arrays, numbers, text, bytes, ``None``, dictionaries, lists, tuples.

    Args:
        stream: at the start of a pickle of any protocol, Python 2's included.

    Raises:
        RefusedError: the stream names anything else.
        Exception: the stream is damaged; of any type that the unpickler may raise.
    """
    # latin1 reads arrays that Python 2 wrote and changes nothing in newer streams.
    return _resolve(_Unpickler(stream, encoding="latin1").load(), {})


def _resolve(value: Any, memo: dict[int, Any]) -> Any:
    """``value`` with stand-ins replaced by arrays, in new containers."""
    if id(value) in memo:
        return memo[id(value)]
    out: Any
    if isinstance(value, _Array):
        out = value.numpy(memo)
    elif isinstance(value, dict):
        if not all(isinstance(k, (str, int, float, bytes)) for k in value):
            raise RefusedError("a dictionary whose keys are neither text nor numbers")
        out = {k: _resolve(v, memo) for k, v in value.items()}
    elif isinstance(value, (list, tuple)):
        items = [_resolve(v, memo) for v in value]
        out = items if isinstance(value, list) else tuple(items)
    elif value is None or isinstance(value, _PLAIN):
        return value
    else:
        raise RefusedError(f"an object of type {type(value).__name__}")
    memo[id(value)] = out
    return out


def _from_bytes(data: Any, dtype: _Dtype, shape: tuple[int, ...], order: Any) -> NDArray:
    if isinstance(data, str):
        data = data.encode("latin1")
    if not isinstance(data, (bytes, bytearray)):
        raise RefusedError(f"an array made of {type(data).__name__}")
    kind = dtype.numpy()
    if len(data) != math.prod(shape) * kind.itemsize:
        raise RefusedError("an array whose shape and content differ")
    if kind.hasobject:
        raise RefusedError("objects made of bytes")
    return np.frombuffer(bytes(data), dtype=kind).reshape(shape, order=order)
