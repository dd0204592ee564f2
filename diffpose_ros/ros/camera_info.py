"""``sensor_msgs/CameraInfo`` to the core's camera and back, for raw and rectified images."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from diffpose_ros.core import Camera, InputError
from diffpose_ros.core.calibration import Calibration

RECTIFIED = ("auto", "true", "false")
"""Whether images are rectified: as their topic and calibration say, or as the user does."""


def calibration_of(info: Any) -> Calibration:
    """The fields of a ``CameraInfo`` that describe the camera."""
    roi = info.roi
    return Calibration(
        width=int(info.width),
        height=int(info.height),
        k=info.k,
        d=info.d,
        model=info.distortion_model,
        r=info.r,
        p=info.p,
        binning=(int(info.binning_x), int(info.binning_y)),
        roi=(int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)),
        frame_id=info.header.frame_id,
    )


def camera_from_info(info: Any, *, rectified: bool = False) -> Camera:
    """The core's camera of a ``CameraInfo``, of the image as published.

    Region of interest and binning are taken into account (REP-145). K, D and R describe a raw image, P
    a rectified one. No distortion model and no coefficients mean an undistorted camera; all zeros in R
    and P mean that nothing was said of them.

    Args:
        info: the message.
        rectified: whether the image that it belongs to is rectified.

    Raises:
        InputError: K is all zeros, the size is zero, the distortion model is unknown...
    """
    return calibration_of(info).camera(rectified=rectified)


def choose_rectified(asked: str, info: Any, image_topic: str) -> tuple[bool, str]:
    """Whether images are rectified, and why that is believed.

    Args:
        asked: one of :data:`RECTIFIED`.
        info: the ``CameraInfo`` of the images.
        image_topic: where the images come from; empty where nobody said.

    Returns:
        The answer, and the reason in a few words.
    """
    if asked != "auto":
        return asked == "true", f"parameter rectified is {asked}"
    if names_rectified(image_topic):
        return True, f"images come from {image_topic}"
    calibration = calibration_of(info)
    if info.roi.do_rectify and not calibration.is_window:
        # with a window it asks for a rectified one to be worked out, and the image is raw
        return True, "camera_info sets roi.do_rectify for the whole image"
    if not any(calibration.d):
        return False, "camera_info has no distortion"
    return False, "neither the image's topic nor camera_info says that it is"


def names_rectified(image_topic: str) -> bool:
    """Whether a topic is named as rectified images are: ``image_rect``, ``image_rect_color``, ``rect/image``.

    The last part that speaks of it decides; words that only contain the letters (``direct``) do not.
    """
    for part in reversed(image_topic.lower().removesuffix("/compressed").split("/")):
        words = part.split("_")
        if "rect" in words or "rectified" in words:
            return True
        if "raw" in words or "unrectified" in words:
            return False
    return False


def camera_to_info(camera: Camera, header: Any) -> Any:
    """A ``CameraInfo`` of a camera."""
    from sensor_msgs.msg import CameraInfo

    p = camera.matrix if camera.projection is None else camera.projection
    plain = camera.model == "none"
    return CameraInfo(
        header=header,
        height=camera.height,
        width=camera.width,
        distortion_model="plumb_bob" if plain else camera.model,
        d=[0.0] * 5 if plain else camera.distortion.tolist(),
        k=camera.matrix.ravel().tolist(),
        r=camera.rectification.ravel().tolist(),
        p=np.hstack([p, np.zeros((3, 1))]).ravel().tolist(),
    )


class Calibrated:
    """The newest ``CameraInfo`` and the camera it describes, raw or rectified; safe to use from two threads.

    Attributes:
        info: the newest message, or ``None``.
        camera: what it describes; ``None`` when there is none, or it is wrong.
        error: what is wrong with it; empty when nothing is.
        choice: whether the images are rectified, and why.
    """

    def __init__(self) -> None:
        self.info: Any = None
        self.camera: Camera | None = None
        self.error = ""
        self.choice: tuple[bool, str] = (False, "")
        self._told = self.choice
        self._question = ("auto", "")
        self._lock = threading.Lock()

    def info_came(self, info: Any) -> bool:
        """Take a message; drivers repeat it with every image, and nothing is done when it says nothing new.

        Returns:
            Whether it was new.
        """
        info.header.stamp.sec = info.header.stamp.nanosec = 0
        with self._lock:
            if info == self.info:
                return False
            self.info = info
            self._read()
            return True

    def ask(self, rectified: str, image_topic: str) -> bool:
        """Say what the images are.

        Args:
            rectified: one of :data:`RECTIFIED`.
            image_topic: where they come from; empty where nobody said.

        Returns:
            Whether :attr:`choice` is another than the last time.
        """
        with self._lock:
            if (rectified, image_topic) != self._question:
                self._question = (rectified, image_topic)
                self._read()
            new, self._told = self.choice != self._told, self.choice
            return new and self.info is not None

    def _read(self) -> None:
        if self.info is None:
            return
        self.choice = choose_rectified(self._question[0], self.info, self._question[1])
        try:
            self.camera, self.error = camera_from_info(self.info, rectified=self.choice[0]), ""
        except InputError as error:
            self.camera, self.error = None, f"camera_info: {error}"
