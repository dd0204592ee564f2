"""Inputs follow their publishers, and a node says within two seconds what it does not get."""

from __future__ import annotations

import time
from functools import partial

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from diffpose_ros.msg import Person2DArray
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from diffpose_ros.core import ConfigError
from diffpose_ros.nodes.keypoints import KeypointsNode
from diffpose_ros.nodes.lifter import LifterNode
from diffpose_ros.nodes.markers import MarkersNode
from diffpose_ros.nodes.runner import ros_context
from diffpose_ros.ros import qos

RAW = "/diffpose/image_raw"
RELIABLE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
WARN, ERROR = b"\x01", b"\x02"


def keypoints(kit):
    return partial(KeypointsNode, make_detector=kit.FakeDetector)


def read_as(node, topic):
    """The QoS of the node's subscription to a topic: reliability and durability."""
    found = [s.qos_profile for s in node.subscriptions if s.topic_name == topic]
    assert len(found) == 1, found
    return found[0].reliability, found[0].durability


def test_the_reader_follows_the_publisher_and_one_that_changes(bench, kit):
    node = bench.add(keypoints(kit), min_hits=1)
    volatile = DurabilityPolicy.VOLATILE
    driver = bench.peer.create_publisher(Image, RAW, RELIABLE)
    assert bench.spin(lambda: read_as(node, RAW) == (ReliabilityPolicy.RELIABLE, volatile))
    assert [s.qos_profile.depth for s in node.subscriptions if s.topic_name == RAW] == [5]
    bench.peer.destroy_publisher(driver)
    driver = bench.peer.create_publisher(Image, RAW, BEST_EFFORT)
    assert bench.spin(lambda: read_as(node, RAW) == (ReliabilityPolicy.BEST_EFFORT, volatile))
    assert [s.qos_profile.depth for s in node.subscriptions if s.topic_name == RAW] == [1]
    heard = bench.listen(Person2DArray, "/diffpose/keypoints")
    assert bench.spin(lambda: driver.get_subscription_count() == 1)
    for i in range(20):
        driver.publish(kit.image_message(10**9 + i * 10**8))
        bench.spin(timeout_s=0.05)
    assert bench.spin(lambda: heard)


def test_among_publishers_of_both_kinds_all_are_read(bench, kit):
    node = bench.add(keypoints(kit))
    bench.peer.create_publisher(Image, RAW, RELIABLE)
    assert bench.spin(lambda: read_as(node, RAW)[0] == ReliabilityPolicy.RELIABLE)
    bench.peer.create_publisher(Image, RAW, BEST_EFFORT)
    assert bench.spin(lambda: read_as(node, RAW)[0] == ReliabilityPolicy.BEST_EFFORT)
    assert bench.logged("/diffpose/image_raw is read anew, best effort, as it is offered")


def test_a_latched_camera_info_that_was_sent_before_is_read(bench, kit):
    driver = bench.peer.create_publisher(CameraInfo, "/diffpose/camera_info", LATCHED)
    driver.publish(kit.camera_info())
    bench.spin(timeout_s=0.3)
    node = bench.add(partial(LifterNode, make_lifter=kit.FakeLifter))
    assert bench.spin(lambda: node._camera is not None)


@pytest.mark.parametrize("asked", ["reliable", "best_effort"])
def test_a_fixed_reliability_is_kept(bench, kit, asked):
    node = bench.add(keypoints(kit), image_qos=asked)
    bench.peer.create_publisher(Image, RAW, BEST_EFFORT if asked == "reliable" else RELIABLE)
    bench.spin(timeout_s=0.8)
    assert read_as(node, RAW)[0] == ReliabilityPolicy[asked.upper()]


def test_qos_overrides_decide_whatever_is_offered(bench, kit):
    given = {
        f"qos_overrides.{RAW}.subscription.reliability": "best_effort",
        f"qos_overrides.{RAW}.subscription.depth": 7,
        "qos_overrides./diffpose/keypoints.publisher.durability": "transient_local",
    }
    node = bench.add(keypoints(kit), **given)
    bench.peer.create_publisher(Image, RAW, RELIABLE)
    bench.spin(timeout_s=0.8)
    (subscription,) = [s for s in node.subscriptions if s.topic_name == RAW]
    assert subscription.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert subscription.qos_profile.depth == 7
    assert node._people.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert qos.RESULT.durability == DurabilityPolicy.VOLATILE  # everyone else's stays


def test_a_wrong_qos_override_names_itself(bench, kit):
    name = f"qos_overrides.{RAW}.subscription.reliability"
    node = bench.add(keypoints(kit), start=False, **{name: "certain"})
    assert node.autostart() is False
    assert bench.logged(f"parameter '{name}': expected one of ")


def test_a_negative_depth_names_itself(bench, kit):
    name = f"qos_overrides.{RAW}.subscription.depth"
    node = bench.add(keypoints(kit), start=False, **{name: -2})
    assert node.autostart() is False
    assert bench.logged(f"parameter '{name}': expected 0 (the node decides) or more, got -2")


def test_every_parameter_of_an_active_node_has_a_value(bench, kit):
    """`ros2 param dump` asks for all of them at once, and one without a value would leave it with none."""
    lifter = partial(LifterNode, make_lifter=kit.FakeLifter)
    for node in [bench.add(make) for make in (keypoints(kit), lifter, MarkersNode)]:
        names = node.list_parameters([], 0).names
        assert any(name.startswith("qos_overrides.") for name in names)
        values = {p.name: p.value for p in node.get_parameters(names)}
        assert None not in values.values()
        assert values[next(n for n in names if n.endswith(".reliability"))] == "auto"


@pytest.mark.parametrize(
    ("offers", "asked", "expected"),
    [
        ([], "auto", (False, False)),
        ([(True, False)], "auto", (True, False)),
        ([(True, True)], "auto", (True, True)),
        ([(True, True), (True, False)], "auto", (True, False)),
        ([(True, False), (False, False)], "auto", (False, False)),
        ([], "reliable", (True, False)),
        ([(True, True)], "best_effort", (False, True)),
    ],
)
def test_the_strictest_that_all_offer(offers, asked, expected):
    assert qos.negotiate([qos.Offer(*o) for o in offers], asked) == expected


def test_an_unknown_reliability_is_refused(bench):
    with pytest.raises(ConfigError, match="'image_qos': expected one of auto, reliable, best_effort"):
        bench.add(KeypointsNode, start=False, image_qos="certain")


# What is wrong


def diagnosed(bench, level, text, *, within_s=4.0):
    """Whether /diagnostics says so; the limit of two seconds is on a machine that has time."""
    heard = bench.heard.get("/diagnostics") or bench.listen(DiagnosticArray, "/diagnostics")
    del heard[:]

    def said():
        return any(text in s.message and s.level == level for m in heard for s in m.status)

    return bench.spin(said, timeout_s=within_s)


def test_no_publisher_is_told_with_the_topic_and_topics_that_would_fit(bench, kit):
    bench.peer.create_publisher(Image, "/front/image_raw", 1)
    bench.add(keypoints(kit))
    assert diagnosed(bench, WARN, "nobody publishes /diffpose/image_raw (sensor_msgs/msg/Image)")
    assert bench.logged("topics that would fit: /front/image_raw")
    bench.spin(timeout_s=1.0)
    assert bench.read_log().count("nobody publishes") == 1


def test_a_publisher_that_is_silent_is_named(bench, kit):
    bench.peer.create_publisher(Image, RAW, 1)
    bench.add(keypoints(kit))
    assert diagnosed(bench, WARN, "although /peer publishes it")
    assert bench.logged("although /peer publishes it")


def test_an_input_that_stops_and_comes_again(bench, kit):
    node = bench.add(keypoints(kit))
    stamp = time.time_ns()
    bench.publish(RAW, kit.image_message(stamp))
    assert bench.spin(lambda: node.monitor.status().counters.get("images"))
    assert diagnosed(bench, WARN, "no images on /diffpose/image_raw for")
    bench.publish(RAW, kit.image_message(time.time_ns()))
    assert diagnosed(bench, b"\x00", "active")
    assert bench.logged("images: all right now")


def test_incompatible_qos_is_an_error_that_names_policy_and_publisher(bench, kit):
    bench.add(keypoints(kit), image_qos="reliable")
    bench.peer.create_publisher(Image, RAW, BEST_EFFORT)
    assert diagnosed(bench, ERROR, "/peer and this node do not fit in the QoS policy RELIABILITY")


def test_another_type_is_an_error_that_names_it(bench, kit):
    with ros_context() as elsewhere:  # one participant knows one type of a topic
        driver = rclpy.create_node("driver", context=elsewhere, use_global_arguments=False)
        driver.create_publisher(CameraInfo, RAW, 1)
        bench.add(keypoints(kit))
        assert diagnosed(bench, ERROR, "is published as sensor_msgs/msg/CameraInfo")
        driver.destroy_node()


def test_a_dead_node_upstream_is_told_downstream(bench):
    bench.add(MarkersNode)
    assert diagnosed(bench, WARN, "the lifter does not run, or is not active")


def test_stamps_far_from_the_clock_are_told(bench, kit):
    bench.add(keypoints(kit))
    bench.publish(RAW, kit.image_message(10**9))
    assert diagnosed(bench, WARN, "behind this node's clock")
    assert bench.logged("use_sim_time:=true")


def test_diagnostics_go_on_while_simulated_time_stands_still(bench, kit):
    bench.add(keypoints(kit), use_sim_time=True)
    assert diagnosed(bench, WARN, "use_sim_time is set and nobody publishes /clock")
    assert diagnosed(bench, WARN, "nobody publishes /clock")  # and again


def test_a_detector_that_hangs_is_told(bench, kit):
    held = []

    def detector(name, **options):
        held.append(kit.FakeDetector(name, **options))
        held[-1].free.clear()
        return held[-1]

    bench.add(partial(KeypointsNode, make_detector=detector))
    bench.publish(RAW, kit.image_message(time.time_ns()))
    assert bench.spin(lambda: bool(held[0].images))
    held_since = time.monotonic()
    assert bench.logged("at one message for", timeout_s=6.0)
    assert time.monotonic() - held_since > 1.9
    held[0].free.set()
