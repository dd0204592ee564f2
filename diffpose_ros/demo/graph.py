"""The demonstration's graph: all nodes and a recorder in one process. Needs rclpy."""

from __future__ import annotations

import contextlib
import importlib
import struct
import threading
import time
from collections.abc import Mapping
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from diffpose_ros.core.closing import Closing
from diffpose_ros.demo.recording import Recording
from diffpose_ros.nodes.runner import NAMESPACE, Graph, make_nodes, ros_context

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
TAKE_EVERY_S = 0.05
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
    """Keeps the messages of :data:`TOPICS` as they come over the wire.

    Nothing spins it: a thread takes what has come a few times a second, all at once, since waiting for each
    message costs an executor more than the message does.
    """

    def __init__(self, context: Any) -> None:
        super().__init__(
            "demo_recorder", context=context, use_global_arguments=False, start_parameter_services=False
        )
        self.recording = Recording({})
        self.counts = dict.fromkeys(TOPICS, 0)
        self._halt = threading.Event()
        self._taken: list[tuple[str, Any]] = []
        for topic, name in TOPICS.items():
            kind = message_class(name)
            if kind is None:
                continue  # an installation without tf2 has no /tf to record
            self.recording.types[topic] = name
            made = self.create_subscription(kind, topic, lambda message: None, QUEUE, raw=True)
            self._taken.append((topic, made))
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take what is still there, then go."""
        self._halt.set()
        self._thread.join(2.0)
        self.destroy_node()

    def _run(self) -> None:
        while not self._halt.wait(TAKE_EVERY_S):
            self._take()
        self._take()

    def _take(self) -> None:
        for topic, subscription in self._taken:
            with subscription.handle:
                while (got := subscription.handle.take_message(subscription.msg_type, True)) is not None:
                    self._keep(topic, bytes(got[0]), int(got[1].get("source_timestamp", 0)))

    def _keep(self, topic: str, data: bytes, sent_ns: int) -> None:
        self.counts[topic] += 1
        if topic == CAMERA:
            self.recording.image_stamps.append(_stamp_ns(data))
        try:
            self.recording.messages.append((topic, sent_ns or time.time_ns(), data))
        except OSError as error:
            self.recording.error = error


def _stamp_ns(data: bytes) -> int:
    """The stamp of a serialised message that begins with a header: CDR, after four bytes that say which."""
    order = "<" if data[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, 4)
    return int(seconds) * 10**9 + int(nanoseconds)


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
            stack.callback(recorder.close)
            nodes = make_nodes(context, parameters)
            stack.enter_context(Graph(nodes, context=context))
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
