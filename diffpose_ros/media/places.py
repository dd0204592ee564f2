"""What the text after ``lift`` or in the parameter ``source`` means: a file, a folder, a camera, a stream."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from diffpose_ros.core import InputError
from diffpose_ros.core.files import kind_of, reason

STREAMS = ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "udp", "tcp", "http", "https")
"""Schemes of addresses that are opened over a network."""

DEVICE = re.compile(r"/dev/video(\d+)")
MAX_CAMERA = 255


@dataclass(frozen=True)
class Place:
    """Where images come from.

    Attributes:
        kind: ``file``, ``folder``, ``camera`` or ``stream``.
        path: of a file or a folder.
        index: of a camera, as the system numbers them.
        url: of a stream.
    """

    kind: str
    path: Path = Path()
    index: int = 0
    url: str = ""


def find(source: str | int | Path) -> Place:
    """What ``source`` names. What exists as a file or a folder is one, whatever it looks like.

    Raises:
        InputError: there is no such thing, or nothing that holds images.
    """
    if isinstance(source, int):
        return _camera(source)
    text = os.fspath(source)
    if not text:
        raise InputError("source: expected a file, a folder, a camera or an address, got ''")
    path = Path(text)
    try:
        info = path.stat()
    except FileNotFoundError:
        return _not_there(text)
    except (OSError, ValueError) as error:
        if (stream := _stream(text)) is not None:
            return stream
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise InputError(f"{shown(text)}: cannot be read ({why})") from None
    if stat.S_ISDIR(info.st_mode):
        return Place("folder", path=path)
    if stat.S_ISREG(info.st_mode):
        return Place("file", path=path)
    if stat.S_ISCHR(info.st_mode) and (device := DEVICE.fullmatch(os.path.realpath(path))):
        return _camera(int(device[1]))
    raise InputError(f"{shown(text)}: expected a video, an image or a folder, got {kind_of(info.st_mode)}")


def is_live(source: str | int | Path) -> bool:
    """Whether ``source`` is a camera or a stream; never raises."""
    try:
        return find(source).kind in ("camera", "stream")
    except InputError:
        return False


def shown(text: str | Path) -> str:
    """A name for messages: bytes that are not UTF-8 become ``\\xff``, passwords of addresses stars."""
    out = os.fspath(text).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return re.sub(r"(?<=://)([^/@\s]*):[^/@\s]*@", r"\1:***@", out)


def _not_there(text: str) -> Place:
    if text.isascii() and text.isdigit():
        return _camera(int(text) if len(text) < 10 else MAX_CAMERA + 1)
    if (stream := _stream(text)) is not None:
        return stream
    if DEVICE.fullmatch(text) or text.startswith("/dev/v4l/"):
        raise InputError(f"{text}: no such camera; is it plugged in? (`ls /dev/video*`)")
    raise InputError(f"{shown(text)}: no such file or folder")


def _stream(text: str) -> Place | None:
    scheme, separator, rest = text.partition("://")
    if not separator or not rest or not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]*", scheme):
        return None
    if scheme.lower() == "file":
        return find(Path(rest)) if rest else None
    if scheme.lower() not in STREAMS:
        raise InputError(f"{shown(text)}: expected an address that begins with {', '.join(STREAMS)}://")
    return Place("stream", url=text)


def _camera(index: int) -> Place:
    if not 0 <= index <= MAX_CAMERA:
        raise InputError(f"camera {index}: expected 0 to {MAX_CAMERA}")
    return Place("camera", index=index)
