"""Joint sets: names, bones and sides of joints, and the meaning of each index."""

from __future__ import annotations

from dataclasses import dataclass

from diffpose_ros.core.errors import ConfigError


@dataclass(frozen=True)
class JointSet:
    """A named, ordered set of joints.

    Attributes:
        name: identifier in messages and model files, e.g. ``"h36m17"``.
        joints: joint names in order, length J.
        bones: ``(parent, child)`` index pairs.
        left: indices of the left joints, in the order of ``right``.
        right: indices of the right joints; ``right[i]`` mirrors ``left[i]``.
    """

    name: str
    joints: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    left: tuple[int, ...]
    right: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Index of a joint by name.

        Raises:
            ConfigError: the set has no such joint.
        """
        try:
            return self.joints.index(joint)
        except ValueError:
            raise ConfigError(
                f"joint set '{self.name}' has no joint '{joint}', it has: {', '.join(self.joints)}"
            ) from None

    @property
    def flip(self) -> tuple[int, ...]:
        """Permutation (J,) that swaps left and right joints."""
        order = list(range(len(self.joints)))
        for left, right in zip(self.left, self.right, strict=True):
            order[left], order[right] = right, left
        return tuple(order)

    def side(self, joint: int) -> str:
        """``"left"``, ``"right"`` or ``"middle"``."""
        if joint in self.left:
            return "left"
        return "right" if joint in self.right else "middle"

    def bone_side(self, a: int, b: int) -> str:
        """Side of a bone: that of both ends, or of the only end with a side; else ``"middle"``."""
        sides = {self.side(a), self.side(b)} - {"middle"}
        return sides.pop() if len(sides) == 1 else "middle"


COCO17 = JointSet(
    name="coco17",
    joints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
        "left_wrist", "right_wrist", "left_hip", "right_hip",
        "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    bones=(
        (0, 1), (0, 2), (1, 3), (2, 4), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10),
        (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
    ),
    left=(1, 3, 5, 7, 9, 11, 13, 15),
    right=(2, 4, 6, 8, 10, 12, 14, 16),
)  # fmt: skip

H36M17 = JointSet(
    name="h36m17",
    joints=(
        "hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "spine", "thorax", "nose", "head_top", "left_shoulder", "left_elbow", "left_wrist",
        "right_shoulder", "right_elbow", "right_wrist",
    ),
    bones=(
        (0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6), (0, 7), (7, 8), (8, 9), (9, 10),
        (8, 11), (11, 12), (12, 13), (8, 14), (14, 15), (15, 16),
    ),
    left=(4, 5, 6, 11, 12, 13),
    right=(1, 2, 3, 14, 15, 16),
)  # fmt: skip

JOINT_SETS = {s.name: s for s in (COCO17, H36M17)}


def joint_set(name: str) -> JointSet:
    """Look up a joint set by name.

    Raises:
        ConfigError: unknown name.
    """
    try:
        return JOINT_SETS[name]
    except KeyError:
        raise ConfigError(f"unknown joint set '{name}', expected one of: {', '.join(JOINT_SETS)}") from None
