"""The frame on the body is a rotation, x forward, z up, and its name has five characters."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core import H36M17, Skeleton
from diffpose_ros.ros.body_frame import body_frame, body_id, body_rotation, frame_prefix


def standing(turn_deg=0.0):
    """A person who faces the camera (optical frame: y down, z away), turned about the vertical."""
    xyz = np.zeros((17, 3))
    # facing the camera, the person's left is on the image's right
    xyz[H36M17.index("left_hip")] = [0.1, 0, 0]
    xyz[H36M17.index("right_hip")] = [-0.1, 0, 0]
    xyz[H36M17.index("thorax")] = [0, -0.5, 0]
    a = np.radians(turn_deg)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    return Skeleton(
        xyz=xyz @ turn.T, covariance=np.zeros((17, 3, 3)), score=np.ones(17), root=np.zeros(3),
        root_is_metric=False,
    )  # fmt: skip


def test_axes_are_forward_left_up():
    rotation = body_rotation(standing())
    assert rotation[:, 0] == pytest.approx([0, 0, -1])  # forward: towards the camera
    assert rotation[:, 1] == pytest.approx([1, 0, 0])
    assert rotation[:, 2] == pytest.approx([0, -1, 0])


def matrix(x, y, z, w):
    """The rotation of a unit quaternion, written out."""
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@pytest.mark.parametrize("turn", [0, 30, 90, 180, 270])
def test_its_axes_are_a_rotation(turn):
    rotation = body_rotation(standing(turn))
    assert rotation.T @ rotation == pytest.approx(np.eye(3))
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_joints_on_one_spot_give_no_frame():
    flat = Skeleton(
        xyz=np.zeros((17, 3)), covariance=np.zeros((17, 3, 3)), score=np.ones(17),
        root=np.zeros(3), root_is_metric=False,
    )  # fmt: skip
    assert body_rotation(flat) is None


def test_names_have_five_characters_and_differ():
    names = [body_id(i) for i in (*range(2000), 26**5 - 1)]
    assert {len(n) for n in names} == {5}
    assert len(set(names)) == len(names)
    assert names[:2] == ["aaaaa", "aaaab"]
    assert names[-1] == "zzzzz"


@pytest.mark.parametrize(
    ("asked", "namespace", "prefix"),
    [
        ("auto", "/diffpose", ""),
        ("auto", "/", ""),
        ("auto", "/front/diffpose", "front/diffpose/"),
        ("auto", "/rear", "rear/"),
        ("", "/rear", ""),
        ("left_", "/diffpose", "left_"),
    ],
)
def test_body_frames_are_unique_where_several_cameras_may_be(asked, namespace, prefix):
    assert frame_prefix(asked, namespace) == prefix
    assert body_frame(10, prefix) == f"{prefix}body_aaaak"


def test_who_has_no_identity_has_no_frame():
    assert body_frame(-1, "x/") == ""
