"""Scalar Kalman updates with bounded influence, in plain numbers.

A person has few states: loops over floats are several times faster here than array operations, whose
calls cost more than what they compute. Letters for shapes: N states.
"""

from __future__ import annotations

from collections.abc import Sequence

Vector = list[float]
Matrix = list[list[float]]


def bounded(noise: float, predicted: float, innovation2: float, gate: float) -> float:
    """Noise widened until the innovation lies ``gate`` times its own variance out, at most.

    The update is then that of a least squares fit whose loss grows linearly from there on: a wild
    value still pulls, by a bounded amount.

    Args:
        noise: variance of the observation.
        predicted: variance of what was predicted of it.
        innovation2: squared innovation.
        gate: squared number of standard deviations.
    """
    return noise + max(0.0, innovation2 / gate - predicted - noise)


def variance_of_sum(covariance: Matrix, parts: Sequence[int]) -> float:
    """Variance of the sum of the states ``parts``."""
    return sum(covariance[i][j] for i in parts for j in parts)


def observe(
    state: Vector,
    covariance: Matrix,
    parts: Sequence[int],
    innovation: float,
    noise: float,
    *,
    gate: float,
    held: int | None = None,
) -> None:
    """One scalar observation of a sum of states, in place.

    Args:
        state: (N,).
        covariance: (N, N).
        parts: the states whose sum is observed.
        innovation: observed less predicted.
        noise: its variance.
        gate: see :func:`bounded`.
        held: a state that this observation must not move; its uncertainty is taken into account
            (a Schmidt-Kalman filter).
    """
    cross = [sum([row[i] for i in parts]) for row in covariance]
    spread = sum([cross[i] for i in parts])
    total = spread + bounded(noise, spread, innovation * innovation, gate)
    gain = [c / total for c in cross]
    if held is not None:
        gain[held] = 0.0
    for i, g in enumerate(gain):
        state[i] += g * innovation
        row = covariance[i]
        if held is None:
            for j, c in enumerate(cross):
                row[j] -= g * c
        else:  # Joseph's form: the gain is not the optimal one
            rest = cross[i] - g * total
            for j, c in enumerate(cross):
                row[j] -= g * c + rest * gain[j]
