"""A skeleton as a vector that can be compared: what the body does, whoever does it and wherever they face.

The vector of a pose is its 17 joints in the body's own axes (x forward, y left, z from the hips to the
thorax), relative to the mid-hip, on a body of average size. Place, heading and size are gone; distances
are metres on that body.

The body's own axes cannot tell lying from standing, and the trunk's exact lean is what a lifter knows
least. So the lean is kept in three steps: a trunk within 60 degrees of upright is upright, within 30
degrees of hanging upside down is that, and lies otherwise, with the side that faces up kept as it is.
Which way is up is gravity where it is known, else the image's (a camera that is level within 30 degrees).
A person near the border of two steps has two vectors (:func:`variants`), of which the nearer counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffpose_ros.core import H36M17, InputError

Array = NDArray[np.float64]

JOINTS = len(H36M17)
SIZE = 3 * JOINTS
IMAGE_UP = np.array([0.0, -1.0, 0.0])
"""Up in the optical frame of a level camera."""
BODY_M = 4.0
"""The bones' summed length of an average adult, metres."""
LYING_DEG = 60.0
HANGING_DEG = 150.0
BORDER_DEG = 12.0
"""A lean is known no better than this."""
LEAST_LENGTH_M = 0.02

_HIP, _THORAX = H36M17.index("hip"), H36M17.index("thorax")
_LEFT = [H36M17.index("left_hip"), H36M17.index("left_shoulder")]
_RIGHT = [H36M17.index("right_hip"), H36M17.index("right_shoulder")]
_FROM = np.array([a for a, _ in H36M17.bones])
_TO = np.array([b for _, b in H36M17.bones])

UPRIGHT, LYING, HANGING = range(3)


def pose_vectors(xyz: ArrayLike, up: ArrayLike | None = None) -> Array:
    """Vectors of poses.

    Args:
        xyz: (..., 17, 3) joints of H36M-17, metres, any frame.
        up: (3,) or (..., 3) unit vector against gravity in that frame; ``None`` where it is unknown: then
            the frame is an optical one (y down) of a camera that is about level.

    Returns:
        (..., 17, 3) metres on a body of average size.

    Raises:
        InputError: a shape is wrong, a number is not finite, or a trunk has no axes (hips and thorax, or
            left and right, in one place).
    """
    own, lean, facing = _own(xyz, up)
    return _placed(own, facing, step_of(lean))


def variants(xyz: ArrayLike, up: ArrayLike | None = None) -> Array:
    """The vectors of one pose: (1, 17, 3), or (2, 17, 3) when its lean is near the border of two steps.

    Args:
        xyz: (17, 3) metres.
        up: as in :func:`pose_vectors`.

    Raises:
        InputError: as there.
    """
    own, lean, facing = _own(np.asarray(xyz, dtype=np.float64)[None], up)
    steps = dict.fromkeys(int(step_of(lean + off)[0]) for off in (0.0, -BORDER_DEG, BORDER_DEG))
    return np.concatenate([_placed(own, facing, np.array([step])) for step in steps])


def upright(vectors: Array) -> Array:
    """(..., 17, 3) vectors of the same poses of somebody who stands upright: their lean is taken out."""
    return np.asarray(np.einsum("...ij,...nj->...ni", body_axes(vectors), vectors))


def leans(xyz: ArrayLike, up: ArrayLike | None = None) -> Array:
    """(...) degrees between each trunk and up."""
    return _own(xyz, up)[1]


def step_of(lean: Array) -> NDArray[np.int64]:
    """The step of each lean in degrees: ``UPRIGHT``, ``LYING`` or ``HANGING``."""
    return np.digitize(lean, [LYING_DEG, HANGING_DEG])


def distance(a: Array, b: Array) -> Array:
    """Root-mean-square distance of the joints, metres, over the last two axes of (..., C, 3).

    Squares, so that one arm that is elsewhere is not outvoted by all that is alike.
    """
    apart = np.asarray(a) - b
    return np.asarray(np.sqrt(np.einsum("...ij,...ij->...", apart, apart) / apart.shape[-2]))


def checked_poses(xyz: ArrayLike) -> Array:
    """Poses as (..., 17, 3).

    Raises:
        InputError: the shape is wrong, or a number is not finite.
    """
    pose = np.asarray(xyz, dtype=np.float64)
    if pose.ndim < 2 or pose.shape[-2:] != (JOINTS, 3):
        raise InputError(f"pose: expected (..., {JOINTS}, 3) joints of {H36M17.name}, got {pose.shape}")
    if not np.isfinite(pose).all():
        raise InputError("pose: expected finite numbers, got NaN or infinity")
    return pose


def _own(xyz: ArrayLike, up: ArrayLike | None) -> tuple[Array, Array, Array]:
    """Joints in the body's own axes, the trunk's lean in degrees, and up in those axes."""
    pose = checked_poses(xyz)
    towards = np.asarray(IMAGE_UP if up is None else up, dtype=np.float64)
    if towards.shape[-1:] != (3,) or not np.isfinite(towards).all():
        raise InputError(f"up: expected 3 finite numbers, got {np.asarray(up).tolist()}")
    pose = pose - pose[..., [_HIP], :]
    length = np.linalg.norm(pose[..., _TO, :] - pose[..., _FROM, :], axis=-1).sum(axis=-1)
    axes = body_axes(pose)
    own = np.einsum("...ij,...nj->...ni", axes, pose) * (BODY_M / length)[..., None, None]
    facing = np.einsum("...ij,...j->...i", axes, np.broadcast_to(towards, (*axes.shape[:-2], 3)))
    facing = facing / np.maximum(np.linalg.norm(facing, axis=-1, keepdims=True), 1e-9)
    return own, np.degrees(np.arccos(np.clip(facing[..., 2], -1.0, 1.0))), facing


def body_axes(pose: Array) -> Array:
    """(..., 3, 3) whose rows are the body's axes: forward, left, up along the trunk.

    Raises:
        InputError: the joints span none.
    """
    trunk = pose[..., _THORAX, :] - pose[..., _HIP, :]
    left = (pose[..., _LEFT, :] - pose[..., _RIGHT, :]).sum(axis=-2)
    z = _unit(trunk, "hips and thorax")
    y = _unit(left - (left * z).sum(axis=-1, keepdims=True) * z, "the left and the right side")
    return np.stack([np.cross(y, z), y, z], axis=-2)


def _unit(vector: Array, what: str) -> Array:
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    if (length < LEAST_LENGTH_M).any():
        raise InputError(f"pose: expected {what} apart, got {float(length.min()):.3f} m")
    return np.asarray(vector / length)


def _placed(own: Array, facing: Array, step: NDArray[np.int64]) -> Array:
    """Poses turned so that what faces up of them points along z, in steps."""
    flat = facing[..., :2]
    size = np.linalg.norm(flat, axis=-1, keepdims=True)
    flat = np.where(size > 1e-6, flat / np.maximum(size, 1e-6), np.array([1.0, 0.0]))
    a, b = flat[..., 0], flat[..., 1]
    zero = np.zeros_like(a)
    # The shortest turn of (a, b, 0) to z: a quarter about (b, -a, 0).
    lying = np.stack(
        [np.stack([b * b, -a * b, -a], -1), np.stack([-a * b, a * a, -b], -1), np.stack([a, b, zero], -1)],
        axis=-2,
    )
    turn = np.where((step == LYING)[..., None, None], lying, np.eye(3))
    turn = np.where((step == HANGING)[..., None, None], np.diag([-1.0, 1.0, -1.0]), turn)
    return np.asarray(np.einsum("...ij,...nj->...ni", turn, own))
