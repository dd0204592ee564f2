"""Frames: whose they are, how they are called, and how skeletons come into another one."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

from diffpose_ros.msg import Person2DArray, Skeleton3D, Skeleton3DArray
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import SetBool, Trigger

from diffpose_ros.nodes.keypoints import KeypointsNode
from diffpose_ros.nodes.lifter import LifterNode
from diffpose_ros.nodes.markers import MarkersNode
from diffpose_ros.ros.conversions import skeleton_from_message, stamp_to_ns
from diffpose_ros.ros.target_frame import Rigid, moved

S = 1_000_000_000
MOTION = Rigid.from_quaternion((-0.5, 0.5, -0.5, 0.5), (0.2, 0.0, 1.5))


class FakeLookup:
    """tf2 with one transform, or with a reason for having none."""

    def __init__(self, node, parameter="target_frame"):
        self.answer: Rigid | str = MOTION
        self.newest: tuple[Rigid, int] | str = "not known"
        self.parameter = parameter
        self.asked = []
        self.closed = False

    def __call__(self, target, source, stamp_ns, timeout_s):
        self.asked.append((target, source, stamp_ns, timeout_s))
        return self.answer

    def latest(self, target, source):
        return self.newest

    def close(self):
        self.closed = True


@pytest.fixture
def lifter(bench, kit):
    def make(namespace="diffpose", **parameters):
        node = bench.add(
            partial(LifterNode, make_lifter=kit.FakeLifter, make_lookup=FakeLookup),
            namespace=namespace, **parameters,
        )  # fmt: skip
        bench.skeletons = bench.listen(Skeleton3DArray, f"/{namespace}/skeletons")
        bench.publish(f"/{namespace}/camera_info", kit.camera_info())
        assert bench.spin(lambda: node._camera is not None)
        return node

    return make


def send(bench, kit, stamp_ns=S, *, namespace="diffpose", count=2, timeout_s=3.0, **changes):
    message = kit.people_message(kit.people(count), stamp_ns)
    for name, value in changes.items():
        setattr(message, name, value)
    before = len(bench.skeletons)
    bench.publish(f"/{namespace}/keypoints", message)
    return bench.spin(lambda: len(bench.skeletons) > before, timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("namespace", "parameters", "name"),
    [
        ("diffpose", {}, "body_aaaab"),
        ("front/diffpose", {}, "front/diffpose/body_aaaab"),
        ("front/diffpose", {"frame_prefix": "front_"}, "front_body_aaaab"),
        ("diffpose", {"frame_prefix": "cam2/"}, "cam2/body_aaaab"),
    ],
    ids=["usual namespace", "other namespace", "prefix in it", "prefix"],
)
def test_body_frames_have_the_name_in_the_message(bench, kit, lifter, namespace, parameters, name):
    lifter(namespace, **parameters)
    assert send(bench, kit, namespace=namespace)
    assert bench.skeletons[0].skeletons[1].body_frame == name


@pytest.mark.parametrize(
    ("asked", "image", "info", "expected"),
    [("", "cam", "cam", "cam"), ("mine", "cam", "cam", "mine"), ("", "", "cam", "cam")],
    ids=["the image's", "the user's", "camera_info's"],
)
def test_the_frame_is_the_users_or_the_images(bench, kit, lifter, asked, image, info, expected):
    lifter(frame_id=asked)
    message = kit.people_message(kit.people(1))
    message.header.frame_id = image
    bench.publish("/diffpose/keypoints", message)
    assert bench.spin(lambda: bench.skeletons)
    assert bench.skeletons[0].header.frame_id == expected
    assert bench.skeletons[0].skeletons[0].header.frame_id == expected


def test_people_before_another_cameras_frame_are_forgotten(bench, kit, lifter):
    node = lifter()
    before = node._lifter.resets
    for i, frame in enumerate(["front", "front", "rear", "rear"], start=1):
        message = kit.people_message(kit.people(1), i * S)
        message.header.frame_id = frame
        bench.publish("/diffpose/keypoints", message)
        assert bench.spin(lambda: len(bench.skeletons) == i)  # noqa: B023
        assert node._lifter.resets == before + (i > 2)
    assert "changed from 'front' to 'rear'" in node.monitor.status().problems["camera frame"].text


def test_skeletons_are_published_in_the_target_frame(bench, kit, lifter):
    node = lifter(target_frame="base_link", transform_timeout_s=0.25)
    primary = bench.listen(Skeleton3D, "/diffpose/skeleton")
    assert send(bench, kit, 7 * S + 5)
    assert bench.spin(lambda: primary)
    assert node._lookup.asked == [("base_link", "cam", 7 * S + 5, 0.25)]
    array = bench.skeletons[0]
    assert (array.header.frame_id, stamp_to_ns(array.header.stamp)) == ("base_link", 7 * S + 5)
    want, got = moved(kit.skeleton(1, depth=4.0), MOTION), skeleton_from_message(array.skeletons[1])
    for name in ("xyz", "covariance", "root", "root_covariance"):
        assert getattr(got, name) == pytest.approx(getattr(want, name)), name
    assert array.skeletons[1].header.frame_id == "base_link"
    # the primary person is the one nearest to the camera, wherever the target's origin lies
    assert (primary[0].track_id, primary[0].header.frame_id) == (0, "base_link")


def test_without_its_transform_nothing_is_published_and_it_is_said(bench, kit, lifter):
    node = lifter(target_frame="map")
    node._lookup.answer = '"map" passed to lookupTransform argument target_frame does not exist.'
    assert not send(bench, kit, S, timeout_s=0.5)
    assert not send(bench, kit, 2 * S, timeout_s=0.5)
    assert bench.logged("nothing is published in map, its transform from cam is missing")
    status = node.monitor.status()
    assert status.counters["dropped: no transform"] == 2
    assert "does not exist" in status.problems["transform"].text
    node._lookup.answer = MOTION
    assert send(bench, kit, 3 * S)


def test_an_image_without_a_stamp_has_no_transform(bench, kit, lifter):
    node = lifter(target_frame="map")
    assert not send(bench, kit, 0, timeout_s=0.5)
    assert node._lookup.asked == []
    assert bench.logged("the image has no stamp")


def test_a_camera_that_is_the_target_needs_no_transform(bench, kit, lifter):
    node = lifter(target_frame="cam")
    assert send(bench, kit)
    assert node._lookup.asked == []


def test_cleanup_closes_the_lookup(bench, kit, lifter):
    node = lifter(target_frame="map")
    lookup = node._lookup
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert lookup.closed


# ---- rectified images

RECT = {"d": [-0.32, 0.11, 0.0, 0.0, 0.0], "p": [250.0, 0, 150, 0, 0, 255, 110, 0, 0, 0, 1, 0]}


@pytest.mark.parametrize(
    ("asked", "topic", "focal", "text"),
    [
        ("auto", "/cam/image_rect", 250, "images are taken as rectified: images come from /cam/image_rect"),
        ("auto", "/cam/image_raw", None, "images are taken as raw: neither"),
        ("true", "/cam/image_raw", 250, "images are taken as rectified: parameter rectified is true"),
        ("false", "/cam/image_rect", None, "images are taken as raw: parameter rectified is false"),
    ],
)
def test_rectified_images_go_by_p_and_it_is_said(bench, kit, lifter, asked, topic, focal, text):
    node = lifter(rectified=asked)
    bench.publish("/diffpose/camera_info", kit.camera_info(**RECT))
    assert bench.spin(lambda: len(node._info.d) == 5 and node._info.d[0] != 0)
    assert send(bench, kit, image_topic=topic)
    camera = node._lifter.calls[-1][1]
    assert camera.distortion.any() == (focal is None)
    if focal:
        assert camera.matrix[0, 0] == focal
    assert bench.logged(text)
    assert text.removeprefix("images are taken as ") in node.monitor.status().values["images"]


def test_rectified_can_be_changed_while_running_and_given_as_a_boolean(bench, kit, lifter):
    node = lifter()
    bench.publish("/diffpose/camera_info", kit.camera_info(**RECT))
    assert bench.spin(lambda: node._info.d[0] != 0)
    assert send(bench, kit, S)
    assert node.set_parameters([Parameter("rectified", value=True)])[0].successful
    assert send(bench, kit, 2 * S)
    assert [c[1].matrix[0, 0] == 250 for c in node._lifter.calls] == [False, True]


def test_a_camera_info_sent_once_before_the_lifter_came_is_seen(bench, kit):
    once = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = bench.peer.create_publisher(type(kit.camera_info()), "/diffpose/camera_info", once)
    publisher.publish(kit.camera_info())
    node = bench.add(partial(LifterNode, make_lifter=kit.FakeLifter))
    assert bench.spin(lambda: node._camera is not None)


# ---- services


def call(bench, kind, name, **fields):
    client = bench.peer.create_client(kind, name)
    assert bench.spin(client.service_is_ready)
    future = client.call_async(kind.Request(**fields))
    assert bench.spin(future.done)
    return future.result()


def test_reset_makes_the_lifter_forget(bench, kit, lifter):
    node = lifter()
    assert send(bench, kit, 10 * S)
    before = node._lifter.resets
    answer = call(bench, Trigger, "/diffpose/lifter/reset")
    assert answer.success
    assert "people and their history" in answer.message
    assert send(bench, kit, 11 * S)
    assert send(bench, kit, 12 * S)
    assert node._lifter.resets == before + 1


def test_a_lifter_that_is_disabled_ignores_keypoints_until_it_is_enabled(bench, kit, lifter):
    node = lifter()
    assert call(bench, SetBool, "/diffpose/lifter/enable", data=False).success
    assert not send(bench, kit, S, timeout_s=0.5)
    assert node.monitor.status().values["enabled"] == "false"
    assert call(bench, SetBool, "/diffpose/lifter/enable", data=True).success
    assert send(bench, kit, 2 * S)


def test_reset_gives_people_new_identities_and_enable_pauses_detection(bench, kit):
    detectors = []

    def make(*args, **options):
        detectors.append(kit.FakeDetector(*args, **options))
        return detectors[-1]

    node = bench.add(partial(KeypointsNode, make_detector=make), min_hits=1)
    people = bench.listen(Person2DArray, "/diffpose/keypoints")

    def image(stamp_ns, timeout_s=3.0):
        before = len(people)
        bench.publish("/diffpose/image_raw", kit.image_message(stamp_ns))
        return bench.spin(lambda: len(people) > before, timeout_s=timeout_s)

    assert image(10 * S)
    assert image(10 * S + S // 10)
    assert people[-1].image_topic == "/diffpose/image_raw"
    call(bench, Trigger, "/diffpose/keypoints/reset")
    assert image(S)  # older: after a reset any stamp begins anew
    assert [[p.track_id for p in m.people] for m in people] == [[0], [0], [1]]
    call(bench, SetBool, "/diffpose/keypoints/enable", data=False)
    seen = len(detectors[0].images)
    assert not image(2 * S, 0.5)
    assert len(detectors[0].images) == seen
    call(bench, SetBool, "/diffpose/keypoints/enable", data=True)
    assert image(3 * S)
    assert node.monitor.status().counters["resets"] == 1


# ---- two cameras on one robot, through tf2 itself


def test_two_cameras_share_one_tree(bench, kit):
    tf2_ros = pytest.importorskip("tf2_ros", reason="tf2_ros is not installed")
    from geometry_msgs.msg import TransformStamped
    from rclpy.duration import Duration
    from rclpy.time import Time

    from diffpose_ros.ros.conversions import ns_to_stamp

    static = tf2_ros.StaticTransformBroadcaster(bench.peer)
    mounts = []
    for name, x in (("left", 0.5), ("right", -0.5)):
        t = TransformStamped()
        t.header.frame_id, t.child_frame_id = "base_link", f"{name}_optical"
        t.transform.translation.x = x
        q = t.transform.rotation
        q.x, q.y, q.z, q.w = -0.5, 0.5, -0.5, 0.5
        mounts.append(t)
    static.sendTransform(mounts)
    buffer = tf2_ros.Buffer(cache_time=Duration(seconds=60))
    listener = tf2_ros.TransformListener(buffer, bench.peer, spin_thread=False)
    for name in ("left", "right"):
        bench.add(
            partial(LifterNode, make_lifter=kit.FakeLifter), namespace=f"{name}/diffpose",
            frame_id=f"{name}_optical", target_frame="base_link" if name == "right" else "",
            transform_timeout_s=1.0,
        )  # fmt: skip
        bench.add(MarkersNode, namespace=f"{name}/diffpose")
        bench.publish(f"/{name}/diffpose/camera_info", kit.camera_info())
    arrays = {n: bench.listen(Skeleton3DArray, f"/{n}/diffpose/skeletons") for n in ("left", "right")}
    bench.spin(timeout_s=1.0)
    stamps = [100 * S + k * S // 10 for k in range(10)]
    for count, stamp in enumerate(stamps, 1):
        for name in ("left", "right"):
            bench.publish(f"/{name}/diffpose/keypoints", kit.people_message(kit.people(2), stamp))
        assert bench.spin(lambda n=count: all(len(a) == n for a in arrays.values()))
    bench.spin(timeout_s=0.5)
    good = 0
    for stamp in stamps:
        when = Time.from_msg(ns_to_stamp(stamp))
        for name, x in (("left", 0.5), ("right", -0.5)):
            for person in (0, 1):
                child = f"{name}/diffpose/body_aaaa{'abcdef'[person]}"
                place = buffer.lookup_transform("base_link", child, when).transform.translation
                root = kit.skeleton(person, depth=3.0 + person).root
                want = [x + root[2], -root[0], -root[1]]
                assert [place.x, place.y, place.z] == pytest.approx(want, abs=1e-9)
                good += 1
    assert good == 40
    right = skeleton_from_message(arrays["right"][-1].skeletons[1])
    root = kit.skeleton(1, depth=4.0).root
    assert right.root == pytest.approx([root[2] - 0.5, -root[0], -root[1]])
    assert right.covariance[3] == pytest.approx(np.diag([9e-4, 1e-4, 2e-4]))
    del listener
