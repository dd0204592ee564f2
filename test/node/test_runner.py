"""All nodes in one process: images become skeletons and markers, and everything stops cleanly."""

from __future__ import annotations

import threading
import time
from functools import partial

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

import rclpy
from diffpose_ros.msg import Person2DArray, Skeleton3DArray
from rclpy.qos import (
    DurabilityPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
    qos_profile_sensor_data,
)
from sensor_msgs.msg import CameraInfo, Image
from visualization_msgs.msg import Marker, MarkerArray

from diffpose_ros.core import H36M17, ConfigError, ModelError
from diffpose_ros.core.resources import weights_path
from diffpose_ros.nodes.keypoints import KeypointsNode
from diffpose_ros.nodes.lifter import LifterNode
from diffpose_ros.nodes.runner import NODES, Graph, make_nodes, node_class, ros_context
from diffpose_ros.ros import qos
from diffpose_ros.ros.conversions import skeleton_from_message, stamp_to_ns

RELIABLE = QoSProfile(depth=200, reliability=ReliabilityPolicy.RELIABLE)
TOPICS = {
    "camera_info": CameraInfo,
    "keypoints": Person2DArray,
    "skeletons": Skeleton3DArray,
    "markers": MarkerArray,
}


@pytest.fixture
def folder(tmp_path, kit):
    path = tmp_path / "images"
    path.mkdir()
    for i in range(12):
        image = np.full((kit.HEIGHT, kit.WIDTH, 3), 10 * i, np.uint8)
        cv2.imwrite(str(path / f"{i}.png"), image)
    return path


def recorder(context):
    """A node that keeps what it hears, as ``heard[topic]``."""
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    node = rclpy.create_node("recorder", context=context, use_global_arguments=False)
    node.heard = {name: [] for name in TOPICS}
    for name, kind in TOPICS.items():
        node.create_subscription(kind, f"/diffpose/{name}", node.heard[name].append, RELIABLE)
    return node


def walking_detector(kit):
    """Two people who move with every image."""

    class Walking(kit.FakeDetector):
        def detect(self, rgb):
            self.sees = kit.people(2, shift=2.0 * len(self.images))
            return super().detect(rgb)

    return Walking


def play(context, classes, folder, kit, **lifter):
    """Play the folder once through the whole graph; return what was heard."""
    parameters = {
        "video_source": {"source": str(folder), "fps": 10.0, "loop": False},
        "keypoints": {"min_hits": 1},
        "lifter": lifter,
    }
    listening = recorder(context)
    nodes = make_nodes(context, parameters, classes=classes)
    with Graph(nodes, context=context, extra=[listening]) as graph:
        assert graph.wait(nodes["video_source"].finished.is_set, timeout_s=30)
        graph.wait(lambda: len(listening.heard["markers"]) >= 11, timeout_s=3)
    return listening.heard


def check_heard(heard, kit):
    """Everything carries an image's stamp, and skeletons become markers."""
    images = [stamp_to_ns(m.header.stamp) for m in heard["camera_info"]]
    assert len(images) == 12
    for name in ("keypoints", "skeletons"):
        stamps = [stamp_to_ns(m.header.stamp) for m in heard[name]]
        assert len(stamps) >= 3, name  # the newest wins: a busy machine skips some
        assert stamps == sorted(set(stamps))
        assert set(stamps) <= set(images)
    people = [[s.track_id for s in m.skeletons] for m in heard["skeletons"]]
    assert people[-1] == [0, 1]
    assert {i for row in people for i in row} == {0, 1}
    latest = heard["skeletons"][-1]
    assert (latest.image_width, latest.image_height) == (kit.WIDTH, kit.HEIGHT)
    assert 0 < stamp_to_ns(latest.latency) / 1e9 < 3
    added = {m.id // 100 for m in heard["markers"][-1].markers if m.action == Marker.ADD}
    assert added == {0, 1}


def test_images_become_skeletons_and_markers_in_one_process(folder, kit):
    with ros_context() as context:
        classes = {
            "keypoints": partial(KeypointsNode, make_detector=walking_detector(kit)),
            "lifter": partial(LifterNode, make_lifter=kit.FakeLifter),
        }
        check_heard(play(context, classes, folder, kit), kit)
    assert not [t for t in threading.enumerate() if t.name in ("video", "keypoints", "lifter")]


def test_the_shipped_model_lifts_in_the_graph(folder, kit):
    try:
        weights_path("starpose/model.onnx")
    except ModelError as error:
        pytest.skip(str(error))
    with ros_context() as context:
        classes = {"keypoints": partial(KeypointsNode, make_detector=walking_detector(kit))}
        heard = play(context, classes, folder, kit, backend="onnxruntime", deadline_ms=0.0)
    check_heard(heard, kit)
    for message in heard["skeletons"][-1].skeletons:
        skeleton = skeleton_from_message(message)
        assert 0.5 < skeleton.root[2] < 20
        lengths = [np.linalg.norm(skeleton.xyz[a] - skeleton.xyz[b]) for a, b in H36M17.bones]
        assert 0.01 < min(lengths) < max(lengths) < 1.0
        assert np.linalg.eigvalsh(skeleton.covariance).min() >= 0
        # a head above the hips: y points down
        assert skeleton.xyz[H36M17.index("thorax"), 1] < skeleton.xyz[0, 1]


def test_a_node_that_does_not_start_is_an_error_that_says_why_and_leaves_nothing(tmp_path):
    missing = str(tmp_path / "no.mp4")
    with ros_context() as context:
        nodes = make_nodes(context, {"video_source": {"source": missing}}, names=["video_source"])
        with pytest.raises(ConfigError, match=r"video_source: configure failed: .*no\.mp4"):
            Graph(nodes, context=context).__enter__()


def test_an_unknown_node_is_refused():
    with pytest.raises(ConfigError, match="unknown node 'wheel', expected one of: video_source"):
        node_class("wheel")


def test_stopping_while_the_detector_works_takes_less_than_3_seconds(folder, kit):
    held = []

    def detector(name, **options):
        held.append(kit.FakeDetector(name, **options))
        held[-1].free.clear()
        return held[-1]

    with ros_context() as context:
        nodes = make_nodes(
            context,
            {"video_source": {"source": str(folder)}},
            names=["video_source", "keypoints"],
            classes={"keypoints": partial(KeypointsNode, make_detector=detector)},
        )
        graph = Graph(nodes, context=context)
        graph.start()
        assert graph.wait(lambda: bool(held[0].images), timeout_s=10)
        start = time.monotonic()
        graph.stop()
        assert time.monotonic() - start < 3.0
        graph.stop()  # twice does no harm
        held[0].free.set()


@pytest.mark.parametrize("reader", [qos_profile_sensor_data, RELIABLE], ids=["sensor", "reliable"])
@pytest.mark.parametrize("writer", [qos.IMAGE_OUT, qos.RESULT], ids=["images", "results"])
def test_what_goes_out_suits_every_reader(writer, reader):
    assert qos_check_compatible(writer, reader)[0] != QoSCompatibility.ERROR


@pytest.mark.parametrize(
    ("node", "topic", "depth"),
    [
        ("keypoints", "image_raw", 1),
        ("lifter", "keypoints", 1),
        ("lifter", "camera_info", 1),
        ("markers", "skeletons", 10),
    ],
)
def test_what_the_nodes_subscribe_with_while_nobody_publishes_fits_everyone(bench, kit, node, topic, depth):
    makers = {
        "keypoints": partial(KeypointsNode, make_detector=kit.FakeDetector),
        "lifter": partial(LifterNode, make_lifter=kit.FakeLifter),
    }
    made = bench.add(makers.get(node, node_class(node)))
    (subscription,) = [s for s in made.subscriptions if s.topic_name == f"/diffpose/{topic}"]
    profile = subscription.qos_profile
    assert (profile.reliability, profile.depth) == (ReliabilityPolicy.BEST_EFFORT, depth)
    assert profile.durability == DurabilityPolicy.VOLATILE


def test_every_node_of_the_graph_has_a_class():
    assert [node_class(name).__name__ for name in NODES] == [
        "VideoSourceNode", "KeypointsNode", "LifterNode", "MarkersNode",
    ]  # fmt: skip


def test_images_are_not_made_for_nobody(folder, bench):
    from diffpose_ros.nodes.video_source import VideoSourceNode

    node = bench.add(VideoSourceNode, source=str(folder), fps=100.0)
    assert bench.spin(lambda: node.published_frames > 3)
    assert node._images.get_subscription_count() == 0
    images = bench.listen(Image, "/diffpose/image_raw")
    assert bench.spin(lambda: images)
