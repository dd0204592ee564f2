"""Depth images on a robot: decoded, paired with their colour image by stamp, with their camera and place."""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import Camera, InputError
from diffpose_ros.core.depth import STALE_NS, DepthImage
from diffpose_ros.ros.camera_info import camera_from_info
from diffpose_ros.ros.gravity import Lookup
from diffpose_ros.ros.parameters import Spec

NS = 1_000_000_000
KEPT = 8
"""Depth images that wait for their colour image, which takes longer on its way."""
UNITS = {"16UC1": (np.uint16, 1e-3), "mono16": (np.uint16, 1e-3), "32FC1": (np.float32, 1.0)}
"""Encodings: type of a number, and metres of its unit (REP-118)."""
SPECS = (
    Spec("depth", str,
         "Topic of a depth image, e.g. depth/image_rect_raw: 16UC1 in mm or 32FC1 in m; empty: none.",
         fixed=True),
    Spec("depth_info", str,
         "Topic of the depth image's camera_info; empty: camera_info beside the depth image.", fixed=True),
)  # fmt: skip


def info_topic(depth: str, given: str) -> str:
    """Where the depth camera's calibration comes from."""
    if given:
        return given
    folder, slash, _ = depth.rpartition("/")
    return f"{folder}{slash}camera_info"


def metres(message: Any) -> NDArray[np.float32]:
    """A depth ``sensor_msgs/Image`` as (H, W) metres, holes as 0 or NaN.

    Raises:
        InputError: another encoding, no pixels, or too little data.
    """
    height, width, step = int(message.height), int(message.width), int(message.step)
    if message.encoding not in UNITS:
        raise InputError(
            f"depth image: expected encoding {', '.join(UNITS)}, got '{message.encoding}': is this the "
            "colour image's topic?"
        )
    kind, unit = UNITS[message.encoding]
    size = np.dtype(kind).itemsize
    if height <= 0 or width <= 0 or step < width * size or len(message.data) < step * height:
        raise InputError(
            f"depth image: expected {width}x{height} pixels of {size} bytes in rows of {step}, got "
            f"{len(message.data)} bytes"
        )
    rows = np.frombuffer(message.data, np.uint8, step * height).reshape(height, step)[:, : width * size]
    values = np.ascontiguousarray(rows).view(kind)
    if bool(message.is_bigendian) != (sys.byteorder == "big"):
        values = values.byteswap()
    return np.asarray(values.astype(np.float32) * np.float32(unit))


class DepthInput:
    """Keeps the newest depth images and gives out the one that goes with a colour image.

    Args:
        lookup: tf2, where it is there.
    """

    def __init__(self, lookup: Lookup | None) -> None:
        self._lookup = lookup
        self._images: deque[tuple[int, Any]] = deque(maxlen=KEPT)
        self._camera: Camera | None = None
        self._bad_info = ""
        self._lock = threading.Lock()
        self.said = "none"

    def image_came(self, message: Any) -> None:
        """Keep a depth image."""
        stamp = message.header.stamp
        with self._lock:
            self._images.append((stamp.sec * NS + stamp.nanosec, message))

    def info_came(self, message: Any) -> None:
        """Take the depth camera's calibration."""
        try:
            self._camera, self._bad_info = camera_from_info(message, rectified=True), ""
        except InputError as error:
            self._bad_info = f"camera_info of depth: {error}"

    def at(self, stamp_ns: int, frame: str, camera: Camera) -> DepthImage | str:
        """The depth image that goes with a colour image.

        Args:
            stamp_ns: of the colour image.
            frame: its optical frame.
            camera: its camera.

        Returns:
            The image, or why there is none.
        """
        found = self._find(stamp_ns, frame, camera)
        self.said = f"not used: {found}" if isinstance(found, str) else "used"
        return found

    def _find(self, stamp_ns: int, frame: str, camera: Camera) -> DepthImage | str:
        with self._lock:
            images = list(self._images)
        if not images:
            return "no depth image has come yet"
        taken_ns, message = min(images, key=lambda kept: abs(kept[0] - stamp_ns))
        if abs(taken_ns - stamp_ns) > STALE_NS:
            return "no depth image within 100 ms of the image: do both cameras run on one clock?"
        try:
            z = metres(message)
            place = self._place(message, frame, camera, z.shape)
            return place if isinstance(place, str) else DepthImage(z, taken_ns, *place)
        except InputError as error:
            return str(error)

    def _place(
        self, message: Any, frame: str, camera: Camera, shape: tuple[int, ...]
    ) -> tuple[Camera | None, NDArray[np.float64] | None, NDArray[np.float64] | None] | str:
        """Camera, rotation and translation of the depth image; nothing where it is registered."""
        own = message.header.frame_id
        if own in ("", frame) and shape == (camera.height, camera.width):
            return None, None, None
        if self._camera is None:
            return self._bad_info or "no camera_info of the depth image yet: set depth_info to its topic"
        if own in ("", frame):
            return self._camera, None, None
        if self._lookup is None:
            return f"the depth image's frame is {own}, the image's {frame}: tf2_ros is not installed"
        found = self._lookup.latest(frame, own)
        if isinstance(found, str):
            return f"the transform from {own} to {frame} is missing: {found}"
        return self._camera, found[0].rotation, found[0].translation
