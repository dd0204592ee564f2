"""Compiled engines on disk: found by everything they depend on, written whole or not at all.

An engine file is ``magic, header length, header (JSON), plan``. The header repeats the key and
holds the plan's length and SHA-256, so an engine that is cut off, damaged, or was made for another
machine is known before TensorRT sees it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import platform
import stat
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from diffpose_ros.core.resources import cache_folder

try:
    import fcntl
except ImportError:  # not a POSIX system: two processes may then build the same engine twice
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

MAGIC = b"DPENGINE1\n"
_LENGTH = struct.Struct("<Q")
_MAX_HEADER = 1 << 20


@dataclass(frozen=True)
class EngineKey:
    """Everything an engine depends on; any difference means another engine.

    Attributes:
        model_sha256: of the ONNX file's bytes.
        precision: ``fp32`` or ``fp16``.
        flavour: ``tensorrt`` or ``tensorrt_rtx``.
        tensorrt: its full version.
        gpu: the device's name, ``none`` where an engine is built without one.
        sm: its compute capability, e.g. ``8.9``.
        cuda: the driver's CUDA version.
        profiles: one text per optimisation profile.
        flags: names of the builder flags.
        system: operating system and processor.
    """

    model_sha256: str
    precision: str
    flavour: str
    tensorrt: str
    gpu: str
    sm: str
    cuda: str
    profiles: tuple[str, ...]
    flags: tuple[str, ...] = ()
    system: str = f"{platform.system()}-{platform.machine()}"

    def as_dict(self) -> dict:
        return json.loads(json.dumps(asdict(self)))

    def digest(self) -> str:
        """Hash of all fields."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def file_name(self) -> str:
        """A name people can read, made unique by the digest."""
        return f"{self.flavour}-{self.tensorrt}-{self.precision}-{self.digest()[:20]}.engine"

    def differs(self, other: dict) -> list[str]:
        """Names of the fields in which ``other`` (a header's key) differs."""
        mine = self.as_dict()
        return sorted(k for k in mine.keys() | other.keys() if mine.get(k) != other.get(k))


class EngineFileError(ValueError):
    """An engine file that must not be used; the text says why."""


def pack(key: EngineKey, plan: bytes) -> bytes:
    """The bytes of an engine file."""
    header = json.dumps(
        {"key": key.as_dict(), "bytes": len(plan), "sha256": hashlib.sha256(plan).hexdigest()}
    ).encode()
    return MAGIC + _LENGTH.pack(len(header)) + header + plan


def unpack(key: EngineKey, data: bytes) -> bytes:
    """The plan inside an engine file, verified.

    Raises:
        EngineFileError: it is no engine file, cut off, damaged, or belongs to another key.
    """
    start = len(MAGIC) + _LENGTH.size
    if not data.startswith(MAGIC):
        raise EngineFileError("not an engine file of this package")
    if len(data) < start:
        raise EngineFileError(f"truncated: {len(data)} bytes")
    (length,) = _LENGTH.unpack_from(data, len(MAGIC))
    if length > _MAX_HEADER:
        raise EngineFileError(f"damaged: a header of {length} bytes")
    if len(data) < start + length:
        raise EngineFileError(f"truncated: {len(data)} bytes")
    try:
        header = json.loads(data[start : start + length])
        found, size, checksum = dict(header["key"]), int(header["bytes"]), str(header["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise EngineFileError(f"damaged: unreadable header ({error})") from error
    if other := key.differs(found):
        what = ", ".join(f"{k} {found.get(k)!r}" for k in other if k != "profiles") or "profiles"
        raise EngineFileError(f"built for something else: {what}")
    plan = data[start + length :]
    if len(plan) != size:
        raise EngineFileError(f"truncated: expected {size} bytes of engine, got {len(plan)}")
    if hashlib.sha256(plan).hexdigest() != checksum:
        raise EngineFileError("damaged: its checksum does not match")
    return plan


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that readers see the old one or the whole new one, also after a power cut.

    Raises:
        OSError: it could not be written; nothing is left behind.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o644)  # mkstemp's 0600 would hide it from other users
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def planted(path: Path) -> str | None:
    """Why a file could be somebody else's work; ``None`` when only this user or root could write it.

    An engine is code: TensorRT runs what it says. So the file and its folder must belong to this user
    or root, and nobody else may write to them; a folder with the sticky bit (``/tmp``) protects files
    that are there.

    Raises:
        OSError: the file is not there.
    """
    trusted = {0, os.geteuid()}
    info = path.stat()
    if info.st_uid not in trusted:
        return f"it belongs to user {info.st_uid}"
    if info.st_mode & 0o022:
        return "others may write to it (chmod go-w)"
    folder = path.parent.stat()
    if folder.st_uid not in trusted:
        return f"its folder belongs to user {folder.st_uid}"
    if folder.st_mode & 0o022 and not folder.st_mode & stat.S_ISVTX:
        return "others may write to its folder (chmod go-w)"
    return None


class EngineCache:
    """A folder of engine files, safe for many processes at once."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or cache_folder()

    def path(self, key: EngineKey) -> Path:
        return self.directory / key.file_name()

    def is_writable(self) -> bool:
        """Whether engines can be kept here."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.directory):
                return True
        except OSError:
            return False

    def load(self, key: EngineKey) -> bytes | None:
        """The verified plan, or ``None``; a file that fails is set aside."""
        path = self.path(key)
        try:
            if (why := planted(path)) is not None:
                log.warning("engine %s is not used: %s; building it again", path, why)
                return None
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            log.warning("cannot read the engine %s (%s); building it again", path, error)
            return None
        try:
            return unpack(key, data)
        except EngineFileError as error:
            self.reject(key, str(error))
            return None

    def reject(self, key: EngineKey, why: str) -> Path | None:
        """Move a bad engine out of the way, so that it is rebuilt and can still be looked at."""
        path = self.path(key)
        aside = path.with_name(path.name + ".rejected")
        try:
            os.replace(path, aside)
        except OSError as error:
            log.warning("engine %s is unusable (%s) and cannot be moved: %s", path, why, error)
            return None
        log.warning("engine %s is unusable (%s); set aside as %s", path, why, aside.name)
        return aside

    def store(self, key: EngineKey, plan: bytes) -> Path | None:
        """Keep a plan; ``None``, and one log line, where the folder cannot be written."""
        path = self.path(key)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            write_atomically(path, pack(key, plan))
        except OSError as error:
            log.warning(
                "cannot keep the engine in %s (%s): it serves from memory and is built again at "
                "the next start; set cache_dir to a folder that can be written",
                self.directory, error.strerror or error,
            )  # fmt: skip
            return None
        return path

    def get_or_build(self, key: EngineKey, build: Callable[[], bytes]) -> tuple[bytes, Path | None, bool]:
        """The plan, where it lies, and whether it was built just now.

        Of several processes that ask for the same engine one builds; the others wait and load.
        """
        plan = self.load(key)
        if plan is not None:
            return plan, self.path(key), False
        with self._lock(key):
            plan = self.load(key)  # another process may have built it while we waited
            if plan is not None:
                return plan, self.path(key), False
            plan = build()
            return plan, self.store(key, plan), True

    @contextlib.contextmanager
    def _lock(self, key: EngineKey) -> Iterator[None]:
        """Hold the engine's lock file; without a writable folder there is nothing to guard."""
        path = self.path(key).with_suffix(".lock")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:
            yield  # store() will say that the folder cannot be written
            return
        try:
            if fcntl is not None:
                self._wait(handle, path)
            yield
        finally:
            os.close(handle)  # releases the lock, as does the end of the process

    @staticmethod
    def _wait(handle: int, path: Path) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            log.info("another process builds this engine; waiting for %s", path)
        except OSError as error:  # file systems without locks
            log.info("%s cannot be locked (%s); going on without", path, error)
            return
        started = time.monotonic()
        fcntl.flock(handle, fcntl.LOCK_EX)
        log.info("waited %.0f s for another process's engine", time.monotonic() - started)
