"""Which joint of a BVH skeleton is which of H36M-17's, for the skeletons that people have.

An entry is the mean of one or several of the file's joints. ``head_top`` and ``nose`` are mostly left out:
:mod:`diffpose_ros.data.formats.bvh_head` places them from the head. Names are compared without prefix
(``mixamorig:``, ``CC_Base_``), case, spaces and underscores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from diffpose_ros.core import H36M17, InputError
from diffpose_ros.data.formats import bvh_cmu
from diffpose_ros.data.formats.bvh_file import BvhMotion, simplify

HEAD_JOINTS = ("nose", "head_top")
MAPPED = tuple(n for n in H36M17.joints if n not in HEAD_JOINTS)


@dataclass(frozen=True)
class SkeletonMap:
    """Joint names of one kind of skeleton.

    Attributes:
        name: name of the kind.
        joints: for each of :data:`MAPPED`, H36M-17 joint -> joints in the file, whose mean is used.
        head: joint in the file that rotates the head.
        marks: further joints that identify files of this kind; they are not used.
        mend: function that corrects files of this kind before their joints are read.
        calibrates: whether files of this kind start with a calibration pose.

    Raises:
        InputError: a joint of H36M-17 is missing, or an unknown one is named.
    """

    name: str
    joints: Mapping[str, tuple[str, ...]]
    head: str
    marks: tuple[str, ...] = ()
    mend: Callable[[BvhMotion], BvhMotion] | None = None
    calibrates: bool = False

    def __post_init__(self) -> None:
        missing = [n for n in MAPPED if not self.joints.get(n)]
        unknown = [n for n in self.joints if n not in H36M17.joints]
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
        made = HEAD_JOINTS if self.mend is not None else ()
        wanted = [(o, name) for o, theirs in self.joints.items() if o not in made for name in theirs]
        wanted += [("head", self.head)] + [("mark", m) for m in self.marks]
        return {ours: name for ours, name in wanted if simplify(name) not in have}


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

_CGSPEED = _skeleton(
    "cgspeed", "Left|Right", _MOTIONBUILDER, ("Spine1", "Neck", "Head"),
    ("LHipJoint", "LowerBack", "Neck1", "LeftFingerBase", "RightFingerBase"),
)  # fmt: skip
_CGSPEED = replace(
    _CGSPEED, mend=bvh_cmu.mend, calibrates=True,
    joints={**_CGSPEED.joints, "nose": (bvh_cmu.NOSE_NAME,), "head_top": (bvh_cmu.CROWN_NAME,)},
)  # fmt: skip

SKELETONS = (
    _CGSPEED,
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
what the mocap of the bundled weights calls spine. ``cmu`` are other conversions of CMU's recordings."""
