"""When the floor contradicts the size that a body is believed to have.

A jump, a chair or stairs contradict it for a moment, a child or a giant for as long as they are in
view. So another size is believed when the floor has said the same for longer than anybody is in the
air, and when a person of that size can exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, sqrt

TIME_CONSTANT_S = 0.4
PATIENCE_S, PATIENCE_OF_OLD_S = 0.03, 30.0
"""How long the floor must say the same: of somebody new, and of somebody whose size it has told
before, who has probably climbed something."""
ESTABLISHED_S, OLD_S = 1.5, 2.0
"""Seconds after which somebody is old, and of somebody who is."""
AGREEMENT = 0.08
"""Standard deviation over time, as a logarithm, of sizes that count as the same."""
CONTRADICTION = 2.0
"""Standard deviations of one frame between the floor's size and the believed one."""
LEAST_DIFFERENCE = 0.06
STATURES_M = (0.7, 2.05)


class SizeDoubt:
    """Running mean and spread of the size that the floor says, against the believed one.

    Args:
        numbers: three zeros at first; :meth:`numbers` afterwards.

    Attributes:
        mean: the floor's size, a logarithm: how much smaller the body is than the pose.
    """

    NUMBERS = 3

    def __init__(self, numbers: Sequence[float]) -> None:
        self.mean, self._square, self._seconds = numbers

    def numbers(self) -> list[float]:
        """All that is to be remembered."""
        return [self.mean, self._square, self._seconds]

    def update(
        self, size: float, believed: float, stature: float, variance: float, dt: float, floor_s: float
    ) -> bool:
        """Take in one frame in which the floor tells the size.

        Args:
            size: logarithm: how much smaller the body is than the pose, by the floor.
            believed: the same as the filter has it.
            stature: m, of the pose.
            variance: of ``size`` in one frame.
            dt: s.
            floor_s: seconds for which the floor and the believed size have agreed.

        Returns:
            Whether the believed size is to become :attr:`mean`.
        """
        new = self._seconds <= 0
        gain = 1.0 if new else 1.0 - exp(-dt / TIME_CONSTANT_S)
        off = size - self.mean
        self.mean += gain * off
        self._square = 0.0 if new else (1 - gain) * (self._square + gain * off * off)
        apart = abs(self.mean - believed)
        height = stature * exp(-self.mean)
        against = (
            apart > max(CONTRADICTION * sqrt(variance), LEAST_DIFFERENCE)
            and STATURES_M[0] < height < STATURES_M[1]
            and self._square < AGREEMENT**2
        )
        self._seconds = self._seconds + dt if against else _BEGUN_S
        return against and self._seconds > (PATIENCE_OF_OLD_S if floor_s > ESTABLISHED_S else PATIENCE_S)

    def settle(self) -> None:
        """Another size is believed now; doubt begins anew."""
        self._seconds = _BEGUN_S


_BEGUN_S = 1e-6
"""More than the nothing of somebody new."""
