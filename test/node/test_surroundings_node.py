"""Gravity and depth reach the lifter from where they are asked for, and their troubles are told."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

from diffpose_ros.msg import Skeleton3DArray
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image, Imu

from diffpose_ros.nodes.lifter import LifterNode
from diffpose_ros.ros.target_frame import Rigid

S = 1_000_000_000


class FakeLookup:
    """tf2 with one transform, or with a reason for having none."""

    def __init__(self, node, parameter="target_frame"):
        self.answer: Rigid | str = Rigid.from_quaternion((-0.5, 0.5, -0.5, 0.5), (0.2, 0.0, 1.5))
        self.newest: tuple[Rigid, int] | str = "not known"
        self.parameter = parameter

    def __call__(self, target, source, stamp_ns, timeout_s):
        return self.answer

    def latest(self, target, source):
        return self.newest

    def close(self):
        pass


@pytest.fixture
def start(bench, kit):
    """Start a lifter that has its camera and can be listened to."""

    def make(make_lookup=FakeLookup, **parameters):
        node = bench.add(
            partial(LifterNode, make_lifter=kit.FakeLifter, make_lookup=make_lookup), **parameters
        )
        bench.skeletons = bench.listen(Skeleton3DArray, "/diffpose/skeletons")
        bench.publish("/diffpose/camera_info", kit.camera_info())
        assert bench.spin(lambda: node._camera is not None)
        return node

    return make


def send(bench, kit, stamp_ns=S):
    """Publish keypoints; whether skeletons came of them."""
    before = len(bench.skeletons)
    bench.publish("/diffpose/keypoints", kit.people_message(kit.people(2), stamp_ns))
    return bench.spin(lambda: len(bench.skeletons) > before, timeout_s=3.0)


def up_of(message):
    return [message.up.x, message.up.y, message.up.z]


def test_up_turns_with_the_skeletons(bench, kit, start):
    node = start(gravity="angles", target_frame="base_link")
    turn = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    node._lookup.answer = Rigid(turn, np.zeros(3))
    assert send(bench, kit)
    assert bench.skeletons[-1].header.frame_id == "base_link"
    assert up_of(bench.skeletons[-1]) == pytest.approx([0, 0, 1])


def test_gravity_comes_from_the_frame_that_is_asked_for(bench, kit, start):
    node = start(gravity_frame="base_footprint")
    assert node._lookup.parameter == "gravity_frame"
    assert send(bench, kit)
    assert node._lifter.around.up == pytest.approx([0, -1, 0])
    assert node._lifter.around.camera_height == pytest.approx(1.5)
    assert bench.skeletons[-1].header.frame_id == "cam"  # they stay in the camera's frame
    assert up_of(bench.skeletons[-1]) == pytest.approx([0, -1, 0])
    node._lookup.answer = node._lookup.newest = "two trees"
    assert send(bench, kit, 3 * S)
    assert node._lifter.around.up is None and up_of(bench.skeletons[-1]) == [0, 0, 0]
    problem = node.monitor.status().problems["gravity"].text
    want = "gravity from tf: the transform from cam to base_footprint is missing: two trees"
    assert problem.startswith(want)


def test_gravity_comes_from_an_imu(bench, kit, start):
    node = start(imu="/imu/data", imu_rotation="0.5 -0.5 0.5 0.5", camera_height=0.9)
    message = Imu()
    message.header.frame_id, message.header.stamp.sec = "imu_link", 1
    message.orientation_covariance[0] = -1.0
    message.linear_acceleration.z = 9.7
    bench.publish("/imu/data", message)
    assert bench.spin(lambda: node._gravity._imu_frame == "imu_link")
    assert send(bench, kit)
    assert node._lifter.around.up == pytest.approx([0, -1, 0])
    assert node._lifter.around.camera_height == 0.9


def test_the_cameras_tilt_may_change_while_it_runs(bench, kit, start):
    node = start(camera_pitch_deg=10.0, camera_height=1.0)
    assert send(bench, kit)
    assert node._lifter.around.up == pytest.approx([0, -np.cos(np.radians(10)), -np.sin(np.radians(10))])
    node.set_parameters([Parameter("camera_pitch_deg", value=12.0)])
    assert send(bench, kit, 2 * S)
    assert node._lifter.around.up[2] == pytest.approx(-np.sin(np.radians(12)))


def test_a_depth_image_of_the_same_moment_goes_to_the_lifter(bench, kit, start):
    node = start(depth="/cam/depth/image")
    data = np.full(240 * 640, 8, np.uint8).tobytes()
    image = Image(height=240, width=320, step=640, encoding="16UC1", data=data)
    image.header.frame_id, image.header.stamp.sec = "cam", 1
    bench.publish("/cam/depth/image", image)
    assert bench.spin(lambda: len(node._depth._images) == 1)
    assert send(bench, kit)
    assert node._lifter.depth.z[100, 100] == pytest.approx(2.056)
    assert send(bench, kit, 2 * S)
    assert node._lifter.depth is None
    assert "no depth image within 100 ms" in node.monitor.status().problems["depth"].text


def test_gravity_comes_through_tf2_itself(bench, kit, start):
    """A camera 1.5 m high that a moving joint tilts: at the image's time, then a moment later, then gone."""
    tf2_ros = pytest.importorskip("tf2_ros", reason="tf2_ros is not installed")
    from geometry_msgs.msg import TransformStamped

    from diffpose_ros.ros.conversions import ns_to_stamp
    from diffpose_ros.ros.target_frame import FrameLookup

    sender = tf2_ros.TransformBroadcaster(bench.peer)
    node = start(FrameLookup, gravity_frame="base_footprint")
    assert bench.spin(lambda: sender.pub_tf.get_subscription_count() > 0)
    for k in range(2):
        t = TransformStamped()
        t.header.stamp = ns_to_stamp(10 * S + k * S // 10)
        t.header.frame_id, t.child_frame_id = "base_footprint", "cam"
        t.transform.translation.z = 1.5
        q = t.transform.rotation
        q.x, q.y, q.z, q.w = -0.5, 0.5, -0.5, 0.5
        sender.sendTransform(t)
    known = lambda: not isinstance(node._lookup.latest("base_footprint", "cam"), str)  # noqa: E731
    assert bench.spin(known)
    for stamp_ns in (10 * S + S // 20, 10 * S + S // 4):  # between two transforms, and past the last
        assert send(bench, kit, stamp_ns)
        assert node._lifter.around.up == pytest.approx([0, -1, 0])
        assert node._lifter.around.camera_height == pytest.approx(1.5)
    assert "gravity" not in node.monitor.status().problems
    assert send(bench, kit, 12 * S)
    assert node._lifter.around.up is None
    assert "older than the image" in node.monitor.status().problems["gravity"].text
