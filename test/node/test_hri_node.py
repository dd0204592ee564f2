"""The hri node: REP-155's topics come, stay in step with who is there, and go."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

from geometry_msgs.msg import PointStamped, TwistStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

from diffpose_ros.core import People2D
from diffpose_ros.kinematics import PeopleRotations
from diffpose_ros.kinematics.human_model import JOINTS
from diffpose_ros.nodes.hri import HriNode, topic_name
from diffpose_ros.ros.body_frame import body_rotation
from diffpose_ros.ros.conversions import people_to_message, skeletons_to_message
from diffpose_ros.ros.images import image_to_rgb, rgb_to_image

try:
    import hri_msgs.msg as hri_msgs
except ImportError:
    hri_msgs = None
needs_hri_msgs = pytest.mark.skipif(hri_msgs is None, reason="hri_msgs is not installed (ros4hri/hri_msgs)")

SKELETONS, KEYPOINTS = "/diffpose/skeletons", "/diffpose/keypoints"
BODY = "/humans/bodies/aaaal"


def person(kit, track_id=11, **changes):
    """Somebody with orientations, as the lifter tells them."""
    one = kit.skeleton(track_id)
    matrix, doubt = PeopleRotations().update([0], one.xyz[None], one.covariance[None], 0)
    return replace(one, orientation=matrix[0], orientation_covariance=doubt[0], **changes)


def message(kit, *people, stamp_ns=1_000_000_000, prefix=""):
    return skeletons_to_message(
        people, kit.header(stamp_ns), width=320, height=240, model="fake", hypotheses=5, steps=5,
        latency_s=0.01, frame_prefix=prefix,
    )  # fmt: skip


def seen(kit, track_id=11, stamp_ns=1_000_000_000):
    """The person in the image: a figure of 100 x 200 pixels around (160, 120)."""
    rng = np.random.default_rng(1)
    xy = np.array([160.0, 120.0]) + rng.uniform(-1, 1, (17, 2)) * (50, 100)
    xy[0], xy[1] = (110, 20), (210, 220)
    score = np.full((1, 17), 0.8)
    score[0, 9] = 0.0
    people = People2D(xy=xy[None], score=score, person_score=[0.7], track_id=[track_id])
    return people_to_message(people, kit.header(stamp_ns), width=320, height=240, detector="fake")


@pytest.fixture
def node(bench, monkeypatch):
    made = bench.add(HriNode)
    made.sent = []
    monkeypatch.setattr(made._transforms, "send_all", lambda header, frames: made.sent.append(frames))
    return made


def test_a_body_has_its_place_its_speed_and_its_joints(bench, kit, node):
    heard = {
        topic: bench.listen(kind, f"{BODY}/{topic}")
        for topic, kind in (
            ("position", PointStamped),
            ("velocity", TwistStamped),
            ("joint_states", JointState),
        )
    }
    one = person(kit, velocity=np.array([0.1, 0.0, -1.2]))
    bench.publish(SKELETONS, message(kit, one))  # makes the topics
    assert bench.spin(lambda: all(node._bodies["aaaal"].joint_states.get_subscription_count() for _ in heard))
    bench.publish(SKELETONS, message(kit, one, stamp_ns=1_100_000_000))
    assert bench.spin(lambda: heard["velocity"] and heard["joint_states"])
    assert bench.spin(lambda: heard["position"] and heard["position"][-1].header.stamp.nanosec == 100_000_000)
    point = heard["position"][-1]
    assert point.header.frame_id == "cam"
    assert (point.point.x, point.point.y, point.point.z) == pytest.approx(one.root)
    assert heard["velocity"][-1].twist.linear.z == pytest.approx(-1.2)
    states = heard["joint_states"][-1]
    assert states.name == [f"{joint}_aaaal" for joint in JOINTS]
    angles = dict(zip(states.name, states.position, strict=True))
    assert angles["l_elbow_aaaal"] == pytest.approx(np.arctan2(0.05, 0.30), abs=0.01)
    assert abs(angles["r_knee_aaaal"]) < 1e-6


def test_unseen_joints_and_unknown_velocities_are_not_told(bench, kit, node):
    score = np.full(17, 0.9)
    score[[12, 13]] = 0.0  # left elbow and wrist
    joint_states = bench.listen(JointState, f"{BODY}/joint_states")
    velocities = bench.listen(TwistStamped, f"{BODY}/velocity")
    for k in range(20):
        bench.publish(SKELETONS, message(kit, person(kit, score=score), stamp_ns=1_000_000_000 + k))
        if bench.spin(lambda: joint_states, timeout_s=0.5):
            break
    assert "l_elbow_aaaal" not in joint_states[-1].name and "r_elbow_aaaal" in joint_states[-1].name
    assert np.isfinite(joint_states[-1].position).all()
    assert velocities == []
    names = [name for _, name, _, _ in node.sent[-1]]
    assert "r_elbow_aaaal" in names and "l_elbow_aaaal" not in names and "l_wrist_aaaal" not in names


def test_limbs_are_children_of_the_body_and_lie_where_the_skeleton_has_them(bench, kit, node):
    one = person(kit)
    bench.publish(SKELETONS, message(kit, one, prefix="front/"))
    assert bench.spin(lambda: node.sent)
    frames = {name: (parent, t, r) for parent, name, t, r in node.sent[-1]}
    assert {parent for parent, _, _ in frames.values()} == {"front/body_aaaal"}
    assert "front/torso_aaaal" in frames and "front/l_ankle_aaaal" in frames
    body = body_rotation(one)
    _, place, turn = frames["front/r_wrist_aaaal"]
    assert body @ place + one.root == pytest.approx(one.xyz[16])
    forearm = one.xyz[15] - one.xyz[16]
    assert (body @ turn)[:, 2] == pytest.approx(forearm / np.linalg.norm(forearm))  # z up the limb


def test_the_bodys_own_frame_is_sent_where_it_is_asked_for(bench, kit, node):
    bench.publish(SKELETONS, message(kit, person(kit)))
    assert bench.spin(lambda: node.sent)
    assert "" not in {parent for parent, *_ in node.sent[-1]}
    node.parameters.values["body_transforms"], node.parameters.values["limb_transforms"] = True, False
    bench.publish(SKELETONS, message(kit, person(kit), stamp_ns=1_100_000_000))
    assert bench.spin(lambda: len(node.sent) > 1)
    assert [(parent, name) for parent, name, _, _ in node.sent[-1]] == [("", "body_aaaal")]


def test_the_description_is_latched_and_the_persons_own(bench, kit, node):
    bench.publish(SKELETONS, message(kit, person(kit)))
    assert bench.spin(lambda: "aaaal" in node._bodies)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    heard = bench.listen(String, f"{BODY}/urdf", latched)  # comes late
    assert bench.spin(lambda: heard)
    robot = ET.fromstring(heard[-1].data)
    knee = next(j for j in robot.iter("joint") if j.get("name") == "l_knee_aaaal")
    assert knee.find("origin").get("xyz") == "0.0000 0.0000 -0.4500"


def test_who_is_lost_takes_the_topics_along(bench, kit, node):
    bench.publish(SKELETONS, message(kit, person(kit, 11), person(kit, 12)))
    assert bench.spin(lambda: set(node._bodies) == {"aaaal", "aaaam"})
    bench.publish(SKELETONS, message(kit, person(kit, 12), stamp_ns=1_100_000_000))
    assert bench.spin(lambda: set(node._bodies) == {"aaaam"})
    node.parameters.values["lost_s"] = 0.2
    assert bench.spin(lambda: not node._bodies)  # nothing comes any more


@needs_hri_msgs
def test_tracked_names_who_is_there(bench, kit, node):
    heard = bench.listen(hri_msgs.IdsList, "/humans/bodies/tracked")
    assert bench.spin(lambda: node._tracked.get_subscription_count())
    bench.publish(SKELETONS, message(kit, person(kit, 11), person(kit, 12), person(kit, -1)))
    assert bench.spin(lambda: heard)
    assert heard[-1].ids == ["aaaal", "aaaam"]
    node.parameters.values["lost_s"] = 0.2
    assert bench.spin(lambda: heard[-1].ids == [])
    count = len(heard)
    assert node.trigger_deactivate().name == "SUCCESS"
    assert bench.spin(lambda: len(heard) > count)


@needs_hri_msgs
def test_the_image_has_the_bodys_region_and_keypoints_in_shares_of_its_size(bench, kit, node):
    rois = bench.listen(hri_msgs.NormalizedRegionOfInterest2D, f"{BODY}/roi")
    points = bench.listen(hri_msgs.Skeleton2D, f"{BODY}/skeleton2d")
    bench.publish(SKELETONS, message(kit, person(kit)))
    assert bench.spin(lambda: "aaaal" in node._bodies)
    assert bench.spin(lambda: node._bodies["aaaal"].skeleton2d.get_subscription_count())
    bench.publish(KEYPOINTS, seen(kit))
    assert bench.spin(lambda: rois and points)
    roi = rois[-1]
    assert (roi.xmin, roi.ymin, roi.xmax, roi.ymax) == pytest.approx((90 / 320, 0, 230 / 320, 1))
    assert roi.c == pytest.approx(0.7)
    skeleton = points[-1].skeleton
    assert (skeleton[0].x, skeleton[0].y, skeleton[0].c) == pytest.approx((110 / 320, 20 / 240, 0.8))
    left, right, neck = skeleton[5], skeleton[2], skeleton[1]
    assert neck.x == pytest.approx((left.x + right.x) / 2)
    assert skeleton[hri_msgs.Skeleton2D.LEFT_WRIST].c == 0.0


def test_without_hri_msgs_the_rest_works_and_the_node_says_what_to_install(bench, kit, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "hri_msgs", None)
    made = bench.add(HriNode)
    assert bench.logged("install hri_msgs")
    bench.publish(SKELETONS, message(kit, person(kit)))
    assert bench.spin(lambda: "aaaal" in made._bodies)
    bench.publish(KEYPOINTS, seen(kit))
    bench.spin(timeout_s=0.3)
    assert bench.read_log().count("install hri_msgs") == 1
    assert made.monitor.status().problems.keys() == {"hri_msgs"} or "tf" in made.monitor.status().problems


def test_a_persons_part_of_the_image_is_cut_out(bench, kit):
    node = bench.add(HriNode, cropped=True)
    heard = bench.listen(Image, f"{BODY}/cropped")
    picture = np.random.default_rng(2).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    bench.publish(SKELETONS, message(kit, person(kit)))
    assert bench.spin(lambda: "aaaal" in node._bodies)
    assert bench.spin(lambda: node._bodies["aaaal"].cropped.get_subscription_count())
    bench.publish("/diffpose/image_raw", rgb_to_image(picture, kit.header(1_000_000_000)))
    assert bench.spin(lambda: node._images.at(kit.header(1_000_000_000).stamp) is not None)
    bench.publish(KEYPOINTS, seen(kit, stamp_ns=999))  # the image of that moment is gone
    bench.publish(KEYPOINTS, seen(kit))
    assert bench.spin(lambda: heard)
    assert np.array_equal(image_to_rgb(heard[0]), picture[0:240, 90:231])


def test_bad_messages_are_named_and_leave_the_others(bench, kit, node):
    bad = message(kit, person(kit, 11), person(kit, 12))
    bad.skeletons[0].joints.pop()
    bench.publish(SKELETONS, bad)
    assert bench.spin(lambda: set(node._bodies) == {"aaaam"})
    assert bench.logged("expected 17 joints")
    broken = seen(kit, 12)
    broken.people[0].keypoints.pop()
    bench.publish(KEYPOINTS, broken)
    assert hri_msgs is None or bench.logged("keypoints: expected 17 joints")


def test_names_in_topics_tell_cameras_apart():
    assert topic_name("body_aaaal") == "aaaal"
    assert topic_name("front/diffpose/body_aaaal") == "front_diffpose_aaaal"
