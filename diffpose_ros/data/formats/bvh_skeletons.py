"""Which joint of a BVH skeleton is which of H36M-17's, for the skeletons that people have.

An entry is the mean of one or several of the file's joints. ``head_top`` and ``nose`` are left out:
:mod:`diffpose_ros.data.formats.bvh` places them from the head. Names are compared without prefix
(``mixamorig:``, ``CC_Base_``), case, spaces and underscores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from diffpose_ros.core import H36M17, InputError

HEAD_JOINTS = ("nose", "head_top")
MAPPED = tuple(n for n in H36M17.joints if n not in HEAD_JOINTS)
_PREFIXES = ("mixamorig", "ccbase", "bip01", "bip001")


@dataclass(frozen=True)
class SkeletonMap:
    """Names of one kind of skeleton.

    Attributes:
        name: what to call it.
        joints: H36M-17 joint -> the file's joints whose mean it is, for each of :data:`MAPPED`.
        head: the file's joint that the head turns with.
        marks: further joints by which a file of this kind is known; they are not used.

    Raises:
        InputError: a joint of H36M-17 is left out, or one is named that is not among them.
    """

    name: str
    joints: Mapping[str, tuple[str, ...]]
    head: str
    marks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        missing = [n for n in MAPPED if not self.joints.get(n)]
        unknown = [n for n in self.joints if n not in MAPPED]
        if missing or unknown:
            raise InputError(
                f"skeleton map '{self.name}': "
                + "; ".join(
                    f"{what} {', '.join(names)}"
                    for what, names in (("missing", missing), ("unknown", unknown))
                    if names
                )
            )

    def lacking(self, names: Iterable[str]) -> dict[str, str]:
        """What of this map a file with joints ``names`` does not have: our name -> the file's."""
        have = {simplify(n) for n in names}
        wanted = [(ours, name) for ours, theirs in self.joints.items() for name in theirs]
        wanted += [("head", self.head)] + [("mark", m) for m in self.marks]
        return {ours: name for ours, name in wanted if simplify(name) not in have}


def simplify(name: str) -> str:
    """A joint's name without prefix, case, spaces and punctuation."""
    out = "".join(c for c in name.rsplit(":", 1)[-1].lower() if c.isalnum())
    for prefix in _PREFIXES:
        out = out.removeprefix(prefix)
    return out


def find(names: Iterable[str], where: str) -> SkeletonMap:
    """The first known skeleton whose joints are all among ``names``.

    Args:
        names: a file's joints.
        where: the file, for the error's text.

    Raises:
        InputError: none fits; the message lists what the nearest one lacks.
    """
    names = tuple(names)
    for skeleton in SKELETONS:
        if not skeleton.lacking(names):
            return skeleton
    nearest = min(SKELETONS, key=lambda s: len(s.lacking(names)))
    raise InputError(
        f"{where}: no known skeleton fits ({', '.join(s.name for s in SKELETONS)}); the nearest, "
        f"'{nearest.name}', finds no {missing_text(nearest, names)}; the file has "
        f"{', '.join(names)}; pass a SkeletonMap of your own"
    )


def missing_text(skeleton: SkeletonMap, names: Iterable[str]) -> str:
    """Unmapped joints for an error's text: ``left_knee ('LeftLeg'), thorax ('Neck')``."""
    return ", ".join(f"{ours} ('{theirs}')" for ours, theirs in skeleton.lacking(names).items())


def _skeleton(
    name: str,
    sides: str,
    limbs: tuple[str, str, str, str, str, str],
    trunk: tuple[str, str, str],
    marks: tuple[str, ...] = (),
) -> SkeletonMap:
    """A map from patterns.

    Args:
        name: of the skeleton.
        sides: what the file calls left and right, ``"Left|Right"``.
        limbs: hip, knee, ankle, shoulder, elbow, wrist; ``*`` stands for the side.
        trunk: spine, thorax and head.
        marks: see :class:`SkeletonMap`.
    """
    joints: dict[str, tuple[str, ...]] = {}
    for side, word in zip(("left", "right"), sides.split("|"), strict=True):
        for joint, pattern in zip(_LIMBS, limbs, strict=True):
            joints[f"{side}_{joint}"] = (pattern.replace("*", word),)
    joints["hip"] = joints["left_hip"] + joints["right_hip"]
    joints["spine"], joints["thorax"] = (trunk[0],), (trunk[1],)
    return SkeletonMap(name, joints, trunk[2], marks)


_LIMBS = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
_MOTIONBUILDER = ("*UpLeg", "*Leg", "*Foot", "*Arm", "*ForeArm", "*Hand")
_PLAIN = ("*Hip", "*Knee", "*Ankle", "*Shoulder", "*Elbow", "*Wrist")

SKELETONS = (
    _skeleton("cmu", "Left|Right", _MOTIONBUILDER, ("Spine1", "Neck1", "Head"), ("LowerBack",)),
    _skeleton("mixamo", "Left|Right", _MOTIONBUILDER, ("Spine1", "Neck", "Head"), ("Spine2",)),
    _skeleton("motionbuilder", "Left|Right", _MOTIONBUILDER, ("Spine", "Neck", "Head")),
    _skeleton(
        "iclone", "L|R",
        ("*_Thigh", "*_Calf", "*_Foot", "*_Upperarm", "*_Forearm", "*_Hand"),
        ("Spine01", "NeckTwist01", "Head"),
    ),
    _skeleton(
        "biped", "L|R",
        ("* Thigh", "* Calf", "* Foot", "* UpperArm", "* Forearm", "* Hand"),
        ("Spine1", "Neck", "Head"),
    ),
    _skeleton(
        "daz", "l|r",
        ("*Thigh", "*Shin", "*Foot", "*Shldr", "*ForeArm", "*Hand"),
        ("chest", "neck", "head"),
    ),
    _skeleton("h36m", "Left|Right", _PLAIN, ("Spine", "Thorax", "Neck")),
    _skeleton("h36m short", "L|R", _PLAIN, ("Spine", "Thorax", "Neck")),
    _skeleton("xsens", "Left|Right", _PLAIN, ("Chest2", "Neck", "Head")),
)  # fmt: skip
"""The special before the general: the first that fits is taken. Where a trunk has several joints,
the spine is the one nearest the middle between hip and thorax, but for CMU's, whose upper one is
what the mocap of the bundled weights calls spine."""
