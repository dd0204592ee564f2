"""The calibrated, fixed cameras of recorded data sets: where they stand and how they project."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import Camera, InputError, _check

_UNDISTORT_STEPS = 30


@dataclass(frozen=True)
class WorldCamera:
    """A camera of a data set.

    Lens distortion follows Human3.6M's own projection function, which differs from OpenCV's in
    the tangential part by at most a third of a pixel on that data: with ``p = (p1, p2)``,
    ``x' = x (1 + k1 r^2 + k2 r^4 + k3 r^6 + p . x) + p r^2``.

    Attributes:
        name: the data set's name for it.
        size: image size (width, height), pixels.
        focal: (2,) focal lengths, pixels.
        centre: (2,) principal point, pixels.
        radial: (3,) k1, k2, k3.
        tangential: (2,) p1, p2.
        rotation: (3, 3) world to camera.
        position: (3,) in the world, metres.

    Raises:
        InputError: a shape is wrong, a number is not finite, or ``rotation`` is no rotation.
    """

    name: str
    size: tuple[int, int]
    focal: NDArray[np.float64]
    centre: NDArray[np.float64]
    radial: NDArray[np.float64]
    tangential: NDArray[np.float64]
    rotation: NDArray[np.float64]
    position: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name, shape in (
            ("focal", (2,)), ("centre", (2,)), ("radial", (3,)), ("tangential", (2,)),
            ("rotation", (3, 3)), ("position", (3,)),
        ):  # fmt: skip
            value = _check.array(f"camera '{self.name}': {name}", getattr(self, name), shape)
            _check.finite(f"camera '{self.name}': {name}", value)
            object.__setattr__(self, name, value)
        r = self.rotation
        if not np.allclose(r @ r.T, np.eye(3), atol=1e-4) or np.linalg.det(r) < 0:
            raise InputError(f"camera '{self.name}': rotation: expected a rotation matrix")

    @property
    def pinhole(self) -> Camera:
        """The camera without its lens: what undistorted pixels belong to."""
        k = np.array([[self.focal[0], 0, self.centre[0]], [0, self.focal[1], self.centre[1]],
                      [0, 0, 1.0]])  # fmt: skip
        return Camera(matrix=k, width=self.size[0], height=self.size[1])

    def to_camera(self, world: NDArray[np.floating]) -> NDArray[np.float64]:
        """World points (..., 3) in the camera's optical frame, metres."""
        return (np.asarray(world, dtype=np.float64) - self.position) @ self.rotation.T

    def project(self, xyz: NDArray[np.floating]) -> NDArray[np.float64]:
        """Points (..., 3) in the optical frame to pixels (..., 2) of the recorded image."""
        xyz = np.asarray(xyz, dtype=np.float64)
        return self._distort(xyz[..., :2] / xyz[..., 2:]) * self.focal + self.centre

    def undistort(self, pixels: NDArray[np.floating]) -> NDArray[np.float64]:
        """Pixels (..., 2) of the recorded image as :attr:`pinhole` would have seen them."""
        seen = (np.asarray(pixels, dtype=np.float64) - self.centre) / self.focal
        x = seen
        for _ in range(_UNDISTORT_STEPS):
            gain, shift = self._lens(x)
            # A gain near zero lies far outside the image, where the lens model means nothing.
            x = (seen - shift) / np.maximum(gain, 0.2)
        return x * self.focal + self.centre

    def _lens(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        r2 = (x**2).sum(-1, keepdims=True)
        k1, k2, k3 = self.radial
        gain = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + (x * self.tangential).sum(-1, keepdims=True)
        return gain, self.tangential * r2

    def _distort(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        gain, shift = self._lens(x)
        return x * gain + shift


def rotation_from_quaternion(wxyz: tuple[float, ...]) -> NDArray[np.float64]:
    """(3, 3) rotation of a quaternion (w, x, y, z); it is normalised first."""
    w, x, y, z = np.asarray(wxyz, dtype=np.float64) / np.linalg.norm(wxyz)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
