"""Rows of an index: what a table of LanceDB holds of each pose, and how it is packed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.search.recorded import Recorded

ROOT, BOX = ["x", "y", "z"], ["left", "top", "right", "bottom"]
ROW = ["source", "frame", "stamp_s", "track_id", *ROOT, *BOX]
"""What the column ``row`` holds, as doubles: in one, since a query reads each column from its own place."""
ROW_BYTES = 8 * len(ROW)
READ = ["vector", "row"]


def schema(size: int) -> Any:
    """Of a table of vectors of so many numbers."""
    import pyarrow as pa

    return pa.schema(
        [
            ("vector", pa.list_(pa.float32(), size)), ("source", pa.int32()), ("row", pa.binary(ROW_BYTES)),
        ]
    )  # fmt: skip


def arrow(vectors: NDArray, recording: Recorded, number: int, size: int) -> Any:
    """A recording as rows of a table.

    Args:
        vectors: (N, ...) of ``size`` numbers each.
        recording: the N skeletons that they are of.
        number: of the recording.
        size: of a vector.
    """
    import pyarrow as pa

    rows = np.column_stack(
        [
            np.full(len(vectors), number), recording.frame, recording.stamp_s, recording.track_id,
            recording.xyz[:, 0], recording.box,
        ]
    )  # fmt: skip
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    packed = pa.py_buffer(rows.astype("<f8").tobytes())
    columns = [
        pa.FixedSizeListArray.from_arrays(flat, size), pa.array(np.full(len(rows), number, np.int32)),
        pa.FixedSizeBinaryArray.from_buffers(pa.binary(ROW_BYTES), len(rows), [None, packed]),
    ]  # fmt: skip
    return pa.table(columns, schema=schema(size))


def values(table: Any) -> NDArray[np.float64]:
    """(N, 11) the numbers of rows, as :data:`ROW` names them."""
    parts = []
    for chunk in table["row"].chunks:
        held = np.frombuffer(chunk.buffers()[1], np.uint8)
        part = held[chunk.offset * ROW_BYTES : (chunk.offset + len(chunk)) * ROW_BYTES]
        parts.append(np.frombuffer(part.tobytes(), "<f8").reshape(-1, len(ROW)))
    return np.concatenate(parts) if parts else np.empty((0, len(ROW)))


def matrix(column: Any, size: int) -> NDArray[np.float32]:
    """(N, D) of a column of vectors."""
    chunks = [np.asarray(c.flatten(), dtype=np.float32).reshape(-1, size) for c in column.chunks]
    return np.concatenate(chunks) if chunks else np.empty((0, size), np.float32)
