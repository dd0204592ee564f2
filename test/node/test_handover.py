"""Images stay in the process where all their readers are in it, and reach everybody where not."""

from __future__ import annotations

import gc
import sys
from functools import partial
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

import rclpy
from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from diffpose_ros.nodes.keypoints import KeypointsNode
from diffpose_ros.nodes.runner import Graph, make_nodes, ros_context
from diffpose_ros.ros import images
from diffpose_ros.ros.handover import READERS, Readers

RGB = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


class Context:
    """What readers and publishers have in common."""


@pytest.fixture
def folder(tmp_path, kit):
    for i in range(8):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((kit.HEIGHT, kit.WIDTH, 3), 10 * i, np.uint8))
    return tmp_path


def test_an_image_is_handed_over_as_it_is_and_read_only():
    readers, context, came = Readers(), Context(), []
    readers.add(context, "/image", came.append)
    rgb = RGB.copy()
    assert readers.hand_over(context, "/image", "header", rgb, matched=1)
    (one,) = came
    assert one.header == "header"
    assert images.image_to_rgb(one) is rgb
    with pytest.raises(ValueError, match="read-only"):
        one.rgb[0, 0, 0] = 1


@pytest.mark.parametrize(
    ("context", "topic", "matched"),
    [("same", "/image", 2), ("same", "/other", 1), ("another", "/image", 1)],
    ids=["another reader", "another topic", "another context"],
)
def test_an_image_that_others_read_or_nobody_near_is_not(context, topic, matched):
    readers, same, came = Readers(), Context(), []
    readers.add(same, "/image", came.append)
    used = same if context == "same" else Context()
    rgb = RGB.copy()
    assert not readers.hand_over(used, topic, "header", rgb, matched=matched)
    assert not came
    assert rgb.flags.writeable


def test_who_has_ended_gets_no_more_and_nothing_is_held():
    readers, context, came = Readers(), Context(), []
    ends = [readers.add(context, "/image", came.append) for _ in range(2)]
    ends[0]()
    ends[0]()  # twice does no harm
    assert readers.hand_over(context, "/image", "header", RGB.copy(), matched=1)
    assert len(came) == 1
    ends[1]()
    assert not readers.of(context, "/image")
    held = sys.getrefcount(context)
    del ends
    gc.collect()
    assert sys.getrefcount(context) <= held  # the registry itself holds no context


@pytest.mark.parametrize("outsider", [False, True], ids=["alone", "beside a reader from elsewhere"])
def test_every_image_comes_once_whoever_else_reads(folder, kit, outsider):
    detectors, sent, heard = [], [], []

    def make_detector(*args, **options):
        detectors.append(kit.FakeDetector(*args, **options))
        return detectors[-1]

    with ros_context() as context:
        nodes = make_nodes(
            context,
            {"video_source": {"source": str(folder), "fps": 20.0}},
            names=["video_source", "keypoints"],
            classes={"keypoints": partial(KeypointsNode, make_detector=make_detector)},
        )
        extra = []
        if outsider:
            listening = rclpy.create_node("outsider", context=context)
            profile = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)
            listening.create_subscription(Image, "/diffpose/image_raw", heard.append, profile)
            extra.append(listening)
        with Graph(nodes, context=context, extra=extra) as graph:
            # as long as the middleware is used, its publisher is called
            publisher = nodes["video_source"]._images
            publish = publisher.publish
            publisher.publish = lambda message: (sent.append(message), publish(message))
            keypoints = nodes["keypoints"].monitor.status

            def enough():
                return keypoints().counters.get("images", 0) >= 5 and len(heard) >= 5 * outsider

            assert graph.wait(enough, timeout_s=20)
            # readers and writers have found each other: what follows is how it stays
            del sent[:], heard[:]
            seen = keypoints().counters["images"]
            assert graph.wait(lambda: keypoints().counters["images"] >= seen + 5, timeout_s=20)
            assert graph.wait(lambda: len(heard) >= 5 * outsider, timeout_s=20)
            counters = keypoints().counters
    assert {image.shape for image in detectors[0].images} == {(kit.HEIGHT, kit.WIDTH, 3)}
    assert not [name for name in counters if name.startswith("dropped")]  # as a second copy would be
    if outsider:
        assert len(sent) >= 5
        assert isinstance(heard[0], Image)
    else:
        assert not sent


def test_a_reader_that_does_not_fit_takes_no_other_readers_images(bench, kit):
    """A publisher counts only readers that fit: the one of one would seem to be this."""
    node = bench.add(partial(KeypointsNode, make_detector=lambda *a, **k: kit.FakeDetector()))
    made, topic = node._inputs[0], node.resolve_topic_name("image_raw")
    assert len(READERS.of(node.context, topic)) == 1
    made._does_not_fit(SimpleNamespace(last_policy_kind=QoSPolicyKind.DURABILITY))
    assert not READERS.of(node.context, topic)
    made._subscribe(made._offer)  # its publishers offer something else
    assert len(READERS.of(node.context, topic)) == 1
    made.close()
    assert not READERS.of(node.context, topic)


def test_an_input_tells_of_near_images_as_of_others(bench, kit):
    detector = kit.FakeDetector()
    node = bench.add(partial(KeypointsNode, make_detector=lambda *a, **k: detector))
    header = Header(stamp=node.get_clock().now().to_msg(), frame_id="camera")
    rgb = np.zeros((kit.HEIGHT, kit.WIDTH, 3), np.uint8)
    topic = node.resolve_topic_name("image_raw")
    assert READERS.hand_over(node.context, topic, header, rgb, matched=1)
    (status,) = [made.status() for made in node._inputs]
    assert status.received == 1
    assert abs(status.offset_s) < 5.0
    # one that it overtook comes through the middleware, late: no trouble, and not seen twice
    late = images.rgb_to_image(rgb, Header(stamp=header.stamp, frame_id="camera"))
    late.header.stamp.sec -= 1
    node._inputs[0]._came(late)
    assert node._inputs[0].status().received == 1
    late.header.stamp.sec += 2
    node._inputs[0]._came(late)
    assert node._inputs[0].status().received == 2
    node.trigger_deactivate()
    assert not READERS.of(node.context, topic)
