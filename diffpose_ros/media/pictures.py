"""Still images: one file, or a folder of them as frames of a video."""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from diffpose_ros.core import InputError
from diffpose_ros.core.files import read_limited, reason
from diffpose_ros.media.places import shown
from diffpose_ros.media.source import DEFAULT_FPS, MAX_PIXELS, NS, Image, VideoSource

log = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
MOTION_JPEG = (".mjpeg", ".mjpg", ".mjpe")
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")
"""As Pillow names them; it opens JPEGs of several images (MPO) as JPEGs."""
MAX_FILE_BYTES = 1 << 30
MAX_FILES = 1_000_000
TURNS = {
    2: ("flip", 1), 3: ("turn", 2), 4: ("flip", 0), 5: ("transpose", 0),
    6: ("turn", 3), 7: ("transverse", 0), 8: ("turn", 1),
}  # fmt: skip
"""EXIF orientation -> what makes the image upright: a mirror at an axis or quarter turns."""
ORIENTATION = 0x0112


@dataclass(frozen=True)
class Header:
    """What an image file says of itself before it is decoded.

    Attributes:
        size: (width, height) as shown, pixels.
        orientation: EXIF's, 1 to 8.
        bits: 16 for samples of more than eight bits, else 8.
        grey: one channel.
        images: how many the file holds, without previews.
    """

    size: tuple[int, int]
    orientation: int
    bits: int
    grey: bool
    images: int = 1

    @property
    def is_depth(self) -> bool:
        """One channel of 16 bits: between colour images, what a depth camera writes."""
        return self.grey and self.bits == 16


class Pictures(VideoSource):
    """Images in natural order (``9.png`` before ``10.png``), upright, eight bits.

    Images of 16 bits may use only 10, 12 or 14 of them: the largest value seen so far tells. Depth
    images between colour ones are left out. Where sizes differ, ``pictures`` is set.

    Args:
        name: of the folder or the file.
        paths: the images.
        fps: frames per second.

    Raises:
        InputError: not one of the files is an image.
    """

    stills = True

    def __init__(self, name: str, paths: list[Path], fps: float) -> None:
        headers: dict[Path, Header | InputError] = {path: _header_or_error(path) for path in paths}
        known = {path: head for path, head in headers.items() if isinstance(head, Header)}
        if not known:
            raise next(error for error in headers.values() if isinstance(error, InputError))
        depth = [path for path, head in known.items() if head.is_depth]
        if depth and len(depth) < len(known):
            log.warning(
                "%s: left out %d one-channel 16-bit images beside colour ones (depth?), e.g. %s",
                name, len(depth), depth[0].name,
            )  # fmt: skip
            paths = [path for path in paths if path not in depth]
            known = {path: head for path, head in known.items() if not head.is_depth}
        self._paths, self._headers = paths, headers
        several = [path for path, head in known.items() if head.images > 1]
        if several:
            log.warning("%s: %s holds several images; the first is taken", name, several[0].name)
        self._white = 255
        sizes = [head.size for head in known.values()]
        self.pictures = len(set(sizes)) > 1
        super().__init__(name, fps, sizes[0], len(paths))

    def __iter__(self) -> Iterator[tuple[Image, int]]:
        for i, path in enumerate(self._paths):
            yield self._read(path), round(i / self.fps * NS)

    def _read(self, path: Path) -> Image:
        head = self._headers[path]
        if isinstance(head, InputError):
            raise head
        samples = decode(path, head)
        if samples.dtype != np.uint8:
            self._white = max(self._white, white_of(samples))
            samples = np.minimum(samples.astype(np.float32) * (255.0 / self._white), 255).astype(np.uint8)
        if samples.ndim == 2:
            return np.ascontiguousarray(np.repeat(samples[:, :, None], 3, axis=2))
        return np.ascontiguousarray(samples)


def open_folder(folder: Path, fps: float | None) -> Pictures:
    """The images of a folder. Hidden files (``._1.png`` of macOS) are not looked at.

    Raises:
        InputError: the folder cannot be read or holds no images.
    """
    try:
        entries = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.name[0] != "."]
        paths = sorted((p for p in entries if p.is_file()), key=natural)
    except OSError as error:
        raise InputError(f"{shown(folder)}: cannot be read ({reason(error)})") from None
    if not paths:
        raise InputError(f"{shown(folder)}: no images in this folder; expected {', '.join(SUFFIXES)} files")
    if len(paths) > MAX_FILES:
        raise InputError(f"{shown(folder)}: expected at most {MAX_FILES} images, got {len(paths)}")
    return Pictures(shown(folder), paths, fps or DEFAULT_FPS)


def open_picture(path: Path, fps: float | None) -> Pictures:
    """One image as a source of one frame.

    Raises:
        InputError: it is no image.
    """
    return Pictures(shown(path), [path], fps or DEFAULT_FPS)


def is_picture(path: Path) -> bool:
    """Whether a file is to be read as a still image: by its first bytes, not its name."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError:
        return False
    magic = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"P5", b"P6")
    if path.suffix.lower() in MOTION_JPEG or (start.startswith(b"\x89PNG") and _is_animated(path)):
        return False
    return start.startswith(magic) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")


def header(path: Path) -> Header:
    """Size and kind of an image, without decoding it.

    Raises:
        InputError: it is no image that can be read, or absurdly large.
    """
    with named(path), opened(path) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            most = f"{MAX_PIXELS // 10**6} megapixels"
            raise InputError(f"{shown(path)}: {width}x{height} is too large; expected at most {most}")
        orientation = image.getexif().get(ORIENTATION, 1)
        if orientation not in TURNS:
            orientation = 1
        if orientation >= 5:
            width, height = height, width
        grey = image.mode[0] in "LIF1"
        deep = image.mode[0] in "IF" or _png_depth(path) == 16 or _tiff_depth(image) == 16
        images = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        return Header((width, height), orientation, 16 if deep else 8, grey, images)


def decode(path: Path, head: Header | None = None) -> NDArray[Any]:
    """(H, W, 3) RGB or (H, W) grey, upright; uint8, or uint16 where the file has more bits.

    Raises:
        InputError: the file is damaged or truncated; the message names it.
    """
    head = head or header(path)
    if head.bits == 16:
        samples = _decode_deep(path)
    else:
        with named(path), opened(path) as image:
            mode = "L" if head.grey else "RGB"
            samples = np.asarray(image.convert(mode), dtype=np.uint8)
    return upright(samples, head.orientation)


def upright(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn an image as its EXIF orientation says."""
    kind, n = TURNS.get(orientation, ("turn", 0))
    if kind == "flip":
        return np.flip(samples, axis=n)
    if kind == "turn":
        return np.rot90(samples, n)
    swapped = np.swapaxes(samples, 0, 1)
    return swapped if kind == "transpose" else np.rot90(swapped, 2)


def white_of(samples: NDArray[Any]) -> int:
    """The largest value that 8, 10, 12, 14 or 16 bits hold and this image fits in."""
    top = int(samples.max(initial=0))
    return next((1 << bits) - 1 for bits in (8, 10, 12, 14, 16) if top < 1 << bits or bits == 16)


def natural(path: Path) -> list[tuple[int, int, str]]:
    """A key that sorts numbers in names by value."""
    parts = re.split(r"([0-9]{1,18})", path.name.lower())
    return [
        (0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part) for part in parts if part
    ]


def _decode_deep(path: Path) -> NDArray[Any]:
    with named(path), opened(path) as image:
        image.load()  # OpenCV says nothing of a truncated file
    data = read_limited(path, MAX_FILE_BYTES, "an image")
    flags = cv2.IMREAD_UNCHANGED | getattr(cv2, "IMREAD_IGNORE_ORIENTATION", 0)
    try:
        samples = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        samples = None
    if samples is None or samples.dtype not in (np.uint8, np.uint16):
        kind = "no image" if samples is None else f"samples of {samples.dtype}"
        raise InputError(f"{shown(path)}: expected an image of 8 or 16 bits, got {kind}")
    if samples.ndim == 3 and samples.shape[2] in (3, 4):
        return samples[:, :, 2::-1]
    return samples[:, :, 0] if samples.ndim == 3 else samples


def _header_or_error(path: Path) -> Header | InputError:
    """The error is kept until the image's turn comes: those before it are good."""
    try:
        return header(path)
    except InputError as error:
        return error


@contextlib.contextmanager
def opened(path: Path) -> Iterator[PIL.Image.Image]:
    """The image, not yet decoded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the size is judged here, not by Pillow
        with PIL.Image.open(path, formats=FORMATS) as image:
            yield image


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Turn what Pillow raises (it raises much) into one line that names the file."""
    try:
        yield
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{shown(path)}: not enough memory to decode it") from None
    except PIL.Image.DecompressionBombError:
        raise InputError(f"{shown(path)}: too large to decode") from None
    except PIL.UnidentifiedImageError:
        raise InputError(f"{shown(path)}: not an image; expected {', '.join(FORMATS)}") from None
    except Exception as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise InputError(f"{shown(path)}: not an image that can be read, or truncated ({why})") from None


def _png_depth(path: Path) -> int:
    with path.open("rb") as file:
        start = file.read(26)
    return start[24] if start.startswith(b"\x89PNG") and len(start) == 26 else 0


def _tiff_depth(image: PIL.Image.Image) -> int:
    bits = getattr(image, "tag_v2", {}).get(258, ())
    return 16 if 16 in (bits if isinstance(bits, tuple) else (bits,)) else 0


def _is_animated(path: Path) -> bool:
    with path.open("rb") as file:
        return b"acTL" in file.read(1 << 10)
