"""Raw ROS images to RGB, with the same results as ``cv_bridge``, for where it is not installed.

Encodings are those of ``sensor_msgs/image_encodings``. ``yuv422`` is UYVY, ``yuv422_yuy2`` is YUYV;
their newer names ``uyvy`` and ``yuyv`` are understood as well. ``8UC1`` is taken as grey, ``8UC3``,
``8UC4``, ``16UC3`` and ``16UC4`` as BGR and BGRA (OpenCV's order, which is how drivers that use it fill it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError


@dataclass(frozen=True)
class _Layout:
    """Bytes of a pixel and how to turn pixels into RGB (``None``: they are RGB)."""

    channels: int
    code: int | None
    depth: int = 1
    even_width: bool = False
    planes: bool = False
    """Full rows of brightness, then half as many rows of colour."""


# The names of OpenCV's Bayer codes start at the second row and column, hence rggb -> BG.
_LAYOUTS = {
    "rgb8": _Layout(3, None),
    "bgr8": _Layout(3, cv2.COLOR_BGR2RGB),
    "8UC3": _Layout(3, cv2.COLOR_BGR2RGB),
    "8UC4": _Layout(4, cv2.COLOR_BGRA2RGB),
    "16UC3": _Layout(3, cv2.COLOR_BGR2RGB, depth=2),
    "16UC4": _Layout(4, cv2.COLOR_BGRA2RGB, depth=2),
    "rgba8": _Layout(4, cv2.COLOR_RGBA2RGB),
    "bgra8": _Layout(4, cv2.COLOR_BGRA2RGB),
    "mono8": _Layout(1, cv2.COLOR_GRAY2RGB),
    "8UC1": _Layout(1, cv2.COLOR_GRAY2RGB),
    "mono16": _Layout(1, cv2.COLOR_GRAY2RGB, depth=2),
    "rgb16": _Layout(3, None, depth=2),
    "bgr16": _Layout(3, cv2.COLOR_BGR2RGB, depth=2),
    "rgba16": _Layout(4, cv2.COLOR_RGBA2RGB, depth=2),
    "bgra16": _Layout(4, cv2.COLOR_BGRA2RGB, depth=2),
    "yuv422": _Layout(2, cv2.COLOR_YUV2RGB_UYVY, even_width=True),
    "uyvy": _Layout(2, cv2.COLOR_YUV2RGB_UYVY, even_width=True),
    "yuv422_yuy2": _Layout(2, cv2.COLOR_YUV2RGB_YUY2, even_width=True),
    "yuyv": _Layout(2, cv2.COLOR_YUV2RGB_YUY2, even_width=True),
    "nv12": _Layout(1, cv2.COLOR_YUV2RGB_NV12, even_width=True, planes=True),
    "nv21": _Layout(1, cv2.COLOR_YUV2RGB_NV21, even_width=True, planes=True),
    "bayer_rggb8": _Layout(1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": _Layout(1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": _Layout(1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": _Layout(1, cv2.COLOR_BayerGB2RGB),
    "bayer_rggb16": _Layout(1, cv2.COLOR_BayerBG2RGB, depth=2),
    "bayer_bggr16": _Layout(1, cv2.COLOR_BayerRG2RGB, depth=2),
    "bayer_gbrg16": _Layout(1, cv2.COLOR_BayerGR2RGB, depth=2),
    "bayer_grbg16": _Layout(1, cv2.COLOR_BayerGB2RGB, depth=2),
}

ENCODINGS = tuple(_LAYOUTS)
"""Encodings that :func:`to_rgb` knows."""

NOT_PICTURES = ("16UC1", "16SC1", "32FC1", "64FC1")
"""Encodings of depth images and the like."""


def to_rgb(
    data: Any,
    encoding: str,
    width: int,
    height: int,
    step: int,
    is_bigendian: bool = False,
) -> NDArray[np.uint8]:
    """Decode a raw image.

    Args:
        data: bytes, bytearray, memoryview, ``array.array`` or uint8 array; at least
            ``step * height`` bytes.
        encoding: one of :data:`ENCODINGS`.
        width: pixels.
        height: pixels.
        step: bytes from one row to the next; rows may be padded.
        is_bigendian: byte order of 16-bit encodings.

    Returns:
        (H, W, 3) uint8 RGB, a copy: it stays valid when the message goes. 16 bits are scaled
        from 0..65535 to 0..255.

    Raises:
        InputError: unknown encoding, zero size, step shorter than a row, data that is not bytes
            or shorter than step x height, an odd width where two pixels share their colour, or
            a Bayer image smaller than its pattern.
    """
    layout = _LAYOUTS.get(encoding)
    if encoding in NOT_PICTURES:
        raise InputError(f"image encoding: {encoding} holds depth, expected a picture: take the colour image")
    if layout is None:
        raise InputError(f"image encoding: expected one of {', '.join(ENCODINGS)}, got '{encoding}'")
    if width <= 0 or height <= 0:
        raise InputError(f"image size: expected positive, got {width}x{height}")
    row = width * layout.channels * layout.depth
    if step < row:
        raise InputError(
            f"image step: expected at least {row} bytes for {width} pixels of {encoding}, got {step}"
        )
    if layout.even_width and width % 2:
        raise InputError(f"image width: expected an even number for {encoding}, got {width}")
    if encoding.startswith("bayer") and min(width, height) < 3:
        raise InputError(f"image size: expected at least 3x3 for {encoding}, got {width}x{height}")
    try:
        flat = np.frombuffer(memoryview(data), dtype=np.uint8)
    except (TypeError, ValueError) as error:
        raise InputError(f"image data: expected bytes, got {type(data).__name__}") from error
    if layout.planes and height % 2:
        raise InputError(f"image height: expected an even number for {encoding}, got {height}")
    lines = height * 3 // 2 if layout.planes else height
    if flat.size < step * lines:
        raise InputError(
            f"image data: expected {step * lines} bytes (step {step} x {lines} rows), got {flat.size}"
        )
    rows = flat[: step * lines].reshape(lines, step)[:, :row]
    if layout.depth == 2:
        wide = np.ascontiguousarray(rows).view(">u2" if is_bigendian else "<u2").astype(np.uint16)
        colour: Any = wide.reshape(height, width, layout.channels)
        if layout.code is not None:
            colour = cv2.cvtColor(colour, layout.code)
        return np.asarray(cv2.convertScaleAbs(colour, alpha=255.0 / 65535.0), dtype=np.uint8)
    if layout.code is None:
        return rows.copy().reshape(height, width, layout.channels)
    pixels = np.ascontiguousarray(rows).reshape(lines, width, layout.channels)
    return np.asarray(cv2.cvtColor(pixels, layout.code), dtype=np.uint8)
