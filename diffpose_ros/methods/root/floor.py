"""The floor as a ruler: where the ray of a standing foot meets it.

With gravity and the camera's height known, a foot on the floor has a depth of its own, whatever the
size of the body. Letters for shapes: P people; two feet, right and left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ANKLE_HEIGHT_M = 0.10
"""Height of the lower ankle over the floor, standing or walking (motion capture: 0.09 to 0.11 m)."""
ANKLE_NOISE_M = 0.03
RAY_NOISE = 0.01
"""Standard deviation of an ankle's ray, tangent units; most of it is the same in many frames."""
LEAST_SLOPE = 0.03
"""Rays that meet the floor at less than this slope tell nothing of the distance."""
LEAST_SCORE = 0.3
LEAST_CLEARANCE_M = 0.1


@dataclass(frozen=True)
class FloorDepth:
    """What the floor says of the root's depth.

    Attributes:
        log_depth: (P,) logarithm of the root's z in metres; 0 where not ``known``.
        variance: (P,) of it, without what both feet share over time.
        known: (P,) whether a foot was seen against the floor.
    """

    log_depth: NDArray[np.float64]
    variance: NDArray[np.float64]
    known: NDArray[np.bool_]


def floor_depth(
    up: NDArray[np.float64],
    camera_height: float,
    rays: NDArray[np.float64],
    score: NDArray[np.float64],
    feet_z: NDArray[np.float64],
    root_z: NDArray[np.float64],
) -> FloorDepth:
    """Depth of the root for which the lower foot stands on the floor.

    The pose tells how much nearer or farther than the root the foot is, as a ratio of depths, which
    does not depend on the body's size.

    Args:
        up: (3,) unit vector, camera optical frame.
        camera_height: m over the floor.
        rays: (P, 2, 2) tangents of the ankles.
        score: (P, 2) of them.
        feet_z: (P, 2) depth of the ankles as the pose and its root say, m.
        root_z: (P,) depth of that root, m.
    """
    drop = camera_height - ANKLE_HEIGHT_M
    slope = -(rays @ up[:2] + up[2])  # metres down per metre of depth
    seen = (score >= LEAST_SCORE) & (slope > LEAST_SLOPE) & (feet_z > LEAST_CLEARANCE_M)
    seen &= drop > LEAST_CLEARANCE_M
    ratio = root_z[:, None] / np.where(seen, feet_z, 1.0)
    depth = np.where(seen, drop / np.where(seen, slope, 1.0) * ratio, np.inf)
    lower = depth.argmin(axis=1)  # a raised foot seems to stand farther away
    row = np.arange(len(lower))
    known = seen[row, lower]
    steepness = np.where(known, slope[row, lower], 1.0)
    return FloorDepth(
        log_depth=np.log(np.where(known, depth[row, lower], 1.0)),
        variance=(RAY_NOISE / steepness) ** 2 + (ANKLE_NOISE_M / max(drop, LEAST_CLEARANCE_M)) ** 2,
        known=known,
    )
