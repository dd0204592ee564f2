"""Refinement of any method's poses by the rays of the same frame: a Kalman update of each joint.

A lifter has seen the keypoints already, and has smoothed their noise away. So the rays tell something
new only where they are better than the lifter takes them to be, and that shows in time: noise shakes, and
a pose that is off stays off. The rays' noise is therefore measured on each person by how they shake, and
counts several times, since what shook has been used once.

Letters for shapes: P people, N hypotheses; 17 joints are H36M's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.geometry.root import MEASURED_H36M
from diffpose_ros.history import Field, Rows
from diffpose_ros.methods.protocol import Observed, Poses

Array = NDArray[np.float64]

STEADY_M = 0.012
"""Standard deviation of a keypoint that does not shake: detectors and bodies place joints differently."""
SHAKING = 12.0
"""How many times the measured noise counts."""
VAGUE_M = 0.3
"""What a low score adds, growing with the square of what it lacks."""
UNKNOWN_M = 1.0
"""Noise of people who have not been seen for four frames yet."""
TIME_CONSTANT_S = 0.3
LONGEST_S = 0.2
"""Frames further apart tell nothing of how keypoints shake."""
TOLD = 0.4
"""Share that is taken off of what the update would take off the covariance: errors of joints go together,
as when the whole body is turned, and one joint's ray says less of its depth than its covariance has it."""
GATE = 2.5
"""Distances beyond so many standard deviations pull no harder than that."""

_THIRD = 0.693 * 2 * 20
"""Median squared length of the third difference of 2D noise, over the variance of a coordinate."""
_FIELDS = {
    "refine.rays": Field((3, 17, 3), np.float64),
    "refine.noise": Field((2,), np.float64),
}
"""The last three frames' tangents and scores, newest first; variance of a tangent, and frames seen."""


class Refiner:
    """Moves poses towards their rays, as far as both deserve it."""

    def state(self) -> Mapping[str, Field]:
        """What it remembers of each person."""
        return _FIELDS

    def refine(self, poses: Poses, seen: Observed, rows: Rows) -> Poses:
        """The poses, closer to their rays, with what is then left of their covariance.

        Args:
            poses: relative to the root, with their covariance; those that are not finite stay so.
            seen: the rays.
            rows: what is remembered of the people; what is to be kept is noted there.
        """
        score = seen.score[:, :17] * MEASURED_H36M
        tangents = seen.rays[:, :17]
        shaking = self._noise(tangents, score, rows)
        rays = np.concatenate([tangents, np.ones_like(tangents[..., :1])], axis=-1)
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        beside = np.eye(3) - rays[..., :, None] * rays[..., None, :]
        mean, covariance = poses.mean, poses.covariance
        across = beside @ covariance @ beside
        width = 0.5 * np.trace(across, axis1=-2, axis2=-1)
        place = _translation(mean, beside, (score > 0) / (width + STEADY_M**2))
        depth = np.linalg.norm(place, axis=-1)
        noise = STEADY_M**2 + (SHAKING**2 * shaking * depth**2)[:, None] + (VAGUE_M * (1 - score) ** 2) ** 2
        if seen.covariance is not None:
            told = 0.5 * np.trace(seen.covariance[:, :17], axis1=-2, axis2=-1)
            noise = np.maximum(noise, told * (depth**2)[:, None])
        place = _translation(mean, beside, (score > 0) / (width + noise))
        off = (beside @ (mean + place[:, None])[..., None])[..., 0]
        inverse = np.linalg.inv(across + noise[..., None, None] * np.eye(3))
        distance = np.sqrt(np.einsum("pja,pjab,pjb->pj", off, inverse, off))
        trust = (score > 0) * np.minimum(1.0, GATE / np.maximum(distance, 1e-9))
        gain = covariance @ beside @ inverse * trust[..., None, None]
        moved = mean - (gain @ off[..., None])[..., 0]
        left = np.eye(3) - gain @ beside
        after = left @ covariance @ left.swapaxes(-1, -2)
        after += gain @ (noise[..., None, None] * beside) @ gain.swapaxes(-1, -2)
        after = covariance + TOLD * (after - covariance)
        good = np.isfinite(moved).all((1, 2)) & np.isfinite(after).all((1, 2, 3))
        moved = np.where(good[:, None, None], moved, mean)
        after = np.where(good[:, None, None, None], after, covariance)
        hypotheses = poses.hypotheses
        if hypotheses is not None:
            apart = (beside[:, None] @ (hypotheses + place[:, None, None])[..., None])
            closer = hypotheses - (gain[:, None] @ apart)[..., 0]
            hypotheses = np.where(good[:, None, None, None], closer, hypotheses)
        return replace(poses, mean=moved, covariance=after, hypotheses=hypotheses)

    def _noise(self, tangents: Array, score: Array, rows: Rows) -> Array:
        """Variance (P,) of the tangents, measured by their third differences in time."""
        past = rows["refine.rays"]
        variance, frames = rows["refine.noise"].T
        now = np.concatenate([tangents, score[..., None]], axis=-1)
        follows = ~rows.first & (rows.dt_s < LONGEST_S)
        frames = np.where(follows, frames + 1.0, 1.0)
        third = now[..., :2] - 3 * past[:, 0, :, :2] + 3 * past[:, 1, :, :2] - past[:, 2, :, :2]
        valid = (score > 0) & (past[..., 2] > 0).all(1) & (frames >= 4)[:, None]
        square = np.where(valid, (third * third).sum(-1), np.nan)
        enough = valid.sum(-1) >= 4
        measured = np.nanmedian(np.where(enough[:, None], square, 0.0), axis=-1) / _THIRD
        gain = np.where(variance > 0, 1.0 - np.exp(-rows.dt_s / TIME_CONSTANT_S), 1.0)
        variance = np.where(enough, variance + gain * (measured - variance), np.where(follows, variance, 0.0))
        rows.keep(**{
            "refine.rays": np.concatenate([now[:, None], past[:, :2]], axis=1),
            "refine.noise": np.stack([variance, frames], axis=-1),
        })  # fmt: skip
        return np.where(variance > 0, variance, UNKNOWN_M**2)


def _translation(mean: Array, beside: Array, weight: Array) -> Array:
    """Where the poses are closest to their rays (P, 3); see :mod:`diffpose_ros.methods.zedo.rays`."""
    part = weight[..., None, None] * beside
    towards = (part @ mean[..., None]).sum(1)
    return np.asarray(-np.linalg.solve(part.sum(1) + 1e-9 * np.eye(3), towards)[..., 0])
