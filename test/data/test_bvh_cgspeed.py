"""CMU's recordings as cgspeed released them: what that release lost is put back."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pybvh", reason="pybvh is not installed: training needs it")

from bvh_files import joint, write_bvh

from diffpose_ros.core import InputError
from diffpose_ros.data.formats import bvh
from diffpose_ros.data.formats.bvh_file import read_bvh


def cgspeed(*, lost: bool) -> dict:
    """That release's hierarchy, in its units; ``lost``: thorax and wrist of length zero, as it has them."""
    thorax, wrist = ((0, 0, 0), (0, 0, 0)) if lost else ((0.0, 2.0, 0.1), (1.0, 0, 0))
    joints: dict = {"Hips": (None, (0, 0, 0))}
    for side, s, x in (("Left", "L", 1), ("Right", "R", -1)):
        joints |= {
            f"{s}HipJoint": ("Hips", (0, 0, 0)), f"{side}UpLeg": (f"{s}HipJoint", (1.7 * x, -1.9, 0.5)),
            f"{side}Leg": (f"{side}UpLeg", (2.5 * x, -7.0, 0)),
            f"{side}Foot": (f"{side}Leg", (2.7 * x, -7.4, 0)),
            f"{side}Foot_end": (f"{side}Foot", (0, -0.5, 2.2)),
        }  # fmt: skip
    joints |= {
        "LowerBack": ("Hips", (0, 0, 0)), "Spine": ("LowerBack", (0, 2.0, -0.2)),
        "Spine1": ("Spine", (0, 2.0, 0.0)), "Neck": ("Spine1", thorax), "Neck1": ("Neck", (0, 1.7, 0.17)),
        "Head": ("Neck1", (0, 1.7, -0.2)), "Head_end": ("Head", (0, 1.74, -0.1)),
    }  # fmt: skip
    for side, s, x in (("Left", "L", 1), ("Right", "R", -1)):
        hand = tuple(x * v for v in wrist)
        joints |= {
            f"{side}Shoulder": ("Spine1", thorax), f"{side}Arm": (f"{side}Shoulder", (3.4 * x, 1.0, -0.4)),
            f"{side}ForeArm": (f"{side}Arm", (5.0 * x, 0, 0)),
            f"{side}Hand": (f"{side}ForeArm", (10.0 / 3.0 * x, 0, 0)),
            f"{side}FingerBase": (f"{side}Hand", hand),
            f"{side}FingerBase_end": (f"{side}FingerBase", (0.4 * x, 0, 0)),
            f"{s}Thumb": (f"{side}Hand", hand), f"{s}Thumb_end": (f"{s}Thumb", (0.3 * x, 0, 0.3)),
        }  # fmt: skip
    return joints


MOVING = {
    "Spine": (4.2, 8.1, -3.3), "Spine1": (5.5, -12.3, 6.1), "Neck1": (3.1, 20.2, 4.4),
    "LeftArm": (-80.5, 12.4, 5.2), "LeftForeArm": (8.1, -35.5, 20.3), "RightArm": (75.3, -8.2, 11.7),
    "RightForeArm": (-5.4, 44.6, -12.1), "RightUpLeg": (3.3, -30.8, 2.9), "Head": (5.1, 9.7, 14.8),
}  # fmt: skip


def test_what_cgspeeds_release_lost_is_put_back(tmp_path):
    root = (0, 17.0, 0)
    frames = [{}, MOVING, {**MOVING, "Hips": (10.5, 40.2, 3.3)}]
    lost = write_bvh(tmp_path / "lost.bvh", cgspeed(lost=True), frames, order="ZYX", root=root)
    exact = write_bvh(tmp_path / "exact.bvh", cgspeed(lost=False), frames, order="ZYX", root=root)
    clip = bvh.load_bvh(lost)
    assert len(clip) == 2, "the calibration pose at its start is no motion"
    whole = read_bvh(exact)
    at = {name: whole.position[1:, i] * bvh.UNITS["cmu"] for i, name in enumerate(whole.names)}
    want = {
        "spine": "Spine1", "thorax": "Neck", "head_top": "Head_end", "left_shoulder": "LeftArm",
        "right_shoulder": "RightArm", "left_elbow": "LeftForeArm", "right_elbow": "RightForeArm",
        "left_wrist": "LeftFingerBase", "right_wrist": "RightFingerBase", "left_knee": "LeftLeg",
        "right_ankle": "RightFoot",
    }  # fmt: skip
    for ours, theirs in want.items():
        off = np.linalg.norm(joint(clip, ours) - at[theirs], axis=-1)
        assert off.max() < 0.008, f"{ours}: {1000 * off.max():.1f} mm"
    unmended = read_bvh(lost)
    arm = unmended.position[1:, unmended.names.index("LeftArm")] * bvh.UNITS["cmu"]
    assert np.linalg.norm(arm - at["LeftArm"], axis=-1).min() > 0.11
    nose = joint(clip, "nose") - joint(clip, "head_top")
    np.testing.assert_allclose(np.linalg.norm(nose, axis=-1), 0.1226, atol=0.003)


def test_the_nose_lies_before_the_head_and_below_the_crown(tmp_path):
    """That release's bodies face +z at rest; a quarter turn about y faces them to +x."""
    frames = [{"Head": (0.5, 0, 0)}, {"Head": (0.5, 0, 0), "Hips": (0, 90.0, 0)}]
    path = write_bvh(tmp_path / "a.bvh", cgspeed(lost=True), frames, order="ZYX", root=(0, 17.0, 0))
    clip = bvh.load_bvh(path, skip=0)
    straight, turned = joint(clip, "nose") - joint(clip, "head_top")
    assert straight[2] > 0.08 > 0.03 > abs(straight[0])
    assert abs(turned[0]) > 0.08 > 0.03 > abs(turned[2])
    assert (np.array([straight[1], turned[1]]) < -0.03).all()


def test_a_whole_skeleton_of_the_same_names_is_left_alone(tmp_path):
    path = write_bvh(tmp_path / "a.bvh", cgspeed(lost=False), [MOVING], order="ZYX", root=(0, 17.0, 0))
    clip, whole = bvh.load_bvh(path), read_bvh(path)
    for ours, theirs in (("thorax", "Neck"), ("left_shoulder", "LeftArm"), ("left_wrist", "LeftHand")):
        want = whole.position[:, whole.names.index(theirs)] * bvh.UNITS["cmu"]
        np.testing.assert_allclose(joint(clip, ours), want, atol=1e-5)


def test_a_head_without_its_crown_is_refused(tmp_path):
    joints = {k: v for k, v in cgspeed(lost=True).items() if k != "Head_end"}
    path = write_bvh(tmp_path / "a.bvh", joints, [MOVING], order="ZYX", root=(0, 17.0, 0))
    with pytest.raises(InputError, match="expected an end site on 'Head'"):
        bvh.load_bvh(path)
