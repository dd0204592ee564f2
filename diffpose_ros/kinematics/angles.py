"""Anatomical joint angles from joint orientations: flexion, abduction, lean.

All are zero for upright standing with hanging arms. Definitions follow the International Society of
Biomechanics (Wu et al. 2002 and 2005) as far as seventeen joints allow. Each is the angle of a
direction in the frame of its parent segment, so it needs no twist.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffpose_ros.core import InputError
from diffpose_ros.kinematics.conventions import (
    ATTACHED,
    LIMBS,
    MIDDLE,
    OUTWARD,
    SPINE,
    TOP,
    X,
    Y,
    Z,
)  # fmt: skip
from diffpose_ros.kinematics.rotations import Array, JointRotations, cross

ANGLES: tuple[str, ...] = (
    *(f"{side}_hip_flexion" for side in ("right", "left")),
    *(f"{side}_shoulder_flexion" for side in ("left", "right")),
    *(f"{side}_hip_abduction" for side in ("right", "left")),
    *(f"{side}_shoulder_abduction" for side in ("left", "right")),
    *(f"{limb.replace('leg', 'knee').replace('arm', 'elbow')}_flexion" for limb in LIMBS),
    "trunk_flexion", "trunk_side_bend",
)  # fmt: skip
"""Names, in order. Flexion moves a limb forward (a shank backward), abduction moves it outward.
Trunk angles are relative to gravity: forward, and towards the person's right."""


@dataclass(frozen=True)
class JointAngles:
    """Joint angles of one person.

    Attributes:
        value: (14,) angles in the order of :data:`ANGLES`, rad; NaN if unknown.
        sigma: (14,) standard deviations, rad.
    """

    value: NDArray[np.float64]
    sigma: NDArray[np.float64]

    def degrees(self) -> dict[str, float]:
        """Name -> angle in degrees."""
        return dict(zip(ANGLES, np.rad2deg(self.value).tolist(), strict=True))


def joint_angles(rotations: JointRotations, up: ArrayLike | None = None) -> JointAngles:
    """Joint angles of one person, with standard deviations.

    Args:
        rotations: orientations of the joints.
        up: (3,) direction against gravity, in the axes of the positions; without it the trunk's angles
            are NaN.

    Raises:
        InputError: ``up`` is not a direction.
    """
    m, doubt = rotations.matrix, rotations.covariance
    base, along = m[ATTACHED], -m[TOP][:, :, Y]
    with np.errstate(invalid="ignore", divide="ignore"):
        flexion, flexion_var = _flexion(base, along, doubt[ATTACHED] + doubt[TOP])
        abduction, abduction_var = _abduction(base, along, doubt[ATTACHED] + doubt[TOP], OUTWARD)
        bend, bend_var = _bend(along, -m[MIDDLE][:, :, Y], doubt[TOP] + doubt[MIDDLE])
        trunk, trunk_var = np.full(2, np.nan), np.full(2, np.nan)
        if up is not None:
            trunk, trunk_var = _lean(m[SPINE], doubt[SPINE], up)
    return JointAngles(
        np.concatenate([flexion, abduction, bend, trunk]),
        np.sqrt(np.concatenate([flexion_var, abduction_var, bend_var, trunk_var])),
    )


def _flexion(base: Array, along: Array, doubt: Array) -> tuple[Array, Array]:
    """(L,) angle of directions in the plane of X and -Y of their bases, and its variance."""
    x, y = _dot(base[:, :, X], along), _dot(base[:, :, Y], along)
    size2 = np.maximum(x * x + y * y, 1e-9)
    gradient = (-y[:, None] * base[:, :, X] + x[:, None] * base[:, :, Y]) / size2[:, None]
    return np.arctan2(x, -y), _variance(along, gradient, doubt)


def _abduction(base: Array, along: Array, doubt: Array, outward: Array) -> tuple[Array, Array]:
    """(L,) elevation of directions over the plane of X and Y, outward."""
    z = outward * _dot(base[:, :, Z], along)
    cosine = np.sqrt(np.maximum(1 - z * z, 1e-9))
    return np.arcsin(z.clip(-1, 1)), _variance(along, (outward / cosine)[:, None] * base[:, :, Z], doubt)


def _bend(upper: Array, lower: Array, doubt: Array) -> tuple[Array, Array]:
    """(L,) angle between two segments, and its variance: that of a turn about the hinge."""
    axis = cross(upper, lower)
    size = np.linalg.norm(axis, axis=1)
    axis = axis / np.maximum(size, 1e-9)[:, None]
    spread = np.einsum("li,lij,lj->l", axis, doubt, axis)
    straight = size < 1e-6
    spread = np.where(straight, np.trace(doubt, axis1=1, axis2=2) / 2, spread)
    return np.arctan2(size, _dot(upper, lower)), spread


def _lean(trunk: Array, doubt: Array, up: ArrayLike) -> tuple[Array, Array]:
    """(2,) forward and sideways lean of the trunk, and the variances."""
    vertical = np.asarray(up, dtype=np.float64)
    size = np.linalg.norm(vertical) if vertical.shape == (3,) else 0.0
    if not (np.isfinite(size) and size > 1e-9):
        raise InputError(f"joint angles: expected up as a direction (3,), got {up!r}")
    base, along = trunk[None], -vertical[None] / size
    forward, forward_var = _flexion(base, along, doubt[None])
    side, side_var = _abduction(base, along, doubt[None], np.ones(1))
    # Somebody who leans forward has the ground before the chest.
    return np.array([forward[0], side[0]]), np.array([forward_var[0], side_var[0]])


def _variance(along: Array, gradient: Array, doubt: Array) -> Array:
    """(L,) of a function of a direction, for a small rotation between it and its base."""
    lever = cross(along, gradient)
    return np.einsum("li,lij,lj->l", lever, doubt, lever)


def _dot(a: Array, b: Array) -> Array:
    return np.einsum("li,li->l", a, b)
