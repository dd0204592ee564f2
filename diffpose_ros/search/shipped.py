"""The gallery that comes with the package: ten names, each defined by what is measured, with examples.

Borders stand about half-way between what clearly is and what clearly is not what the name says. Three were
moved after seven people were tried: how far the feet swing and the hips go of who walks or stands, and how
high the hips are of who sits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from diffpose_ros.search import written
from diffpose_ros.search.cases import Case, Cases, mirrored
from diffpose_ros.search.gallery import Example, Gallery, Taught
from diffpose_ros.search.written import Written

SOURCE = "written down"
WALK_S = 1.0
POSTURE, ARMS = "posture", "arms"
LEAST, MOST = -math.inf, math.inf

STANDING = Case(
    {
        "lean": (LEAST, 32), "knee": (LEAST, 40), "thigh": (LEAST, 32), "swing": (LEAST, 0.6),
        "travel": (LEAST, 0.4),
    }
)  # fmt: skip
WALKING = Case(
    {
        "lean": (LEAST, 35), "knee": (LEAST, 85), "hip height": (0.8, MOST), "swing": (0.8, MOST),
        "travel": (0.5, 2.4),
    }
)  # fmt: skip
SITTING = Case(
    {
        "lean": (LEAST, 50), "thigh": (45, 115), "shank": (LEAST, 55), "feet off": (0.25, MOST),
        "hip height": (0.4, 0.8),
    }
)  # fmt: skip
CROUCHING = Case(
    {"lean": (LEAST, 75), "knee": (67, MOST), "hip height": (LEAST, 0.7), "feet off": (LEAST, 0.4)}
)
LYING = Case({"lean": (57, MOST), "hip height": (LEAST, 0.5), "head height": (LEAST, 0.88)})
LEFT_RAISED = Case(
    {
        "left wrist height": (0.35, MOST), "left upper arm": (80, MOST), "left wrist to head": (0.2, MOST),
        "right wrist height": (LEAST, 0.2),
    }
)  # fmt: skip
BOTH_RAISED = (
    Case(
        {
            "wrist height": (0.35, MOST), "upper arm": (80, MOST), "elbow": (LEAST, 70),
            "wrist to head": (0.15, MOST),
        }
    ),
    Case({"wrist height": (0.35, MOST), "upper arm": (80, MOST), "wrist to head": (0.29, MOST)}),
)  # fmt: skip
LEFT_POINTS = Case({"left arm": (55, 122), "left elbow": (LEAST, 45), "right arm": (LEAST, 52)})
HANDS_ON_HEAD = Case({"wrist to head": (LEAST, 0.29), "elbow": (70, MOST), "wrist height": (0.1, 0.8)})


def shipped() -> Gallery:
    """The gallery."""
    strides = tuple(Example(window, SOURCE, counts=False) for window in written.walking(WALK_S))
    return Gallery(
        (
            _pose("standing", "legs", (STANDING,), 0.16, written.standing()),
            _pose("sitting", "legs", (SITTING,), 0.16, written.sitting()),
            _pose("crouching", "legs", (CROUCHING,), 0.20, written.crouching()),
            _pose("lying", "legs", (LYING,), 0.28, written.lying()),
            Taught(
                "walking", strides, part="legs", group=POSTURE, seconds=WALK_S, radius=0.13, cases=(WALKING,)
            ),
            _pose("left arm raised", "arms", (LEFT_RAISED,), 0.24, written.raised("left")),
            _pose("right arm raised", "arms", (mirrored(LEFT_RAISED),), 0.24, written.raised("right")),
            _pose("both arms raised", "arms", BOTH_RAISED, 0.20, written.raised("left", "right")),
            _pose("pointing", "arms", (LEFT_POINTS, mirrored(LEFT_POINTS)), 0.16, written.pointing()),
            _pose("hands on head", "arms", (HANDS_ON_HEAD,), 0.12, written.hands_on_head()),
        ),
        about="defined, and written down as angles, by diffpose_ros.search.shipped",
    )


def _pose(name: str, part: str, cases: Cases, radius: float, poses: Iterator[Written]) -> Taught:
    examples = tuple(Example(pose.vector()[None], SOURCE, counts=False) for pose in poses)
    group = POSTURE if part == "legs" else ARMS
    return Taught(name, examples, part=part, group=group, radius=radius, cases=cases)
