"""BVH files made here, whose kinematics are known from other code."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pybvh", reason="pybvh is not installed: training needs it")

from scipy.spatial.transform import Rotation

from diffpose_ros.core import H36M17, InputError
from diffpose_ros.data.formats import bvh
from diffpose_ros.data.formats.bvh_file import read_bvh, simplify
from diffpose_ros.data.formats.bvh_skeletons import SKELETONS, SkeletonMap

ORDERS = ("XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX")


def write_bvh(path, joints, frames, *, order="ZXY", frame_time=1 / 30, root=(0.0, 0.0, 0.0)):
    """A file from ``joints``: name -> (parent, offset); end sites are named ``<parent>_end``.

    Args:
        frames: list of dictionaries joint -> three angles in degrees, in ``order``; others are 0.
    """
    names = list(joints)
    lines = ["HIERARCHY"]

    def block(name, depth):
        pad, (parent, offset) = "\t" * depth, joints[name]
        is_end = name.endswith("_end")
        title = "End Site" if is_end else f"{'JOINT' if parent else 'ROOT'} {name}"
        lines.extend([pad + title, pad + "{", f"{pad}\tOFFSET {' '.join(map(str, offset))}"])
        if not is_end:
            turns = " ".join(f"{a}rotation" for a in order)
            place = "" if parent else "Xposition Yposition Zposition "
            lines.append(f"{pad}\tCHANNELS {3 if parent else 6} {place}{turns}")
        for child in names:
            if joints[child][0] == name:
                block(child, depth + 1)
        lines.append(pad + "}")

    block(names[0], 0)
    lines += ["MOTION", f"Frames: {len(frames)}", f"Frame Time: {frame_time:.7f}"]

    def depth_first(name):
        yield name
        for child in names:
            if joints[child][0] == name:
                yield from depth_first(child)

    for i, frame in enumerate(frames):
        place = frame.get("position", np.add(root, (0.0, 0.0, 0.1 * i)))
        row = list(place)
        for name in depth_first(names[0]):
            if not name.endswith("_end"):
                row += list(frame.get(name, (0.0, 0.0, 0.0)))
        lines.append(" ".join(f"{v:.6f}" for v in row))
    path.write_text("\n".join(lines) + "\n")
    return path


ARM = {
    "Base": (None, (0, 0, 0)), "Upper": ("Base", (0, 1, 0)), "Lower": ("Upper", (0, 2, 0)),
    "Lower_end": ("Lower", (0.5, 0.25, 0)),
}  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
def test_rotations_apply_in_the_order_of_the_channels(tmp_path, order):
    rng = np.random.default_rng(7)
    angles = {n: rng.uniform(-170, 170, 3) for n in ("Base", "Upper", "Lower")}
    parsed = read_bvh(write_bvh(tmp_path / "a.bvh", ARM, [angles], order=order))
    position, rotation = parsed.position, parsed.rotation
    # scipy's capital letters are intrinsic rotations: each in the frame the one before left.
    turn = {n: Rotation.from_euler(order, a, degrees=True) for n, a in angles.items()}
    base, upper = turn["Base"], turn["Base"] * turn["Upper"]
    lower = upper * turn["Lower"]
    elbow = base.apply([0, 1, 0])
    wrist = elbow + upper.apply([0, 2, 0])
    tip = wrist + lower.apply([0.5, 0.25, 0])
    np.testing.assert_allclose(position[0], [[0, 0, 0], elbow, wrist, tip], atol=1e-6)
    np.testing.assert_allclose(rotation[0, 2], lower.as_matrix(), atol=1e-6)


def test_a_quarter_turn_worked_by_hand(tmp_path):
    """Turning the upper arm by 90 degrees about z lays everything above it along -x."""
    path = write_bvh(tmp_path / "a.bvh", ARM, [{"Upper": (90, 0, 0)}], order="ZXY", root=(5, 6, 7))
    position = read_bvh(path).position
    want = [[5, 6, 7], [5, 7, 7], [3, 7, 7], [2.75, 7.5, 7]]
    np.testing.assert_allclose(position[0], want, atol=1e-9)


def test_two_turns_in_one_joint_worked_by_hand(tmp_path):
    """Z then X: the x axis has already turned to y, so the bone along y stays where z put it."""
    frames = [{"Base": (90, 90, 0)}]
    zx = read_bvh(write_bvh(tmp_path / "a.bvh", ARM, frames, order="ZXY")).position
    np.testing.assert_allclose(zx[0, 1], [0, 0, 1], atol=1e-9)
    xz = read_bvh(write_bvh(tmp_path / "b.bvh", ARM, frames, order="XZY")).position
    np.testing.assert_allclose(xz[0, 1], [-1, 0, 0], atol=1e-9)


SIX = (
    "HIERARCHY\nROOT Base\n{\nOFFSET 9 9 9\nCHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation "
    "Yrotation\nJOINT Arm\n{\nOFFSET 0 1 0\nCHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation "
    "Yrotation\nEnd Site\n{\nOFFSET 1 0 0\n}\n}\n}\nMOTION\nFrames: 2\nFrame Time: 0.04\n"
)


def test_positions_of_joints_replace_their_offsets(tmp_path):
    (tmp_path / "a.bvh").write_text(SIX + "1 2 3 0 0 0 0 4 0 90 0 0\n1 2 3 0 0 0 0 4 0 0 0 0\n")
    position = read_bvh(tmp_path / "a.bvh").position
    np.testing.assert_allclose(position[0], [[1, 2, 3], [1, 6, 3], [1, 7, 3]], atol=1e-9)
    np.testing.assert_allclose(position[1], [[1, 2, 3], [1, 6, 3], [2, 6, 3]], atol=1e-9)


def test_a_joint_that_moves_away_from_its_parent_is_refused(tmp_path):
    (tmp_path / "a.bvh").write_text(SIX + "1 2 3 0 0 0 0 4 0 90 0 0\n1 2 3 0 0 0 0 5 0 0 0 0\n")
    with pytest.raises(InputError, match=r"a\.bvh: joint 'Arm' moves away from its parent"):
        read_bvh(tmp_path / "a.bvh")


def test_end_sites_and_rest_pose_are_kept(tmp_path):
    parsed = read_bvh(write_bvh(tmp_path / "a.bvh", ARM, [{"Base": (30, 40, 50)}]))
    assert parsed.names == ("Base", "Upper", "Lower", "Lower_end")
    assert parsed.parents == (-1, 0, 1, 2)
    assert parsed.ends == (False, False, False, True)
    want = [[0, 0, 0], [0, 1, 0], [0, 3, 0], [0.5, 3.25, 0]]
    np.testing.assert_allclose(parsed.rest, want)


def test_dos_line_ends_tabs_case_and_a_byte_order_mark_are_read(tmp_path):
    text = write_bvh(tmp_path / "a.bvh", ARM, [{}, {"Base": (10, 0, 0)}]).read_text()
    odd = text.replace("\n", "\r\n").replace("Zrotation", "ZROTATION").replace(" ", " \t")
    (tmp_path / "b.bvh").write_bytes(b"\xef\xbb\xbf" + odd.encode())
    a, b = read_bvh(tmp_path / "a.bvh"), read_bvh(tmp_path / "b.bvh")
    np.testing.assert_array_equal(a.position, b.position)


@pytest.mark.parametrize(
    ("find", "replace", "text"),
    [
        ("ROOT Base", "JOINT Base", "JOINT 'Base' outside any ROOT block"),
        ("ROOT Base", "ROOT", "not a BVH file that can be read"),
        ("JOINT Upper", "ROOT Upper", "Second ROOT 'Upper'"),
        ("OFFSET 0 1 0", "OFFSET 0 1", "OFFSET must have 3 values, got 2"),
        ("OFFSET 0 1 0", "OFFSET 0 one 0", "could not convert string to float"),
        ("OFFSET 0 1 0", "OFFSET 0 nan 0", "expected finite numbers"),
        ("CHANNELS 3", "CHANNELS 4", "CHANNELS declares 4 channels but lists 3"),
        ("CHANNELS 3 Z", "CHANNELS 3 W", "unrecognized axis"),
        ("Frames: 2", "Frames: two", "invalid literal for int"),
        ("Frames: 2", "Frames: 3", "declares 3 frames but file contains 2"),
        ("Frame Time: 0.0333333", "Frame Time: 0", "missing or zero"),
        ("0.100000", "0.100000 1.0", "not a BVH file that can be read"),
        ("0.100000", "inf", "expected finite numbers"),
        ("0.100000", "x", "could not convert string"),
    ],
)
def test_a_file_that_breaks_the_format_is_refused_in_one_line(tmp_path, find, replace, text):
    whole = write_bvh(tmp_path / "a.bvh", ARM, [{}, {}]).read_text()
    assert find in whole
    (tmp_path / "a.bvh").write_text(whole.replace(find, replace, 1))
    with pytest.raises(InputError, match=rf"a\.bvh: .*{text}") as caught:
        read_bvh(tmp_path / "a.bvh")
    assert "\n" not in str(caught.value)
    assert "diffpose_ros_" not in str(caught.value), "the copy that was read is nobody's business"


def test_a_file_cut_after_any_line_is_refused(tmp_path):
    rows = write_bvh(tmp_path / "a.bvh", ARM, [{}, {}]).read_text().splitlines()
    for cut in range(len(rows)):
        (tmp_path / "a.bvh").write_text("\n".join(rows[:cut]))
        with pytest.raises(InputError, match=r"a\.bvh: "):
            read_bvh(tmp_path / "a.bvh")


def test_missing_and_binary_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.bvh: cannot be read \(No such file"):
        read_bvh(tmp_path / "none.bvh")
    (tmp_path / "a.bvh").write_bytes(b"\x80\x81\xff" * 10)
    with pytest.raises(InputError, match="expected a BVH text file, got binary data"):
        read_bvh(tmp_path / "a.bvh")


# --- bodies -----------------------------------------------------------------------------------

# H36M-17 joint -> where it is in a standing person, metres, Y up, facing +z.
STANDING = {
    "hip": (0, 0.95, 0), "left_hip": (0.1, 0.93, 0), "left_knee": (0.1, 0.5, 0),
    "left_ankle": (0.1, 0.09, 0), "right_hip": (-0.1, 0.93, 0), "right_knee": (-0.1, 0.5, 0),
    "right_ankle": (-0.1, 0.09, 0), "spine": (0, 1.2, 0), "thorax": (0, 1.42, 0),
    "head": (0, 1.52, 0), "head_end": (0, 1.7, 0), "left_shoulder": (0.18, 1.4, 0),
    "left_elbow": (0.46, 1.4, 0), "left_wrist": (0.7, 1.4, 0), "right_shoulder": (-0.18, 1.4, 0),
    "right_elbow": (-0.46, 1.4, 0), "right_wrist": (-0.7, 1.4, 0),
}  # fmt: skip
PARENTS = {
    "left_hip": "hip", "left_knee": "left_hip", "left_ankle": "left_knee", "right_hip": "hip",
    "right_knee": "right_hip", "right_ankle": "right_knee", "spine": "hip", "thorax": "spine",
    "head": "thorax", "head_end": "head", "left_shoulder": "thorax", "left_elbow": "left_shoulder",
    "left_wrist": "left_elbow", "right_shoulder": "thorax", "right_elbow": "right_shoulder",
    "right_wrist": "right_elbow",
}  # fmt: skip
FILE_NAMES = {
    "cmu": ("Hips", "LeftUpLeg", "LeftLeg", "LeftFoot", "RightUpLeg", "RightLeg", "RightFoot",
            "Spine1", "Neck1", "Head", "LeftArm", "LeftForeArm", "LeftHand", "RightArm",
            "RightForeArm", "RightHand"),
    "mixamo": ("mixamorig:Hips", "mixamorig:LeftUpLeg", "mixamorig:LeftLeg", "mixamorig:LeftFoot",
               "mixamorig:RightUpLeg", "mixamorig:RightLeg", "mixamorig:RightFoot",
               "mixamorig:Spine1", "mixamorig:Neck", "mixamorig:Head", "mixamorig:LeftArm",
               "mixamorig:LeftForeArm", "mixamorig:LeftHand", "mixamorig:RightArm",
               "mixamorig:RightForeArm", "mixamorig:RightHand"),
    "motionbuilder": ("Hips", "LeftUpLeg", "LeftLeg", "LeftFoot", "RightUpLeg", "RightLeg",
                      "RightFoot", "Spine", "Neck", "Head", "LeftArm", "LeftForeArm", "LeftHand",
                      "RightArm", "RightForeArm", "RightHand"),
    "iclone": ("CC_Base_Hip", "CC_Base_L_Thigh", "CC_Base_L_Calf", "CC_Base_L_Foot",
               "CC_Base_R_Thigh", "CC_Base_R_Calf", "CC_Base_R_Foot", "CC_Base_Spine01",
               "CC_Base_NeckTwist01", "CC_Base_Head", "CC_Base_L_Upperarm", "CC_Base_L_Forearm",
               "CC_Base_L_Hand", "CC_Base_R_Upperarm", "CC_Base_R_Forearm", "CC_Base_R_Hand"),
    "biped": ("Bip01", "Bip01 L Thigh", "Bip01 L Calf", "Bip01 L Foot", "Bip01 R Thigh",
              "Bip01 R Calf", "Bip01 R Foot", "Bip01 Spine1", "Bip01 Neck", "Bip01 Head",
              "Bip01 L UpperArm", "Bip01 L Forearm", "Bip01 L Hand", "Bip01 R UpperArm",
              "Bip01 R Forearm", "Bip01 R Hand"),
    "daz": ("hip", "lThigh", "lShin", "lFoot", "rThigh", "rShin", "rFoot", "chest", "neck", "head",
            "lShldr", "lForeArm", "lHand", "rShldr", "rForeArm", "rHand"),
    "xsens": ("Hips", "LeftHip", "LeftKnee", "LeftAnkle", "RightHip", "RightKnee", "RightAnkle",
              "Chest2", "Neck", "Head", "LeftShoulder", "LeftElbow", "LeftWrist", "RightShoulder",
              "RightElbow", "RightWrist"),
    "h36m": ("Hip", "LeftHip", "LeftKnee", "LeftAnkle", "RightHip", "RightKnee", "RightAnkle",
             "Spine", "Thorax", "Neck", "LeftShoulder", "LeftElbow", "LeftWrist", "RightShoulder",
             "RightElbow", "RightWrist"),
    "h36m short": ("Hip", "LHip", "LKnee", "LAnkle", "RHip", "RKnee", "RAnkle", "Spine", "Thorax",
                   "Neck", "LShoulder", "LElbow", "LWrist", "RShoulder", "RElbow", "RWrist"),
}  # fmt: skip
OURS = ("hip", "left_hip", "left_knee", "left_ankle", "right_hip", "right_knee", "right_ankle",
        "spine", "thorax", "head", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder",
        "right_elbow", "right_wrist")  # fmt: skip
MARKS = {"cmu": ("LowerBack",), "mixamo": ("mixamorig:Spine2",)}


def skeleton(kind="cmu", unit=0.01, axes=((1, 0, 0), (0, 1, 0), (0, 0, 1))):
    """Joints of a standing person for :func:`write_bvh`, in units of ``unit`` metres."""
    name = dict(zip(OURS, FILE_NAMES[kind], strict=True))
    name["head_end"] = name["head"] + "_end"
    turn = np.array(axes, dtype=float)
    out = {name["hip"]: (None, (0, 0, 0))}
    for joint, parent in PARENTS.items():
        offset = turn @ (np.subtract(STANDING[joint], STANDING[parent])) / unit
        out[name[joint]] = (name[parent], tuple(np.round(offset, 6)))
    for mark in MARKS.get(kind, ()):
        out[mark] = (name["hip"], (0, 0, 0))
    return out


def person(tmp_path, frames=({},), *, kind="cmu", unit=0.01, name="a.bvh", **options):
    root = np.array(STANDING["hip"]) / unit
    path = tmp_path / name
    return write_bvh(path, skeleton(kind, unit), list(frames), root=root, **options)


def joint(clip, name):
    return clip.h36m17[:, H36M17.index(name)]


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


# --- CMU's recordings as cgspeed released them --------------------------------------------------


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
