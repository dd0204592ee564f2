"""Up and the height of a fixed camera, from feet that stood and bodies that were upright.

A foot that stands at the ray (u, v, 1) and the inverse depth rho lies on the floor where
``up . (u, v, 1) + height rho = 0``. A body that is taken for too large is seen too far away, with its feet
too low, all by the same factor: each person has a height of the camera of its own, which leaves the
plane's slope as it is. What all say of the height agrees within what people differ in stature.

Letters for shapes: N footfalls, P people; two tilts: along the view, and across it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import radians

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RAY_NOISE, DEPTH_NOISE = 0.01, 0.06
"""Standard deviation of a standing foot's ray, tangent units, and of its depth, relative."""
STATURE_NOISE = 0.05
"""Of people's sizes against what is believed of them, relative."""
LEAN_NOISE = radians(5.0), radians(3.5)
"""Of one person's mean axis, along the view and across it."""
LEAN_BIAS = radians(7.0), radians(1.5)
"""Of what all axes have in common: lifters lean people along the view."""
FIRST_LEAN_NOISE, SETTLED_S = radians(8.0), 0.3
"""The first frames of a person lean by so much more."""
HUBER = 1.5
ROUNDS = 8


@dataclass(frozen=True)
class Floor:
    """What was found.

    Attributes:
        up: (3,) unit vector, camera optical frame.
        tilt_covariance: (2, 2) of it, radians^2, along the view and across it.
        height: m over the floor that ankles stand on.
        height_sigma: relative.
        off: (N,) of each footfall from the floor, in standard deviations.
    """

    up: Array
    tilt_covariance: Array
    height: float
    height_sigma: float
    off: Array

    @property
    def sigma(self) -> float:
        """Standard deviation of up in the direction that is least known, radians."""
        return float(np.sqrt(np.linalg.eigvalsh(self.tilt_covariance)[-1]))


def tangents_at(up: Array) -> Array:
    """(3, 2) along the view and across it, at right angles to ``up``."""
    ahead = np.array([0.0, 0.0, 1.0]) if abs(up[2]) < 0.95 else np.array([0.0, 1.0, 0.0])
    ahead = ahead - (ahead @ up) * up
    ahead /= np.linalg.norm(ahead)
    return np.stack([ahead, np.cross(ahead, up)], axis=1)


def fit_floor(feet: Array, whose: NDArray[np.int64], axes: Array, seconds: Array) -> Floor | None:
    """Fit both by Gauss-Newton with Huber weights.

    Args:
        feet: (N, 3) where feet stood, m, camera optical frame, as people of the believed size.
        whose: (N,) indices of people.
        axes: (P, 3) mean direction of each body, upwards, unit vectors; zeros where it is not known.
        seconds: (P,) for which each was seen upright.

    Returns:
        ``None`` where nobody was upright, or the floor would be above the camera.
    """
    known = np.asarray(seconds > 0)
    if not known.any() or not len(feet):
        return None
    up = axes[known].sum(axis=0)
    up = up / max(float(np.linalg.norm(up)), 1e-9)
    rays, near = feet / feet[:, 2:], 1.0 / feet[:, 2]
    people = len(axes)
    has = np.bincount(whose, minlength=people) > 0
    heights = _medians(-feet @ up, whose, people)
    if not (heights[has] > 0).all():
        return None
    log_height = np.where(has, np.log(np.where(has, heights, 1.0)), 0.0)
    common = float(np.median(log_height[has]))
    bias = np.zeros(2)
    first = FIRST_LEAN_NOISE**2 / (1.0 + seconds / SETTLED_S)
    axis_noise = np.sqrt(np.square(LEAN_NOISE) + first[:, None])  # (P, 2)
    n, unknowns = len(feet), 5 + people
    inverse, scale, off = np.eye(unknowns), 1.0, np.zeros(n)
    for _ in range(ROUNDS):
        turn = tangents_at(up)
        fall = -(rays @ up)
        height = np.exp(log_height)
        rows = np.zeros((n + 3 * people + 2, unknowns))
        value = np.zeros(len(rows))
        noise = np.hypot(RAY_NOISE, DEPTH_NOISE * np.maximum(fall, 0.0))
        rows[:n, :2] = rays @ turn / noise[:, None]
        rows[np.arange(n), 5 + whose] = height[whose] * near / noise
        value[:n] = (fall - height[whose] * near) / noise
        off = value[:n].copy()
        for k in range(2):
            at = n + k * people + np.arange(people)
            weight = np.where(known, 1.0 / axis_noise[:, k], 0.0)
            rows[at, k], rows[at, 2 + k] = weight, weight
            value[at] = weight * (axes @ turn[:, k] - bias[k])
        at = n + 2 * people + np.arange(people)
        rows[at, 5 + np.arange(people)] = 1.0 / STATURE_NOISE
        rows[at, 4] = np.where(has, -1.0, 0.0) / STATURE_NOISE
        value[at] = np.where(has, common - log_height, 0.0) / STATURE_NOISE
        rows[-2, 2], rows[-1, 3] = 1.0 / np.array(LEAN_BIAS)
        value[-2:] = -bias / LEAN_BIAS
        trust = np.sqrt(np.minimum(1.0, HUBER / np.maximum(np.abs(value), 1e-9)))
        trust[-2:] = 1.0
        rows, value = rows * trust[:, None], value * trust
        normal = rows.T @ rows
        normal[4, 4] += 1e-6
        inverse = np.linalg.inv(normal)
        step = inverse @ (rows.T @ value)
        step = np.clip(step, -0.3, 0.3)
        up = up + turn @ step[:2]
        up = up / np.linalg.norm(up)
        bias, common, log_height = bias + step[2:4], common + step[4], log_height + step[5:]
        scale = max(1.0, float((value[:n] ** 2).sum()) / max(n - people - 2, 1))
        if np.abs(step[:2]).max() < 1e-5:
            break
    sigma = float(np.sqrt(scale * inverse[4, 4]))
    return Floor(up, scale * inverse[:2, :2], float(np.exp(common)), sigma, off)


def _medians(value: Array, whose: NDArray[np.int64], people: int) -> Array:
    """(P,) of the values (N,) of each."""
    return np.array([np.median(value[whose == p]) if (whose == p).any() else np.nan for p in range(people)])
