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

from diffpose_ros.core import H36M17
from diffpose_ros.geometry.root import MEASURED_H36M, root_translation, stature
from diffpose_ros.history import Field, Rows
from diffpose_ros.methods.protocol import Observed, Poses
from diffpose_ros.methods.root.floor import floor_depth
from diffpose_ros.methods.root.size import SizeDoubt
from diffpose_ros.methods.root.track import SIZE, Track

BODY_SCALE_NOISE = 0.012
"""Relative standard deviation of an adult's size against the lifter's answer, on people that no
training has seen. Nothing seen tells of it, so it is a part of the covariance that stays."""
FLOOR_SCALE_NOISE = 0.045
"""The same where the floor will tell the size: stature varies by so much among adults."""
GIVEN_HEIGHT_NOISE = 0.01

STATURE_TIME_CONSTANT_S = 1.0
LEAST_STATURE_M = 0.2
FLOOR_GATE = 3.0
AGREES = 0.1
"""Difference of sizes, as a logarithm, at which the floor still confirms the believed one."""

HIP, THORAX = H36M17.index("hip"), H36M17.index("thorax")
FEET = tuple(H36M17.index(name) for name in ("right_ankle", "left_ankle"))
ALONG_RAY = 0.6
"""Weight of speeds along the ray among those across: depths of feet are less certain."""
STANCE_GAIN = 1.08
"""A lifter answers a little late and moves feet too slowly; measured on held-out people."""
STANCE_SPEED_NOISE = (0.6, 1.2)
"""Standard deviation of the root's velocity from a standing foot, across and along the ray, m/s."""
STANCE_GATE = 2.0
LOWER_FOOT_MPS = 6.0
"""How much slower a foot counts for each metre that it is lower than the other, 1/s."""
UNSURE, SURE_MPS = 3.0, 0.2
"""How much noisier a standing foot counts when the other might be it, and when it might not."""
CONTACT_SPEED_MPS = 0.4

_SIZES = {
    "depth": (5,), "depth_covariance": (5, 5), "bearing": (2, 2), "bearing_covariance": (2, 2),
    "activity": (), "outside": (), "feet": (2, 3), "placed": (), "doubt": (3,), "floor_s": (), "stature": (),
}  # fmt: skip


class ScaleSource(Enum):
    """What tells how large a person is, and so how far away."""

    BODY_PRIOR = "body prior"
    PERSON_HEIGHT = "person height"
    FLOOR = "floor"
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
        contact: (P, 2) how surely the right and the left foot stand still, 0 to 1; NaN where it is
            not known.
    """

    root: NDArray[np.float64]
    covariance: NDArray[np.float64]
    velocity: NDArray[np.float64]
    velocity_covariance: NDArray[np.float64]
    scale: NDArray[np.float64]
    source: tuple[ScaleSource, ...]
    contact: NDArray[np.float64]

    def known(self) -> NDArray[np.bool_]:
        """(P,) whether there is a position."""
        return np.asarray(np.isfinite(self.root).all(axis=-1))


class RootStage:
    """Places people by the rays to their joints, and follows them over time.

    One frame's place is where pose and rays agree (:func:`~diffpose_ros.geometry.root.root_translation`).
    It goes into a filter (:mod:`~diffpose_ros.methods.root.track`) together with what a standing foot
    says of the velocity, and, with gravity and the camera's height, what the floor says of the depth.
    """

    def state(self) -> Mapping[str, Field]:
        """What it remembers of each person."""
        return {f"root.{name}": Field(shape=shape, dtype=np.float64) for name, shape in _SIZES.items()}

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
        memory = {name: rows[f"root.{name}"].copy() for name in _SIZES}
        mean, given = poses.mean, np.ones(p)
        if seen.person_height is not None:
            memory["stature"] = _smooth_stature(stature(mean), memory["stature"], rows)
            given = seen.person_height / np.maximum(memory["stature"], LEAST_STATURE_M)
            mean = mean * given[:, None, None]
        root, covariance = root_translation(
            mean, seen.rays[:, :17], seen.score[:, :17] * MEASURED_H36M, scale_noise=0.0
        )
        mask = np.asarray(np.isfinite(root).all(axis=-1))
        root = np.where(mask[:, None], root, (0.0, 0.0, 1.0))
        covariance = np.where(mask[:, None, None], covariance, 0.0)
        mean = np.where(mask[:, None, None], mean, 0.0)

        track = Track(
            memory["depth"], memory["depth_covariance"], memory["bearing"],
            memory["bearing_covariance"], memory["activity"], memory["outside"],
        )  # fmt: skip
        before = memory["placed"] > 0
        old, new = before & mask, mask & ~before
        dt = rows.dt_s
        feet = mean[:, FEET]
        foot_velocity = (feet - memory["feet"]) / np.maximum(dt, 1e-3)[:, None, None]
        speed = np.linalg.norm(foot_velocity * (1.0, 1.0, ALONG_RAY), axis=2)
        on_floor = seen.up is not None and seen.camera_height is not None
        track.pose_observed(
            root, covariance, speed.max(axis=1), rows.age_s, dt, old, size_known=on_floor
        )
        size_noise = FLOOR_SCALE_NOISE if on_floor else BODY_SCALE_NOISE
        track.begin(new, root, size_noise if seen.person_height is None else GIVEN_HEIGHT_NOISE)
        contact = self._stance(track, foot_velocity, _lowness(mean, feet, seen.up), old)
        if on_floor:
            self._floor(track, seen, mean, root, memory, mask, dt)
        memory["feet"] = np.where(mask[:, None, None], feet, memory["feet"])
        memory["placed"] = np.where(mask, 1.0, memory["placed"])
        memory["outside"] = track.outside
        rows.keep(**{f"root.{name}": value for name, value in memory.items()})
        return self._placed(track, seen, given, memory["floor_s"] > 0, contact, mask)

    @staticmethod
    def _stance(
        track: Track, foot_velocity: NDArray, lowness: NDArray, mask: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """The foot that is low and would stand stillest stands: the root moves as it moves relative to it.

        Args:
            track: the filters.
            foot_velocity: (P, 2, 3) relative to the root, m/s.
            lowness: (P, 2) how far below the root each foot is, m.
            mask: whose feet are known in this frame and the last.

        Returns:
            (P, 2) how surely each foot stands, NaN where not ``mask``.
        """
        weights = np.array([1.0, 1.0, ALONG_RAY])
        absolute = track.velocity()[:, None] + STANCE_GAIN * foot_velocity
        cost = np.linalg.norm(absolute * weights, axis=2) - LOWER_FOOT_MPS * lowness
        stance = cost.argmin(axis=1)
        row = np.arange(len(stance))
        # Two feet that could both be the standing one: the less is said of the velocity.
        unsure = 1.0 + UNSURE * np.exp(-np.abs(cost[:, 0] - cost[:, 1]) / SURE_MPS)
        noise = np.array(STANCE_SPEED_NOISE)[:, None] * unsure
        track.speed_observed(-STANCE_GAIN * foot_velocity[row, stance], noise, STANCE_GATE, mask)
        speed = np.linalg.norm((track.velocity()[:, None] + STANCE_GAIN * foot_velocity) * weights, axis=2)
        contact = 1.0 / (1.0 + (speed / CONTACT_SPEED_MPS) ** 4)
        return np.where(mask[:, None], contact, np.nan)

    @staticmethod
    def _floor(
        track: Track, seen: Observed, mean: NDArray, root: NDArray, memory: dict[str, NDArray],
        mask: NDArray[np.bool_], dt: NDArray,
    ) -> None:  # fmt: skip
        assert seen.up is not None
        assert seen.camera_height is not None
        at_feet = root[:, 2:] + mean[:, FEET, 2]
        floor = floor_depth(
            seen.up, seen.camera_height, seen.rays[:, FEET], seen.score[:, FEET], at_feet, root[:, 2]
        )
        known = mask & floor.known
        doubt = SizeDoubt(memory["doubt"])
        size = np.log(root[:, 2]) - floor.log_depth  # of the body, as a person on the floor would have it
        believed = doubt.update(
            size, track.depth[:, SIZE], stature(mean), floor.variance, dt, known, memory["floor_s"]
        )
        track.resize(believed, doubt.mean, floor.variance)
        track.floor_observed(floor.log_depth, floor.variance, known, FLOOR_GATE)
        memory["doubt"] = doubt.state
        agrees = known & (np.abs(doubt.mean - track.depth[:, SIZE]) < AGREES)
        memory["floor_s"] = np.where(agrees, memory["floor_s"] + dt + 1e-6, memory["floor_s"])

    @staticmethod
    def _placed(
        track: Track, seen: Observed, given: NDArray, floor: NDArray[np.bool_], contact: NDArray,
        mask: NDArray[np.bool_],
    ) -> Placed:  # fmt: skip
        told = ScaleSource.BODY_PRIOR if seen.person_height is None else ScaleSource.PERSON_HEIGHT
        hidden, no_matrix = ~mask[:, None], ~mask[:, None, None]
        return Placed(
            root=np.where(hidden, np.nan, track.position()),
            covariance=np.where(no_matrix, np.nan, track.position_covariance()),
            velocity=np.where(hidden, np.nan, track.velocity()),
            velocity_covariance=np.where(no_matrix, np.nan, track.velocity_covariance()),
            scale=given * np.exp(-track.depth[:, SIZE]),
            source=tuple(ScaleSource.FLOOR if by_floor else told for by_floor in floor),
            contact=contact,
        )

    @staticmethod
    def _as_said(poses: Poses) -> Placed:
        """The place that the method itself gives."""
        assert poses.root is not None
        assert poses.root_covariance is not None
        p = len(poses)
        return Placed(
            root=poses.root,
            covariance=poses.root_covariance,
            velocity=np.full((p, 3), np.nan),
            velocity_covariance=np.full((p, 3, 3), np.nan),
            scale=np.ones(p),
            source=(ScaleSource.BODY_PRIOR,) * p,
            contact=np.full((p, 2), np.nan),
        )


def _lowness(mean: NDArray, feet: NDArray, up: NDArray | None) -> NDArray[np.float64]:
    """(P, 2) m, against gravity where it is known, else along the trunk."""
    if up is None:
        trunk = mean[:, THORAX] - mean[:, HIP]
        axis = trunk / np.maximum(np.linalg.norm(trunk, axis=1, keepdims=True), 1e-6)
    else:
        axis = np.broadcast_to(up, (len(mean), 3))
    return np.asarray(-(feet @ axis[:, :, None])[..., 0])


def _smooth_stature(measured: NDArray, remembered: NDArray, rows: Rows) -> NDArray[np.float64]:
    """Low-pass each person's stature (P,), so that the scale does not flicker."""
    gain = np.where(rows.first, 1.0, 1.0 - np.exp(-rows.dt_s / STATURE_TIME_CONSTANT_S))
    old = np.where(rows.first, measured, remembered)
    new = old + gain * (measured - old)
    return np.where(np.isfinite(new), new, 0.0)
