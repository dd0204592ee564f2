"""A calibrated camera, as ROS ``sensor_msgs/CameraInfo`` describes one (REP-145)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import _check
from diffpose_ros.core.errors import InputError

DISTORTION_MODELS: dict[str, tuple[int, ...]] = {
    "none": (0,),
    "plumb_bob": (4, 5),
    "rational_polynomial": (8, 12, 14),
    "equidistant": (4,),
}
"""Known distortion models and the numbers of coefficients each may have."""


@dataclass(frozen=True)
class Camera:
    """Intrinsics of one camera.

    Attributes:
        matrix: (3, 3) intrinsic matrix K, pixels.
        width: image width, pixels.
        height: image height, pixels.
        distortion: (D,) distortion coefficients in OpenCV's order.
        model: ``none``, ``plumb_bob``, ``rational_polynomial`` or ``equidistant``.
        frame_id: optical frame (x right, y down, z forward, REP-103).
        is_guess: the intrinsics are a field-of-view guess, not a calibration.

    Raises:
        InputError: K is zero, not finite or has no positive focal lengths; the size is not
            positive; the distortion model is unknown or has a wrong number of coefficients.
    """

    matrix: NDArray[np.float64]
    width: int
    height: int
    distortion: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    model: str = "none"
    frame_id: str = "camera_optical_frame"
    is_guess: bool = False

    def __post_init__(self) -> None:
        k = _check.array("camera matrix", self.matrix, (3, 3))
        d = _check.array("distortion", self.distortion, (None,))
        _check.finite("camera matrix", k)
        _check.finite("distortion", d)
        if not k.any():
            raise InputError("camera matrix: all zeros, the camera is not calibrated")
        if k[0, 0] <= 0 or k[1, 1] <= 0:
            raise InputError(f"camera matrix: expected positive focal lengths, got {k[0, 0]:g}, {k[1, 1]:g}")
        if self.width <= 0 or self.height <= 0:
            raise InputError(f"image size: expected positive, got {self.width}x{self.height}")
        if self.model not in DISTORTION_MODELS:
            raise InputError(
                f"distortion model: expected one of {', '.join(DISTORTION_MODELS)}, got '{self.model}'"
            )
        if d.size and d.size not in DISTORTION_MODELS[self.model]:
            raise InputError(
                f"distortion model '{self.model}': expected "
                f"{' or '.join(map(str, DISTORTION_MODELS[self.model]))} coefficients, got {d.size}"
            )
        object.__setattr__(self, "matrix", k)
        object.__setattr__(self, "distortion", d)

    @property
    def focal(self) -> tuple[float, float]:
        """Focal lengths (fx, fy), pixels."""
        return float(self.matrix[0, 0]), float(self.matrix[1, 1])

    def same_as(self, other: Camera) -> bool:
        """Whether both describe the same optics and frame."""
        return (
            (self.width, self.height, self.model, self.frame_id)
            == (other.width, other.height, other.model, other.frame_id)
            and np.array_equal(self.matrix, other.matrix)
            and np.array_equal(self.distortion, other.distortion)
        )

    @classmethod
    def from_fov(
        cls,
        width: int,
        height: int,
        *,
        diagonal_fov_deg: float = 70.0,
        frame_id: str = "camera_optical_frame",
    ) -> Camera:
        """A pinhole guess from the diagonal field of view, for sources without a calibration.

        Args:
            width: image width, pixels.
            height: image height, pixels.
            diagonal_fov_deg: diagonal field of view, degrees, in (1, 179).
            frame_id: optical frame.
        """
        if not 1.0 < diagonal_fov_deg < 179.0:
            raise InputError(f"diagonal_fov_deg: expected 1 to 179 degrees, got {diagonal_fov_deg:g}")
        f = 0.5 * math.hypot(width, height) / math.tan(math.radians(diagonal_fov_deg) / 2)
        k = np.array([[f, 0, (width - 1) / 2], [0, f, (height - 1) / 2], [0, 0, 1.0]])
        return cls(matrix=k, width=width, height=height, frame_id=frame_id, is_guess=True)
