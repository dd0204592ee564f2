"""What a robot can say of a person itself: how fast they go, and which parts of them it sees.

Letters for shapes: P people; ``...`` any leading shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17
from diffpose_ros.methods.finepose.prompts import PARTS, SPEED, SPEEDS, Vocabulary

Array = NDArray[np.float64]

BODY_M = 0.45
"""What :class:`~diffpose_ros.geometry.normalise.ViewState` measures as the size of somebody who stands."""
TIME_CONSTANT_S = 0.4
SETTLED_S = 0.4
"""A velocity is told once a person has been seen for so long."""
EDGES_M_S = (0.2, 0.7, 1.8)
"""Between still, slow, brisk and fast."""
SEEN_SCORE = 0.2
_JOINTS = {
    "head": ("nose", "head_top"),
    "body": ("hip", "spine", "thorax", "left_shoulder", "right_shoulder", "left_hip", "right_hip"),
    "arms": ("left_elbow", "left_wrist", "right_elbow", "right_wrist"),
    "legs": ("left_knee", "left_ankle", "right_knee", "right_ankle"),
}

assert len(SPEEDS) == len(EDGES_M_S) + 1


def place(centre: Array, log_scale: Array) -> Array:
    """Roughly where people are (..., 3), m: along the ray to them, as far as their size tells.

    Args:
        centre: (..., 2) tangents.
        log_scale: (...,) logarithm of the apparent size, tangents.
    """
    ray = np.concatenate([centre, np.ones_like(centre[..., :1])], axis=-1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    return np.asarray(ray * (BODY_M * np.exp(-log_scale))[..., None])


def follow(velocity: Array, moved: Array, dt_s: Array) -> Array:
    """The velocity (..., 3), m/s, after a move of ``moved`` (..., 3) m in ``dt_s`` (...,)."""
    now = moved / np.maximum(dt_s, 1e-3)[..., None]
    gain = 1.0 - np.exp(-np.maximum(dt_s, 0.0) / TIME_CONSTANT_S)
    return np.asarray(velocity + gain[..., None] * (now - velocity))


def write_speed(
    vocabulary: Vocabulary, velocity: Array, age_s: Array, into: NDArray[np.float32]
) -> None:
    """Write the speed prompt into weights (..., V); those who came just now stay as they are."""
    if SPEED not in vocabulary.words:
        return
    segment = vocabulary.segment(SPEED)
    which = 1 + np.searchsorted(EDGES_M_S, np.linalg.norm(velocity, axis=-1))
    told = np.eye(segment.stop - segment.start, dtype=np.float32)[which]
    known = (age_s >= SETTLED_S)[..., None]
    into[..., segment] = np.where(known, told, into[..., segment])


def write_parts(vocabulary: Vocabulary, score: NDArray, into: NDArray[np.float32]) -> None:
    """Write which parts are seen into weights (..., V), from scores (..., 17 or more) of H36M's joints."""
    for part in PARTS:
        if part not in vocabulary.words:
            continue
        joints = [H36M17.index(name) for name in _JOINTS[part]]
        share = (score[..., joints] >= SEEN_SCORE).mean(axis=-1)
        which = np.where(share > 0.99, 1, np.where(share > 0.01, 2, 3))
        segment = vocabulary.segment(part)
        into[..., segment] = np.eye(4, dtype=np.float32)[which]
