"""Reading ``.npz`` files of others, object arrays included, without running what they say.

The field's standard files hold Python dictionaries as pickled object arrays. ``numpy.load`` opens
those with ``allow_pickle=True`` only, which executes whatever the file asks for. Here the pickle
goes through an unpickler that knows numpy's array constructors and nothing else.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError

_BROKEN = (
    AttributeError, EOFError, ImportError, IndexError, KeyError, MemoryError, OSError,
    OverflowError, RecursionError, TypeError, UnicodeError, ValueError, zipfile.BadZipFile,
    zipfile.LargeZipFile,
)  # fmt: skip
_NUMPY_CORES = ("numpy.core.", "numpy._core.")


def _encode(text: str, encoding: str) -> bytes:
    """``_codecs.encode`` as old pickles of bytes use it; any other codec is refused."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"codec '{encoding}'")
    return text.encode("latin1")


def _globals() -> dict[tuple[str, str], Any]:
    # Asked of numpy itself: where its constructors live changed between versions 1 and 2.
    reconstruct = np.zeros(0).__reduce__()[0]  # type: ignore[misc]
    scalar = np.float64(0).__reduce__()[0]  # type: ignore[misc]
    frombuffer = np.zeros(1).__reduce_ex__(5)[0]  # type: ignore[misc]
    allowed: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _encode,
    }
    for core in _NUMPY_CORES:
        allowed[core + "multiarray", "_reconstruct"] = reconstruct
        allowed[core + "multiarray", "scalar"] = scalar
        allowed[core + "numeric", "_frombuffer"] = frombuffer
    return allowed


_ALLOWED = _globals()


class RestrictedUnpickler(pickle.Unpickler):
    """Knows numpy arrays, numpy scalars and plain Python containers; refuses every other name.

    Raises:
        pickle.UnpicklingError: the stream asks for any other global.
    """

    def find_class(self, module: str, name: str) -> Any:
        """The object behind ``module.name``, if it is one of numpy's constructors."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"'{module}.{name}'") from None

    def persistent_load(self, pid: Any) -> Any:
        """Refuse references to things outside the file."""
        raise pickle.UnpicklingError("a persistent reference")


def read_arrays(path: str | Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Read arrays from an ``.npz`` file; object arrays pass the restricted unpickler.

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
                    f"{path}: missing {', '.join(missing)}; it holds "
                    f"{', '.join(sorted(held)) or 'no arrays'}"
                )
            return {n: _read_npy(archive.read(n + ".npy")) for n in names}
    except InputError:
        raise
    except pickle.UnpicklingError as error:
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
        # latin1 reads arrays that Python 2 wrote and changes nothing in newer files.
        value = RestrictedUnpickler(stream, encoding="latin1").load()
        return value.item() if isinstance(value, np.ndarray) and value.shape == () else value
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


def save_object(path: str | Path, **values: Any) -> None:
    """Write dictionaries of arrays in the layout that :func:`read_arrays` reads.

    Args:
        path: an ``.npz`` file to write.
        values: dictionaries, lists or arrays, by name.
    """
    packed = {}
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            packed[name] = value
        else:
            packed[name] = np.empty((), dtype=object)
            packed[name][()] = value
    np.savez_compressed(path, **packed)  # type: ignore[arg-type]


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
        raise InputError(
            f"{path}: missing {', '.join(missing)}; {what} file holds {', '.join(required)}"
        )
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
