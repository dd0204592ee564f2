"""Nodes go through their lifecycle a hundred times, survive errors, and end within 3 seconds."""

from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

from functools import partial

from diffpose_ros.nodes.keypoints import KeypointsNode
from diffpose_ros.nodes.lifter import LifterNode
from diffpose_ros.nodes.markers import MarkersNode
from diffpose_ros.nodes.video_source import VideoSourceNode

PAGE = resource.getpagesize()


def resident_mb():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE / 1e6


def cycle(node):
    for trigger in ("configure", "activate", "deactivate", "cleanup"):
        assert getattr(node, f"trigger_{trigger}")().name == "SUCCESS", trigger


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def flat(node, cycles, *, warm_up, allowed_mb, rounds=3):
    """Cycle; memory, threads and descriptors after the warm-up stay where they are.

    The allocator takes and returns memory in large pieces at times of its own, so one round can grow without
    a leak. A leak grows in every round: the least growth of several rounds counts.
    """
    for _ in range(warm_up):
        cycle(node)
    threads, files = len(os.listdir("/proc/self/task")), descriptors()
    grown = []
    for _ in range(rounds):
        before = resident_mb()
        for _ in range(cycles):
            cycle(node)
        grown.append(resident_mb() - before)
        if grown[-1] < allowed_mb:
            break
    assert min(grown) < allowed_mb, f"grew by {grown} MB in rounds of {cycles} cycles"
    assert len(os.listdir("/proc/self/task")) <= threads
    assert descriptors() <= files
    assert not node._inputs
    assert not node._publishers_made


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
@pytest.mark.parametrize("cycles", [100, pytest.param(1000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("which", ["keypoints", "lifter", "markers", "video_source"])
def test_cycles_leave_memory_threads_and_descriptors_flat(bench, kit, tmp_path, which, cycles):
    import cv2
    import numpy as np

    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((48, 64, 3), np.uint8))
    makers = {
        "keypoints": partial(KeypointsNode, make_detector=kit.FakeDetector),
        "lifter": partial(LifterNode, make_lifter=kit.FakeLifter),
        "markers": MarkersNode,
        "video_source": VideoSourceNode,
    }
    given = {"source": str(tmp_path), "fps": 1.0} if which == "video_source" else {}
    node = bench.add(makers[which], start=False, **given)
    flat(node, cycles, warm_up=20, allowed_mb=4.0)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_cycles_with_the_real_model_leave_memory_flat(bench):
    from diffpose_ros.core import ModelError
    from diffpose_ros.core.resources import weights_path

    try:
        weights_path("starpose/model.onnx")
    except ModelError as error:
        pytest.skip(str(error))
    node = bench.add(LifterNode, start=False, backend="onnxruntime", deadline_ms=0.0)
    flat(node, 3, warm_up=2, allowed_mb=12.0)


def test_inactive_nodes_publish_nothing(bench, kit):
    from diffpose_ros.msg import Person2DArray

    node = bench.add(partial(KeypointsNode, make_detector=kit.FakeDetector), min_hits=1)
    heard = bench.listen(Person2DArray, "/diffpose/keypoints")
    bench.publish("/diffpose/image_raw", kit.image_message(1))
    assert bench.spin(lambda: heard)
    node.trigger_deactivate()
    assert node.monitor.status().state == "inactive"
    bench.peer.create_publisher(type(kit.image_message()), "/diffpose/image_raw", 1).publish(
        kit.image_message(2)
    )
    bench.spin(timeout_s=0.3)
    assert len(heard) == 1


def test_an_error_in_a_transition_is_logged_and_the_node_can_go_on(bench):
    class Broken(MarkersNode):
        broken = True

        def start(self):
            super().start()
            if self.broken:
                raise ZeroDivisionError("cannot start")

    node = bench.add(Broken, start=False)
    assert node.trigger_configure().name == "SUCCESS"
    assert node.trigger_activate().name == "FAILURE"
    assert bench.logged("activate failed: cannot start")
    assert bench.logged("ZeroDivisionError")  # rclpy alone would swallow it
    assert node._inputs == []
    node.broken = False
    assert node.trigger_activate().name == "SUCCESS"


def test_an_error_in_cleanup_ends_in_unconfigured_and_not_in_a_dead_node(bench):
    class Broken(MarkersNode):
        broken = True

        def teardown(self):
            super().teardown()
            if self.broken:
                self.broken = False
                raise OSError("cannot clean up")

    node = bench.add(Broken)
    assert node.trigger_deactivate().name == "SUCCESS"
    node.trigger_cleanup()
    assert bench.logged("cleanup failed: cannot clean up")
    assert node.monitor.status().state == "unconfigured"
    assert node.autostart()


def test_an_exception_in_a_callback_does_not_end_spin(bench, kit):
    from diffpose_ros.msg import Skeleton3DArray

    node = bench.add(MarkersNode)
    node._drawing.draw = None  # not callable
    from visualization_msgs.msg import MarkerArray

    bench.listen(MarkerArray, "/diffpose/markers")
    assert bench.spin(lambda: node._markers.get_subscription_count() == 1)
    bench.publish("/diffpose/skeletons", Skeleton3DArray(header=kit.header()))
    assert bench.logged("TypeError: 'NoneType' object is not callable")
    bench.publish("/diffpose/skeletons", Skeleton3DArray(header=kit.header()))
    assert bench.spin(lambda: node.monitor.status().problems["internal error"].count == 2)


def test_without_autostart_a_node_waits(bench):
    node = bench.add(MarkersNode, autostart=False)
    assert node.monitor.status().state == "unconfigured"
    assert node.trigger_configure().name == "SUCCESS"


SLOW_LIFTER = """
import sys, time, threading
import numpy as np
from diffpose_ros.nodes import lifter
from diffpose_ros.nodes.process import run_node

class Slow:
    class backend:
        reason = "slow"
    def __init__(self, config): pass
    def reset(self): pass
    def close(self): pass
    def lift(self, *args, **kwargs):
        print("inferring", flush=True)
        {wait}

def make():
    node = lifter.LifterNode(make_lifter=Slow)
    node._worker_hook = threading.Timer(1.0, lambda: feed(node))
    node._worker_hook.start()
    return node

def feed(node):
    from sensor_msgs.msg import CameraInfo
    from diffpose_ros.msg import Person2DArray
    info = CameraInfo(width=64, height=48, distortion_model="plumb_bob", d=[0.0] * 5)
    info.k = [60.0, 0.0, 32.0, 0.0, 60.0, 24.0, 0.0, 0.0, 1.0]
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    info.p = [60.0, 0.0, 32.0, 0.0, 0.0, 60.0, 24.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    try:
        node._camera_came(info)
        message = Person2DArray(image_width=64, image_height=48, joint_set="coco17")
        message.header.stamp.sec = 1
        node._worker.offer(message)
    except Exception as error:
        print(repr(error), flush=True)

sys.exit(run_node(make))
"""


@pytest.mark.parametrize(
    ("wait", "number"),
    [
        ("time.sleep(0.5)", signal.SIGINT),
        ("time.sleep(600)", signal.SIGINT),
        ("time.sleep(0.5)", signal.SIGTERM),
    ],
    ids=["SIGINT", "SIGINT while stuck", "SIGTERM"],
)
def test_a_signal_while_inferring_ends_the_process_with_0_within_3_seconds(wait, number):
    # a machine that is busy with other things may be late once
    assert any(_interrupted(wait, number) < 3.0 for _ in range(2))


def _interrupted(wait, number):
    """Seconds from the signal to the end of a process that ends well."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_LIFTER.format(wait=wait)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "inferring\n", process.stderr.read()
        start = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
        seconds = time.monotonic() - start
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "Traceback" not in err, err
    return seconds


EARLY_SIGNAL = """
import os, signal, sys
from diffpose_ros.nodes.process import run_node
from diffpose_ros.nodes.markers import MarkersNode

def make():
    os.kill(os.getpid(), signal.{name})
    import rclpy, time
    try:
        while rclpy.ok():
            time.sleep(0.01)
    except KeyboardInterrupt:
        pass
    return MarkersNode()

sys.exit(run_node(make))
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_while_the_node_is_being_made_ends_the_process_with_0(name):
    done = subprocess.run(
        [sys.executable, "-c", EARLY_SIGNAL.format(name=name)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
