"""What one frame shows of one person, in plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from diffpose_ros.methods.root.track import Matrix, Vector


class Person(NamedTuple):
    """One person in one frame.

    Attributes:
        root, covariance: where pose and rays agree, m and m^2.
        feet: right and left relative to the root, m.
        trunk: from hip to thorax, m.
        axis, bones: from between the feet to the thorax, and the length of the bones between, m; zeros
            where nobody asks.
        rays, scores: of the ankles.
        stature: of the pose, m; 0 where nobody asks.
        dt, age_s: since the last and the first frame, s.
        depth, depth_variance: of the root by a depth image, m and m^2; NaN where there is none.
    """

    root: Vector
    covariance: Matrix
    feet: list[list[float]]
    trunk: Sequence[float]
    rays: Sequence[Sequence[float]]
    scores: Sequence[float]
    axis: Sequence[float]
    bones: float
    stature: float
    dt: float
    age_s: float
    depth: float
    depth_variance: float
