"""Orientations of a skeleton's joints, from the positions of joints alone, over time.

Positions tell where a segment points (its swing). How it turns about itself (its twist) they tell only
of a bent limb: knee and elbow are hinges, and the plane of the bend holds the axis. A straight limb
keeps the twist that it had in the frame of its trunk, with growing doubt, and drifts back to the one
without any turn of its own (minimal twist).

Letters for shapes: 17 joints in the order of H36M-17; axes of the positions that come in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffpose_ros.core import H36M17, InputError
from diffpose_ros.kinematics.conventions import (
    ATTACHED,
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
    X,
    Y,
    Z,
)  # fmt: skip

Array = NDArray[np.float64]

LEAST_LENGTH_M = 0.01
"""Segments shorter than this point nowhere."""
UNKNOWN_TWIST = np.deg2rad(45.0)
"""Standard deviation of a limb's twist of which nothing is known."""
TWIST_RATE = np.deg2rad(90.0)
"""How fast the doubt about an unseen twist grows: standard deviation after one second."""
RETURN_S = 3.0
"""Time constant with which an unseen twist goes back to the minimal one."""
HINGE_NOISE = np.deg2rad(4.0)
"""Knees and elbows are no perfect hinges."""
DEFAULT_NOISE_M = 0.02
"""Standard deviation of a joint's coordinate where no covariance is given."""
TOGETHER = 0.5
"""Share of two neighbouring joints' variance that moves both alike and so turns nothing."""
LONGEST_GAP_S = 1.0


@dataclass(frozen=True)
class JointRotations:
    """Orientations of one person's joints.

    Attributes:
        matrix: (17, 3, 3) columns are the axes X, Y, Z of each joint's frame; NaN where a joint that
            tells it is unknown.
        covariance: (17, 3, 3) rad^2 of a small rotation vector that turns the frame, in the axes of
            the positions.
    """

    matrix: Array
    covariance: Array

    def quaternions(self) -> Array:
        """(17, 4) x, y, z, w, the last at least 0; NaN where not known."""
        m = self.matrix
        trace = np.trace(m, axis1=1, axis2=2)
        diagonal = np.diagonal(m, axis1=1, axis2=2)
        # Four times the square of each component; the largest is divided by.
        four = np.concatenate([1 + 2 * diagonal - trace[:, None], (1 + trace)[:, None]], axis=1)
        out = np.full((len(m), 4), np.nan)
        for j in np.flatnonzero(np.isfinite(trace)):
            a = m[j]
            products = np.array(
                [
                    [four[j, 0], a[0, 1] + a[1, 0], a[0, 2] + a[2, 0], a[2, 1] - a[1, 2]],
                    [a[0, 1] + a[1, 0], four[j, 1], a[1, 2] + a[2, 1], a[0, 2] - a[2, 0]],
                    [a[0, 2] + a[2, 0], a[1, 2] + a[2, 1], four[j, 2], a[1, 0] - a[0, 1]],
                    [a[2, 1] - a[1, 2], a[0, 2] - a[2, 0], a[1, 0] - a[0, 1], four[j, 3]],
                ]
            )
            q = products[four[j].argmax()]
            q = q / np.linalg.norm(q)
            out[j] = q if q[3] >= 0 else -q
        return out


class RotationTracker:
    """Turns the skeletons of one person into joint orientations that are continuous in time."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the twists."""
        self._y = np.full((4, 3), np.nan)
        self._z = np.full((4, 3), np.nan)
        self._variance = np.full(4, UNKNOWN_TWIST**2)

    def update(
        self, positions: ArrayLike, covariance: ArrayLike | None = None, *, dt: float = 0.0
    ) -> JointRotations:
        """Take in one frame.

        Args:
            positions: (17, 3) m; NaN where a joint is unknown.
            covariance: (17, 3, 3) m^2 of each.
            dt: seconds since the last frame; more than a second forgets it.

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
        matrix, doubt = np.full((17, 3, 3), np.nan), np.full((17, 3, 3), np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            _trunk(xyz, noise, matrix, doubt)
            self._limbs(xyz, noise, dt, matrix, doubt)
        doubt[~np.isfinite(matrix).all(axis=(1, 2))] = np.nan
        return JointRotations(matrix, doubt)

    def _limbs(self, xyz: Array, noise: Array, dt: float, matrix: Array, doubt: Array) -> None:
        upper, lower = _segment(xyz, TOP, MIDDLE), _segment(xyz, MIDDLE, END)
        base = matrix[ATTACHED]
        u, v = _unit(upper), _unit(lower)
        y = _times(base.swapaxes(1, 2), -u)
        least = _transport(np.broadcast_to(np.eye(3)[Y], y.shape), y, np.broadcast_to(np.eye(3)[Z], y.shape))
        new = ~np.isfinite(self._z).all(axis=1)
        kept = _transport(self._y, y, self._z)
        new |= ~np.isfinite(kept).all(axis=1)
        z = np.where(new[:, None], least, kept)
        variance = np.where(new, UNKNOWN_TWIST**2, self._variance + TWIST_RATE**2 * dt)
        # Back to the minimal twist, least where that is undefined: a limb against the trunk's Y.
        defined, unseen = 0.5 * (1 + y[:, Y]), np.minimum(variance / UNKNOWN_TWIST**2, 1.0)
        back = (1 - np.exp(-dt / RETURN_S)) * defined * unseen
        angle = _angle(z, least, y)
        z = _turn(z, y, np.where(np.isfinite(angle), back * angle, 0.0))
        variance = np.minimum(variance, UNKNOWN_TWIST**2)

        hinge = BENDS[:, None] * cross(u, v)
        bend = _length(hinge)
        axis = hinge / bend[:, None]  # NaN of a limb that is exactly straight: it shows no axis
        # An end that lies wrong along the axis tilts the plane of the bend about the upper segment.
        off = (1 - TOGETHER) * np.einsum("li,lij,lj->l", axis, noise[TOP] + noise[END], axis)
        length = _length(lower)
        hinge_variance = HINGE_NOISE**2 + off / (bend * length) ** 2
        seen = _angle(z, _times(base.swapaxes(1, 2), axis), y)
        gain = variance / (variance + hinge_variance)
        gain = np.where(np.isfinite(seen), gain, 0.0)
        z = _turn(z, y, gain * np.where(np.isfinite(seen), seen, 0.0))
        variance = (1 - gain) * variance

        known = np.asarray(np.isfinite(z).all(axis=1))
        self._y, self._z = np.where(known[:, None], y, self._y), np.where(known[:, None], z, self._z)
        self._variance = np.where(known, variance, self._variance + TWIST_RATE**2 * dt)
        z_out = _times(base, z)
        for segment, joints, direction, between in (
            (upper, (TOP,), u, noise[TOP] + noise[MIDDLE]),
            (lower, (MIDDLE, END), v, noise[MIDDLE] + noise[END]),
        ):
            side = _unit(z_out - _dot(z_out, direction)[:, None] * direction)
            frame = np.stack([cross(-direction, side), -direction, side], axis=2)
            swing = _swing(direction, between, _length(segment))
            swing = swing + variance[:, None, None] * direction[:, :, None] * direction[:, None, :]
            for where in joints:
                matrix[where], doubt[where] = frame, swing


def _trunk(xyz: Array, noise: Array, matrix: Array, doubt: Array) -> None:
    """Frames of pelvis, spine, thorax and head."""
    across_hips, across_shoulders = (LEFT_HIP, RIGHT_HIP), (LEFT_SHOULDER, RIGHT_SHOULDER)
    for joint, first, main, second, rough in (
        (PELVIS, Z, across_hips, Y, (PELVIS, SPINE)),
        (SPINE, Y, (SPINE, THORAX), Z, across_shoulders),
        (THORAX, Z, across_shoulders, Y, (SPINE, THORAX)),
    ):
        _frame(joint, first, main, second, xyz[rough[1]] - xyz[rough[0]], rough, xyz, noise, matrix, doubt)
    # The nose lies in front of the line from thorax to crown.
    forward = xyz[HEAD] - 0.5 * (xyz[THORAX] + xyz[CROWN])
    _frame(HEAD, Y, (THORAX, CROWN), X, forward, (THORAX, HEAD), xyz, noise, matrix, doubt)
    matrix[CROWN], doubt[CROWN] = matrix[HEAD], doubt[HEAD]


def _frame(
    joint: int, first: int, main: tuple[int, int], second: int, rough: Array, rough_joints: tuple[int, int],
    xyz: Array, noise: Array, matrix: Array, doubt: Array,
) -> None:  # fmt: skip
    """One frame: axis ``first`` along the segment ``main``, axis ``second`` towards ``rough``."""
    along = _segment(xyz, np.array([main[0]]), np.array([main[1]]))
    d = _unit(along)
    rest = rough - (d[0] @ rough) * d[0]
    lever = np.linalg.norm(rest)
    axes = np.empty((3, 3))
    axes[first] = d[0]
    axes[second] = rest / lever if lever > LEAST_LENGTH_M else np.nan
    third = 3 - first - second
    axes[third] = cross(axes[(third + 1) % 3], axes[(third + 2) % 3])
    matrix[joint] = axes.T
    turned = axes[third]
    twist = (1 - TOGETHER) * turned @ (noise[rough_joints[0]] + noise[rough_joints[1]]) @ turned / lever**2
    swing = _swing(d, (noise[main[0]] + noise[main[1]])[None], _length(along))[0]
    doubt[joint] = swing + twist * np.outer(d[0], d[0])


def _segment(xyz: Array, start: NDArray, end: NDArray) -> Array:
    """(L, 3) from joint to joint, NaN where too short to point anywhere."""
    out = xyz[end] - xyz[start]
    return np.where((_length(out) > LEAST_LENGTH_M)[:, None], out, np.nan)


def _swing(direction: Array, noise: Array, length: Array) -> Array:
    """(L, 3, 3) covariance of the rotation that the noise of both ends makes, without twist."""
    cross = np.zeros((len(direction), 3, 3))
    x, y, z = direction.T
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -z, y, -x
    cross -= cross.swapaxes(1, 2)
    scale = ((1 - TOGETHER) / length**2)[:, None, None]
    return np.asarray(scale * (cross @ noise @ cross.swapaxes(1, 2)))


def _transport(start: Array, end: Array, carried: Array) -> Array:
    """(L, 3) the shortest rotation from unit vectors ``start`` to ``end``, applied to ``carried``, which is
    perpendicular to ``start``; NaN where they are opposite."""
    both = start + end
    share = _dot(end, carried) / (1 + _dot(start, end))
    out = carried - share[:, None] * both
    out = _unit(out - _dot(out, end)[:, None] * end)
    return np.where((_dot(start, end) > -0.999)[:, None], out, np.nan)


def _angle(start: Array, end: Array, axis: Array) -> Array:
    """(L,) from ``start`` to ``end`` about ``axis``, rad."""
    return np.arctan2(_dot(cross(start, end), axis), _dot(start, end))


def _turn(vector: Array, axis: Array, angle: Array) -> Array:
    """(L, 3) vectors perpendicular to their axes, turned about them."""
    return np.cos(angle)[:, None] * vector + np.sin(angle)[:, None] * cross(axis, vector)


def _length(vector: Array) -> Array:
    return np.sqrt(_dot(vector, vector))


def cross(a: Array, b: Array) -> Array:
    """(..., 3); numpy's own takes ten times as long for so few rows."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def _unit(vector: Array) -> Array:
    return np.asarray(vector / _length(vector)[:, None])


def _dot(a: Array, b: Array) -> Array:
    return np.einsum("li,li->l", a, b)


def _times(matrix: Array, vector: Array) -> Array:
    return np.asarray((matrix @ vector[:, :, None])[:, :, 0])
