"""The standard node: the same people in messages that other packages know."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped

from diffpose_ros.core import ConfigError, People2D
from diffpose_ros.core.rotations import rotations
from diffpose_ros.nodes.standard import StandardNode, chosen
from diffpose_ros.ros import standard
from diffpose_ros.ros.body_frame import body_rotation
from diffpose_ros.ros.conversions import people_to_message, skeletons_to_message

try:
    import vision_msgs.msg as vision_msgs
except ImportError:
    vision_msgs = None
try:
    import people_msgs.msg as people_msgs
except ImportError:
    people_msgs = None
needs_vision = pytest.mark.skipif(vision_msgs is None, reason="vision_msgs is not installed")
needs_people = pytest.mark.skipif(people_msgs is None, reason="people_msgs is not installed")


def message(kit, *people, stamp_ns=1_000_000_000):
    return skeletons_to_message(
        people,
        kit.header(stamp_ns),
        width=320,
        height=240,
        model="fake",
        hypotheses=5,
        steps=5,
        latency_s=0.01,
    )


def told(bench, kit, kind, topic, *people):
    """What comes on a topic when these skeletons do."""
    node = bench.nodes[-1]
    heard = bench.listen(kind, f"/diffpose/{topic}")
    assert bench.spin(lambda: node._outputs[topic].get_subscription_count())
    array = message(kit, *people)
    if topic == "pose":
        bench.publish("/diffpose/skeleton", array.skeletons[0])
    else:
        bench.publish("/diffpose/skeletons", array)
    assert bench.spin(lambda: heard)
    assert heard[-1].header.frame_id == "cam" and heard[-1].header.stamp.sec == 1
    return heard[-1]


def test_poses_are_mid_hips_with_their_heading(bench, kit):
    bench.add(StandardNode)
    people = kit.skeleton(1), kit.skeleton(2)
    got = told(bench, kit, PoseArray, "poses", *people)
    for pose, one in zip(got.poses, people, strict=True):
        assert (pose.position.x, pose.position.y, pose.position.z) == pytest.approx(one.root)
        q = pose.orientation
        assert rotations(np.array([q.x, q.y, q.z, q.w])) == pytest.approx(body_rotation(one))


def test_the_pose_has_the_covariance_of_place_and_heading(bench, kit):
    bench.add(StandardNode)
    root = np.diag([0.01, 0.02, 0.09])
    turn = np.tile(np.diag([0.1, 0.2, 0.3]), (17, 1, 1))
    one = replace(
        kit.skeleton(1), root_covariance=root, orientation=np.tile(np.eye(3), (17, 1, 1)),
        orientation_covariance=turn,
    )  # fmt: skip
    got = told(bench, kit, PoseWithCovarianceStamped, "pose", one).pose
    assert got.pose.position.z == pytest.approx(3.0)
    assert np.diag(np.reshape(got.covariance, (6, 6))) == pytest.approx([0.01, 0.02, 0.09, 0.1, 0.2, 0.3])


def test_a_heading_that_is_not_known_may_be_any(kit):
    covariance = standard.pose_covariance(kit.skeleton(1)).reshape(6, 6)
    assert np.diag(covariance)[3:] == pytest.approx(np.full(3, math.pi**2 / 3))


@needs_people
def test_people_have_positions_and_velocities(bench, kit):
    bench.add(StandardNode)
    walking = replace(kit.skeleton(11), velocity=np.array([0.5, 0.0, -1.0]), person_score=0.75)
    got = told(bench, kit, people_msgs.People, "people", walking, kit.skeleton(12))
    first, second = got.people
    assert (first.name, second.name) == ("body_aaaal", "body_aaaam")
    assert (first.velocity.x, first.velocity.z) == pytest.approx((0.5, -1.0))
    assert first.position.z == pytest.approx(3.0) and first.reliability == pytest.approx(0.75)
    assert (second.velocity.x, second.tags) == (0.0, ["unknown"])


@needs_vision
def test_boxes_in_space_hold_all_joints(bench, kit):
    bench.add(StandardNode)
    one = kit.skeleton(11)
    (got,) = told(bench, kit, vision_msgs.Detection3DArray, "detections_3d", one).detections
    assert (got.id, got.results[0].hypothesis.class_id) == ("body_aaaal", "person")
    c, q, size = got.bbox.center.position, got.bbox.center.orientation, got.bbox.size
    inside = (one.xyz - [c.x, c.y, c.z]) @ rotations(np.array([q.x, q.y, q.z, q.w]))
    reach = np.abs(inside).max(axis=0) + standard.HEAD_ROOM_M
    assert reach == pytest.approx([size.x / 2, size.y / 2, size.z / 2])


@needs_vision
def test_boxes_in_the_image_are_in_pixels_and_end_at_its_edge(bench, kit):
    node = bench.add(StandardNode)
    heard = bench.listen(vision_msgs.Detection2DArray, "/diffpose/detections_2d")
    assert bench.spin(lambda: node._outputs["detections_2d"].get_subscription_count())
    xy = np.full((2, 17, 2), 100.0)
    xy[0, 0], xy[0, 1] = (50, 100), (150, 300)
    score = np.full((2, 17), 0.9)
    score[1] = 0.0  # nothing seen
    people = People2D(xy=xy, score=score, person_score=[0.5, 0.5], track_id=[11, 12])
    bench.publish(
        "/diffpose/keypoints",
        people_to_message(people, kit.header(1_000_000_000), width=320, height=240, detector="fake"),
    )
    assert bench.spin(lambda: heard)
    (got,) = heard[-1].detections
    assert got.id == "body_aaaal"
    assert (got.bbox.center.position.x, got.bbox.center.position.y) == pytest.approx((100, (80 + 240) / 2))
    assert (got.bbox.size_x, got.bbox.size_y) == pytest.approx((140, 160))


def test_nothing_is_made_while_nobody_listens(bench, kit, monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr(standard, "poses", never)
    node = bench.add(StandardNode)
    bench.publish("/diffpose/skeletons", message(kit, kit.skeleton(1)))
    assert bench.spin(lambda: node.monitor.status().state == "active", timeout_s=1)
    assert not node.monitor.status().problems


def test_a_missing_package_is_named_once_with_what_to_install(bench, kit, monkeypatch):
    monkeypatch.setitem(sys.modules, "vision_msgs", None)
    monkeypatch.setitem(sys.modules, "vision_msgs.msg", None)
    node = bench.add(StandardNode, outputs="detections_2d, poses,detections_3d")
    text = "not published: detections_2d, detections_3d; install vision_msgs (ros-$ROS_DISTRO-vision-msgs)"
    assert bench.logged(text)
    assert set(node._outputs) == {"poses"}
    assert bench.read_log().count("install vision_msgs") == 1


def test_outputs_are_checked():
    assert chosen("auto") == list(standard.OUTPUTS)
    assert chosen(" poses , people ") == ["poses", "people"]
    for wrong in ("", "boxes", "poses,boxes"):
        with pytest.raises(ConfigError, match="expected auto or some of detections_2d"):
            chosen(wrong)
