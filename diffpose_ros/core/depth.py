"""Depth images, checked on creation, because wrong units and empty images are common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffpose_ros.core import _check
from diffpose_ros.core.camera import Camera
from diffpose_ros.core.errors import InputError

NEAREST_M, FARTHEST_M = 0.15, 40.0
"""Range in which depth cameras measure people."""
LEAST_SHARE = 0.01
"""Smallest share of pixels with a depth that makes an image usable."""
STALE_NS = 100_000_000
"""Largest time between a depth image and the colour image, nanoseconds."""
LOOKED_AT = 16
"""Only every n-th row and column is checked."""


@dataclass(frozen=True)
class DepthImage:
    """A depth image.

    Attributes:
        z: (H, W) depth along the optical axis, metres; 0, NaN and infinity are holes.
        stamp_ns: time of exposure, nanoseconds.
        camera: camera of the depth image, without distortion; ``None``: the image is registered, with the
            pixels of the colour image.
        rotation: (3, 3) rotation from the depth camera's optical frame into the colour camera's.
        translation: (3,) translation between the same frames, m.

    Raises:
        InputError: shapes disagree, the image is nearly all holes, or the values cannot be metres.
    """

    z: NDArray[np.floating]
    stamp_ns: int
    camera: Camera | None = None
    rotation: NDArray[np.float64] | None = None
    translation: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        z = np.asarray(self.z)
        if z.ndim != 2 or z.dtype.kind != "f" or 0 in z.shape:
            raise InputError(f"depth image: expected metres as floats (H, W), got {z.dtype} {z.shape}")
        camera = self.camera
        if camera is not None and z.shape != (camera.height, camera.width):
            raise InputError(
                f"depth image: its camera_info is for {camera.width}x{camera.height}, "
                f"it has {z.shape[1]}x{z.shape[0]}"
            )
        for name, shape, nothing in (("rotation", (3, 3), np.eye(3)), ("translation", (3,), np.zeros(3))):
            given = getattr(self, name)
            value: ArrayLike = nothing if given is None else given
            checked = _check.array(f"depth image {name}", value, shape)
            _check.finite(f"depth image {name}", checked)
            object.__setattr__(self, name, checked)
        _plausible(z[::LOOKED_AT, ::LOOKED_AT] if min(z.shape) > 4 * LOOKED_AT else z)


def _plausible(z: NDArray[np.floating]) -> None:
    seen = z[np.isfinite(z) & (z > 0)]
    if len(seen) < max(1, LEAST_SHARE * z.size):
        raise InputError("depth image: all holes: is the sensor covered, or too near?")
    middle = float(np.median(seen))
    if middle > 2 * FARTHEST_M:
        raise InputError(
            f"depth image: half of it is farther than {middle:.0f} m: are these millimetres? 32FC1 "
            "holds metres, 16UC1 millimetres"
        )
    if middle < 0.5 * NEAREST_M:
        raise InputError(
            f"depth image: half of it is nearer than {middle * 1e3:.1f} mm: are these metres? 16UC1 holds "
            "millimetres, 32FC1 metres"
        )
