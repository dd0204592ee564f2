"""Nose and crown of a BVH body, which has neither."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17
from diffpose_ros.data.formats.bvh_file import BvhMotion

# The head of an average adult, metres, for a thorax-to-crown length of 0.28.
_HEAD_LENGTH = 0.28
_CROWN_ABOVE_HEAD = 0.18
_NOSE_FROM_CROWN = (-0.085, 0.105)  # up, forward
_INDEX = {name: i for i, name in enumerate(H36M17.joints)}


def place_head(
    motion: BvhMotion, head: int, rest: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Write ``head_top`` and ``nose`` into ``out``.

    The crown is the highest end of the head's own joints in the rest pose, or lies a head's
    height above the head's joint. The nose lies before and below the crown in the head's frame:
    a rest pose that stands tells which way the head faces; without one the shoulders do.

    Args:
        motion: the file.
        head: index of the joint that the head turns with.
        rest: (17, 3) the mapped joints at rest, file units.
        out: (T, 17, 3) the mapped joints, file units.
    """
    thorax, hip = _INDEX["thorax"], _INDEX["hip"]
    left, right = _INDEX["left_hip"], _INDEX["right_hip"]
    feet = (rest[_INDEX["left_ankle"]] + rest[_INDEX["right_ankle"]]) / 2
    trunk, across = rest[thorax] - rest[hip], rest[left] - rest[right]
    unit = np.linalg.norm(out[0, thorax] - out[0, hip]) / 0.48  # file units per metre, roughly
    up, side = _unit(trunk), _unit(across)
    stands = (
        np.linalg.norm(trunk) > 0.2 * unit
        and np.linalg.norm(across) > 0.02 * unit
        and abs(up @ side) < 0.3
        and (feet - rest[hip]) @ up < -0.3 * unit
    )
    if stands:
        side = _unit(side - (side @ up) * up)
        turn = motion.rotation[:, head]
        head_up, head_forward = turn @ up, turn @ np.cross(side, up)
    else:
        head_up = _unit(motion.position[:, head] - out[:, thorax])
        across_now = out[:, _INDEX["left_shoulder"]] - out[:, _INDEX["right_shoulder"]]
        head_forward = np.cross(across_now, head_up)
        head_forward = _unit(
            head_forward - (head_forward * head_up).sum(-1, keepdims=True) * head_up
        )
    tip = _crown(motion, head, up, unit) if stands else _first_end(motion, head)
    if tip is None:
        crown = motion.position[:, head] + _CROWN_ABOVE_HEAD * unit * head_up
    else:
        crown = motion.position[:, tip]
        reach = float(np.linalg.norm(crown - out[:, thorax], axis=-1).mean())
        # Some heads end inside the skull.
        short = _HEAD_LENGTH * unit - reach
        if short > 0.04 * unit:
            crown = crown + short * head_up
    size = np.linalg.norm(crown - out[:, thorax], axis=-1, keepdims=True) / _HEAD_LENGTH
    size = np.clip(size, 0.6 * unit, 1.4 * unit)
    rise, ahead = _NOSE_FROM_CROWN
    out[:, _INDEX["head_top"]] = crown
    out[:, _INDEX["nose"]] = crown + size * (rise * head_up + ahead * head_forward)


def _crown(motion: BvhMotion, head: int, up: NDArray[np.float64], unit: float) -> int | None:
    """The joint below ``head`` that lies highest above it at rest, if that is a head's height."""
    rest = motion.rest
    below = {head}
    for i, parent in enumerate(motion.parents):
        if parent in below:
            below.add(i)
    tip = max(below, key=lambda i: float((rest[i] - rest[head]) @ up))
    return tip if 0.08 * unit < (rest[tip] - rest[head]) @ up < 0.4 * unit else None


def _first_end(motion: BvhMotion, head: int) -> int | None:
    """The end site on the head itself, if it has one that is not the head's joint again."""
    for i, parent in enumerate(motion.parents):
        if parent == head and motion.ends[i] and (motion.rest[i] != motion.rest[head]).any():
            return i
    return None


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9)
