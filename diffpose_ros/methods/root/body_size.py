"""How large people are, before anything measures it: anthropometry, and what a user says of their height.

Sizes are logarithms: how much larger a body is than the pose that the lifter gives it. Adults differ
little from that; children, and people of whom a wrong height is said, lie anywhere.
"""

from __future__ import annotations

from math import exp, pi, sqrt

ADULT_SCALE_NOISE = 0.045
"""Relative standard deviation of the stature of adults."""
ADULTS = 0.8
"""How many people are adults. The others' sizes are spread evenly over :data:`SIZES`."""
SIZES = (-1.5, 0.5)
SOMEBODY_ELSE = 0.05
"""Probability that a size which is believed is wrong altogether, so that it says nothing."""


def told(size: float, variance: float) -> tuple[float, float]:
    """Size of somebody whose height was told, and its variance.

    The posterior of two kinds of people, as one normal distribution of the same mean and variance: of
    adults, whom the told height moves as far as it is surer than anthropometry is, and of all others, of
    whom it alone tells.

    Args:
        size: logarithm of the told height over the pose's stature.
        variance: of it.
    """
    adults = ADULT_SCALE_NOISE**2
    both = adults + variance
    share = adults / both
    likely = ADULTS * _normal(size, both)
    other = (1.0 - ADULTS) / (SIZES[1] - SIZES[0])
    p = likely / (likely + other)
    mean = p * share * size + (1.0 - p) * size
    apart = (1.0 - share) * size
    return mean, p * share * variance + (1.0 - p) * variance + p * (1.0 - p) * apart * apart


def wrong(apart: float, variance: float) -> float:
    """Probability that what is believed of a size is wrong, when something else tells another.

    Args:
        apart: difference of the two.
        variance: that such a difference has where both are right.
    """
    other = SOMEBODY_ELSE / (SIZES[1] - SIZES[0])
    return other / (other + (1.0 - SOMEBODY_ELSE) * _normal(apart, variance))


def _normal(value: float, variance: float) -> float:
    return exp(-0.5 * value * value / variance) / sqrt(2.0 * pi * variance)
