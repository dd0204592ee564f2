"""The human body of REP-155: its links, what its joints say of a skeleton, and a description in URDF.

Names, axes and order of turns are those of REP-155's kinematic model and of the ``human_description``
package that belongs to it. Frames have x forward, y left, z up (REP-103). The torso of the model stands
straight on the pelvis, so its waist is always zero; twist and bend of the trunk stand in the frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17

Array = NDArray[np.float64]

JOINTS = (
    "waist", "r_head", "y_head", "p_head",
    *(f"{s}_{j}" for s in "lr" for j in ("y_shoulder", "p_shoulder", "r_shoulder", "elbow")),
    *(f"{s}_{j}" for s in "lr" for j in ("y_hip", "p_hip", "r_hip", "knee")),
)  # fmt: skip
"""Names of the joints that turn, in the order of :func:`joint_positions`."""
LINKS = {
    "torso": "thorax", "head": "head_top",
    **{f"{s[0]}_{j}": f"{s}_{j}" for s in ("left", "right")
       for j in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")},
}  # fmt: skip
"""Link -> the H36M-17 joint where it lies and whose frame it has."""
FROM_ISB = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""An ISB frame times this is the same segment's frame with x forward, y left, z up."""
GIMBAL = 0.05
"""Sine of a shoulder's pitch below which its yaw and roll turn about the same axis."""
MIRROR = np.diag([1.0, -1.0, 1.0])

_J = {name: H36M17.index(name) for name in H36M17.joints}
_FALLBACK_M = {
    "upperarm": 0.30, "forearm": 0.26, "thigh": 0.43, "shank": 0.42, "torso": 0.50, "shoulders": 0.34,
    "hips": 0.26, "neck": 0.12, "head": 0.24,
}  # fmt: skip


class JointPositions:
    """Positions of the model's joints over time, person by person: at the gimbal a shoulder keeps its yaw."""

    def __init__(self) -> None:
        self._yaw: dict[int, list[float]] = {}

    def __call__(self, track_id: int, frames: Array, body: Array) -> Array:
        """(20,) rad in the order of :data:`JOINTS`; NaN where a frame is not known.

        Args:
            track_id: whose.
            frames: (17, 3, 3) ISB frames of the joints.
            body: (3, 3) frame of the body: x forward, y left, z up.
        """
        m = body.T @ frames @ FROM_ISB  # every segment as seen from the body
        head = m[_J["head_top"]]
        yaw = self._yaw.setdefault(track_id, [0.0, 0.0])
        out = [0.0, _atan(head[2, 1], head[1, 1]), _asin(-head[0, 1]), -_atan(head[0, 2], head[0, 0])]
        for k, side in enumerate(("left", "right")):
            upper, lower = m[_J[f"{side}_shoulder"]], m[_J[f"{side}_elbow"]]
            arm = upper if side == "left" else MIRROR @ upper @ MIRROR
            turned = _shoulder(arm, yaw[k])
            if np.isfinite(turned[0]):
                yaw[k] = turned[0]
            out += [*turned, _bend(upper, lower)]
        for side in ("left", "right"):
            upper, lower = m[_J[f"{side}_hip"]], m[_J[f"{side}_knee"]]
            sign = 1.0 if side == "left" else -1.0
            out += [
                -_atan(-upper[0, 1], upper[1, 1]),
                sign * _asin(upper[2, 1]),
                -_atan(-upper[2, 0], upper[2, 2]),
                -_bend(upper, lower),
            ]
        return np.array(out)

    def keep(self, track_ids: set[int]) -> None:
        """Forget everyone else."""
        self._yaw = {person: yaw for person, yaw in self._yaw.items() if person in track_ids}


def _shoulder(m: Array, last_yaw: float) -> tuple[float, float, float]:
    """Yaw, pitch and roll of a left arm: m = Rz(-yaw) Rx(pitch) Rz(roll)."""
    if np.hypot(m[0, 2], m[1, 2]) > GIMBAL:
        yaw = _atan(-m[0, 2], -m[1, 2])
        return yaw, float(np.arccos(np.clip(m[2, 2], -1, 1))), _atan(m[2, 0], m[2, 1])
    c, s = np.cos(last_yaw), np.sin(last_yaw)
    n = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ m
    known = np.isfinite(m).all()
    return (last_yaw if known else np.nan), _atan(-n[1, 2], n[2, 2]), _atan(-n[0, 1], n[0, 0])


def _bend(upper: Array, lower: Array) -> float:
    """Angle between the long axes of two segments, rad."""
    return float(np.arccos(np.clip(upper[:, 2] @ lower[:, 2], -1, 1)))


def _atan(y: float, x: float) -> float:
    return float(np.arctan2(y, x))


def _asin(s: float) -> float:
    return float(np.arcsin(np.clip(s, -1, 1)))


def bone_lengths(xyz: Array) -> dict[str, float]:
    """Lengths of the model's segments in m, from (17, 3) positions; arms and legs are means of both."""

    def between(a: str, b: str) -> float:
        return float(np.linalg.norm(xyz[_J[a]] - xyz[_J[b]]))

    def limb(a: str, b: str) -> float:
        return 0.5 * (between(f"left_{a}", f"left_{b}") + between(f"right_{a}", f"right_{b}"))

    return {
        "upperarm": limb("shoulder", "elbow"), "forearm": limb("elbow", "wrist"),
        "thigh": limb("hip", "knee"), "shank": limb("knee", "ankle"), "torso": between("hip", "thorax"),
        "shoulders": between("left_shoulder", "right_shoulder"), "hips": between("left_hip", "right_hip"),
        "neck": 0.4 * between("thorax", "head_top"), "head": 0.6 * between("thorax", "head_top"),
    }  # fmt: skip


def human_description(body_id: str, lengths: Mapping[str, float] | None = None, prefix: str = "") -> str:
    """A person as URDF, with the names of REP-155.

    Args:
        body_id: stands behind every name.
        lengths: of :func:`bone_lengths`; usual ones when omitted.
        prefix: stands before the names of links.
    """
    size = {**_FALLBACK_M, **(lengths or {})}
    robot = ET.Element("robot", name="human")

    def link(name: str, length: float = 0.0) -> None:
        made = ET.SubElement(robot, "link", name=f"{prefix}{name}_{body_id}")
        if length:
            visual = ET.SubElement(made, "visual")
            ET.SubElement(visual, "origin", xyz=f"0 0 {-length / 2:.4f}", rpy="0 0 0")
            shape = ET.SubElement(visual, "geometry")
            ET.SubElement(shape, "cylinder", length=f"{abs(length):.4f}", radius="0.03")

    def joint(
        name: str, parent: str, child: str, xyz: tuple[float, float, float] = (0, 0, 0),
        axis: tuple[int, int, int] | None = None, limits: tuple[float, float] = (0, 0),
    ) -> None:  # fmt: skip
        made = ET.SubElement(robot, "joint", name=f"{name}_{body_id}", type="revolute" if axis else "fixed")
        ET.SubElement(made, "parent", link=f"{prefix}{parent}_{body_id}")
        ET.SubElement(made, "child", link=f"{prefix}{child}_{body_id}")
        ET.SubElement(made, "origin", xyz=" ".join(f"{v:.4f}" for v in xyz), rpy="0 0 0")
        if axis:
            ET.SubElement(made, "axis", xyz=" ".join(map(str, axis)))
            low, high = (f"{v:g}" for v in limits)
            ET.SubElement(made, "limit", lower=low, upper=high, effort="1000", velocity="20")

    for name, length in (("body", 0.0), ("waist", 0.0), ("torso", size["torso"])):
        link(name, length)
    joint("waist", "body", "waist", axis=(0, 1, 0), limits=(-1, 2))
    joint("torso", "waist", "torso", (0, 0, size["torso"]))
    for name, parent, axis, up, limits in (
        ("r_head", "torso", (1, 0, 0), size["neck"], (-1.6, 1.6)),
        ("y_head", "r_head", (0, 0, 1), 0.0, (-1.6, 1.6)),
        ("p_head", "y_head", (0, -1, 0), 0.0, (-1.6, 1.6)),
    ):
        link(name)
        joint(name, parent, name, (0, 0, up), axis, limits)
    link("head", -size["head"])
    joint("head", "p_head", "head")
    for s, left in (("l", 1), ("r", -1)):
        for name, length in (
            (f"{s}_y_shoulder", 0.0), (f"{s}_p_shoulder", 0.0), (f"{s}_shoulder", size["upperarm"]),
            (f"{s}_elbow", size["forearm"]), (f"{s}_wrist", 0.0), (f"{s}_y_hip", 0.0), (f"{s}_p_hip", 0.0),
            (f"{s}_hip", size["thigh"]), (f"{s}_knee", size["shank"]), (f"{s}_ankle", 0.0),
        ):  # fmt: skip
            link(name, length)
        whole, half = (-3.15, 3.15), (-1.58, 1.58)
        at = (0.0, left * size["shoulders"] / 2, 0.0)
        joint(f"{s}_y_shoulder", "torso", f"{s}_y_shoulder", at, (0, 0, -left), whole)
        joint(f"{s}_p_shoulder", f"{s}_y_shoulder", f"{s}_p_shoulder", axis=(left, 0, 0), limits=whole)
        joint(f"{s}_r_shoulder", f"{s}_p_shoulder", f"{s}_shoulder", axis=(0, 0, left), limits=whole)
        down = (0, 0, -size["upperarm"])
        joint(f"{s}_elbow", f"{s}_shoulder", f"{s}_elbow", down, (0, -1, 0), (0, 3.15))
        joint(f"{s}_wrist", f"{s}_elbow", f"{s}_wrist", (0, 0, -size["forearm"]))
        at = (0.0, left * size["hips"] / 2, 0.0)
        joint(f"{s}_y_hip", "body", f"{s}_y_hip", at, (0, 0, -1), whole)
        joint(f"{s}_p_hip", f"{s}_y_hip", f"{s}_p_hip", axis=(left, 0, 0), limits=half)
        joint(f"{s}_r_hip", f"{s}_p_hip", f"{s}_hip", axis=(0, -1, 0), limits=whole)
        joint(f"{s}_knee", f"{s}_hip", f"{s}_knee", (0, 0, -size["thigh"]), (0, -1, 0), (-3.15, 0))
        joint(f"{s}_ankle", f"{s}_knee", f"{s}_ankle", (0, 0, -size["shank"]))
    ET.indent(robot)
    return '<?xml version="1.0"?>\n' + ET.tostring(robot, encoding="unicode") + "\n"


def link_frames(frames: Array) -> dict[str, Array]:
    """Link -> (3, 3) frame, x forward, y left, z up, of (17, 3, 3) ISB frames; only what is known."""
    turned = frames @ FROM_ISB
    return {link: turned[_J[joint]] for link, joint in LINKS.items() if np.isfinite(frames[_J[joint]]).all()}
