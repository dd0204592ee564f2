"""Eyes and ears for skeletons that have a nose and a top of the head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import COCO17, H36M17

# Face points relative to the nose, metres, as (left, up, forward) in the head's own frame: the
# mean over the iClone clips of the motion capture archive, whose skeleton has eyes and ears.
_FACE_OFFSETS = {
    "left_eye": (0.032, 0.035, -0.015),
    "right_eye": (-0.032, 0.035, -0.015),
    "left_ear": (0.075, 0.010, -0.110),
    "right_ear": (-0.075, 0.010, -0.110),
}
_HEAD_LENGTH = 0.27
"""Thorax to top of head of the body those offsets belong to, metres."""

_BODY = tuple((COCO17.index(n), H36M17.index(n)) for n in COCO17.joints if n in H36M17.joints)


def coco_from_h36m(h36m17: NDArray[np.floating]) -> NDArray[np.float32]:
    """Name the body as COCO does, and put eyes and ears on the head.

    The head's up axis runs from thorax to top of head; forward is where the nose lies off that
    axis, or, for a nose on the axis, where the shoulders face. Eyes and ears lie at fixed offsets
    from the nose in that frame, scaled with the head's length.

    Args:
        h36m17: (..., 17, 3), metres, any right-handed frame.

    Returns:
        (..., 17, 3) float32 in the same frame.
    """
    body = np.asarray(h36m17, dtype=np.float64)
    thorax, nose, top = (body[..., H36M17.index(n), :] for n in ("thorax", "nose", "head_top"))
    shoulders = body[..., H36M17.index("left_shoulder"), :] - body[..., H36M17.index("right_shoulder"), :]
    length = np.linalg.norm(top - thorax, axis=-1, keepdims=True)
    up = _unit(top - thorax, np.array([0.0, 1.0, 0.0]))
    ahead = _off_axis(nose - thorax, up)
    faced = _off_axis(np.cross(shoulders, up), up)
    clear = np.linalg.norm(ahead, axis=-1, keepdims=True) > 0.1 * length
    forward = _unit(np.where(clear, ahead, faced), np.array([0.0, 0.0, 1.0]))
    left = np.cross(up, forward)
    size = np.clip(length / _HEAD_LENGTH, 0.5, 1.5)
    out = np.empty((*body.shape[:-2], 17, 3))
    for coco, h36m in _BODY:
        out[..., coco, :] = body[..., h36m, :]
    for name, (x, y, z) in _FACE_OFFSETS.items():
        out[..., COCO17.index(name), :] = nose + size * (x * left + y * up + z * forward)
    return out.astype(np.float32)


def _off_axis(vector: NDArray, axis: NDArray) -> NDArray:
    return vector - (vector * axis).sum(-1, keepdims=True) * axis


def _unit(vector: NDArray, otherwise: NDArray) -> NDArray:
    norm = np.linalg.norm(vector, axis=-1, keepdims=True)
    return np.where(norm > 1e-6, vector / np.maximum(norm, 1e-6), otherwise)
