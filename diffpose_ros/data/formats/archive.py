"""Reading ``.npz`` files of others, object arrays included, without running what they say.

The field's standard files hold Python dictionaries as pickled object arrays. ``numpy.load`` opens
those with ``allow_pickle=True`` only, which executes whatever the file asks for. Here the pickle
goes through :mod:`safe_pickle`, which knows numpy's array constructors and nothing else.
"""

from __future__ import annotations

import io
import pickle
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError
from diffpose_ros.data.formats import safe_pickle

# What zipfile, numpy's header parser and the unpickler raise over a damaged file.
_BROKEN = (
    AttributeError, EOFError, ImportError, IndexError, KeyError, MemoryError, OSError,
    OverflowError, RuntimeError, SyntaxError, TypeError, UnicodeError, ValueError, struct.error,
    pickle.UnpicklingError, tokenize.TokenError, zipfile.BadZipFile, zipfile.LargeZipFile,
    zlib.error,
)  # fmt: skip


def read_arrays(path: str | Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Read arrays from an ``.npz`` file; object arrays pass :mod:`safe_pickle`.

    Args:
        path: the file.
        names: which arrays must be there; others are not touched.

    Returns:
        The arrays by name; a zero-dimensional object array is replaced by the object it holds.

    Raises:
        InputError: the file is missing or no ``.npz``, lacks an array, is damaged, or its pickle
            asks for anything but numpy arrays in plain containers.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected an .npz archive")
    try:
        with zipfile.ZipFile(path) as archive:
            held = {n[: -len(".npy")] for n in archive.namelist() if n.endswith(".npy")}
            missing = [n for n in names if n not in held]
            if missing:
                raise InputError(
                    f"{path}: missing {', '.join(missing)}; it holds {', '.join(sorted(held)) or 'no arrays'}"
                )
            return {n: _read_npy(archive.read(n + ".npy")) for n in names}
    except InputError:
        raise
    except safe_pickle.RefusedError as error:
        raise InputError(
            f"{path}: refused, its pickle asks for {error}; only numpy arrays in dictionaries, "
            "lists and tuples are read"
        ) from None
    except _BROKEN as error:
        raise InputError(f"{path}: not a readable .npz archive ({_first_line(error)})") from None


def _read_npy(raw: bytes) -> Any:
    stream = io.BytesIO(raw)
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        _, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        _, _, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"unknown .npy version {version[0]}.{version[1]}")
    if dtype.hasobject:
        value = safe_pickle.load(stream)
        return value.item() if isinstance(value, np.ndarray) and value.shape == () else value
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


def read_plain(path: str | Path, what: str, required: tuple[str, ...]) -> dict[str, NDArray]:
    """Read an ``.npz`` that must hold no objects at all.

    Args:
        path: the file.
        what: what it should be, for the error's text, e.g. ``"a benchmark"``.
        required: arrays that must be there.

    Raises:
        InputError: the file is missing, no ``.npz``, damaged, holds objects, or lacks an array.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected {what} in .npz format")
    try:
        opened = np.load(path, allow_pickle=False)
        if not isinstance(opened, np.lib.npyio.NpzFile):
            raise InputError(f"{path}: expected an .npz archive, got a single array")
        with opened:
            arrays = {name: np.asarray(opened[name]) for name in opened.files}
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(f"{path}: not a readable .npz archive ({_first_line(error)})") from None
    missing = [n for n in required if n not in arrays]
    if missing:
        raise InputError(f"{path}: missing {', '.join(missing)}; {what} file holds {', '.join(required)}")
    return arrays


def labels(path: Path, name: str, arrays: dict[str, NDArray], count: int) -> list[str]:
    """The text array ``name`` (count,), empty strings where the file has none.

    Raises:
        InputError: it has another shape.
    """
    value = arrays.get(name, np.full(count, ""))
    if value.shape != (count,):
        raise InputError(f"{path}: {name}: expected shape {(count,)}, got {value.shape}")
    return [str(v) for v in value]


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
