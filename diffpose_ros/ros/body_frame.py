"""A frame on the body, as REP-155 wants it: origin at the mid-hip, x forward, y left, z up."""

from __future__ import annotations

import string

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17, Skeleton

_DIGITS = string.ascii_lowercase
_LEFT, _RIGHT = H36M17.index("left_hip"), H36M17.index("right_hip")
AUTO_PREFIX = "auto"
USUAL_NAMESPACE = "diffpose"
_THORAX, _HIP = H36M17.index("thorax"), H36M17.index("hip")


def body_rotation(skeleton: Skeleton) -> NDArray[np.float64] | None:
    """Rotation (3, 3) whose columns are the body's axes in the camera optical frame.

    z runs from the mid-hip to the thorax, y from the right to the left hip, made square to z.

    Returns:
        ``None`` when the joints do not span a frame or the joint set is another.
    """
    if skeleton.joint_set != H36M17.name:
        return None
    up = skeleton.xyz[_THORAX] - skeleton.xyz[_HIP]
    left = skeleton.xyz[_LEFT] - skeleton.xyz[_RIGHT]
    length = np.linalg.norm(up)
    if length < 1e-6:
        return None
    z = up / length
    y = left - (left @ z) * z
    length = np.linalg.norm(y)
    if length < 1e-6:
        return None
    y /= length
    return np.stack([np.cross(y, z), y, z], axis=1)


def body_id(track_id: int) -> str:
    """Five letters per person, as REP-155's RViz plugins need them: ``body_aaaak``.

    They stand in names of topics, too, which must not begin with a digit.
    """
    n = track_id % len(_DIGITS) ** 5
    out = ""
    for _ in range(5):
        n, digit = divmod(n, len(_DIGITS))
        out = _DIGITS[digit] + out
    return out


def body_frame(track_id: int, prefix: str = "") -> str:
    """Name of a person's frame, ``<prefix>body_<id>``; empty for who has no identity (-1)."""
    return f"{prefix}body_{body_id(track_id)}" if track_id >= 0 else ""


def frame_prefix(asked: str, namespace: str) -> str:
    """What stands before the names of body frames.

    Args:
        asked: a prefix, or ``auto``: none in the usual namespace, so that the names are those of REP-155;
            in any other the namespace, so that several cameras on one robot do not send the same names.
        namespace: the node's, e.g. ``/diffpose`` or ``/front/diffpose``.
    """
    if asked != AUTO_PREFIX:
        return asked
    name = namespace.strip("/")
    return "" if name in ("", USUAL_NAMESPACE) else f"{name}/"
