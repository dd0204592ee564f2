"""Scalar Kalman updates of many people at once, with bounded influence.

Letters for shapes: P people, N states.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def white_acceleration(dt: Array, spectral_density: Array) -> Array:
    """Covariance (P, 2, 2) that ``dt`` seconds add to a value and its rate.

    Args:
        dt: (P,) s.
        spectral_density: (P,) of the acceleration, unit^2 / s^3.
    """
    out = np.empty((len(dt), 2, 2))
    out[:, 1, 1] = spectral_density * dt
    out[:, 0, 1] = out[:, 1, 0] = 0.5 * out[:, 1, 1] * dt
    out[:, 0, 0] = out[:, 1, 1] * dt * dt / 3
    return out


def bounded(noise: Array, predicted: Array, innovation2: Array, gate: float) -> Array:
    """Noise (P,) widened until the innovation lies ``gate`` times its own variance out, at most.

    The update is then that of a least squares fit whose loss grows linearly from there on: a wild
    value still pulls, by a bounded amount.

    Args:
        noise: (P,) variance of the observation.
        predicted: (P,) variance of what was predicted of it.
        innovation2: (P,) squared innovation.
        gate: squared number of standard deviations.
    """
    return noise + np.maximum(0.0, innovation2 / gate - predicted - noise)


def observe(
    state: Array,
    covariance: Array,
    row: Array,
    innovation: Array,
    noise: Array,
    *,
    gate: float,
    mask: NDArray[np.bool_],
    held: int | None = None,
) -> None:
    """One scalar observation of each person, in place.

    Args:
        state: (P, N).
        covariance: (P, N, N).
        row: (N,) what is observed, as weights of the states.
        innovation: (P,) observed less predicted.
        noise: (P,) its variance.
        gate: see :func:`bounded`.
        mask: (P,) who is observed at all.
        held: a state that this observation must not move; its uncertainty is taken into account
            (a Schmidt-Kalman filter).
    """
    cross = covariance @ row
    spread = cross @ row
    total = spread + bounded(noise, spread, innovation * innovation, gate)
    gain = cross / total[:, None]
    gain[~mask] = 0.0
    if held is not None:
        gain[:, held] = 0.0
    state += gain * np.where(mask, innovation, 0.0)[:, None]
    change = gain[:, :, None] * cross[:, None, :]
    covariance -= change
    if held is not None:  # Joseph's form: the gain is not the optimal one
        covariance -= change.swapaxes(1, 2)
        covariance += (gain * total[:, None])[:, :, None] * gain[:, None, :]
