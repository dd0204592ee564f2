"""What is known of a camera's surroundings: the up direction and the camera's height."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffpose_ros.core.errors import InputError

UNIT_TOLERANCE = 0.05
HEIGHTS_M = (0.1, 50.0)


@dataclass(frozen=True)
class Surroundings:
    """Gravity and the floor, relative to the camera, in one frame.

    Attributes:
        up: (3,) unit vector against gravity, camera optical frame, or ``None`` if unknown.
        camera_height: metres above the floor that people stand on, or ``None`` if unknown.
        common_floor: whether most people in view stand on the same floor, so that their sizes can be
            compared.

    Raises:
        InputError: ``up`` is no unit vector, or the height is not between 0.1 and 50 m.
    """

    up: NDArray[np.float64] | None = None
    camera_height: float | None = None
    common_floor: bool = True

    def __post_init__(self) -> None:
        if self.up is not None:
            object.__setattr__(self, "up", _unit(self.up))
        height = self.camera_height
        if height is not None and not HEIGHTS_M[0] <= height <= HEIGHTS_M[1]:  # also refuses NaN
            raise InputError(
                f"camera height: expected {HEIGHTS_M[0]:g} to {HEIGHTS_M[1]:g} m over the floor, "
                f"got {height:g}"
            )


    @classmethod
    def of_angles(
        cls, pitch_deg: float, roll_deg: float = 0.0, camera_height: float | None = None
    ) -> Surroundings:
        """The surroundings of a camera mounted at known angles.

        Args:
            pitch_deg: how far the camera looks down, degrees, -90 to 90 (REP-103: about the axis that
                points left).
            roll_deg: how far the camera's right side is lower than its left, degrees, -180 to 180.
            camera_height: metres above the floor, or ``None`` if unknown.

        Raises:
            InputError: an angle or the height is out of range.
        """
        for name, value, limit in (("pitch", pitch_deg, 90.0), ("roll", roll_deg, 180.0)):
            if not -limit <= value <= limit:  # also refuses NaN
                raise InputError(
                    f"camera {name}: expected {-limit:g} to {limit:g} degrees, got {value:g}"
                )
        pitch, roll = math.radians(pitch_deg), math.radians(roll_deg)
        level = math.cos(pitch)
        up = np.array([-level * math.sin(roll), -level * math.cos(roll), -math.sin(pitch)])
        return cls(up=up, camera_height=camera_height)


UNKNOWN = Surroundings()
"""Nothing is known: people's sizes come only from their bodies."""


def _unit(value: ArrayLike) -> NDArray[np.float64]:
    up = np.array(value, dtype=np.float64)
    if up.shape != (3,) or not np.isfinite(up).all():
        raise InputError(f"up: expected 3 finite numbers, got {np.asarray(value).tolist()}")
    length = float(np.linalg.norm(up))
    if abs(length - 1) > UNIT_TOLERANCE:
        raise InputError(f"up: expected a unit vector, got one of length {length:.3g}")
    up /= length
    up.flags.writeable = False
    return up
