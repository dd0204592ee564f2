"""Image messages to RGB arrays and back; damaged ones are refused with one clear line."""

from __future__ import annotations

import array
import functools
import io
import warnings
from typing import Any

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from diffpose_ros.core import InputError
from diffpose_ros.media.encodings import to_rgb
from diffpose_ros.media.source import MAX_PIXELS
from diffpose_ros.ros.handover import NearImage

Image = NDArray[np.uint8]

AS_IT_IS = cv2.IMREAD_COLOR | getattr(cv2, "IMREAD_IGNORE_ORIENTATION", 0)
TOO_LARGE = f"compressed image: is too large; expected at most {MAX_PIXELS // 10**6} megapixels"
JPEG, JPEG_SCAN, JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"

BRIDGED = {
    "bgr8": 3, "mono8": 1, "rgba8": 4, "bgra8": 4, "mono16": 2, "rgb16": 6, "bgr16": 6, "rgba16": 8,
    "bgra16": 8, "yuv422": 2, "yuv422_yuy2": 2,
}  # fmt: skip
"""Encodings that ``cv_bridge`` converts where it is installed, and their bytes per pixel."""


def image_to_rgb(message: Any) -> Image:
    """A ``sensor_msgs/Image`` as (H, W, 3) uint8 RGB; a :class:`NearImage` is one already.

    ``cv_bridge`` converts where it is installed, the package's own conversion where not; both give the
    same numbers.

    Raises:
        InputError: zero size, too little data, unknown encoding.
    """
    if isinstance(message, NearImage):
        return message.rgb
    width, height, step = int(message.width), int(message.height), int(message.step)
    if width <= 0 or height <= 0:
        raise InputError(f"image: expected a positive size, got {width}x{height}")
    data = np.frombuffer(message.data, dtype=np.uint8)
    if data.size < step * height:
        raise InputError(f"image: expected step x height = {step * height} bytes, got {data.size}")
    bridge = load_bridge() if suits_bridge(message) else None
    if bridge is not None:
        try:
            return np.ascontiguousarray(bridge.imgmsg_to_cv2(message, "rgb8"))
        except Exception as error:  # CvBridgeError, and what OpenCV and numpy raise below it
            raise InputError(f"image: cv_bridge cannot convert {message.encoding}: {error}") from None
    return to_rgb(data, message.encoding, width, height, step, bool(message.is_bigendian))


def suits_bridge(message: Any) -> bool:
    """Whether ``cv_bridge``'s Python half reads this image rightly.

    It refuses ``8UC3``, fails on big-endian data with numpy 2 and shears rows whose padding is no whole
    number of pixels. Its Bayer conversion depends on OpenCV's version; ``rgb8`` needs none.
    """
    size = BRIDGED.get(message.encoding, 0)
    step = int(message.step)
    return (
        size > 0
        and not message.is_bigendian
        and step % size == 0
        and step >= size * int(message.width)
        and not (message.encoding.startswith("yuv") and int(message.width) % 2)
    )


def compressed_to_rgb(message: Any) -> Image:
    """A ``sensor_msgs/CompressedImage`` (JPEG, PNG) as (H, W, 3) uint8 RGB.

    The image stays as the sensor gave it, whatever its EXIF orientation says: ``camera_info`` is of that.

    Raises:
        InputError: no image that can be decoded, a truncated JPEG, or an absurdly large image.
    """
    data = bytes(message.data)
    what = f"{len(data)} bytes of format '{message.format}'"
    size = _size_of(data)
    if size is None:
        raise InputError(f"compressed image: expected JPEG or PNG, got {what} that cannot be decoded")
    if size[0] * size[1] > MAX_PIXELS:
        raise InputError(TOO_LARGE)
    # some versions of OpenCV make up the rest; an end within a preview comes before the image's start
    if data.startswith(JPEG) and data.rfind(JPEG_END) < data.rfind(JPEG_SCAN):
        raise InputError(f"compressed image: expected a whole JPEG, got {what} that is cut off")
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), AS_IT_IS)
    except cv2.error:
        bgr = None
    if bgr is None:
        raise InputError(f"compressed image: expected JPEG or PNG, got {what} that cannot be decoded")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def _size_of(data: bytes) -> tuple[int, int] | None:
    """What the header of an image says, pixels; ``None`` where it is none.

    Raises:
        InputError: it says that the image is absurdly large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(io.BytesIO(data)) as image:
                return image.size
    except PIL.Image.DecompressionBombError:
        raise InputError(TOO_LARGE) from None
    except Exception:  # Pillow raises much on damaged data
        return None


def rgb_to_image(image: Image, header: Any) -> Any:
    """An ``rgb8`` ``sensor_msgs/Image`` of an (H, W, 3) uint8 array."""
    from sensor_msgs.msg import Image as ImageMessage

    height, width = image.shape[:2]
    # an array('B') is taken as it is; bytes would be checked value by value
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(image).data)
    return ImageMessage(header=header, height=height, width=width, encoding="rgb8", step=3 * width, data=data)


def rgb_to_compressed(image: Image, header: Any, *, quality: int = 90) -> Any:
    """A JPEG ``sensor_msgs/CompressedImage`` of an (H, W, 3) uint8 array."""
    from sensor_msgs.msg import CompressedImage

    ok, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not ok:
        raise InputError(f"image {image.shape}: OpenCV cannot encode it as JPEG")
    data = array.array("B")
    data.frombytes(encoded.tobytes())
    return CompressedImage(header=header, format="rgb8; jpeg compressed bgr8", data=data)


@functools.cache
def load_bridge() -> Any:
    """The ``cv_bridge`` converter, or ``None`` where it is not installed."""
    try:
        from cv_bridge import CvBridge

        return CvBridge()
    except ImportError:
        return None
