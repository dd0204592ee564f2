"""Which way a body segment points: the axes of every joint's frame.

Axes follow the International Society of Biomechanics (Wu et al. 2002 and 2005): X forward, Y up, Z to
the person's right. Somebody who stands upright with hanging arms has all frames parallel. A joint's
frame belongs to the segment that leaves it away from the trunk; the last joint of a chain has the frame
of the segment that ends there. Y points along the segment, towards the trunk in arms and legs.
"""

from __future__ import annotations

import numpy as np

from diffpose_ros.core import H36M17

X, Y, Z = range(3)


def joints(*names: str) -> list[int]:
    """Indices of H36M-17 joints."""
    return [H36M17.index(name) for name in names]


PELVIS, SPINE, THORAX, HEAD, CROWN = joints("hip", "spine", "thorax", "nose", "head_top")
RIGHT_HIP, LEFT_HIP, RIGHT_SHOULDER, LEFT_SHOULDER = joints(
    "right_hip", "left_hip", "right_shoulder", "left_shoulder"
)

LIMBS = ("right_leg", "left_leg", "left_arm", "right_arm")
TOP = np.array(joints("right_hip", "left_hip", "left_shoulder", "right_shoulder"))
MIDDLE = np.array(joints("right_knee", "left_knee", "left_elbow", "right_elbow"))
END = np.array(joints("right_ankle", "left_ankle", "left_wrist", "right_wrist"))
ATTACHED = np.array([PELVIS, PELVIS, THORAX, THORAX])
"""The joint whose frame a limb moves in."""
BENDS = np.array([-1.0, -1.0, 1.0, 1.0])
"""Sense of flexion about Z: knees bend the shank backward, elbows the forearm forward."""
OUTWARD = np.array([1.0, -1.0, -1.0, 1.0])
"""Sign of Z on the outer side of each limb."""

PARENT = np.array([-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15])
"""(17,) the joint that each joint hangs on; -1 for the hip."""
