"""Poses in the body's own axes: who sees them, from where and how large, no longer shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17
from diffpose_ros.geometry.bones import bone_lengths
from diffpose_ros.geometry.normalise import rotation_to_axis, upright

HIP, THORAX = H36M17.index("hip"), H36M17.index("thorax")
LEFT = tuple(H36M17.index(n) for n in ("left_hip", "left_shoulder"))
RIGHT = tuple(H36M17.index(n) for n in ("right_hip", "right_shoulder"))

MEAN_SIZE_M = 4.0
"""About the sum of an adult's 16 bones, m: what a pose of size 1 is to be multiplied by."""

Array = NDArray[np.float64]


def body_axes(pose: NDArray[np.floating]) -> Array:
    """The body's axes, as columns: x forward, y left, z up the trunk.

    z runs from the mid-hip to the thorax; y from the right hip and shoulder to the left ones, made
    square to z. REP-155's body frame takes the hips alone; with the shoulders the frame of a lifted pose
    is a little steadier.

    Args:
        pose: (..., 17, 3) in any unit.

    Returns:
        (..., 3, 3). NaN where the joints span no frame.
    """
    pose = np.asarray(pose, dtype=np.float64)
    up = pose[..., THORAX, :] - pose[..., HIP, :]
    left = sum(pose[..., a, :] - pose[..., b, :] for a, b in zip(LEFT, RIGHT, strict=True))
    z = _unit(up)
    y = _unit(left - (left * z).sum(-1, keepdims=True) * z)
    return np.stack([np.cross(y, z), y, z], axis=-1)


def as_seen(
    skeleton: NDArray[np.floating], up: NDArray[np.floating] | None = None
) -> Array:
    """Skeletons relative to the hip, in the lifter's virtual camera, which points at the hip.

    Args:
        skeleton: (..., 17, 3) absolute, camera optical frame, the hip in front of the camera.
        up: (..., 3) or (3,) unit vectors against gravity, camera optical frame, to level the virtual
            camera; ``None`` if unknown.
    """
    skeleton = np.asarray(skeleton, dtype=np.float64)
    hip = skeleton[..., 0, :]
    turn = rotation_to_axis(hip[..., :2] / np.maximum(hip[..., 2:], 1e-6))
    if up is not None:
        turn = upright(turn, np.broadcast_to(up, hip.shape))
    seen: Array = (skeleton - hip[..., None, :]) @ turn.swapaxes(-1, -2)
    return seen


def unit_pose(pose: NDArray[np.floating]) -> Array:
    """Poses (..., 17, 3) relative to the hip, the sum of the 16 bones 1, axes as they were.

    NaN where there is no body, only a point.
    """
    pose = np.asarray(pose, dtype=np.float64)
    size = bone_lengths(pose).sum(-1)[..., None, None]
    return (pose - pose[..., :1, :]) / np.where(size > 1e-9, size, np.nan)


def body_pose(pose: NDArray[np.floating]) -> Array:
    """Poses (..., 17, 3) relative to the hip, the sum of the 16 bones 1, in the body's axes.

    The same moment seen by any camera gives the same numbers. NaN where the joints span no frame.
    """
    unit = unit_pose(pose)
    return unit @ body_axes(unit)


def _unit(vector: Array) -> Array:
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    return vector / np.where(length > 1e-9, length, np.nan)
