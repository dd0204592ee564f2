"""CMU's motion capture in cgspeed's BVH release (MotionBuilder and 3ds Max flavours), made whole.

The release was converted from CMU's ASF/AMC, whose joints it keeps but for two bones, which have length zero:
the thorax, so that neck, head, shoulders and arms hang 116 mm too low, and the wrist, so that hands begin
where the forearm's bone ends. Angles, legs and lower spine are exact. Checked on frames of which the exact
skeleton is known: every joint then agrees within 2 mm.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError
from diffpose_ros.data.formats.bvh_file import BvhMotion, simplify

WRIST = 0.3
"""Where the wrist joint lies behind the forearm's bone, in its lengths; the hand's bone runs on straight."""

NOSE = (-0.55, 1.12)
"""From the crown to the nose: along the head's bone and forward of it, in its lengths."""

NOSE_NAME, CROWN_NAME = "Nose", "Head_end"


def mend(motion: BvhMotion) -> BvhMotion:
    """Put the lost bones back, and a nose onto the head.

    A file whose thorax has a length is left as it is, but for the nose.

    Raises:
        InputError: the head has no end site.
    """
    at = {simplify(name): i for i, name in enumerate(motion.names)}
    if simplify(CROWN_NAME) not in at:
        raise InputError(f"{motion.path}: expected an end site on 'Head', the crown, got none")
    chest, neck = at["spine1"], at["neck"]
    if not motion.offset[neck].any():
        vector = _thorax(motion, at)
        above = _below(motion, chest)
        motion = motion.moved(above, motion.rotation[:, chest] @ vector)
    for side in ("left", "right"):
        hand = at[f"{side}hand"]
        if not motion.offset[at[f"{side}fingerbase"]].any():
            bone = motion.rotation[:, hand] @ motion.offset[hand]
            motion = motion.moved(_below(motion, at[f"{side}forearm"]), WRIST * bone)
    return _with_nose(motion, at["head"], at[simplify(CROWN_NAME)])


def _thorax(motion: BvhMotion, at: dict[str, int]) -> NDArray[np.float64]:
    """The lost bone at rest: as long as the vertebrae's bone below it, its direction between that one's
    and the neck's."""
    lower, upper = motion.offset[at["spine1"]], motion.offset[at["neck1"]]
    direction = _unit(_unit(lower) + _unit(upper))
    return float(np.linalg.norm(lower)) * direction


def _with_nose(motion: BvhMotion, head: int, crown: int) -> BvhMotion:
    along, ahead = NOSE
    bone = motion.offset[crown]
    up = _unit(bone)
    forward = np.array([0.0, 0.0, 1.0])  # a body of this release faces +z at rest
    forward = _unit(forward - (forward @ up) * up)
    vector = along * bone + ahead * float(np.linalg.norm(bone)) * forward
    nose = motion.position[:, crown] + motion.rotation[:, head] @ vector
    return replace(
        motion,
        names=(*motion.names, NOSE_NAME),
        parents=(*motion.parents, crown),
        ends=(*motion.ends, True),
        offset=np.concatenate([motion.offset, vector[None]]),
        position=np.concatenate([motion.position, nose[:, None]], axis=1),
        rotation=np.concatenate([motion.rotation, motion.rotation[:, head][:, None]], axis=1),
    )


def _below(motion: BvhMotion, joint: int) -> list[int]:
    """All joints below one, without itself."""
    below: set[int] = set()
    for i, parent in enumerate(motion.parents):
        if parent == joint or parent in below:
            below.add(i)
    return sorted(below)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
