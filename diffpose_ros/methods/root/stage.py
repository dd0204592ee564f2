"""Where people stand: the one stage that serves every method that does not place them itself.

What it knows of a person stands in fields of the person's rows, so it is reset with the track, and a
frame that fails leaves it as it was.

Letters for shapes: P people; axes are those of the camera's optical frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import exp, hypot, isfinite, log, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17
from diffpose_ros.geometry.root import MEASURED_H36M, root_translation, stature
from diffpose_ros.history import Field, Rows
from diffpose_ros.methods.protocol import Observed, Poses
from diffpose_ros.methods.root.body_size import ADULT_SCALE_NOISE, told
from diffpose_ros.methods.root.company import Company
from diffpose_ros.methods.root.depth import GATE as DEPTH_GATE
from diffpose_ros.methods.root.depth import root_depth
from diffpose_ros.methods.root.ground import Ground
from diffpose_ros.methods.root.person import Person
from diffpose_ros.methods.root.placed import Placed, ScaleSource
from diffpose_ros.methods.root.size import SizeDoubt
from diffpose_ros.methods.root.track import SIZE, SIZE_NOISE, Track, Vector

BODY_SCALE_NOISE = 0.012
"""Relative standard deviation of an adult's size against the lifter's answer, on people that no
training has seen. Nothing seen tells of it, so it is a part of the covariance that stays."""

STATURE_TIME_CONSTANT_S = 1.0
LEAST_STATURE_M = 0.2

HIP, THORAX = H36M17.index("hip"), H36M17.index("thorax")
FEET = [H36M17.index(name) for name in ("right_ankle", "left_ankle")]
_ABOVE = [H36M17.index(n) for n in ("right_hip", "right_knee", "left_hip", "left_knee", "spine", "thorax")]
_BELOW = [H36M17.index(n) for n in ("right_knee", "right_ankle", "left_knee", "left_ankle", "hip", "spine")]
_SHARE = np.array([0.5, 0.5, 0.5, 0.5, 1.0, 1.0])
"""Bones from the ankles to the thorax; each leg counts half."""
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

COMPANY_TIME_S = 0.3
"""Time constant with which a size follows what the others tell of it."""

_FIELD, _COMPANY = "root.person", "root.company"
_NUMBERS = Track.NUMBERS + Ground.NUMBERS + SizeDoubt.NUMBERS + 6 + 3
"""Of a :class:`_Memory`."""


class RootStage:
    """Places people by the rays to their joints, and follows them over time.

    One frame's place is where pose and rays agree (:func:`~diffpose_ros.geometry.root.root_translation`).
    It goes into a filter (:mod:`~diffpose_ros.methods.root.track`) together with what a standing foot
    says of the velocity, and, with gravity and the camera's height, what the floor says of the depth.
    """

    def state(self) -> Mapping[str, Field]:
        """What it remembers of each person."""
        return {
            _FIELD: Field(shape=(_NUMBERS,), dtype=np.float64),
            _COMPANY: Field(shape=(Company.NUMBERS,), dtype=np.float64),
        }

    def place(self, poses: Poses, seen: Observed, rows: Rows) -> Placed:
        """Place the people of one frame.

        Args:
            poses: relative to the root, with their covariance; those that are not finite get no place.
            seen: rays, scores, and what else is known.
            rows: what is remembered of them; what is to be kept is noted there, and is finite.
        """
        if poses.root is not None:
            return self._as_said(poses)
        memories = [_Memory(numbers) for numbers in rows[_FIELD].tolist()]
        mean, given = poses.mean, np.ones(len(seen))
        on_floor = seen.up is not None and seen.camera_height is not None
        size_noise = [ADULT_SCALE_NOISE if on_floor else BODY_SCALE_NOISE] * len(seen)
        asked = on_floor or seen.depth is not None or seen.person_height is not None
        height = stature(mean) if asked else np.zeros(len(seen))
        if seen.person_height is not None:
            smooth = [
                memory.smooth_stature(measured, dt)
                for memory, measured, dt in zip(memories, height.tolist(), rows.dt_s.tolist(), strict=True)
            ]
            variance = (seen.person_height_stddev / seen.person_height) ** 2
            sizes = [told(log(seen.person_height / max(s, LEAST_STATURE_M)), variance) for s in smooth]
            given = np.exp([size for size, _ in sizes])
            size_noise = [sqrt(spread) for _, spread in sizes]
            mean, height = mean * given[:, None, None], height * given
        root, covariance = root_translation(
            mean, seen.rays[:, :17], seen.score[:, :17] * MEASURED_H36M, scale_noise=0.0,
            ray_covariance=None if seen.covariance is None else seen.covariance[:, :17],
        )  # fmt: skip
        known = np.asarray(np.isfinite(root).all(axis=-1))
        measured, spread = self._measured(seen, mean, root, known, memories)
        company = Company(rows[_COMPANY])
        compared = len(seen) > 1 and seen.common_floor and not on_floor and seen.person_height is None
        nothing = np.zeros((len(seen), 3)), np.zeros(len(seen))
        axis, bones = _uprights(mean) if on_floor or compared else nothing
        if compared:
            variances = np.diagonal(poses.covariance, axis1=-2, axis2=-1)
            spread_m = np.sqrt(variances.mean(axis=(1, 2)))
            company.see(mean, bones, axis, root, seen.rays, seen.score, rows.dt_s, seen.up, spread_m)
        placed = Placed.nowhere(len(seen), given)
        frames = _persons(root, covariance, mean, seen, axis, bones, height, rows, measured, spread)
        sources, people, contacts, unsure = [], [], [], np.zeros(len(seen))
        for i, (memory, person) in enumerate(zip(memories, frames, strict=True)):
            if known[i]:
                began = not memory.placed
                people.append(i)
                contacts.append(self._follow(memory, person, seen, size_noise[i]))
                if on_floor:
                    unsure[i], placed.floor_refused[i] = memory.ground.variance, memory.ground.refused
                elif compared and not memory.ground.tells:
                    unsure[i] = company.variance[i]
                    if not memory.by_depth:
                        gain = 1.0 if began else 1.0 - exp(-person.dt / COMPANY_TIME_S)
                        size = memory.track.depth[SIZE]
                        memory.track.resize(size + gain * (float(company.size[i]) - size), 0.0)
                if memory.by_depth:
                    unsure[i] = 0.0
            elif memory.placed:
                memory.track.move_on(person.dt, 0.0, None)
            sources.append(self._source(memory, seen))
        placed.fill(people, [memories[i].track for i in people], contacts)
        if unsure.any():
            placed.covariance[:] += unsure[:, None, None] * placed.root[:, :, None] * placed.root[:, None]
        placed.scale[:] *= [exp(-memory.track.depth[SIZE]) for memory in memories]
        remembered = np.array([memory.numbers() for memory in memories]).reshape(len(seen), -1)
        rows.keep(**{_FIELD: remembered, _COMPANY: company.numbers})
        return replace(placed, source=tuple(sources))

    @staticmethod
    def _measured(
        seen: Observed, mean: NDArray, root: NDArray, known: NDArray[np.bool_], memories: Sequence[_Memory]
    ) -> tuple[list[float], list[float]]:
        """Depth of each root as a depth image has it, m, NaN where it is not known; and its variance."""
        if seen.depth is None:
            return [nan] * len(seen), [0.0] * len(seen)
        size = np.array([exp(-memory.track.depth[SIZE]) for memory in memories])
        body = np.where(known[:, None, None], mean, 0.0) * size[:, None, None]
        depth, variance = root_depth(seen.depth, body, seen.rays[:, :17], root[:, 2])
        return depth.tolist(), variance.tolist()

    def _follow(
        self, memory: _Memory, person: Person, seen: Observed, size_noise: float
    ) -> tuple[float, float]:
        """Take in one frame of one person, whose size is known so well; how surely each foot stands."""
        track, dt = memory.track, person.dt
        on_floor = seen.up is not None and seen.camera_height is not None
        contact = (nan, nan)
        if memory.placed:
            foot_velocity = [
                _scaled(_less(now, then), 1.0 / max(dt, 1e-3))
                for now, then in zip(person.feet, memory.feet, strict=True)
            ]
            track.move_on(dt, max(map(_speed, foot_velocity)), person.root)
            size_known = on_floor or memory.by_depth
            track.pose_observed(person.root, person.covariance, person.age_s, dt, size_known=size_known)
            contact = self._stance(track, foot_velocity, _lowness(person, seen.up))
        else:
            track.begin(person.root, size_noise)
        told_size = seen.person_height is not None
        if isfinite(person.depth):
            self._depth(memory, person, told=told_size)
        elif seen.up is not None and seen.camera_height is not None and not memory.by_depth:
            memory.ground.observe(
                track, person, seen.up.tolist(), seen.camera_height, max(contact), told=told_size
            )
        memory.feet, memory.placed = person.feet, True
        return contact

    @staticmethod
    def _stance(
        track: Track, foot_velocity: Sequence[Vector], lowness: Sequence[float]
    ) -> tuple[float, float]:
        """The foot that is low and would stand stillest stands: the root moves as it moves relative to it.

        Args:
            track: the filters.
            foot_velocity: of the right and the left, relative to the root, m/s.
            lowness: how far below the root each foot is, m.

        Returns:
            How surely each foot stands, 0 to 1.
        """
        relative = [_scaled(velocity, STANCE_GAIN) for velocity in foot_velocity]
        root = track.velocity()
        right, left = (
            _speed(_plus(root, foot)) - LOWER_FOOT_MPS * low
            for foot, low in zip(relative, lowness, strict=True)
        )
        # Two feet that could both be the standing one: the less is said of the velocity.
        unsure = 1.0 + UNSURE * exp(-abs(right - left) / SURE_MPS)
        across, along = STANCE_SPEED_NOISE
        standing = relative[0] if right <= left else relative[1]
        track.speed_observed(_scaled(standing, -1.0), across * unsure, along * unsure, STANCE_GATE)
        root = track.velocity()
        right, left = (_speed(_plus(root, foot)) / CONTACT_SPEED_MPS for foot in relative)
        return 1.0 / (1.0 + (right * right) * (right * right)), 1.0 / (1.0 + (left * left) * (left * left))

    @staticmethod
    def _depth(memory: _Memory, person: Person, *, told: bool) -> None:
        """What a depth image says of the depth, and, together with pose and rays, of the size."""
        variance = person.depth_variance / (person.depth * person.depth)
        track = memory.track
        size = log(person.root[2] / person.depth)
        noise = variance + SIZE_NOISE**2
        against = memory.doubt.update(
            size, track.depth[SIZE], person.stature, noise, person.dt, memory.depth_s
        )
        first = not (memory.by_depth or told)
        if first:
            track.widen_size(ADULT_SCALE_NOISE**2)
            track.doubt_size(size, noise)
        if first or against:
            track.size_observed(size, noise)
            memory.doubt.settle()
        memory.depth_s += person.dt + 1e-6
        track.depth_observed(log(person.depth), variance, DEPTH_GATE)

    @staticmethod
    def _source(memory: _Memory, seen: Observed) -> ScaleSource:
        if memory.by_depth:
            return ScaleSource.DEPTH
        if memory.ground.tells:
            return ScaleSource.FLOOR
        return ScaleSource.BODY_PRIOR if seen.person_height is None else ScaleSource.PERSON_HEIGHT

    @staticmethod
    def _as_said(poses: Poses) -> Placed:
        """The place that the method itself gives."""
        assert poses.root is not None
        assert poses.root_covariance is not None
        return replace(
            Placed.nowhere(len(poses), np.ones(len(poses))),
            root=poses.root,
            covariance=poses.root_covariance,
        )


class _Memory:
    """What is remembered of one person, as a row of numbers between frames."""

    def __init__(self, numbers: list[float]) -> None:
        n = Track.NUMBERS
        m = n + Ground.NUMBERS
        self.track, self.ground = Track(numbers[:n]), Ground(numbers[n:m])
        self.feet = [numbers[m : m + 3], numbers[m + 3 : m + 6]]
        self.placed = numbers[m + 6] > 0
        self.stature = numbers[m + 7]
        self.depth_s = numbers[m + 8]
        self.doubt = SizeDoubt(numbers[m + 9 :])

    def numbers(self) -> list[float]:
        """The row."""
        return [
            *self.track.numbers(), *self.ground.numbers(), *self.feet[0], *self.feet[1], float(self.placed),
            self.stature, self.depth_s, *self.doubt.numbers(),
        ]  # fmt: skip

    @property
    def by_depth(self) -> bool:
        """Whether a depth image has ever told how far away the person is."""
        return self.depth_s > 0

    def smooth_stature(self, measured: float, dt: float) -> float:
        """Low-pass the stature, m, so that the scale does not flicker."""
        if isfinite(measured):
            gain = 1.0 - exp(-dt / STATURE_TIME_CONSTANT_S) if self.stature > 0 else 1.0
            self.stature += gain * (measured - self.stature)
        return self.stature


def _persons(
    root: NDArray, covariance: NDArray, mean: NDArray, seen: Observed, axis: NDArray, bones: NDArray,
    height: NDArray, rows: Rows, measured: Sequence[float], spread: Sequence[float],
) -> list[Person]:  # fmt: skip
    """What one frame shows of each person, in plain numbers: arrays become lists in one go."""
    columns = (
        map(tuple, root.tolist()), covariance.tolist(), mean[:, FEET].tolist(),
        (mean[:, THORAX] - mean[:, HIP]).tolist(), seen.rays[:, FEET].tolist(), seen.score[:, FEET].tolist(),
        axis.tolist(), bones.tolist(), height.tolist(), rows.dt_s.tolist(), rows.age_s.tolist(), measured,
        spread,
    )  # fmt: skip
    return [Person(*row) for row in zip(*columns, strict=True)]


def _uprights(mean: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(P, 3) from between the ankles to the thorax, and (P,) the bones between, m."""
    axis = mean[:, THORAX] - 0.5 * (mean[:, FEET[0]] + mean[:, FEET[1]])
    bones = mean[:, _BELOW] - mean[:, _ABOVE]
    return axis, np.sqrt(np.einsum("pbi,pbi->pb", bones, bones)) @ _SHARE


def _lowness(person: Person, up: NDArray | None) -> list[float]:
    """Of each foot below the root, m: against gravity where it is known, else along the trunk."""
    axis = person.trunk if up is None else up.tolist()
    length = max(sqrt(sum([a * a for a in axis])), 1e-6)
    return [-sum([a * b for a, b in zip(axis, foot, strict=True)]) / length for foot in person.feet]


def _speed(velocity: Vector) -> float:
    """What counts of a velocity: depths of feet are less certain."""
    return hypot(velocity[0], velocity[1], ALONG_RAY * velocity[2])


def _plus(a: Sequence[float], b: Sequence[float]) -> Vector:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _less(a: Sequence[float], b: Sequence[float]) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _scaled(a: Sequence[float], factor: float) -> Vector:
    return factor * a[0], factor * a[1], factor * a[2]
