"""Whether somebody who comes nearer or goes away is small, or the floor is tilted.

A small body and a floor that falls off are alike at one distance, and only there. With z the depth that
a body of the believed size has, the ray to its foot falls by ``height / (size z)`` for each metre if the
body is small, and by ``height / z + tilt`` if the floor is tilted.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

SLOPE_NOISE = 0.006
"""Standard deviation of what one independent look says, metres of fall per metre."""
LOOK_S = 0.5
"""Looks so far apart are independent: pose and detector err for about as long."""
MEMORY_S = 20.0
LARGEST = 30.0


class Slopes:
    """Sums over what was seen of one person: inverse depths and slopes.

    Args:
        numbers: six zeros at first; :meth:`numbers` afterwards.
    """

    NUMBERS = 6

    def __init__(self, numbers: Sequence[float]) -> None:
        self._sums = list(numbers)

    def numbers(self) -> list[float]:
        """All that is to be remembered."""
        return self._sums

    def update(self, reach: float, fall: float, dt: float) -> None:
        """Take in one frame.

        Args:
            reach, fall: see :class:`~diffpose_ros.methods.root.floor.OnFloor`.
            dt: s; 0 if no foot stands.
        """
        if not dt > 0:
            return
        keep = exp(-dt / MEMORY_S)
        new = (1.0, reach, fall, reach * reach, reach * fall, fall * fall)
        self._sums = [keep * old + dt * value for old, value in zip(self._sums, new, strict=True)]

    def tilt_rather_than_size(self) -> float:
        """Logarithm of how much better a tilted floor explains the slopes than another size does."""
        n, x, y, xx, xy, yy = self._sums
        if not (n > 0 and xx > 0):
            return 0.0
        by_size = yy - xy * xy / xx
        by_tilt = yy - 2 * xy + xx - (y - x) * (y - x) / n
        odds = (by_size - by_tilt) / (2 * SLOPE_NOISE * SLOPE_NOISE * LOOK_S)
        return max(-LARGEST, min(LARGEST, odds))
