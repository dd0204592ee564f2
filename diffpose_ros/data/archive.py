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
    reconstruct, arguments = np.zeros(0).__reduce__()[:2]
    scalar = np.float64(0).__reduce__()[0]
    frombuffer = np.zeros(1).__reduce_ex__(5)[0]
    assert arguments[0] is np.ndarray
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
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: not a readable .npz archive ({first})") from None


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
    np.savez_compressed(path, **packed)
