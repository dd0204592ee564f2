"""BVH files made here, whose kinematics are known from other code."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pybvh", reason="pybvh is not installed: training needs it")

from bvh_files import write_bvh
from scipy.spatial.transform import Rotation

from diffpose_ros.core import InputError
from diffpose_ros.data.formats.bvh_file import read_bvh

ORDERS = ("XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX")

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
