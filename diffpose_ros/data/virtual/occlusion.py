"""Which keypoints a body hides from a camera itself: limbs as capsules, the head by where it faces.

On rendered bodies, where what was drawn says which keypoints are hidden, it agrees for 88 to 90 % of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.data.virtual.vectors import dot, length

# Upper end, lower end, radius in metres of a body whose legs are LEG_M long; H36M-17.
_CAPSULES = (
    (0, 8, 0.125), (11, 14, 0.085), (1, 4, 0.10), (8, 9, 0.06), (9, 9, 0.085),
    (11, 12, 0.06), (12, 13, 0.05), (14, 15, 0.06), (15, 16, 0.05),
    (4, 5, 0.09), (5, 6, 0.065), (1, 2, 0.09), (2, 3, 0.065),
)  # fmt: skip
_TRUNK, _GIRDLE, _PELVIS, _NECK, _HEAD, _LUA, _LFA, _RUA, _RFA, _LT, _LS, _RT, _RS = range(13)
LEG_M = 0.82
"""Thigh and shank of the body that the radii belong to, metres."""

# COCO keypoint -> capsules that never hide it, and how far below the skin it lies.
_OWN: dict[int, tuple[tuple[int, ...], float]] = {
    **dict.fromkeys(range(5), ((_HEAD, _NECK, _GIRDLE), 0.05)),
    5: ((_GIRDLE, _LUA), 0.05), 6: ((_GIRDLE, _RUA), 0.05),
    7: ((_LUA, _LFA), 0.05), 8: ((_RUA, _RFA), 0.05), 9: ((_LFA,), 0.04), 10: ((_RFA,), 0.04),
    11: ((_PELVIS, _LT), 0.16), 12: ((_PELVIS, _RT), 0.16),
    13: ((_LT, _LS), 0.07), 14: ((_RT, _RS), 0.07), 15: ((_LS,), 0.05), 16: ((_RS,), 0.05),
}  # fmt: skip
_MAY_HIDE = np.array([[c not in _OWN[k][0] for c in range(len(_CAPSULES))] for k in range(17)])
_MARGIN = np.array([_OWN[k][1] for k in range(17)])

_FACING = np.array([-0.30, -0.05, -0.05, -0.08, -0.08])
"""Nose, eyes and ears are hidden where they face away by more than the arc cosine of this."""


def hidden_by_self(xyz: NDArray[np.floating], keypoints: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether the own body lies before each keypoint.

    Args:
        xyz: (..., 21, 3) metres, optical frame: H36M-17, left eye, right eye, left ear, right ear.
        keypoints: (..., 17, 3) COCO-17, metres, optical frame.

    Returns:
        (..., 17).
    """
    body = np.asarray(xyz, np.float32).reshape(-1, 21, 3)
    points = np.asarray(keypoints, np.float32).reshape(-1, 17, 3)
    legs = sum(length(body[:, a] - body[:, b]) for a, b in ((1, 2), (2, 3), (4, 5), (5, 6)))
    size = np.asarray(legs / (2 * LEG_M), np.float32)[:, None]
    away = length(points)
    ends = points * np.maximum(1 - _MARGIN * size / np.maximum(away, 1e-3), 0.0)[..., None].astype(np.float32)
    out = np.zeros(points.shape[:2], bool)
    for c, (a, b, radius) in enumerate(_CAPSULES):
        which = np.flatnonzero(_MAY_HIDE[:, c])
        near = _distance(ends[:, which], body[:, a, None], body[:, b, None])
        out[:, which] |= near < radius * size
    out[:, :5] |= _facing_away(body, points)
    return out.reshape((*xyz.shape[:-2], 17))


def _distance(
    end: NDArray[np.float32], a: NDArray[np.float32], b: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Between the segments camera..end and a..b, by their closest points (Ericson, 2005, 5.1.9)."""
    along, axis = end, b - a
    r = -a
    aa, ee = dot(along, along), np.maximum(dot(axis, axis), 1e-9)
    bb, cc, ff = dot(along, axis), dot(along, r), dot(axis, r)
    denominator = np.maximum(aa * ee - bb * bb, 1e-9)
    s = np.clip((bb * ff - cc * ee) / denominator, 0, 1)
    t = (bb * s + ff) / ee
    inside = np.clip(t, 0, 1)
    s = np.where(t != inside, np.clip((inside * bb - cc) / np.maximum(aa, 1e-9), 0, 1), s)
    gap = s[..., None] * along - (a + inside[..., None] * axis)
    return np.asarray(length(gap), np.float32)


def _facing_away(body: NDArray[np.float32], points: NDArray[np.float32]) -> NDArray[np.bool_]:
    ears = (body[:, 19] + body[:, 20]) / 2
    ahead, left = _unit(body[:, 9] - ears), _unit(body[:, 19] - body[:, 20])
    outward = [ahead, _unit(ahead + 0.45 * left), _unit(ahead - 0.45 * left), left, -left]
    to_camera = -_unit(points[:, :5])
    facing = np.stack([dot(o, to_camera[:, i]) for i, o in enumerate(outward)], axis=1)
    return np.asarray(facing < _FACING)


def _unit(v: NDArray) -> NDArray[np.float32]:
    return np.asarray(v / np.maximum(length(v), 1e-6)[..., None], np.float32)
