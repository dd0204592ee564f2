"""REP-155's model: what its joints say, put through its URDF, is the skeleton again."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import pytest
from moving_bodies import CAMERA, about, body, motion
from scipy.spatial.transform import Rotation

from diffpose_ros.core import H36M17
from diffpose_ros.kinematics import RotationTracker
from diffpose_ros.kinematics.human_model import (
    FROM_ISB,
    JOINTS,
    LINKS,
    JointPositions,
    bone_lengths,
    human_description,
    link_frames,
)

J = {name: i for i, name in enumerate(H36M17.joints)}


def posed(urdf: str, positions: dict[str, float]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Link -> (rotation, translation) in the body's frame: forward kinematics of a URDF, read here."""
    robot = ET.fromstring(urdf)
    found = {"body": (np.eye(3), np.zeros(3))}
    joints = list(robot.iter("joint"))
    while joints:
        for joint in list(joints):
            parent, child = (joint.find(k).get("link").removesuffix("_x") for k in ("parent", "child"))
            if parent not in found:
                continue
            r, t = found[parent]
            t = t + r @ np.array(joint.find("origin").get("xyz").split(), dtype=float)
            if joint.get("type") == "revolute":
                axis = np.array(joint.find("axis").get("xyz").split(), dtype=float)
                angle = positions[joint.get("name").removesuffix("_x")]
                low, high = (float(joint.find("limit").get(k)) for k in ("lower", "upper"))
                assert low - 1e-6 <= angle <= high + 1e-6, joint.get("name")
                r = r @ Rotation.from_rotvec(angle * axis).as_matrix()
            found[child] = r, t
            joints.remove(joint)
    return found


def frame(xyz):
    """x forward, y left, z up at the mid-hip."""
    z = xyz[J["thorax"]] - xyz[J["hip"]]
    z = z / np.linalg.norm(z)
    y = xyz[J["left_hip"]] - xyz[J["right_hip"]]
    y = y - (y @ z) * z
    y = y / np.linalg.norm(y)
    return np.stack([np.cross(y, z), y, z], axis=1)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_models_limbs_point_as_the_skeletons_do(seed) -> None:
    tracker, positions = RotationTracker(), JointPositions()
    for k, turns in enumerate(motion(seed)):
        xyz, _ = body(turns, CAMERA)
        got = tracker.update(xyz, dt=1 / 30).matrix
        if k % 20:
            continue
        base = frame(xyz)
        angles = dict(zip(JOINTS, positions(1, got, base), strict=True))
        model = posed(human_description("x", bone_lengths(xyz)), angles)
        for side in ("left", "right"):
            s = side[0]
            for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")):
                bone = model[f"{s}_{b}"][1] - model[f"{s}_{a}"][1]
                true = base.T @ (xyz[J[f"{side}_{b}"]] - xyz[J[f"{side}_{a}"]])
                cosine = bone @ true / np.linalg.norm(bone) / np.linalg.norm(true)
                assert np.rad2deg(np.arccos(min(cosine, 1))) < 3.0, (a, side)
        head = model["head"][0]
        np.testing.assert_allclose(head, base.T @ got[J["head_top"]] @ FROM_ISB, atol=1e-6)


@pytest.mark.parametrize(
    ("turns", "joint", "degrees"),
    [
        ({}, "waist", 0),
        ({"left_shoulder": about("z", 90)}, "l_p_shoulder", 90),
        ({"right_shoulder": about("z", 90)}, "r_p_shoulder", 90),
        ({"left_shoulder": about("z", 90)}, "l_y_shoulder", 90),
        ({"right_shoulder": about("z", 90)}, "r_y_shoulder", 90),
        ({"left_shoulder": about("x", 60)}, "l_p_shoulder", 60),
        ({"right_shoulder": about("x", -60)}, "r_p_shoulder", 60),
        ({"left_elbow": about("z", 80)}, "l_elbow", 80),
        ({"right_hip": about("z", 30)}, "r_r_hip", 30),
        ({"left_hip": about("x", 25)}, "l_p_hip", 25),
        ({"right_hip": about("x", -25)}, "r_p_hip", 25),
        ({"right_knee": about("z", -70)}, "r_knee", -70),
    ],
)
def test_a_joint_turns_in_the_sense_of_rep_155(turns, joint, degrees) -> None:
    xyz, _ = body(turns)
    got = JointPositions()(1, RotationTracker().update(xyz).matrix, frame(xyz))
    assert np.rad2deg(got[JOINTS.index(joint)]) == pytest.approx(degrees, abs=1e-4)


def test_hanging_arms_keep_their_yaw() -> None:
    positions = JointPositions()
    seen = []
    for angle in (60, 30, 10, 2, 0, 0):
        xyz, _ = body({"left_shoulder": about("z", angle)})
        seen.append(positions(1, RotationTracker().update(xyz).matrix, frame(xyz))[4])
    np.testing.assert_allclose(seen, np.pi / 2, atol=1e-6)
    positions.keep({2})
    assert positions(1, RotationTracker().update(xyz).matrix, frame(xyz))[4] == 0.0


def test_what_is_not_known_has_no_angle_and_no_frame() -> None:
    xyz, _ = body()
    got = RotationTracker().update(xyz).matrix
    got[[J["left_elbow"], J["left_wrist"], J["head_top"]]] = np.nan
    angles = dict(zip(JOINTS, JointPositions()(1, got, frame(xyz)), strict=True))
    unknown = {name for name, value in angles.items() if np.isnan(value)}
    assert unknown == {"l_elbow", "r_head", "y_head", "p_head"}
    assert set(LINKS) - set(link_frames(got)) == {"l_elbow", "l_wrist", "head"}


def test_link_frames_have_x_forward_y_left_z_up() -> None:
    xyz, _ = body()
    for turned in link_frames(RotationTracker().update(xyz).matrix).values():
        np.testing.assert_allclose(turned, frame(xyz), atol=1e-9)


def test_the_description_has_the_links_and_joints_of_rep_155() -> None:
    robot = ET.fromstring(human_description("x", prefix="cam/"))
    links = {link.get("name") for link in robot.iter("link")}
    assert {f"cam/{name}_x" for name in (*LINKS, "body", "waist")} <= links
    turning = {j.get("name") for j in robot.iter("joint") if j.get("type") == "revolute"}
    assert turning == {f"{name}_x" for name in JOINTS}
    children = [j.find("child").get("link") for j in robot.iter("joint")]
    assert len(children) == len(set(children)) == len(links) - 1  # a tree


def test_lengths_of_the_model_are_those_of_the_skeleton() -> None:
    """Arms and legs are means of both; of what lies between neck and crown two fifths are the neck."""
    xyz, _ = body()
    xyz[H36M17.index("left_ankle"), 1] += 0.04
    got = bone_lengths(xyz)
    assert got == pytest.approx(
        {"upperarm": 0.29, "forearm": 0.25, "thigh": 0.44, "shank": 0.44, "torso": 0.49, "shoulders": 0.34,
         "hips": 0.26, "neck": 0.4 * 0.23, "head": 0.6 * 0.23}
    )  # fmt: skip
