"""When the floor contradicts the size that a body is believed to have.

A jump, a chair or stairs contradict it for a moment, a child or a giant for as long as they are in
view. So another size is believed when the floor has said the same for longer than anybody is in the
air, and when a person of that size can exist. Letters for shapes: P people.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TIME_CONSTANT_S = 0.4
PATIENCE_S, PATIENCE_OF_OLD_S = 0.8, 30.0
"""How long the floor must say the same: of somebody new, and of somebody whose size it has told
before, who has probably climbed something."""
ESTABLISHED_S = 1.5
AGREEMENT = 0.08
"""Standard deviation over time, as a logarithm, of sizes that count as the same."""
CONTRADICTION = 2.0
"""Standard deviations of one frame between the floor's size and the believed one."""
LEAST_DIFFERENCE = 0.06
STATURES_M = (0.6, 2.15)

_MEAN, _SQUARE, _SECONDS = range(3)


class SizeDoubt:
    """Running mean and spread of the size that the floor says, against the believed one.

    Args:
        state: (P, 3), zeros at first; :attr:`state` afterwards.
    """

    def __init__(self, state: NDArray[np.float64]) -> None:
        self.state = state

    @property
    def mean(self) -> NDArray[np.float64]:
        """(P,) the floor's size, a logarithm: how much smaller the body is than the pose."""
        return self.state[:, _MEAN]

    def update(
        self,
        size: NDArray[np.float64],
        believed: NDArray[np.float64],
        stature: NDArray[np.float64],
        variance: NDArray[np.float64],
        dt: NDArray[np.float64],
        known: NDArray[np.bool_],
        floor_s: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        """Take in one frame.

        Args:
            size: (P,) logarithm: how much smaller the body is than the pose, by the floor.
            believed: (P,) the same as the filter has it.
            stature: (P,) m, of the pose.
            variance: (P,) of ``size`` in one frame.
            dt: (P,) s.
            known: (P,) whether the floor says anything in this frame.
            floor_s: (P,) seconds for which the floor and the believed size have agreed.

        Returns:
            (P,) whose size is to become :attr:`mean`.
        """
        new = self.state[:, _SECONDS] <= 0
        gain = np.where(new, 1.0, 1.0 - np.exp(-dt / TIME_CONSTANT_S)) * known
        off = np.where(known, size - self.state[:, _MEAN], 0.0)
        mean = self.state[:, _MEAN] + gain * off
        square = np.where(new, 0.0, (1 - gain) * (self.state[:, _SQUARE] + gain * off * off))
        apart = np.abs(mean - believed)
        against = (apart > CONTRADICTION * np.sqrt(variance)) & (apart > LEAST_DIFFERENCE)
        height = stature * np.exp(-mean)
        against &= (height > STATURES_M[0]) & (height < STATURES_M[1]) & (square < AGREEMENT**2)
        seconds = np.where(known, np.where(against, self.state[:, _SECONDS] + dt, 1e-6), 0.0)
        seconds = np.where(known, seconds, self.state[:, _SECONDS])
        self.state = np.stack([mean, square, seconds], axis=1)
        patience = np.where(floor_s > ESTABLISHED_S, PATIENCE_OF_OLD_S, PATIENCE_S)
        sure = known & against & (seconds > patience)
        self.state[sure, _SECONDS] = 1e-6
        return np.asarray(sure)
