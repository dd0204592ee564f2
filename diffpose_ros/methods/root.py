"""Where people stand: the one stage that serves every method that does not place them itself.

What it knows of a person stands in fields of the person's rows, so it is reset with the track, and a
frame that fails leaves it as it was.

Letters for shapes: P people; axes are those of the camera's optical frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.geometry.root import MEASURED_H36M, root_translation, stature
from diffpose_ros.history import Field, Rows
from diffpose_ros.methods.protocol import Observed, Poses

BODY_SCALE_NOISE = 0.05
"""Relative standard deviation of a body's size when only the prior tells it."""

HIP_NOISE_M = 0.012
"""How far a pose's mid-hip lies from where the keypoints put it, one sigma of each coordinate. All
joints are told relative to it, so no residual shows it."""

STATURE_TIME_CONSTANT_S = 1.0
LEAST_STATURE_M = 0.2


class ScaleSource(Enum):
    """What tells how large a person is, and so how far away."""

    BODY_PRIOR = "body prior"
    PERSON_HEIGHT = "person height"
    CAMERA_HEIGHT = "camera height"
    DEPTH = "depth"

    @property
    def metric(self) -> bool:
        """Whether it was measured or given, and not guessed from bodies in general."""
        return self is not ScaleSource.BODY_PRIOR


@dataclass(frozen=True)
class Placed:
    """Where P people stand.

    Attributes:
        root: (P, 3) mid-hip, m; NaN where the rays allow no position in front of the camera.
        covariance: (P, 3, 3) m^2.
        velocity: (P, 3) m/s; NaN where it is not known.
        velocity_covariance: (P, 3, 3) (m/s)^2; NaN likewise.
        scale: (P,) factor on the method's poses that gives the bodies their size.
        source: what told the size of each person.
    """

    root: NDArray[np.float64]
    covariance: NDArray[np.float64]
    velocity: NDArray[np.float64]
    velocity_covariance: NDArray[np.float64]
    scale: NDArray[np.float64]
    source: tuple[ScaleSource, ...]

    def known(self) -> NDArray[np.bool_]:
        """(P,) whether there is a position."""
        return np.asarray(np.isfinite(self.root).all(axis=-1))


class RootStage:
    """Places people by the rays to their joints."""

    def state(self) -> Mapping[str, Field]:
        """What it remembers of each person."""
        return {"root.stature": Field(dtype=np.float64)}

    def place(self, poses: Poses, seen: Observed, rows: Rows) -> Placed:
        """Place the people of one frame.

        Args:
            poses: relative to the root, with their covariance; those that are not finite get no place.
            seen: rays, scores, and what else is known.
            rows: what is remembered of them; what is to be kept is noted there, and is finite.
        """
        p = len(seen)
        if poses.root is not None:
            return self._as_said(poses)
        scale = np.ones(p)
        mean, known_size = poses.mean, seen.person_height is not None
        if seen.person_height is not None:
            height = self._smooth_stature(stature(mean), rows)
            scale = seen.person_height / np.maximum(height, LEAST_STATURE_M)
            mean = mean * scale[:, None, None]
        root, covariance = root_translation(
            mean,
            seen.rays[:, :17],
            seen.score[:, :17] * MEASURED_H36M,
            scale_noise=0.0 if known_size else BODY_SCALE_NOISE,
        )
        covariance += HIP_NOISE_M**2 * np.eye(3)
        source = ScaleSource.PERSON_HEIGHT if known_size else ScaleSource.BODY_PRIOR
        return Placed(root, covariance, *_unknown_velocity(p), scale, (source,) * p)

    @staticmethod
    def _as_said(poses: Poses) -> Placed:
        """The place that the method itself gives."""
        assert poses.root is not None
        assert poses.root_covariance is not None
        p = len(poses)
        source = (ScaleSource.BODY_PRIOR,) * p
        return Placed(poses.root, poses.root_covariance, *_unknown_velocity(p), np.ones(p), source)

    @staticmethod
    def _smooth_stature(measured: NDArray[np.float64], rows: Rows) -> NDArray[np.float64]:
        """Low-pass each person's stature (P,), so that the scale does not flicker."""
        gain = np.where(rows.first, 1.0, 1.0 - np.exp(-rows.dt_s / STATURE_TIME_CONSTANT_S))
        old = np.where(rows.first, measured, rows["root.stature"])
        new = old + gain * (measured - old)
        rows.keep(**{"root.stature": np.where(np.isfinite(new), new, 0.0)})
        return new


def _unknown_velocity(people: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.full((people, 3), np.nan), np.full((people, 3, 3), np.nan)
