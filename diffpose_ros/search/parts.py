"""Parts of the body that a taught pose is about: which joints count, and how much."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17, ConfigError

WHOLE = "whole body"
_ARMS = {
    "left": ("left_shoulder", "left_elbow", "left_wrist"),
    "right": ("right_shoulder", "right_elbow", "right_wrist"),
}
_LEGS = ("right_knee", "right_ankle", "left_knee", "left_ankle")
_HEAD = ("nose", "head_top")

PARTS: dict[str, tuple[str, ...]] = {
    WHOLE: H36M17.joints,
    "upper body": (*_HEAD, *_ARMS["left"], *_ARMS["right"]),
    "arms": ("left_elbow", "left_wrist", "right_elbow", "right_wrist"),
    "left arm": _ARMS["left"][1:],
    "right arm": _ARMS["right"][1:],
    "legs": _LEGS,
}
"""Part -> joints that count, each alike."""


UPRIGHT = {"upper body", "arms", "left arm", "right arm"}
"""Parts that are seen in the body's own axes: an arm is raised in whatever way the body leans."""


def weights(part: str) -> NDArray[np.float64]:
    """(17,) how much each joint counts, in sum 1.

    Raises:
        ConfigError: no such part.
    """
    if part not in PARTS:
        raise ConfigError(f"part: expected one of {', '.join(PARTS)}, got '{part}'")
    out = np.zeros(len(H36M17))
    out[[H36M17.index(name) for name in PARTS[part]]] = 1.0
    return out / out.sum()
