"""Left and right exchanged by a detector: found against the recent past, and undone.

A detector that sees a person from behind or in profile calls the left leg the right one now and
then, for a frame or a few. The limbs themselves did not move. So where the keypoints fit the
expected ones far better with their sides exchanged, the sides are exchanged back. A detector that
insists is believed: it may have been wrong before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import joint_set

GROUPS: dict[str, tuple[str, ...]] = {
    "face": ("eye", "ear"),
    "arms": ("shoulder", "elbow", "wrist"),
    "legs": ("hip", "knee", "ankle"),
}
"""Sides are exchanged group by group, as detectors do."""

INSISTS_S = 0.3
"""An exchange that lasts this long is the truth."""

BETTER = 0.35
"""The exchanged sides must fit with at most this share of the distance."""

APART = 0.08
"""The sides as detected must lie this far from the expected ones, in the mean, of the body's size."""


@dataclass
class Exchanges:
    """How long one person's sides have been exchanged.

    Attributes:
        since_ns: group -> stamp from which on its sides have been exchanged without a break.
    """

    since_ns: dict[str, int] = field(default_factory=dict)

    def to_undo(self, exchanged: tuple[str, ...], stamp_ns: int) -> tuple[str, ...]:
        """Of the groups that look exchanged in this frame, those to exchange back."""
        for group in set(self.since_ns) - set(exchanged):
            del self.since_ns[group]
        undo = []
        for group in exchanged:
            if (stamp_ns - self.since_ns.setdefault(group, stamp_ns)) * 1e-9 < INSISTS_S:
                undo.append(group)
            else:
                del self.since_ns[group]
        return tuple(undo)


def find_exchanged(
    expected: NDArray[np.float64],
    known: NDArray[np.bool_],
    xy: NDArray[np.float64],
    visible: NDArray[np.bool_],
    size: NDArray[np.float64],
    joint_set_name: str,
) -> list[tuple[str, ...]]:
    """The groups of each person whose keypoints fit far better with their sides exchanged.

    Args:
        expected: (P, J, 2) where the keypoints are expected, pixels.
        known: (P, J) joints of which something is expected.
        xy: (P, J, 2) keypoints as detected, pixels.
        visible: (P, J) detected joints.
        size: (P,) apparent size of the body, pixels.
        joint_set_name: says which joints are sides of each other.
    """
    names, member = _groups(joint_set_name)
    flip = joint_set(joint_set_name).flip
    both = known & visible
    both &= both[:, flip]
    count = both @ member  # (P, G); both sides of a pair count
    divide = np.maximum(count, 1)
    straight = (np.linalg.norm(xy - expected, axis=-1) * both) @ member / divide
    crossed = (np.linalg.norm(xy - expected[:, flip], axis=-1) * both) @ member / divide
    hit = (count >= 4) & (straight > APART * size[:, None]) & (crossed < BETTER * straight)
    return [tuple(name for name, h in zip(names, row, strict=True) if h) for row in hit]


def side_order(groups: tuple[str, ...], joint_set_name: str) -> NDArray[np.int64]:
    """(J,) where each joint's keypoint is to be taken from, with the sides of groups exchanged."""
    names, member = _groups(joint_set_name)
    chosen = member[:, [names.index(group) for group in groups]].sum(axis=1) > 0
    order = np.arange(len(member))
    return np.where(chosen, np.asarray(joint_set(joint_set_name).flip), order)


@cache
def _groups(joint_set_name: str) -> tuple[list[str], NDArray[np.float64]]:
    """Names of the groups, and (J, G) 1 where a joint belongs to one."""
    joints = joint_set(joint_set_name).joints
    columns = [
        [float(joint in {f"{side}_{name}" for side in ("left", "right") for name in names})
         for joint in joints]
        for names in GROUPS.values()
    ]  # fmt: skip
    return list(GROUPS), np.array(columns).T
