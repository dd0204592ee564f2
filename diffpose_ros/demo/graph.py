"""The demonstration's graph: all nodes and a recorder in one process. Needs rclpy."""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Mapping
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from diffpose_ros.core.closing import Closing
from diffpose_ros.demo.recording import Recording
from diffpose_ros.nodes.runner import NAMESPACE, Graph, make_nodes, ros_context
from diffpose_ros.ros.conversions import stamp_to_ns

KEYPOINTS = f"/{NAMESPACE}/keypoints"
SKELETONS = f"/{NAMESPACE}/skeletons"
CAMERA = f"/{NAMESPACE}/camera_info"
IMAGES = f"/{NAMESPACE}/image_raw/compressed"
FRAME_ID = "camera_optical_frame"

TOPICS = {
    CAMERA: "sensor_msgs/msg/CameraInfo",
    KEYPOINTS: "diffpose_ros/msg/Person2DArray",
    SKELETONS: "diffpose_ros/msg/Skeleton3DArray",
    f"/{NAMESPACE}/skeleton": "diffpose_ros/msg/Skeleton3D",
    f"/{NAMESPACE}/markers": "visualization_msgs/msg/MarkerArray",
    "/tf": "tf2_msgs/msg/TFMessage",
    "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
}
QUEUE = QoSProfile(depth=500, reliability=ReliabilityPolicy.RELIABLE)


def message_class(name: str) -> type | None:
    """The Python class of a message type such as ``std_msgs/msg/Header``; ``None`` if absent."""
    package, _, kind = name.split("/")
    try:
        found: type = getattr(importlib.import_module(f"{package}.msg"), kind)
    except ModuleNotFoundError:
        return None
    return found


class Recorder(Node):
    """Keeps the messages of :data:`TOPICS` as they come over the wire."""

    def __init__(self, context: Any) -> None:
        super().__init__("demo_recorder", context=context, use_global_arguments=False)
        self.recording = Recording({})
        self.counts = dict.fromkeys(TOPICS, 0)
        for topic, name in TOPICS.items():
            kind = message_class(name)
            if kind is None:
                continue  # an installation without tf2 has no /tf to record
            self.recording.types[topic] = name
            self.create_subscription(kind, topic, self._keeper(topic), QUEUE, raw=topic != CAMERA)

    def _keeper(self, topic: str) -> Any:
        def keep(data: Any) -> None:
            self.counts[topic] += 1
            if topic == CAMERA:
                from rclpy.serialization import serialize_message

                self.recording.image_stamps.append(stamp_to_ns(data.header.stamp))
                data = serialize_message(data)
            try:
                self.recording.messages.append((topic, time.time_ns(), bytes(data)))
            except OSError as error:
                self.recording.error = error

        return keep


class Demonstration(Closing):
    """The running graph; a context manager that stops it.

    Args:
        parameters: by node, what differs from ``config/*.yaml``.

    Raises:
        ConfigError: a parameter is wrong or a node did not start.
    """

    def __init__(self, parameters: Mapping[str, Mapping[str, Any]]) -> None:
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            context = stack.enter_context(ros_context())
            recorder = Recorder(context)
            nodes = make_nodes(context, parameters)
            stack.enter_context(Graph(nodes, context=context, extra=[recorder]))
            self._stack = stack.pop_all()
        self._recorder = recorder
        self._source: Any = nodes["video_source"]

    @property
    def recording(self) -> Recording:
        """What was heard until now."""
        return self._recorder.recording

    @property
    def finished(self) -> bool:
        """The source has played its last image."""
        return bool(self._source.finished.is_set())

    @property
    def frames_in(self) -> int:
        """Images published."""
        return self._recorder.counts[CAMERA]

    @property
    def frames_lifted(self) -> int:
        """Skeleton messages heard."""
        return self._recorder.counts[SKELETONS]

    def leave(self, well: bool) -> None:
        self._stack.close()
