"""Orientations of a skeleton's joints over time, from joint positions alone.

Positions show where a segment points (its swing). They show its rotation about its own axis (its twist)
only for a bent limb: knee and elbow are hinges, and the hinge axis is normal to the plane of the bend. A
straight limb keeps its last twist relative to the trunk, with growing uncertainty, and drifts back to the
minimal twist.

All people of a frame are computed together: a numpy call costs the same for one person as for ten.
Letters for shapes: P people, S segments, L the four limbs; 17 joints in the order of H36M-17; axes
are those of the input positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffpose_ros.core import H36M17, InputError
from diffpose_ros.core.rotations import quaternions
from diffpose_ros.kinematics.conventions import (
    BENDS,
    CROWN,
    END,
    HEAD,
    LEFT_HIP,
    LEFT_SHOULDER,
    MIDDLE,
    PELVIS,
    RIGHT_HIP,
    RIGHT_SHOULDER,
    SPINE,
    THORAX,
    TOP,
    Y,
    Z,
)  # fmt: skip

Array = NDArray[np.float64]

LEAST_LENGTH_M = 0.01
"""Shorter segments have no direction."""
UNKNOWN_TWIST = np.deg2rad(45.0)
"""Standard deviation of an unknown twist."""
TWIST_RATE = np.deg2rad(90.0)
"""Growth of the uncertainty of an unobserved twist: standard deviation after one second."""
RETURN_S = 3.0
"""Time constant with which an unobserved twist returns to the minimal one."""
HINGE_NOISE = np.deg2rad(4.0)
"""Standard deviation of the hinge axis: knees and elbows are no perfect hinges."""
DEFAULT_NOISE_M = 0.02
"""Standard deviation of a joint's coordinate if no covariance is given."""
TOGETHER = 0.5
"""Correlation of two neighbouring joints' errors: a common shift rotates nothing."""
OPPOSITE = -1.0
"""Correlation of the hips' errors: errors are relative to the root, their midpoint."""
LONGEST_GAP_S = 1.0


@dataclass(frozen=True)
class JointRotations:
    """Orientations of one person's joints.

    Attributes:
        matrix: (17, 3, 3) rotation of each joint's frame; its columns are the axes X, Y, Z; NaN if a
            joint it depends on is unknown.
        covariance: (17, 3, 3) covariance of a small rotation vector of the frame, in the axes of the
            positions, rad^2.
    """

    matrix: Array
    covariance: Array

    def quaternions(self) -> Array:
        """(17, 4) x, y, z, w with w at least 0; NaN if unknown."""
        return quaternions(self.matrix)


@dataclass(frozen=True)
class Twists:
    """Memory of the twists of the limbs of P people.

    Attributes:
        y: (P, L, 3) Y axis of each upper segment in the frame of its parent; NaN: never seen.
        z: (P, L, 3) its Z axis in the same frame.
        variance: (P, L) variance of the twist, rad^2.
    """

    y: Array
    z: Array
    variance: Array

    @classmethod
    def unknown(cls, people: int) -> Twists:
        """For people who are seen for the first time."""
        nothing = np.full((people, 4, 3), np.nan)
        return cls(nothing, nothing, np.full((people, 4), UNKNOWN_TWIST**2))


class RotationTracker:
    """Turns the skeletons of one person, frame by frame, into joint orientations."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the twists."""
        self._twists = Twists.unknown(1)

    def update(
        self, positions: ArrayLike, covariance: ArrayLike | None = None, *, dt: float = 0.0
    ) -> JointRotations:
        """Process one frame.

        Args:
            positions: (17, 3) joints, m; NaN if unknown.
            covariance: (17, 3, 3) covariance of each joint, m^2.
            dt: time since the last frame, s; more than a second resets the twists.

        Raises:
            InputError: a shape is wrong or ``dt`` is negative.
        """
        xyz = np.asarray(positions, dtype=np.float64)
        if xyz.shape != (len(H36M17), 3):
            raise InputError(f"joint rotations: expected positions (17, 3), got {xyz.shape}")
        noise = np.tile(DEFAULT_NOISE_M**2 * np.eye(3), (len(H36M17), 1, 1))
        if covariance is not None:
            noise = np.asarray(covariance, dtype=np.float64)
        if noise.shape != (len(H36M17), 3, 3):
            raise InputError(f"joint rotations: expected covariances (17, 3, 3), got {noise.shape}")
        if not dt >= 0:
            raise InputError(f"joint rotations: expected a time step of at least 0 s, got {dt:g}")
        if dt > LONGEST_GAP_S:
            self.reset()
        matrix, doubt, self._twists = orientations(xyz[None], noise[None], self._twists, np.array([dt]))
        return JointRotations(matrix[0], doubt[0])


FIRST = np.array([LEFT_HIP, SPINE, LEFT_SHOULDER, THORAX, *TOP, *MIDDLE])
LAST = np.array([RIGHT_HIP, THORAX, RIGHT_SHOULDER, CROWN, *MIDDLE, *END])
"""(S,) segments: an axis of pelvis, spine, thorax and head; the upper and the lower ones of the limbs."""
TRUNK, UPPER, LOWER = slice(0, 4), slice(4, 8), slice(8, 12)
CORRELATION = np.array([OPPOSITE] + [TOGETHER] * 11)
ROUGH_FIRST = np.array([PELVIS, LEFT_SHOULDER, SPINE, THORAX])
ROUGH_LAST = np.array([SPINE, RIGHT_SHOULDER, THORAX, HEAD])
"""What tells the second axis of each frame of the trunk, as near as can be."""
TRUNK_JOINTS = np.array([PELVIS, SPINE, THORAX, HEAD])
THIRD = np.array([-1.0, 1.0, -1.0, -1.0])[:, None]
"""Sign of the cross product of the first and the second axis."""
ORDER = np.array([[2, 1, 0], [2, 0, 1], [2, 1, 0], [1, 0, 2]])
"""(4, 3) which of the first, second and third axis is X, Y, Z."""
BASES = np.array([0, 0, 2, 2])
"""The frame of the trunk in which each limb moves: those of ``ATTACHED``."""


def orientations(
    xyz: Array, noise: Array, twists: Twists, dt: Array
) -> tuple[Array, Array, Twists]:  # fmt: skip
    """Orientations of the joints of P people in one frame.

    Args:
        xyz: (P, 17, 3) m; NaN where a joint is unknown.
        noise: (P, 17, 3, 3) m^2 of each.
        twists: what was known before.
        dt: (P,) seconds since each person's last frame.

    Returns:
        (P, 17, 3, 3) frames, (P, 17, 3, 3) their covariances in rad^2, both NaN where not known, and
        what is known now.
    """
    matrix = np.empty((len(xyz), 17, 3, 3))
    doubt = np.empty((len(xyz), 17, 3, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        segment = xyz[:, LAST] - xyz[:, FIRST]
        length = _length(segment)
        length = np.where(length > LEAST_LENGTH_M, length, np.nan)
        direction = segment / length[..., None]
        size = np.sqrt(np.trace(noise, axis1=2, axis2=3))
        swing = _swing(direction, _difference(noise, size, FIRST, LAST, CORRELATION), length)
        _trunk(xyz, noise, size, direction[:, TRUNK], swing[:, TRUNK], matrix, doubt)
        after = _limbs(noise, size, direction, length, swing, dt, twists, matrix, doubt)
    unknown = ~(np.isfinite(matrix).all(axis=(2, 3)) & np.isfinite(doubt).all(axis=(2, 3)))
    matrix[unknown] = doubt[unknown] = np.nan
    return matrix, doubt, after


def _trunk(
    xyz: Array, noise: Array, size: Array, first: Array, swing: Array, matrix: Array, doubt: Array
) -> None:  # fmt: skip
    """Frames of pelvis, spine, thorax and head: one axis exact, another as near as can be."""
    rough = xyz[:, ROUGH_LAST] - xyz[:, ROUGH_FIRST]
    # The nose lies in front of the line from thorax to crown.
    rough[:, 3] = xyz[:, HEAD] - 0.5 * (xyz[:, THORAX] + xyz[:, CROWN])
    rest = rough - _dot(rough, first)[..., None] * first
    lever = _length(rest)
    lever = np.where(lever > LEAST_LENGTH_M, lever, np.nan)
    second = rest / lever[..., None]
    third = THIRD * cross(first, second)
    axes = np.stack([first, second, third], axis=2)
    matrix[:, TRUNK_JOINTS] = axes[:, np.arange(4)[:, None], ORDER].swapaxes(2, 3)
    twist = _form(third, _difference(noise, size, ROUGH_FIRST, ROUGH_LAST)) / lever**2
    doubt[:, TRUNK_JOINTS] = swing + twist[..., None, None] * _outer(first)
    matrix[:, CROWN], doubt[:, CROWN] = matrix[:, HEAD], doubt[:, HEAD]


def _limbs(
    noise: Array, size: Array, direction: Array, length: Array, swing: Array, dt: Array, twists: Twists,
    matrix: Array, doubt: Array,
) -> Twists:  # fmt: skip
    """Frames of arms and legs; what is known of their twists now."""
    base = matrix[:, TRUNK_JOINTS[BASES]]
    u, v = direction[:, UPPER], direction[:, LOWER]
    into = base.swapaxes(2, 3)
    y = _times(into, -u)
    least = _transport(UP, y, RIGHT)
    kept = _transport(twists.y, y, twists.z)
    new = np.asarray(~np.isfinite(kept).all(axis=2))
    grown = twists.variance + (TWIST_RATE**2 * dt)[:, None]
    z = np.where(new[..., None], least, kept)
    variance = np.minimum(np.where(new, UNKNOWN_TWIST**2, grown), UNKNOWN_TWIST**2)
    # Back to the minimal twist, least where that is undefined: a limb against the trunk's Y.
    back = (1 - np.exp(-dt / RETURN_S))[:, None] * (0.5 * (1 + y[..., Y])) * (variance / UNKNOWN_TWIST**2)
    z = _turn(z, y, np.nan_to_num(back * _angle(z, least, y)))

    hinge = BENDS[:, None] * cross(u, v)
    bend = _length(hinge)
    axis = hinge / bend[..., None]  # NaN of a limb that is exactly straight: it shows no axis
    # An end that lies wrong along the axis tilts the plane of the bend about the upper segment.
    off = _form(axis, _difference(noise, size, TOP, END))
    hinge_variance = HINGE_NOISE**2 + off / (bend * length[:, LOWER]) ** 2
    seen = _angle(z, _times(into, axis), y)
    gain = np.where(np.isfinite(seen), variance / (variance + hinge_variance), 0.0)
    z = _turn(z, y, gain * np.nan_to_num(seen))
    variance = (1 - gain) * variance

    z_out = _times(base, z)[:, None]
    both = np.stack([u, v], axis=1)
    side = z_out - _dot(z_out, both)[..., None] * both
    side = side / _length(side)[..., None]
    frames = np.stack([cross(-both, side), -both, side], axis=4)
    spread = variance[:, None, :, None, None] * _outer(both)
    spread += np.stack([swing[:, UPPER], swing[:, LOWER]], axis=1)
    for k, joints in ((0, TOP), (1, MIDDLE), (1, END)):
        matrix[:, joints], doubt[:, joints] = frames[:, k], spread[:, k]
    known = np.asarray(np.isfinite(z).all(axis=2))
    return Twists(
        np.where(known[..., None], y, twists.y),
        np.where(known[..., None], z, twists.z),
        np.where(known, variance, grown),
    )


UP, RIGHT = np.eye(3)[Y], np.eye(3)[Z]
SKEW = np.array(
    [[0, 0, 0, 0, 0, -1.0, 0, 1, 0], [0, 0, 1.0, 0, 0, 0, -1, 0, 0], [0, -1.0, 0, 1, 0, 0, 0, 0, 0]]
)
"""(3, 9) a vector times this is the matrix of its cross product."""


def cross(a: Array, b: Array) -> Array:
    """(..., 3); numpy's own takes many times as long for so few rows."""
    return _times((a @ SKEW).reshape(*a.shape, 3), b)


def _difference(
    noise: Array, size: Array, first: NDArray, last: NDArray, correlation: float | Array = TOGETHER
) -> Array:  # fmt: skip
    """(P, S, 3, 3) covariance of the difference of two joints, whose errors are correlated.

    The correlated part is taken to have the shape of the sum; it vanishes where one of them has no error.
    """
    a, b = size[:, first], size[:, last]
    shared = correlation * (2 * a * b / np.maximum(a * a + b * b, 1e-30))
    return np.asarray((1 - shared)[..., None, None] * (noise[:, first] + noise[:, last]))


def _swing(direction: Array, noise: Array, length: Array) -> Array:
    """(P, S, 3, 3) covariance of the rotation that the noise of both ends makes, without twist."""
    skew = (direction @ SKEW).reshape(*direction.shape, 3)
    return np.asarray((skew @ noise @ skew.swapaxes(-1, -2)) / (length**2)[..., None, None])


def _transport(start: Array, end: Array, carried: Array) -> Array:
    """(P, L, 3) the shortest rotation from unit vectors ``start`` to ``end``, applied to ``carried``, which
    is perpendicular to ``start``; NaN where they are opposite."""
    cosine = _dot(start, end)
    share = _dot(end, carried) / (1 + cosine)
    out = carried - share[..., None] * (start + end)
    out = out - _dot(out, end)[..., None] * end
    size = np.where(cosine > -0.999, _length(out), np.nan)
    return np.asarray(out / size[..., None])


def _angle(start: Array, end: Array, axis: Array) -> Array:
    """(P, L) from ``start`` to ``end`` about ``axis``, rad."""
    return np.asarray(np.arctan2(_dot(cross(start, end), axis), _dot(start, end)))


def _turn(vector: Array, axis: Array, angle: Array) -> Array:
    """(P, L, 3) vectors perpendicular to their axes, turned about them."""
    return np.asarray(np.cos(angle)[..., None] * vector + np.sin(angle)[..., None] * cross(axis, vector))


def _length(vector: Array) -> Array:
    return np.sqrt(_dot(vector, vector))


def _dot(a: Array, b: Array) -> Array:
    return np.asarray(np.einsum("...i,...i->...", a, b))


def _form(vector: Array, matrix: Array) -> Array:
    """(...) of v' M v."""
    return _dot(vector, _times(matrix, vector))


def _outer(vector: Array) -> Array:
    return np.asarray(vector[..., :, None] * vector[..., None, :])


def _times(matrix: Array, vector: Array) -> Array:
    return np.asarray((matrix @ vector[..., None])[..., 0])
