"""What is measured of a pose: angles, heights and movement, by which names of poses can be defined.

Legs are measured against gravity, arms against the trunk: who sits bends forward and still sits, and an arm
is raised in whatever way the body leans. Where gravity is not known the camera is taken as level.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffpose_ros.core import H36M17
from diffpose_ros.search.vectors import BODY_M, IMAGE_UP, checked_poses

Array = NDArray[np.float64]

SIDES = ("left", "right")
SIDED = {
    "thigh": (24.0, "degrees from hanging straight down"),
    "shank": (30.0, "degrees from hanging straight down"),
    "knee": (28.0, "degrees that it is bent"),
    "upper arm": (36.0, "degrees from hanging along the trunk"),
    "arm": (26.0, "degrees of the line from shoulder to wrist from hanging along the trunk"),
    "elbow": (30.0, "degrees that it is bent"),
    "wrist height": (0.4, "over the shoulder along the trunk, in lengths of the trunk"),
    "wrist to head": (0.16, "metres on a body of average size"),
}
"""Measures of the left and the right side: ``left knee``; ``knee`` means both. Of each its blur, which is how
much farther than its border is clearly beyond it, and what it is."""
WHOLE = {
    "lean": (20.0, "degrees of the trunk from upright"),
    "hip height": (0.2, "over the lower ankle, in lengths of a leg"),
    "head height": (0.4, "over the lower ankle, in lengths of a leg"),
    "feet off": (0.16, "between the hips and the middle of the ankles, level, in lengths of a leg"),
}
"""Measures of the whole body."""
OVER_TIME = {
    "swing": (0.4, "how far the feet swung before and behind each other in the last 0.9 s, lengths of a leg"),
    "travel": (0.4, "how far the hips went, level, over the last 0.9 s, m/s"),
}
"""Measures of what somebody did; 0 where it was not seen."""
OF_A_POSE = (*WHOLE, *(f"{side} {name}" for side in SIDES for name in SIDED))
NAMES = (*OF_A_POSE, *OVER_TIME)
LOOK_BACK_S = 0.9
STEP = "step"
"""Beside :data:`OF_A_POSE`: the left ankle before the right one, in lengths of a leg."""

_J = {name: H36M17.index(name) for name in H36M17.joints}
_FROM = np.array([a for a, _ in H36M17.bones])
_TO = np.array([b for _, b in H36M17.bones])


def meant(name: str) -> tuple[str, ...]:
    """The measures that a name stands for: itself, or both sides; none where there is no such measure."""
    if name in SIDED:
        return tuple(f"{side} {name}" for side in SIDES)
    return (name,) if name in NAMES else ()


def blur(measure: str) -> float:
    """How much farther than its border is clearly beyond it."""
    side, _, name = measure.partition(" ")
    return {**SIDED, **WHOLE, **OVER_TIME}[name if side in SIDES else measure][0]


def measures(xyz: ArrayLike, up: ArrayLike | None = None) -> Mapping[str, Array]:
    """Everything that is measured of poses.

    Args:
        xyz: (..., 17, 3) joints of H36M-17, metres, any frame.
        up: (3,) or (..., 3) unit vector against gravity in that frame; ``None`` where it is unknown: then
            the frame is an optical one (y down) of a camera that is about level.

    Returns:
        Name -> (...), for each of :data:`OF_A_POSE` and :data:`STEP`.

    Raises:
        InputError: a shape is wrong, or a number is not finite.
    """
    pose = checked_poses(xyz)
    at = {name: pose[..., k, :] for name, k in _J.items()}
    trunk = at["thorax"] - at["hip"]
    up = np.broadcast_to(np.asarray(IMAGE_UP if up is None else up, dtype=np.float64), trunk.shape)
    leg = np.zeros(trunk.shape[:-1])
    for s in SIDES:
        leg += _norm(at[f"{s}_knee"] - at[f"{s}_hip"]) + _norm(at[f"{s}_ankle"] - at[f"{s}_knee"])
    leg = np.maximum(0.5 * leg, 1e-6)
    size = BODY_M / np.maximum(_norm(pose[..., _TO, :] - pose[..., _FROM, :]).sum(axis=-1), 1e-6)
    along = trunk / np.maximum(_norm(trunk), 1e-6)[..., None]
    ankle = np.minimum(_dot(at["left_ankle"], up), _dot(at["right_ankle"], up))
    feet = 0.5 * (at["left_ankle"] + at["right_ankle"]) - at["hip"]
    head = 0.5 * (at["head_top"] + at["nose"])
    turned = {"lean": (trunk, up)}
    out = {
        "hip height": (_dot(at["hip"], up) - ankle) / leg,
        "head height": (_dot(at["head_top"], up) - ankle) / leg,
        STEP: _dot(at["left_ankle"] - at["right_ankle"], _ahead(at, up)) / leg,
        "feet off": _norm(feet - _dot(feet, up)[..., None] * up) / leg,
    }
    for s in SIDES:
        thigh, shank = at[f"{s}_knee"] - at[f"{s}_hip"], at[f"{s}_ankle"] - at[f"{s}_knee"]
        upper, arm = at[f"{s}_elbow"] - at[f"{s}_shoulder"], at[f"{s}_wrist"] - at[f"{s}_shoulder"]
        turned |= {
            f"{s} thigh": (thigh, -up),
            f"{s} shank": (shank, -up),
            f"{s} knee": (thigh, shank),
            f"{s} upper arm": (upper, -trunk),
            f"{s} arm": (arm, -trunk),
            f"{s} elbow": (upper, arm - upper),
        }
        out |= {
            f"{s} wrist height": _dot(arm, along) / np.maximum(_norm(trunk), 1e-6),
            f"{s} wrist to head": _norm(at[f"{s}_wrist"] - head) * size,
        }
    degrees = _between(*(np.stack(side) for side in zip(*turned.values(), strict=True)))
    out |= dict(zip(turned, degrees, strict=True))
    return out


def over_time(steps: Array, places: Array, up: ArrayLike | None) -> dict[str, float]:
    """What somebody did.

    Args:
        steps: (T,) of :data:`STEP` in the last :data:`LOOK_BACK_S` seconds, in their order.
        places: (T, 3) of the hips, metres.
        up: (3,) as in :func:`measures`.

    Returns:
        Of each of :data:`OVER_TIME` the value.
    """
    upward = np.asarray(IMAGE_UP if up is None else up, dtype=np.float64)
    went = places[-1] - places[0]
    went = went - (went @ upward) * upward
    return {
        "swing": float(steps.max() - steps.min()),
        "travel": float(np.linalg.norm(went)) / LOOK_BACK_S,
    }


def _ahead(at: Mapping[str, Array], up: Array) -> Array:
    """(..., 3) the level direction that the hips and shoulders face; zeros where there is none."""
    left = at["left_hip"] - at["right_hip"] + at["left_shoulder"] - at["right_shoulder"]
    ahead = np.cross(left, up)
    return np.asarray(ahead / np.maximum(_norm(ahead), 1e-6)[..., None])


def _norm(a: Array) -> Array:
    return np.asarray(np.sqrt(np.einsum("...i,...i->...", a, a)))


def _dot(a: Array, b: Array) -> Array:
    return np.asarray(np.einsum("...i,...i->...", a, b))


def _between(a: Array, b: Array) -> Array:
    """Degrees between vectors; 90 where one has no direction."""
    cos = _dot(a, b) / np.maximum(_norm(a) * _norm(b), 1e-9)
    return np.asarray(np.degrees(np.arccos(np.clip(cos, -1.0, 1.0))))
