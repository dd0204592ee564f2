"""BVH files of people as clips: joints mapped to H36M-17, size, up axis, face, rate."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pybvh", reason="pybvh is not installed: training needs it")

from bvh_files import FILE_NAMES, STANDING, joint, person, skeleton, write_bvh

from diffpose_ros.core import H36M17, InputError
from diffpose_ros.data.formats import bvh
from diffpose_ros.data.formats.bvh_file import simplify
from diffpose_ros.data.formats.bvh_skeletons import SKELETONS, SkeletonMap


@pytest.mark.parametrize("kind", list(FILE_NAMES))
def test_known_skeletons_are_recognised_and_mapped(tmp_path, kind):
    clip = bvh.load_bvh(person(tmp_path, kind=kind))
    for name in H36M17.joints:
        if name in STANDING and name != "hip":
            got = joint(clip, name)[0]
            np.testing.assert_allclose(got, STANDING[name], atol=2e-3, err_msg=name)
    middle = np.mean([STANDING["left_hip"], STANDING["right_hip"]], axis=0)
    np.testing.assert_allclose(joint(clip, "hip")[0], middle, atol=2e-3)
    np.testing.assert_allclose(joint(clip, "head_top")[0], STANDING["head_end"], atol=2e-3)
    nose = joint(clip, "nose")[0]
    assert 0.05 < nose[2] < 0.15
    assert 1.55 < nose[1] < 1.68
    assert abs(nose[0]) < 1e-3


def test_every_map_covers_the_body_and_is_tested():
    assert {s.name for s in SKELETONS} == {*FILE_NAMES, "cgspeed"}
    assert simplify("mixamorig:LeftUpLeg") == simplify("left_up leg") == "leftupleg"


@pytest.mark.parametrize("unit", [1.0, 0.01, 0.001, 0.0254, 0.0254 / 0.45])
@pytest.mark.parametrize("size", [0.75, 1.0, 1.15])
def test_the_unit_is_told_from_the_bodys_size(tmp_path, unit, size):
    clip = bvh.load_bvh(person(tmp_path, unit=unit / size))
    np.testing.assert_allclose(joint(clip, "head_top")[0, 1], 1.7 * size, rtol=5e-3)


def test_a_unit_can_be_given(tmp_path):
    path = person(tmp_path, unit=0.01)
    height = joint(bvh.load_bvh(path, scale=0.02), "head_top")[0, 1]
    np.testing.assert_allclose(height, 3.4, atol=1e-3)
    height = joint(bvh.load_bvh(path, scale="inch"), "head_top")[0, 1]
    np.testing.assert_allclose(height, 4.318, 1e-3)
    for wrong, text in ((-1.0, "above 0, got -1"), ("yard", "expected auto, a number or one of")):
        with pytest.raises(InputError, match=text):
            bvh.load_bvh(path, scale=wrong)


def test_a_body_of_no_human_size_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"a body of .* units .* no human's size .*pass the scale"):
        bvh.load_bvh(person(tmp_path, unit=1e-5))


def test_the_face_turns_with_the_heads_joint(tmp_path):
    """ZXY: the third channel of the head turns it about its own y, to the person's left."""
    clip = bvh.load_bvh(person(tmp_path, [{}, {"Head": (0, 0, 90)}]))
    straight, turned = joint(clip, "nose") - joint(clip, "head_top")
    np.testing.assert_allclose(turned, [straight[2], straight[1], 0], atol=1e-4)
    coco = clip.with_coco().coco17
    assert coco[1, 3, 2] < coco[1, 4, 2], "the left ear lies behind the right one now"


def test_a_nod_lowers_the_nose(tmp_path):
    clip = bvh.load_bvh(person(tmp_path, [{}, {"Head": (0, 40, 0)}]))
    assert joint(clip, "nose")[1, 1] < joint(clip, "nose")[0, 1] - 0.03


def test_a_rest_pose_that_does_not_stand_faces_where_the_shoulders_face(tmp_path):
    joints = skeleton()
    for name in ("LeftLeg", "RightLeg", "LeftFoot", "RightFoot"):
        joints[name] = (joints[name][0], (0, 42.0, 0))  # legs up in the rest pose ...
    down = {"LeftUpLeg": (180, 0, 0), "RightUpLeg": (180, 0, 0)}  # ... turned down in the motion
    path = write_bvh(tmp_path / "a.bvh", joints, [down], root=(0, 95, 0))
    clip = bvh.load_bvh(path)
    np.testing.assert_allclose(joint(clip, "left_ankle")[0], [0.1, 0.09, 0], atol=2e-2)
    np.testing.assert_allclose(joint(clip, "head_top")[0], STANDING["head_end"], atol=2e-3)
    assert joint(clip, "nose")[0, 2] > 0.05


def test_a_head_that_ends_inside_the_skull_is_made_whole(tmp_path):
    joints = skeleton() | {"Head_end": ("Head", (0, 9.0, 0))}
    path = write_bvh(tmp_path / "a.bvh", joints, [{}], root=(0, 95, 0))
    np.testing.assert_allclose(joint(bvh.load_bvh(path), "head_top")[0], [0, 1.7, 0], atol=0.02)


def test_a_head_without_an_end_gets_a_crown(tmp_path):
    joints = {k: v for k, v in skeleton().items() if k != "Head_end"}
    path = write_bvh(tmp_path / "a.bvh", joints, [{}], root=(0, 95, 0))
    np.testing.assert_allclose(joint(bvh.load_bvh(path), "head_top")[0], [0, 1.7, 0], atol=0.02)


def test_limbs_follow_their_joints(tmp_path):
    clip = bvh.load_bvh(person(tmp_path, [{"LeftUpLeg": (0, -90, 0), "RightArm": (90, 0, 0)}]))
    np.testing.assert_allclose(joint(clip, "left_knee")[0], [0.1, 0.93, 0.43], atol=1e-3)
    np.testing.assert_allclose(joint(clip, "right_wrist")[0], [-0.18, 1.4 - 0.52, 0], atol=1e-3)
    np.testing.assert_allclose(joint(clip, "left_wrist")[0], STANDING["left_wrist"], atol=1e-3)


def test_files_with_z_up_are_told_by_how_the_person_stands(tmp_path):
    joints = skeleton(axes=((1, 0, 0), (0, 0, -1), (0, 1, 0)))
    clip = bvh.load_bvh(write_bvh(tmp_path / "a.bvh", joints, [{}], root=(0, 0, 95)))
    assert clip.up_axis == "z"
    turned = clip.with_up("y")
    np.testing.assert_allclose(joint(turned, "head_top")[0], STANDING["head_end"], atol=5e-3)
    assert joint(turned, "nose")[0, 2] > 0.05


def test_someone_who_lies_all_along_needs_an_up_axis(tmp_path):
    path = person(tmp_path, [{"Hips": (90, 0, 0)}])
    with pytest.raises(InputError, match="stands along neither"):
        bvh.load_bvh(path)
    assert bvh.load_bvh(path, up_axis="y").up_axis == "y"


def test_frame_rates_are_tidied_resampled_and_frames_skipped(tmp_path):
    path = person(tmp_path, [{}] * 41, frame_time=1 / 120)
    clip = bvh.load_bvh(path)
    assert (clip.fps, len(clip)) == (120.0, 41)
    slow = bvh.load_bvh(path, fps=30.0)
    assert (slow.fps, len(slow)) == (30.0, 11)
    np.testing.assert_allclose(slow.h36m17, clip.h36m17[::4])
    assert len(bvh.load_bvh(path, skip=1)) == 40
    with pytest.raises(InputError, match="skip: expected fewer than its 41 frames, got 41"):
        bvh.load_bvh(path, skip=41)


def test_unmapped_joints_are_listed(tmp_path):
    def rename(name):
        return name and name.replace("LeftFoot", "LeftHoof").replace("Neck", "Nape")

    joints = {rename(k): (rename(p), o) for k, (p, o) in skeleton().items()}
    path = write_bvh(tmp_path / "a.bvh", joints, [{}])
    want = r"no known skeleton fits .*nearest, 'cmu', finds no left_ankle \('LeftFoot'\), " \
           r"thorax \('Neck1'\); the file has Hips, .*LeftHoof"  # fmt: skip
    with pytest.raises(InputError, match=want):
        bvh.load_bvh(path)
    with pytest.raises(InputError, match=r"skeleton 'daz' finds no left_hip \('lThigh'\)"):
        bvh.load_bvh(path, skeleton="daz")
    with pytest.raises(InputError, match=r"expected auto or one of cgspeed, cmu, mixamo, .* got 'robot'"):
        bvh.load_bvh(path, skeleton="robot")


def test_a_map_of_ones_own_is_used(tmp_path):
    cmu = next(s for s in SKELETONS if s.name == "cmu")
    own = SkeletonMap("own", dict(cmu.joints) | {"spine": ("Hips", "Neck1")}, "Head")
    clip = bvh.load_bvh(person(tmp_path), skeleton=own)
    np.testing.assert_allclose(joint(clip, "spine")[0], [0, (0.95 + 1.42) / 2, 0], atol=1e-3)


def test_a_map_with_gaps_is_refused():
    with pytest.raises(InputError, match=r"skeleton map 'own': missing hip, .*; unknown tail"):
        SkeletonMap("own", {"tail": ("Tail",)}, "Head")


def test_folders_are_read_in_order_with_subjects_from_their_names(tmp_path):
    for who in ("s2", "s1"):
        (tmp_path / who).mkdir()
        person(tmp_path / who, [{}] * 5, name="walk.BVH", frame_time=1 / 60)
    (tmp_path / "notes.txt").write_text("not motion")
    got = bvh.load_folder(tmp_path, fps=30.0)
    assert [(c.name, c.subject, c.fps, len(c)) for c in got] == [
        ("walk", "s1", 30.0, 3), ("walk", "s2", 30.0, 3)
    ]  # fmt: skip


def test_folders_without_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no \.bvh files"):
        bvh.load_folder(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        bvh.load_folder(tmp_path / "none")
