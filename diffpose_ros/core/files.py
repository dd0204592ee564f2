"""Files are written beside their name, synced, then renamed: whole, or not at all.

Every writer of the package goes through :func:`whole` (or :func:`write_text`, :func:`write_bytes`).
A command that works for minutes asks :func:`claim` first, so that a target that cannot be written,
would replace something, or is the source itself is refused before the work.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from diffpose_ros.core.errors import InputError

PROBE_BYTES = 1 << 16
"""How much room a target needs before the work begins: little, but more than a full disk has."""

MAX_NAME_BYTES = 255


@contextlib.contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """A path to write to; when the block ends well the file is synced and gets its name.

    The file lies in the same folder, so giving it the name is one step that cannot fail halfway. A
    link is followed: what it points to is replaced, the link stays. A pipe or a character device
    (``/dev/stdout``) gets the bytes of the whole file at the end.

    Args:
        path: the name to write, in a folder that exists.

    Raises:
        InputError: it cannot be written (no permission, no room, a folder of that name). What was
            there stays; nothing is left beside it.
    """
    if is_stream(Path(path)):
        with _named(path), tempfile.TemporaryDirectory() as folder:
            spool = _beside(Path(folder) / Path(path).name)
            yield spool
            write_bytes(path, spool.read_bytes())
        return
    target = _target(Path(path))
    with _named(path):
        part = _beside(target)
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
        part.touch(exist_ok=False)
    try:
        yield part
        with _named(path):
            if mode is not None:
                part.chmod(mode)
            sync(part)
            part.replace(target)
            sync(target.parent)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({reason(error)})") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all; a pipe or a device (``/dev/stdout``) is written to as it is.

    Raises:
        InputError: it cannot be written.
    """
    if is_stream(Path(path)):
        with _named(path), os.fdopen(os.open(path, os.O_WRONLY | os.O_NONBLOCK), "wb") as stream:
            os.set_blocking(stream.fileno(), True)
            stream.write(data)
        return
    with whole(path) as part, part.open("wb") as file:
        file.write(data)


def write_text(path: str | Path, text: str) -> None:
    """:func:`write_bytes` of text in UTF-8.

    Raises:
        InputError: it cannot be written.
    """
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def claim(
    outputs: Mapping[str, str | Path | None],
    *,
    sources: Iterable[str | Path | None] = (),
    endings: Iterable[str] = (),
    overwrite: bool = True,
) -> dict[str, Path]:
    """Check, before the work, that files can be written and destroy nothing.

    Args:
        outputs: option -> path, ``None`` for one that was not given.
        sources: files and folders that are read; no file of them may be written.
        endings: of the files that are read in folders, in small letters with their dots.
        overwrite: whether existing files may be replaced.

    Returns:
        option -> path of the outputs that were given. Their folders exist.

    Raises:
        InputError: a path is a source, by whatever name; two of them are one file; one exists and
            may not be replaced, or cannot be written.
    """
    given = {option: Path(path) for option, path in outputs.items() if path is not None}
    read = [Path(source) for source in sources if source]
    of_folders = tuple(endings)
    taken: dict[str, Path] = {}
    for option, path in given.items():
        free_to_write(path, read, overwrite=overwrite, option=option)
        _spare_folders(path, read, of_folders, option)
        for other, earlier in taken.items():
            if same_file(path, earlier):
                raise InputError(f"{option} {path}: is also the target of {other}; name another")
        taken[option] = path
    for path in given.values():
        if not is_stream(path):
            probe(path)
    return given


def free_to_write(path: Path, sources: Iterable[Path], *, overwrite: bool, option: str = "") -> None:
    """Refuse to write where something would be lost.

    Raises:
        InputError: ``path`` is one of ``sources``, by whatever name, is no place for a file, or exists
            and may not be replaced.
    """
    named = f"{option} {path}".lstrip()
    for source in sources:
        if same_file(path, source):
            raise InputError(f"{named}: is the file that is read ({source}); name another")
    if not is_stream(path) and _target(path).exists() and not overwrite:
        raise InputError(f"{named}: exists already; name another, or give --overwrite")


def _spare_folders(path: Path, sources: Iterable[Path], endings: tuple[str, ...], option: str) -> None:
    """Refuse to replace a file that is read as one of a folder's, by whatever name."""
    if not path.is_file():
        return
    for folder in sources:
        if folder.is_dir():
            for file in folder.iterdir():
                if file.name.lower().endswith(endings) and same_file(path, file):
                    what = "one of the files that are read"
                    raise InputError(f"{option} {path}: is {what} ({file}); name another")


def probe(path: str | Path) -> None:
    """Write a little beside ``path`` and remove it again.

    Raises:
        InputError: nothing can be written there.
    """
    target = _target(Path(path))
    made = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
    try:
        with _named(path):
            if target.exists() and not os.access(target, os.W_OK):
                raise PermissionError(13, "no permission to replace it")
            target.parent.mkdir(parents=True, exist_ok=True)
            part = _beside(target)
            try:
                with part.open("xb") as file:
                    file.write(secrets.token_bytes(PROBE_BYTES))
                    file.flush()
                    os.fsync(file.fileno())
            finally:
                part.unlink(missing_ok=True)
    except InputError:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def same_file(a: Path, b: Path) -> bool:
    """Whether two names are one file: the same path, a link, or a hard link."""
    with contextlib.suppress(OSError):
        if a.exists() and b.exists():
            return os.path.samefile(a, b)
    return os.path.realpath(a) == os.path.realpath(b)


def unused(path: Path) -> Path:
    """``path``, or the first of ``<stem>-2``, ``<stem>-3``, ... that does not exist."""
    found, n = path, 1
    while os.path.lexists(found):
        n += 1
        found = path.with_name(f"{path.stem}-{n}{path.suffix}")
    return found


def partial_name(path: Path) -> Path:
    """What an unfinished ``walk.npz`` is called: ``walk.partial.npz``, never one that exists."""
    room = MAX_NAME_BYTES - len(os.fsencode(f".partial-999{path.suffix}"))
    stem = os.fsdecode(os.fsencode(path.stem)[:room])
    return unused(path.with_name(f"{stem}.partial{path.suffix}"))


def expanded(path: str | Path) -> Path:
    """``path``, with the home folder in the place of a leading ``~``.

    Raises:
        InputError: nobody knows that home folder (another user's, or ``HOME`` is not set).
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(f"{path}: begins with a home folder that is not known; write it out") from None


def home_folder(variable: str, below: str) -> Path:
    """The folder that ``$variable`` names, else ``~/below``, as the XDG specification has it.

    Raises:
        InputError: there is neither.
    """
    base = os.environ.get(variable, "")
    if os.path.isabs(base):  # the specification tells to ignore relative paths
        return Path(base)
    try:
        return Path.home() / below
    except RuntimeError:
        raise InputError(f"no home folder is known: set HOME, or {variable} to a folder") from None


def sync(path: Path) -> None:
    """Bring a file or a folder's entries to the disk, so that a power cut does not undo them."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def reason(error: OSError) -> str:
    """What the system said, without its number."""
    return error.strerror or str(error) or type(error).__name__


def read_limited(path: str | Path, limit: int, what: str) -> bytes:
    """The bytes of a regular file of at most ``limit`` bytes.

    Raises:
        InputError: it is missing, larger, a folder, a pipe or a device, or cannot be read.
    """
    with _named(path, "read"):
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode):
            raise InputError(f"{path}: expected {what}, got {kind_of(info.st_mode)}")
        if info.st_size > limit:
            raise InputError(
                f"{path}: expected {what} of at most {limit / 1e6:g} MB, got {info.st_size / 1e6:.0f} MB"
            )
        return Path(path).read_bytes()


def kind_of(mode: int) -> str:
    """What an entry of a folder is, from its mode, in words."""
    kinds: tuple[tuple[Callable[[int], bool], str], ...] = (
        (stat.S_ISREG, "a file"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((word for test, word in kinds if test(mode)), "something else")


@contextlib.contextmanager
def _named(path: str | Path, verb: str = "written") -> Iterator[None]:
    """Turn what the system refuses into one line that names ``path``."""
    try:
        yield
    except FileExistsError:
        raise InputError(f"{path}: cannot be {verb} (a file lies where a folder is needed)") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be {verb} ({reason(error)})") from None
    except ValueError as error:  # a NUL in the name
        if isinstance(error, InputError):
            raise
        raise InputError(f"{str(path)!r}: not a file's name ({error})") from None


def _target(path: Path) -> Path:
    """Where a name leads.

    Raises:
        InputError: a folder, a device or a pipe is there, or it cannot be a file's name.
    """
    with _named(path):
        if path.name in ("", "..") or str(path).endswith("\0"):
            raise InputError(f"{path}: expected a file name to write to, got a folder")
        target = Path(os.path.realpath(path))
        if len(os.fsencode(target.name)) > MAX_NAME_BYTES:
            raise OSError(36, f"the name is longer than {MAX_NAME_BYTES} bytes")
        if target.is_dir():
            raise InputError(f"{path}: expected a file name to write to, got a folder")
        if target.exists() and not target.is_file():
            raise InputError(f"{path}: expected a file, got {kind_of(target.stat().st_mode)}")
    return target


def _beside(target: Path) -> Path:
    """A short name that nobody else uses; the suffix stays, since libraries choose formats by it."""
    suffix = target.suffix if len(os.fsencode(target.suffix)) <= 16 else ""
    return target.with_name(f".{secrets.token_hex(6)}.part{suffix}")


def is_stream(path: Path) -> bool:
    """Whether ``path`` is a pipe or a character device, which is written to, not replaced."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)
