"""Sends bad messages to running nodes: noise, broken CDR, valid messages with absurd contents.

    . .venv/env.sh && python test/fuzz/run_nodes.py --count 12000 --seed 1
    python test/fuzz/run_nodes.py --only lifter --count 3000 --seed 1

Each node runs in a process of its own, as on a robot. It must not die, log a traceback or an internal
error, or grow; and good messages that come afterwards must be answered.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
sys.path.insert(0, str(Path(__file__).parent))

import messages
import numpy as np
import rclpy
from diffpose_ros.msg import Person2DArray, Skeleton3DArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo
from visualization_msgs.msg import MarkerArray

NAMESPACE = "/fuzz"
START_S, ANSWER_S = 120.0, 60.0
PAUSE_S = 0.002
MOST_GROWTH = 250 << 20
"""Between the first tenth of the messages and the end, bytes."""
FORBIDDEN = re.compile(r"Traceback|internal error|executor failed|RuntimeWarning|Segmentation fault|Assert")


@dataclass(frozen=True)
class Target:
    """A process and how to talk to it.

    Attributes:
        share: of all messages.
        module: what is run.
        parameters: of the nodes, ``name:=value``.
        inputs: topics that get bad messages, then honest ones.
        inner: topics between nodes of the process: they get bad messages, too.
        answer: topic and type that honest messages lead to.
        services: names of services of ``/fuzz/<node>`` whose requests are spoiled.
        node: the node's name.
    """

    share: float
    module: str
    node: str
    inputs: tuple[str, ...]
    answer: tuple[str, type]
    parameters: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()


RUN = "import importlib, sys; sys.exit(importlib.import_module(sys.argv.pop(1)).main())"
SMALL = ("input_size:=128", "runtime:=onnxruntime", "threads:=1")
TARGETS = {
    "keypoints": Target(
        0.2, "diffpose_ros.nodes.keypoints", "keypoints", ("image_raw",), ("keypoints", Person2DArray), SMALL,
    ),
    "compressed": Target(
        0.15, "diffpose_ros.nodes.keypoints", "keypoints", ("image_raw/compressed",),
        ("keypoints", Person2DArray), (*SMALL, "transport:=compressed"),
    ),
    "lifter": Target(
        0.25, "diffpose_ros.nodes.lifter", "lifter", ("camera_info", "keypoints"),
        ("skeletons", Skeleton3DArray), ("backend:=onnxruntime",),
    ),
    "markers": Target(
        0.15, "diffpose_ros.nodes.markers", "markers", ("skeletons",), ("markers", MarkerArray),
    ),
    "video_source": Target(
        0.1, "diffpose_ros.nodes.video_source", "video_source", (), ("camera_info", CameraInfo),
        ("source:={pictures}", "fps:=20.0"), services=tuple(messages.SERVICES),
    ),
    "pipeline": Target(
        0.15, "diffpose_ros.nodes.process", "keypoints",
        ("image_raw", "camera_info"), ("skeletons", Skeleton3DArray),
        (*(f"keypoints:{p}" for p in SMALL), "lifter:backend:=onnxruntime"), inner=("keypoints", "skeletons"),
    ),
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=TARGETS)
    args = parser.parse_args()
    failed = False
    for k, (name, target) in enumerate(TARGETS.items()):
        if args.only not in (None, name):
            continue
        began = time.monotonic()
        count = args.count if args.only else round(args.count * target.share)
        wrong = attack(target, count, np.random.default_rng([args.seed, k]))
        failed |= bool(wrong)
        print(f"{name}: {count} messages in {time.monotonic() - began:.0f} s: {wrong or 'lives'}", flush=True)
    return int(failed)


def attack(target: Target, count: int, rng: np.random.Generator) -> str:
    """Send ``count`` bad messages; what is wrong afterwards, empty when nothing is."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        running, log = stack.enter_context(process(target, folder))
        peer = stack.enter_context(Peer(target))
        if not peer.answered(START_S, running):
            return f"no answer to honest messages before the bad ones: {log.read_text()[-2000:]}"
        warm = 0
        for i in range(count):
            peer.send_bad(rng)
            if i == max(count // 10, 50):
                warm = memory(running.pid)
            if running.poll() is not None:
                return f"died with {running.returncode} after {i + 1} messages: {log.read_text()[-3000:]}"
            time.sleep(PAUSE_S)
        answered = peer.answered(ANSWER_S, running)
        grown = memory(running.pid) - warm
        text = log.read_text(errors="replace")
        if running.poll() is not None:
            return f"died with {running.returncode}: {text[-3000:]}"
        if found := FORBIDDEN.search(text):
            return f"its log has '{found[0]}': {text[max(0, found.start() - 300) : found.end() + 2500]}"
        if not answered:
            return f"no answer to honest messages: {text[-3000:]}"
        if grown > MOST_GROWTH:
            return f"grew by {grown >> 20} MiB"
        if os.environ.get("SHOW"):
            print(text)
        running.send_signal(signal.SIGINT)
        code = running.wait(30)
        return f"ended with {code} after SIGINT" if code else ""


@contextlib.contextmanager
def process(target: Target, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The node, and where its log goes."""
    import cv2

    pictures = folder / "pictures"
    pictures.mkdir()
    for i in range(3):
        cv2.imwrite(str(pictures / f"{i}.png"), np.full((48, 64, 3), 60 * i, np.uint8))
    words = [word.format(pictures=pictures) for word in target.parameters]
    command = [sys.executable, "-c", RUN, target.module, "--ros-args", "-r", f"__ns:={NAMESPACE}"]
    command += [part for word in words for part in ("-p", word)]
    log = folder / "log"
    with log.open("wb") as file:
        running = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=folder)
    try:
        yield running, log
    finally:
        if running.poll() is None:
            running.kill()
        running.wait()


class Peer:
    """Talks to a target: bad messages, then honest ones."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._stamps: set[int] = set()
        self._heard = threading.Event()
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        node = rclpy.create_node("peer", context=self._context, namespace=NAMESPACE)
        self._good = messages.good()
        deep = QoSProfile(depth=50)
        topics = (*target.inputs, *target.inner)
        self._out = {t: node.create_publisher(type(self._good[t]), t, deep) for t in topics}
        self._calls = {
            name: node.create_client(kind, f"{target.node}/{name}")
            for name, kind in messages.SERVICES.items()
            if name in target.services
        }
        topic, kind = target.answer
        node.create_subscription(kind, topic, self._came, 10)
        self._state = node.create_client(ChangeState, f"{target.node}/change_state")
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def _came(self, message: Any) -> None:
        header = message.markers[-1].header if isinstance(message, MarkerArray) and message.markers else None
        header = getattr(message, "header", header)
        stamp = None if header is None else (header.stamp.sec, header.stamp.nanosec)
        if not self._target.inputs or stamp in self._stamps:
            self._heard.set()

    def send_bad(self, rng: np.random.Generator) -> None:
        """One bad message to one of the inputs."""
        names = [*self._out, *self._calls]
        name = names[int(rng.integers(len(names)))]
        if name in self._out:
            self._out[name].publish(messages.bad(rng, self._good[name]))
        elif rng.random() < 0.1:
            self._change(int(rng.choice((*range(5), 8, 9, 60, 99, 255))))  # 5 to 7 end a node for good
        else:
            self._calls[name].call_async(messages.absurd(rng, self._good[name]))

    def _change(self, step: int) -> None:
        self._state.call_async(ChangeState.Request(transition=Transition(id=step)))

    def answered(self, timeout_s: float, running: subprocess.Popen[bytes]) -> bool:
        """Send honest messages until one is answered."""
        self._stamps.clear()
        self._heard.clear()
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and running.poll() is None:
            stamp = messages.stamp_now()
            self._stamps.add((stamp.sec, stamp.nanosec))
            for topic in self._target.inputs:
                message = self._good[topic]
                message.header.stamp = stamp
                for one in getattr(message, "skeletons", ()):
                    one.header.stamp = stamp
                self._out[topic].publish(message)
            if self._calls:
                for step in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
                    self._change(step)
            if self._heard.wait(0.1):
                return True
        return False

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *error: object) -> None:
        self._executor.shutdown()
        self._context.try_shutdown()
        self._thread.join(5)


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
