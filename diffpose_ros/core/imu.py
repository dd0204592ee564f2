"""Which way is up, by an inertial sensor, in the sensor's own axes.

Its orientation tells where there is one. Otherwise the accelerometer does: at rest it measures the
floor's push upwards (REP-145), in motion more than that, so its readings go through a low-pass that the
gyroscope turns along (a complementary filter; Mahony et al., IEEE TAC 2008, eq. 32, with a fixed gain).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core.errors import InputError

NS = 1_000_000_000
GRAVITY = 9.81
NORM_TOLERANCE = 0.2
"""Accelerations whose length differs by this share from gravity's are those of motion."""
TIME_CONSTANT_S, GYRO_TIME_CONSTANT_S = 0.5, 2.0
"""Of the low-pass, without and with a gyroscope."""
MOVING_S = 1.0
"""For so long no acceleration may be gravity's before up is not known any more."""
KEPT_S = 3.0
MAX_RATE = 40.0
"""Angular velocities above this are no honest ones, rad/s."""


@dataclass(frozen=True)
class Reading:
    """One message of an inertial sensor, in its own axes.

    Attributes:
        stamp_ns: time of it.
        up: (3,) by its orientation, or ``None``.
        acceleration: (3,) m/s^2, or ``None``.
        rate: (3,) rad/s, or ``None``.
    """

    stamp_ns: int
    up: NDArray[np.float64] | None = None
    acceleration: NDArray[np.float64] | None = None
    rate: NDArray[np.float64] | None = None


def up_of_orientation(xyzw: tuple[float, float, float, float]) -> NDArray[np.float64]:
    """Up in the axes of a sensor whose orientation in a world with z up is this quaternion.

    Raises:
        InputError: it is not of unit length.
    """
    q = np.array(xyzw, dtype=np.float64)
    length = float(np.linalg.norm(q))
    if not abs(length - 1) < 0.05:
        raise InputError(f"orientation: expected a quaternion of length 1, got {length:.3g}")
    x, y, z, w = q / length
    return np.array([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)])


class UpFilter:
    """Follows up over the readings of one sensor."""

    def __init__(self) -> None:
        self._stamps: deque[int] = deque()
        self._ups: deque[NDArray[np.float64]] = deque()
        self._still_ns: int | None = None
        self._trouble = "nothing has come from the IMU yet"

    def add(self, reading: Reading) -> str:
        """Take in one reading; why it could not be used, or ``""``."""
        if self._stamps and reading.stamp_ns <= self._stamps[-1]:
            if self._stamps[-1] - reading.stamp_ns < NS:
                return ""  # late or twice
            self.__init__()  # type: ignore[misc]  # the clock went back
        self._trouble = self._take(reading)
        return self._trouble

    def at(self, stamp_ns: int) -> tuple[NDArray[np.float64], float] | str:
        """Up at the time of an image, and by how many seconds this is older than the image; or why it
        is not known."""
        if not self._stamps:
            return self._trouble
        i = bisect_left(self._stamps, stamp_ns)
        near = min((k for k in (i - 1, i) if 0 <= k < len(self._stamps)),
                   key=lambda k: abs(self._stamps[k] - stamp_ns))  # fmt: skip
        return self._ups[near], (stamp_ns - self._stamps[near]) / NS

    def _take(self, reading: Reading) -> str:
        now = reading.stamp_ns
        if reading.up is not None:
            self._keep(now, reading.up)
            return ""
        pushed = reading.acceleration
        if pushed is None:
            return "the IMU has neither an orientation nor accelerations"
        if not np.isfinite(pushed).all():
            return "the IMU's acceleration is not finite"
        length = float(np.linalg.norm(pushed))
        still = abs(length / GRAVITY - 1) <= NORM_TOLERANCE
        turned = self._turned(reading)
        if still:
            self._still_ns = now
            up = pushed / length
            if turned is not None:
                constant = TIME_CONSTANT_S if reading.rate is None else GYRO_TIME_CONSTANT_S
                gain = 1 - np.exp(-(now - self._stamps[-1]) / NS / constant)
                up = turned + gain * (up - turned)
                up = up / max(float(np.linalg.norm(up)), 1e-9)
            self._keep(now, up)
            return ""
        if turned is not None and self._still_ns is not None and now - self._still_ns < MOVING_S * NS:
            self._keep(now, turned)
            return ""
        hint = " (in g? expected m/s^2)" if abs(length - 1) < NORM_TOLERANCE else ""
        return f"the IMU measures accelerations of {length:.2f} m/s^2, expected about {GRAVITY}{hint}"

    def _turned(self, reading: Reading) -> NDArray[np.float64] | None:
        """The last up, turned as the sensor turned since; ``None`` where it is too long ago."""
        if not self._stamps:
            return None
        seconds = (reading.stamp_ns - self._stamps[-1]) / NS
        if seconds > MOVING_S:
            return None
        up, rate = self._ups[-1], reading.rate
        if rate is None or not (np.abs(rate) < MAX_RATE).all():
            return up
        angle = float(np.linalg.norm(rate)) * seconds
        if angle < 1e-9:
            return up
        axis = -rate * seconds / angle  # what stands still turns the other way
        return np.asarray(
            up * np.cos(angle) + np.cross(axis, up) * np.sin(angle) + axis * (axis @ up) * (1 - np.cos(angle))
        )

    def _keep(self, stamp_ns: int, up: NDArray[np.float64]) -> None:
        self._stamps.append(stamp_ns)
        self._ups.append(up)
        while stamp_ns - self._stamps[0] > KEPT_S * NS:
            self._stamps.popleft()
            self._ups.popleft()
