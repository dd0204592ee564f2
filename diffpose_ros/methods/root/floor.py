"""The floor as a ruler: where the ray of a standing foot meets it.

With gravity and the camera's height known, a foot on the floor has a depth of its own, whatever the
size of the body. Two feet, right and left.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import NamedTuple

ANKLE_HEIGHT_M = 0.10
"""Height of the lower ankle of an adult over the floor, standing or walking (motion capture: 0.09 to
0.11 m). It grows with the body (ANSUR II: with the 0.9th power of stature)."""
ANKLE_NOISE_M = 0.02
RAY_NOISE = 0.006
"""Standard deviation of an ankle's ray, tangent units; most of it is the same in many frames."""
LEAST_SLOPE = 0.03
"""Rays that meet the floor at less than this slope tell nothing of the distance."""
LEAST_SCORE = 0.3
LEAST_CLEARANCE_M = 0.1


class OnFloor(NamedTuple):
    """What a foot on the floor tells.

    Attributes:
        log_depth: logarithm of the root's z in metres.
        variance: of it, without what both feet share over time.
        fall: how many metres the foot's ray falls for each metre of depth, and the ankle's height for
            each metre of the depth that pose and rays have.
        reach: the camera's height for each metre of the depth that pose and rays have: what ``fall`` is
            of a body of the size that the pose has.
    """

    log_depth: float
    variance: float
    fall: float
    reach: float


def floor_depth(
    up: Sequence[float],
    camera_height: float,
    rays: Sequence[Sequence[float]],
    score: Sequence[float],
    feet_z: Sequence[float],
    root_z: float,
) -> OnFloor | None:
    """Depth of the root for which the lower foot stands on the floor.

    The pose tells how much nearer or farther than the root the foot is, as a ratio of depths, which
    does not depend on the body's size. The ankle's height does.

    Args:
        up: (3,) unit vector, camera optical frame.
        camera_height: m over the floor.
        rays: (2, 2) tangents of the ankles.
        score: (2,) of them.
        feet_z: (2,) depth of the ankles as the pose and its root say, m.
        root_z: depth of that root, m.

    Returns:
        None if no foot was seen against the floor.
    """
    if not camera_height - ANKLE_HEIGHT_M > LEAST_CLEARANCE_M:
        return None
    lower: tuple[float, float, float] | None = None  # a raised foot seems to stand farther away
    for (u, v), s, foot_z in zip(rays, score, feet_z, strict=True):
        slope = -(u * up[0] + v * up[1] + up[2])  # metres down per metre of depth
        if s >= LEAST_SCORE and slope > LEAST_SLOPE and foot_z > LEAST_CLEARANCE_M:
            depth = camera_height / (slope + ANKLE_HEIGHT_M / foot_z) * root_z / foot_z
            if lower is None or depth < lower[0]:
                lower = depth, slope, foot_z
    if lower is None:
        return None
    depth, slope, foot_z = lower
    drop = slope * depth * foot_z / root_z
    return OnFloor(
        log(depth), (RAY_NOISE / slope) ** 2 + (ANKLE_NOISE_M / drop) ** 2,
        slope + ANKLE_HEIGHT_M / foot_z, camera_height / foot_z,
    )  # fmt: skip
