"""COCO-17 keypoints to the 21 points the lifter reads: H36M-17 and the four face points H36M lacks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import COCO17, H36M17

NUM_POINTS = 21
"""H36M-17 in order, then left eye, right eye, left ear, right ear."""

MIRRORED_POINTS = (*H36M17.flip, 18, 17, 20, 19)
"""Permutation (21,) that swaps left and right."""

FACE = tuple(COCO17.index(n) for n in ("left_eye", "right_eye", "left_ear", "right_ear"))

# H36M index -> COCO joints whose mean it is; head_top has no COCO keypoint and stays masked.
_SOURCES: dict[int, tuple[str, ...]] = {
    0: ("left_hip", "right_hip"),
    1: ("right_hip",),
    2: ("right_knee",),
    3: ("right_ankle",),
    4: ("left_hip",),
    5: ("left_knee",),
    6: ("left_ankle",),
    7: ("left_hip", "right_hip", "left_shoulder", "right_shoulder"),
    8: ("left_shoulder", "right_shoulder"),
    9: ("nose",),
    11: ("left_shoulder",),
    12: ("left_elbow",),
    13: ("left_wrist",),
    14: ("right_shoulder",),
    15: ("right_elbow",),
    16: ("right_wrist",),
}

_FOUR = {t: [COCO17.index(n) for n in names] * (4 // len(names)) for t, names in _SOURCES.items()}
_FOUR |= {17 + k: [joint] * 4 for k, joint in enumerate(FACE)}
_GATHER = np.array([_FOUR.get(t, [0] * 4) for t in range(NUM_POINTS)])
"""(21, 4) COCO joints whose mean each point is, repeated to four."""

_SHARES = np.array([[row.count(j) / 4 for j in range(len(COCO17))] for row in _GATHER.tolist()])
"""(21, 17) share of each COCO joint in each point."""

_MAPPED = np.array([float(t in _FOUR) for t in range(NUM_POINTS)])


def coco_to_points(
    xy: NDArray[np.floating], score: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Map COCO-17 keypoints to the lifter's 21 points.

    A point made of several keypoints is their mean and carries their lowest score; it is masked
    (score 0) when one of them is. ``head_top`` is always masked: COCO has no such keypoint.

    Args:
        xy: (..., 17, 2), any unit.
        score: (..., 17), 0 where not seen.

    Returns:
        (..., 21, 2) in the same unit, zero where masked, and (..., 21) scores.
    """
    xy = np.asarray(xy, dtype=np.float64)
    score = np.asarray(score, dtype=np.float64)
    conf = score[..., _GATHER].min(axis=-1) * _MAPPED
    out = xy[..., _GATHER, :].mean(axis=-2)
    return np.where(conf[..., None] > 0, out, 0.0), conf


def points_covariance(covariance: NDArray[np.floating]) -> NDArray[np.float64]:
    """Covariance (..., 21, 2, 2) of the lifter's points from that of COCO-17 keypoints (..., 17, 2, 2).

    The errors of keypoints are taken as independent: the mean of two has half the variance.
    """
    return np.asarray(np.einsum("tj,...jab->...tab", _SHARES**2, covariance), dtype=np.float64)
