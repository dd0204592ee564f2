"""What is no human being in Human3.6M's order: other joints, exchanged sides, people on their heads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BONES = {"right thigh": (1, 2), "right shank": (2, 3), "left thigh": (4, 5), "left shank": (5, 6),
          "left upper arm": (11, 12), "left forearm": (12, 13), "right upper arm": (14, 15),
          "right forearm": (15, 16)}  # fmt: skip
_LEAST, _MOST = 0.06, 0.45
"""Shortest and longest that such a bone can be, of the body's largest extent."""

_ENOUGH = 0.2
"""Share by which knees must bend the one way more often than the other before anybody says so."""


def wrong_joints(body: NDArray[np.floating]) -> str | None:
    """Why joints (F, 17, 3) cannot be Human3.6M's, in words; ``None`` when they can.

    Args:
        body: any unit, any axes.
    """
    b = np.asarray(body, np.float64)
    extent = np.median(np.linalg.norm(np.ptp(b, axis=1), axis=-1))
    if not extent > 0:
        return "all joints lie in one point"
    for name, (upper, lower) in _BONES.items():
        part = float(np.median(np.linalg.norm(b[:, upper] - b[:, lower], axis=-1)) / extent)
        if not _LEAST < part < _MOST:
            return f"the {name} (joints {upper}, {lower}) is {part:.0%} of the body's size"
    middle = float(np.median(np.linalg.norm(b[:, 0] - (b[:, 1] + b[:, 4]) / 2, axis=-1)) / extent)
    if middle > 0.08:
        return f"joint 0 lies {middle:.0%} of the body's size off the middle of the hips (joints 1, 4)"
    return None


def exchanged_sides(body: NDArray[np.floating]) -> bool:
    """Whether knees bend forwards and noses point backwards: sides are exchanged, or axes left-handed.

    Args:
        body: (F, 17, 3) H36M-17.
    """
    b = np.asarray(body, np.float64)
    left, up = b[:, 4] - b[:, 1], b[:, 8] - b[:, 0]
    ahead = np.cross(left, up)
    bends = []
    for hip, knee, ankle in ((1, 2, 3), (4, 5, 6)):
        thigh, shank = b[:, knee] - b[:, hip], b[:, ankle] - b[:, knee]
        axis = np.cross(thigh, shank)
        lengths = np.linalg.norm(thigh, axis=-1) * np.linalg.norm(shank, axis=-1)
        clear = np.linalg.norm(axis, axis=-1) > 0.3 * np.maximum(lengths, 1e-9)
        bends.append(np.sign((axis * left).sum(-1))[clear])
    knees = np.concatenate(bends)
    nose = np.sign(((b[:, 9] - (b[:, 8] + b[:, 10]) / 2) * ahead).sum(-1))
    return bool(len(knees) > 10 and knees.mean() < -_ENOUGH and nose.mean() < -_ENOUGH)


def head_down(head: NDArray[np.floating], feet: NDArray[np.floating], up: NDArray[np.floating]) -> bool:
    """Whether people are mostly upside down along ``up``.

    Args:
        head, feet: (F, 3) points.
        up: (3,) unit vector.
    """
    upright = np.asarray(head, np.float64) - feet
    along = float((upright @ np.asarray(up, np.float64)).mean())
    return along < -0.6 * float(np.linalg.norm(upright, axis=-1).mean())
