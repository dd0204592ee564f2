"""Reading ``.npz`` files of others, object arrays included, without running what they say.

The field's standard files hold Python dictionaries as pickled object arrays. ``numpy.load`` opens
those with ``allow_pickle=True`` only, which executes whatever the file asks for. Here the pickle
goes through :mod:`safe_pickle`, which knows numpy's array constructors and nothing else.
"""

from __future__ import annotations

import contextlib
import io
import math
import pickle
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError
from diffpose_ros.core.files import kind_of, reason, whole
from diffpose_ros.data.formats import safe_pickle

# What zipfile, numpy's header parser and the unpickler raise over a damaged file.
_BROKEN = (
    AttributeError, EOFError, ImportError, IndexError, KeyError, MemoryError, OSError,
    OverflowError, RuntimeError, SyntaxError, TypeError, UnicodeError, ValueError, struct.error,
    pickle.UnpicklingError, tokenize.TokenError, zipfile.BadZipFile, zipfile.LargeZipFile,
    zlib.error,
)  # fmt: skip

MOST_RATIO = 50
"""How much larger than the file its arrays may be. Recorded motion shrinks by less than ten."""
FREE_BYTES, MOST_BYTES = 64 * 2**20, 8 * 2**30
"""What any file may inflate to, and what none may."""


def read_arrays(path: str | Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Read arrays from an ``.npz`` file; object arrays pass :mod:`safe_pickle`.

    Args:
        path: the file.
        names: required arrays; others are not read.

    Returns:
        The arrays by name; a zero-dimensional object array is replaced by its object.

    Raises:
        InputError: the file is missing, damaged or no ``.npz``. An array is missing. It would be too large
            when unpacked. Its pickle holds more than numpy arrays in plain containers.
    """
    path = Path(path)
    with _opened(path, "an .npz archive") as members:
        missing = [n for n in names if n not in members.names]
        if missing:
            raise InputError(
                f"{path}: missing {', '.join(missing)}; it holds "
                f"{', '.join(sorted(members.names)) or 'no arrays'}"
            )
        members.check_size(names)
        return {n: members.read(n, objects=True) for n in names}


def read_plain(
    path: str | Path, what: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, NDArray]:
    """Read an ``.npz`` that must hold no objects at all.

    Args:
        path: the file.
        what: what it should be, for the error's text, e.g. ``"a benchmark"``.
        required: arrays that must be there.
        optional: arrays that are read where they are there; all others are not touched.

    Raises:
        InputError: the file is missing, no ``.npz``, damaged, holds objects, lacks an array, or inflates
            beyond all bounds.
    """
    path = Path(path)
    with _opened(path, what) as members:
        missing = [n for n in required if n not in members.names]
        if missing:
            raise InputError(
                f"{path}: missing {', '.join(missing)}; {what} file holds {', '.join(required)}"
            )
        wanted = tuple(n for n in (*required, *optional) if n in members.names)
        members.check_size(wanted)
        return {n: members.read(n) for n in wanted}


def write_arrays(path: str | Path, arrays: dict[str, NDArray]) -> None:
    """Write an ``.npz``, whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    with whole(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


class _Members:
    """The arrays of an opened archive; a header is believed only where the archive bears it out."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self.archive = path, archive
        self.names = {
            i.filename.removesuffix(".npy"): i for i in archive.infolist() if i.filename.endswith(".npy")
        }

    def check_size(self, names: tuple[str, ...]) -> None:
        """Refuse what would inflate far beyond the file's size, before any of it is read."""
        inflated = sum(self.names[n].file_size for n in names)
        bound = min(MOST_BYTES, max(FREE_BYTES, MOST_RATIO * self.path.stat().st_size))
        if inflated > bound:
            raise InputError(
                f"{self.path}: refused, {', '.join(names)} would inflate to {inflated / 1e6:,.0f} MB, "
                f"expected at most {bound / 1e6:,.0f} MB of a file this size"
            )

    def read(self, name: str, *, objects: bool = False) -> Any:
        """One array, its header checked against the bytes that follow."""
        info = self.names[name]
        with self.archive.open(info) as stream:
            version = np.lib.format.read_magic(stream)
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
            elif version in ((2, 0), (3, 0)):
                # numpy's reader of version 2 decodes as latin1, which differs in field names alone.
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
            else:
                raise ValueError(f"{name}: unknown .npy version {version[0]}.{version[1]}")
            if dtype.hasobject:
                if not objects:
                    raise InputError(
                        f"{self.path}: {name}: expected numbers or text, got Python objects, which "
                        "are not read"
                    )
                value = safe_pickle.load(io.BytesIO(stream.read()))
                single = isinstance(value, np.ndarray) and value.shape == ()
                return value.item() if single else value
            told = math.prod(shape) * dtype.itemsize
            held = info.file_size - stream.tell()
            if told != held:
                raise InputError(
                    f"{self.path}: {name}: the header tells of {told:,} bytes of shape {shape}, "
                    f"the archive holds {held:,}"
                )
            flat = np.frombuffer(stream.read(), dtype=dtype)
        return flat.reshape(shape, order="F" if fortran else "C").copy(order="K")


@contextlib.contextmanager
def _opened(path: Path, what: str) -> Iterator[_Members]:
    """The archive's members; whatever damage raises becomes one line."""
    try:
        if not path.is_file():
            got = kind_of(path.stat().st_mode)
            raise InputError(f"{path}: expected {what} in .npz format, got {got}")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected {what} in .npz format") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)})") from None
    try:
        with path.open("rb") as file:
            if file.read(6) == b"\x93NUMPY":
                raise InputError(f"{path}: expected an .npz archive, got a single array")
        with zipfile.ZipFile(path) as archive:
            yield _Members(path, archive)
    except InputError:
        raise
    except safe_pickle.RefusedError as error:
        raise InputError(
            f"{path}: refused, its pickle asks for {error}; only numpy arrays in dictionaries, "
            "lists and tuples are read"
        ) from None
    except _BROKEN as error:
        raise InputError(f"{path}: not a readable .npz archive ({_first_line(error)})") from None


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
    if isinstance(error, OSError):
        return reason(error)
    return (str(error) or type(error).__name__).splitlines()[0]
