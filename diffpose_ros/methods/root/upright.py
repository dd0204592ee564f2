"""Whether gravity is where it is said to be: people who stand and walk are upright.

A body that is stretched from ankles to neck stands along gravity, within a few degrees and in the mean
of a second. Where it leans from what is said to be up, up is wrong, and so is the floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import atan2, exp, log, radians, sqrt

STRAIGHT = 0.92
"""Distance from ankles to neck over the bones between, from which a body counts as stretched."""
TIME_CONSTANT_S = 1.0
LEAN_NOISE = radians(2.5)
"""Standard deviation of such means, along the view and across it, of people who stand and walk."""
SELDOM, ACROBATS_NOISE = 0.25, radians(8.0)
"""How many lean farther, and how far."""
FIRST_LEAN_NOISE, SETTLED_S = radians(5.0), 0.3
"""The first frames lean by so much more."""
WRONG_NOISE = radians(10.0)
"""How far a wrong gravity may lie to the side."""
WRONG_ALONG, WRONG_ACROSS = radians(17.0), radians(10.0)
"""Nobody leans so far for long, along the view, where a lifter is less sure, and across it (on held-out
views, 99 % of such means lie within 12 and 7 degrees)."""


class Lean:
    """Running mean of how a body leans from what is said to be up.

    Args:
        numbers: three zeros at first; :meth:`numbers` afterwards.

    Attributes:
        along: towards where the camera looks, radians.
        across: sideways, radians.
    """

    NUMBERS = 3

    def __init__(self, numbers: Sequence[float]) -> None:
        self.along, self.across, self._seconds = numbers

    def numbers(self) -> list[float]:
        """All that is to be remembered."""
        return [self.along, self.across, self._seconds]

    @property
    def known(self) -> bool:
        """Whether the body has ever been stretched."""
        return self._seconds > 0

    @property
    def wrong(self) -> bool:
        """Whether up cannot be what it is said to be."""
        return self.known and (abs(self.along) > WRONG_ALONG or abs(self.across) > WRONG_ACROSS)

    def tilt_rather_than_none(self, tilt: float) -> float:
        """Logarithm of how much better the body's lean fits a floor that falls off by ``tilt`` radians
        towards where the camera looks than one that is as it is said to be. A lean to the side, which
        such a floor does not explain either, speaks for a wrong gravity, too."""
        first = FIRST_LEAN_NOISE**2 / (1.0 + self._seconds / SETTLED_S)
        along = log(_upright(self.along - tilt, first) / _upright(self.along, first))
        across = log(_normal(self.across, WRONG_NOISE**2 + first) / _upright(self.across, first))
        return along + max(0.0, across)

    def update(
        self, axis: Sequence[float], bones: float, ray: Sequence[float], up: Sequence[float], dt: float
    ) -> None:
        """Take in one frame.

        Args:
            axis: (3,) from between the ankles to the neck, m.
            bones: summed length of the bones between them, m.
            ray: (2,) tangents of where the person is.
            up: (3,) unit vector.
            dt: s.
        """
        if not _dot(axis, axis) > (STRAIGHT * bones) ** 2 > 0:
            return
        view = (ray[0], ray[1], 1.0)
        rise = _dot(view, up)
        ahead = [v - rise * u for v, u in zip(view, up, strict=True)]
        length = sqrt(_dot(ahead, ahead))
        if length < 0.1:
            return  # seen from above or below
        ahead = [a / length for a in ahead]
        side = (
            ahead[1] * up[2] - ahead[2] * up[1], ahead[2] * up[0] - ahead[0] * up[2],
            ahead[0] * up[1] - ahead[1] * up[0],
        )  # fmt: skip
        upwards = _dot(axis, up)
        self._seconds += dt if dt > 0 else _BEGUN_S
        gain = max(1.0 - exp(-dt / TIME_CONSTANT_S), min(1.0, dt / self._seconds)) if dt > 0 else 1.0
        self.along += gain * (atan2(_dot(axis, ahead), upwards) - self.along)
        self.across += gain * (atan2(_dot(axis, side), upwards) - self.across)


def _upright(lean: float, first: float) -> float:
    """Probability density of a lean, most of which are small and few of which are large."""
    core = _normal(lean, LEAN_NOISE**2 + first)
    return (1.0 - SELDOM) * core + SELDOM * _normal(lean, ACROBATS_NOISE**2 + first)


def _normal(value: float, variance: float) -> float:
    return exp(-0.5 * value * value / variance) / sqrt(variance)


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


_BEGUN_S = 1e-6
