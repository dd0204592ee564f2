"""What a calibration says, as ``sensor_msgs/CameraInfo`` puts it (REP-145), and the camera of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffpose_ros.core import _check
from diffpose_ros.core._intrinsics import is_intrinsic
from diffpose_ros.core.camera import Camera, distortion_model
from diffpose_ros.core.errors import InputError


@dataclass(frozen=True)
class Calibration:
    """The fields of a ``CameraInfo``, or of a file that holds the same.

    Attributes:
        width: of the full sensor image, pixels.
        height: of it, pixels.
        k: 9 numbers, row-major: intrinsics of the raw image, pixels.
        d: distortion coefficients in OpenCV's order.
        model: distortion model; empty = none.
        r: 9 numbers, rectification; empty or zeros = the identity.
        p: 12 numbers (or 9), projection of the rectified image; empty or zeros = unknown.
        binning: columns and rows that became one; 0 = 1.
        roi: x, y, width, height of the window that was read, full-resolution pixels; zeros = all.
        frame_id: optical frame; empty = unknown.
    """

    width: int
    height: int
    k: Sequence[float]
    d: Sequence[float] = ()
    model: str = ""
    r: Sequence[float] = ()
    p: Sequence[float] = ()
    binning: tuple[int, int] = (0, 0)
    roi: tuple[int, int, int, int] = (0, 0, 0, 0)
    frame_id: str = ""

    @property
    def is_window(self) -> bool:
        """Whether less than the full image was read."""
        return self.roi[2] * self.roi[3] > 0 and self.roi[2:] != (self.width, self.height)

    def camera(self, *, rectified: bool = False) -> Camera:
        """The camera of the image as it is published, window and binning included.

        Args:
            rectified: the image was rectified: P counts, not K, D and R.

        Raises:
            InputError: the calibration is not one, see :class:`~diffpose_ros.core.Camera`.
        """
        d = _check.numbers("distortion", self.d, (None,))
        model = distortion_model(self.model, d.size)
        if model == "none" and d.any() and not rectified:
            raise InputError("distortion coefficients without a distortion model")
        k = _square("camera matrix", self.k, 9)
        r = _square("rectification matrix", self.r, 9) if len(self.r) else np.zeros((3, 3))
        p = _square("projection matrix", self.p, 12) if len(self.p) else np.zeros((3, 3))
        if rectified and p.any():  # the rest describes another image
            k, model, d, r = p, "none", d[:0], np.zeros((3, 3))
        elif not is_intrinsic(p, self.width, self.height):
            p = np.zeros((3, 3))  # of a raw image nobody needs it, and many a file holds a placeholder
        full = Camera(
            matrix=k,
            width=self.width,
            height=self.height,
            distortion=d[:0] if model == "none" else d,
            model=model,
            rectification=r if r.any() else np.eye(3),
            projection=p if p.any() else None,
            frame_id=self.frame_id or Camera.frame_id,
        )
        x, y, width, height = self.roi
        bins = [max(1, b) for b in self.binning]
        camera = full.cut(x=x, y=y, width=width, height=height, bin_x=bins[0], bin_y=bins[1])
        return camera.rectified() if rectified else camera


def _square(name: str, values: Sequence[float], count: int) -> np.ndarray:
    """(3, 3) of 9 numbers, or the left part of 12."""
    flat = _check.numbers(name, values, (None,))
    if flat.size not in (9, count):
        raise InputError(f"{name}: expected {count} numbers, got {flat.size}")
    return flat.reshape(3, -1)[:, :3]
