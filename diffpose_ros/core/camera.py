"""A calibrated camera, as ROS ``sensor_msgs/CameraInfo`` describes one (REP-145)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import _check, _intrinsics
from diffpose_ros.core.errors import InputError

DISTORTION_MODELS: dict[str, tuple[int, ...]] = {
    "none": (0,),
    "plumb_bob": (4, 5),
    "rational_polynomial": (8, 12, 14),
    "equidistant": (4,),
}
"""Known distortion models and the numbers of coefficients each may have."""

_MODEL_NAMES = {
    "": "none",
    "fisheye": "equidistant",
    "equi": "equidistant",
    "radtan": "plumb_bob",
}
"""Other names for them: OpenCV's, Kalibr's."""


def distortion_model(name: str, coefficients: int) -> str:
    """Translate a distortion model's name into the package's; unknown names are returned unchanged.

    ``plumb_bob`` with 8, 12 or 14 coefficients is ``rational_polynomial``, which extends it.
    """
    known = name.strip().lower()
    model = _MODEL_NAMES.get(known, known if known in DISTORTION_MODELS else name)
    more = coefficients in DISTORTION_MODELS["rational_polynomial"]
    return "rational_polynomial" if model == "plumb_bob" and more else model


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
        rectification: (3, 3) rotation R from the lens into the optical frame; differs from the identity
            only for the cameras of a stereo pair.
        projection: (3, 3) intrinsic matrix of the rectified image (the left part of P), pixels;
            ``None`` if unknown.
        window: whether the image is cut out of a larger one, so its principal point may lie outside it.

    Raises:
        InputError: K is zero, not finite, transposed or implausible; the size is not positive; the
            distortion model is unknown; its coefficients are wrong in number or implausible; R is not a
            rotation.
    """

    matrix: NDArray[np.float64]
    width: int
    height: int
    distortion: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    model: str = "none"
    frame_id: str = "camera_optical_frame"
    is_guess: bool = False
    rectification: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    projection: NDArray[np.float64] | None = None
    window: bool = False

    def __post_init__(self) -> None:
        k = _check.numbers("camera matrix", self.matrix, (3, 3))
        d = _check.numbers("distortion", self.distortion, (None,))
        r = _check.numbers("rectification", self.rectification, (3, 3))
        if self.width <= 0 or self.height <= 0:
            raise InputError(f"image size: expected positive, got {self.width}x{self.height}")
        size = (self.width, self.height)
        _intrinsics.check_matrix("camera matrix", k, *size, window=self.window)
        if self.model not in DISTORTION_MODELS:
            raise InputError(
                f"distortion model: expected one of {', '.join(DISTORTION_MODELS)}, got '{self.model}'"
            )
        if d.size and d.size not in DISTORTION_MODELS[self.model]:
            raise InputError(
                f"distortion model '{self.model}': expected "
                f"{' or '.join(map(str, DISTORTION_MODELS[self.model]))} coefficients, got {d.size}"
            )
        _intrinsics.check_distortion(self.model, d, k, *size)
        _intrinsics.check_rotation("rectification", r)
        if self.projection is not None:
            p = _check.numbers("projection matrix", self.projection, (3, 3))
            _intrinsics.check_matrix("projection matrix", p, *size, window=self.window)
            object.__setattr__(self, "projection", p)
        object.__setattr__(self, "matrix", k)
        object.__setattr__(self, "distortion", d)
        object.__setattr__(self, "rectification", r)

    @property
    def focal(self) -> tuple[float, float]:
        """Focal lengths (fx, fy), pixels."""
        return float(self.matrix[0, 0]), float(self.matrix[1, 1])

    @property
    def is_plain(self) -> bool:
        """Whether raw and rectified image are the same: no distortion, no rotation, P equal to K."""
        return (
            not self.distortion.any()
            and self.model != "equidistant"
            and np.allclose(self.rectification, np.eye(3), atol=1e-9)
            and (self.projection is None or np.allclose(self.projection, self.matrix, rtol=1e-9))
        )

    def same_as(self, other: Camera) -> bool:
        """Whether both describe the same optics and frame."""
        return (
            (self.width, self.height, self.model, self.frame_id)
            == (other.width, other.height, other.model, other.frame_id)
            and np.array_equal(self.matrix, other.matrix)
            and np.array_equal(self.distortion, other.distortion)
            and np.array_equal(self.rectification, other.rectification)
        )

    def cut(
        self, *, x: int = 0, y: int = 0, width: int = 0, height: int = 0, bin_x: int = 1, bin_y: int = 1
    ) -> Camera:
        """The camera for a window of this image, with binned pixels (REP-145).

        Args:
            x: left edge of the window, pixels of this image.
            y: top edge.
            width: of the window, pixels of this image; 0: all.
            height: of the window; 0: all.
            bin_x: number of columns that are binned into one.
            bin_y: number of rows that are binned into one.

        Raises:
            InputError: the window is not inside the image.
        """
        whole = not (width and height)
        width, height = (self.width, self.height) if whole else (width, height)
        x, y = (0, 0) if whole else (x, y)
        if x + width > self.width or y + height > self.height:
            raise InputError(
                f"region of interest: expected it inside {self.width}x{self.height}, "
                f"got {width}x{height} at {x}, {y}"
            )

        def moved(k: NDArray[np.float64]) -> NDArray[np.float64]:
            k = k - np.array([[0, 0, x], [0, 0, y], [0, 0, 0.0]])
            return k / np.array([[bin_x], [bin_y], [1]])

        return replace(
            self,
            matrix=moved(self.matrix),
            projection=None if self.projection is None else moved(self.projection),
            width=width // bin_x,
            height=height // bin_y,
            window=self.window or (width, height) != (self.width, self.height),
        )

    def rectified(self) -> Camera:
        """The camera of the rectified image: P instead of K, no distortion, no rotation.

        Raises:
            InputError: there is no P, and K cannot replace it.
        """
        if self.projection is None and not self.is_plain:
            raise InputError(
                "projection matrix: missing, and the image is rectified; calibrate, or set rectified to false"
            )
        return replace(
            self,
            matrix=self.matrix if self.projection is None else self.projection,
            distortion=np.zeros(0),
            model="none",
            rectification=np.eye(3),
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
