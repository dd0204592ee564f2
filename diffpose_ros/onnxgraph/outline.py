"""Reads names, shapes and metadata out of an ONNX file with no ONNX library at all.

Only the protobuf wire format is needed: starting an inference session to learn what a file is
would cost a second, and a machine with TensorRT alone has no ONNX Runtime. Field numbers are those
of ``onnx.proto3``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from diffpose_ros.core import ModelError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class OnnxFile:
    """What stands in an ONNX file.

    Attributes:
        inputs: graph input -> shape, ``None`` where dynamic; initializers left out.
        outputs: graph output -> shape.
        metadata: the model's ``metadata_props``.
    """

    inputs: dict[str, tuple[int | None, ...]]
    outputs: dict[str, tuple[int | None, ...]]
    metadata: dict[str, str]


def read_onnx_file(path: Path) -> OnnxFile:
    """Read the outline of an ONNX file.

    Raises:
        ModelError: the file cannot be read, is not ONNX, or is truncated.
    """
    try:
        data = memoryview(path.read_bytes())
    except OSError as e:
        raise ModelError(f"{path}: cannot read the model file: {e.strerror or e}") from e
    try:
        return _model(data)
    except (ValueError, IndexError, UnicodeDecodeError) as e:
        raise ModelError(f"{path}: not an ONNX file, or truncated ({len(data)} bytes): {e}") from e


def _model(data: memoryview) -> OnnxFile:
    metadata: dict[str, str] = {}
    graph: memoryview | None = None
    ir_version = 0
    for number, wire, value in _fields(data):
        if number == 1 and wire == _VARINT:
            ir_version = int(value)  # type: ignore[call-overload]
        elif number == 7 and wire == _BYTES:
            graph = value  # type: ignore[assignment]
        elif number == 14 and wire == _BYTES:
            pair = {n: bytes(v).decode() for n, w, v in _fields(value) if w == _BYTES}  # type: ignore[arg-type]
            metadata[pair.get(1, "")] = pair.get(2, "")
    if not ir_version or graph is None:
        raise ValueError("it holds no graph")
    inputs: dict[str, tuple[int | None, ...]] = {}
    outputs: dict[str, tuple[int | None, ...]] = {}
    initializers = set()
    for number, wire, value in _fields(graph):
        if wire != _BYTES or isinstance(value, int):
            continue
        if number == 11:
            inputs.update([_value_info(value)])
        elif number == 12:
            outputs.update([_value_info(value)])
        elif number == 5:
            initializers.add(_text_field(value, 8))
    return OnnxFile(
        inputs={k: v for k, v in inputs.items() if k not in initializers},
        outputs=outputs,
        metadata=metadata,
    )


def _text_field(data: memoryview, wanted: int) -> str:
    for number, wire, value in _fields(data):
        if number == wanted and wire == _BYTES and not isinstance(value, int):
            return bytes(value).decode()
    return ""


def _value_info(data: memoryview) -> tuple[str, tuple[int | None, ...]]:
    name = ""
    shape: tuple[int | None, ...] = ()
    for number, _, value in _fields(data):
        if isinstance(value, int):
            continue
        if number == 1:
            name = bytes(value).decode()
        elif number == 2:  # TypeProto.tensor_type.shape.dim
            shape = tuple(
                _dim(d)
                for n1, _, tensor in _fields(value)
                if n1 == 1 and not isinstance(tensor, int)
                for n2, _, s in _fields(tensor)
                if n2 == 2 and not isinstance(s, int)
                for n3, _, d in _fields(s)
                if n3 == 1 and not isinstance(d, int)
            )
    return name, shape


def _dim(data: memoryview) -> int | None:
    for number, wire, value in _fields(data):
        if number == 1 and wire == _VARINT:
            return int(value)  # type: ignore[call-overload]
    return None


def _fields(data: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """(field number, wire type, value) of one message.

    Raises:
        ValueError: the bytes are not a whole protobuf message.
    """
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise ValueError("field number 0")
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"unknown wire type {wire}")
        if at + size > end:
            raise ValueError(f"a field of {size} bytes ends behind the end")
        yield number, wire, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a number is cut off")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return result, at
        shift += 7
