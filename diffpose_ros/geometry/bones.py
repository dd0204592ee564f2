"""Bone lengths of H36M-17 poses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17

_PARENT = np.array([a for a, _ in H36M17.bones])
_CHILD = np.array([b for _, b in H36M17.bones])

BONES = len(_CHILD)


def bone_lengths(pose: NDArray[np.floating]) -> NDArray[np.floating]:
    """(..., 16) m, in the order of ``H36M17.bones``, of poses (..., 17, 3)."""
    return np.linalg.norm(pose[..., _CHILD, :] - pose[..., _PARENT, :], axis=-1)
