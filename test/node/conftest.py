"""A bench for nodes: a context of their own, a peer that publishes and listens, and fakes."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

# tests of this machine only, and not those that another run makes at the same time
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)

from diffpose_ros.core import UNKNOWN, Camera, People2D, Skeleton, TrackState

WIDTH, HEIGHT = 320, 240


def people(count=1, *, shift=0.0):
    """``count`` upright people side by side, COCO-17, in a 320 x 240 image."""
    column = np.array([0, 3, -3, 6, -6, 12, -12, 15, -15, 16, -16, 8, -8, 8, -8, 8, -8.0])
    row = np.array([20, 17, 17, 19, 19, 40, 40, 65, 65, 90, 90, 95, 95, 130, 130, 165, 165.0])
    xy = [np.stack([column + 40 + 45 * i + shift, row + 30], -1) for i in range(count)]
    return People2D(
        xy=np.array(xy).reshape(count, 17, 2),
        score=np.full((count, 17), 0.9),
        track_id=np.arange(count),
        age_s=np.full(count, 0.5),
        state=np.full(count, int(TrackState.TRACKED)),
    )


def skeleton(track_id=0, *, depth=3.0):
    """A stick person, H36M-17, ``depth`` metres before the camera."""
    xyz = np.array(
        [
            [0, 0, 0], [-0.1, 0, 0], [-0.1, 0.45, 0], [-0.1, 0.9, 0], [0.1, 0, 0], [0.1, 0.45, 0],
            [0.1, 0.9, 0], [0, -0.25, 0], [0, -0.5, 0], [0, -0.6, -0.1], [0, -0.75, 0],
            [0.2, -0.5, 0], [0.25, -0.2, 0], [0.25, 0.05, 0], [-0.2, -0.5, 0], [-0.25, -0.2, 0],
            [-0.25, 0.05, 0],
        ]
    )  # fmt: skip
    root = np.array([0.3 * track_id, 0.1, depth])
    return Skeleton(
        xyz=xyz + root,
        covariance=np.tile(np.diag([1e-4, 2e-4, 9e-4]), (17, 1, 1)),
        score=np.full(17, 0.9),
        root=root,
        root_is_metric=False,
        track_id=track_id,
        age_s=0.5,
        state=TrackState.TRACKED,
    )


class FakeDetector:
    """Sees the people it is told to; can be held inside ``detect``."""

    name = "fake"
    joint_set = "coco17"
    reason = "nothing: the only one here"

    def __init__(self, name="movenet", **options):
        self.options = options
        self.sees = people(1)
        self.images = []
        self.free = threading.Event()
        self.free.set()
        self.closed = False

    def detect(self, rgb):
        self.images.append(rgb)
        self.free.wait(10.0)
        return self.sees

    def close(self):
        self.closed = True


class FakeLifter:
    """Lifts everyone to a stick person; counts what is asked of it."""

    def __init__(self, config):
        from diffpose_ros.lifting import LiftReport

        self.config = config
        self.calls = []
        self.resets = 0
        self.report = LiftReport(backend="fake", hypotheses=5, steps=5)
        self.backend = SimpleNamespace(reason="fake: the only one here")
        self.closed = False
        self.free = threading.Event()
        self.free.set()

    def lift(self, people, camera, stamp_ns, *, deadline_s=None, around=UNKNOWN, depth=None):
        from diffpose_ros.lifting import LiftResult

        self.calls.append((people, camera, stamp_ns, deadline_s))
        self.around, self.depth = around, depth
        self.free.wait(10.0)
        skeletons = tuple(skeleton(int(t), depth=3.0 + int(t)) for t in people.track_id)
        if self.report.refused:
            skeletons = ()
        report = replace(self.report, people=len(people), lifted=len(skeletons))
        return LiftResult(skeletons, report)

    def reset(self):
        self.resets += 1

    def set_prompt(self, text):
        self.prompt = text

    def close(self):
        self.closed = True


class Bench:
    """One node under test and a peer, spun by hand."""

    def __init__(self, context, log):
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self.context = context
        self.executor = SingleThreadedExecutor(context=context)
        self.peer = rclpy.create_node("peer", context=context, use_global_arguments=False)
        self.executor.add_node(self.peer)
        self.nodes = []
        self.heard = {}
        self.log = ""
        self._log = log
        self._log.touch()
        self._publishers = {}

    def add(self, make, *, start=True, namespace="diffpose", **parameters):
        """Make a node with these parameters and (by default) activate it."""
        from rclpy.parameter import Parameter

        self.divert()
        node = make(
            context=self.context,
            namespace=namespace,
            use_global_arguments=False,
            parameter_overrides=[Parameter(k, value=v) for k, v in parameters.items()],
        )
        self.nodes.append(node)
        self.executor.add_node(node)
        if start:
            assert node.autostart(), node.monitor.status().problems
        return node

    def listen(self, kind, topic, qos=10):
        """Collect a topic's messages; the list grows while spinning."""
        messages = self.heard.setdefault(topic, [])
        self.peer.create_subscription(kind, topic, messages.append, qos)
        return messages

    def publish(self, topic, message):
        """Publish reliably; the first time, wait until the node under test has matched."""
        self.divert()
        if topic not in self._publishers:
            made = self.peer.create_publisher(type(message), topic, 10)
            self._publishers[topic] = made
            assert self.spin(lambda: made.get_subscription_count() > 0), f"nobody reads {topic}"
            # the writer has matched; the reader, which is best effort, needs a moment more
            self.spin(timeout_s=0.1)
        self._publishers[topic].publish(message)

    def spin(self, until=None, *, timeout_s=10.0):
        """Spin until a condition holds; False when the time ran out."""
        self.divert()
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)
            if until is not None and until():
                return True
        return until is None

    def logged(self, text, *, timeout_s=5.0):
        """Whether a log line that contains ``text`` comes."""
        return self.spin(lambda: text in self.read_log(), timeout_s=timeout_s)

    def divert(self):
        """Send standard error, C++ included, to a file of our own, which nobody cuts while nodes write
        as pytest's capture does. To be called in each phase of a test: pytest takes it back."""
        if os.fstat(2).st_ino != self._log.stat().st_ino:
            sys.stderr.flush()
            file = os.open(self._log, os.O_WRONLY | os.O_APPEND)
            os.dup2(file, 2)
            os.close(file)

    def read_log(self):
        """Everything logged until now."""
        self.log = self._log.read_text(errors="replace")
        return self.log

    def close(self):
        os.write(2, self._log.read_bytes())  # for the report of a failed test
        for node in self.nodes:
            node.close()
        self.peer.destroy_node()
        self.executor.shutdown()


def header(stamp_ns=1_000_000_000, frame_id="cam"):
    from std_msgs.msg import Header

    from diffpose_ros.ros.conversions import ns_to_stamp

    return Header(stamp=ns_to_stamp(stamp_ns), frame_id=frame_id)


def camera_info(size=(WIDTH, HEIGHT), **changes):
    """A valid ``CameraInfo``, or with ``changes`` an invalid one."""
    from diffpose_ros.ros.conversions import camera_to_info

    info = camera_to_info(Camera.from_fov(*size), header())
    for name, value in changes.items():
        setattr(info, name, value)
    return info


def image_message(stamp_ns=1_000_000_000, *, width=WIDTH, height=HEIGHT):
    from diffpose_ros.ros.images import rgb_to_image

    return rgb_to_image(np.full((height, width, 3), 90, np.uint8), header(stamp_ns))


def people_message(people2d, stamp_ns=1_000_000_000, *, width=WIDTH, height=HEIGHT):
    from diffpose_ros.ros.conversions import people_to_message

    return people_to_message(people2d, header(stamp_ns), width=width, height=height, detector="fake")


class Kit:
    """The helpers above, for tests that cannot import this file."""

    WIDTH, HEIGHT = WIDTH, HEIGHT
    FakeDetector, FakeLifter = FakeDetector, FakeLifter
    people, skeleton = staticmethod(people), staticmethod(skeleton)
    header, camera_info = staticmethod(header), staticmethod(camera_info)
    image_message, people_message = staticmethod(image_message), staticmethod(people_message)


@pytest.fixture
def kit():
    return Kit


@pytest.fixture
def bench(tmp_path):
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")
    from diffpose_ros.nodes.runner import ros_context

    with ros_context() as context:
        made = Bench(context, tmp_path / "stderr.txt")
        yield made
        made.close()
