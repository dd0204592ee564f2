"""How many raw images arrive from a camera driver of another process, and become keypoints.

    . .venv/env.sh
    python tools/measure_transport.py                 every combination, as a table in Markdown (6 minutes)
    python tools/measure_transport.py --profiles none --sizes 1280x720 --seconds 10

The driver publishes bgr8 images with rclpy. The keypoints node, in a process of its own, runs a stub that
takes 5 ms in place of the detector. The table's columns:

- published: images that left the driver in this time; a driver that cannot keep its rate publishes fewer.
- arrived: images that the node's subscription was given.
- keypoints: images that went through the stub and came back to the driver as keypoints.
- had time for: images that the node would have taken, had each been there the moment it was published: the
  newest image as soon as the one before is done, each for as long as this node was busy with one here.
- share: keypoints of those it had time for.
- idle: of all cores while it was published, percent. Near zero the machine itself is the limit.
"""

from __future__ import annotations

import argparse
import array
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

PROFILE = Path(__file__).resolve().parents[1] / "config" / "fastdds_large_images.xml"
SIZES = ("640x360", "1280x720", "1920x1080")
RATES = (10.0, 30.0)
RELIABILITIES = ("reliable", "best_effort")
PROFILES = {"none": (False, False), "nodes": (False, True), "driver": (True, False), "both": (True, True)}
STUB_S = 0.005
COLUMNS = (
    "profile in", "image", "Hz", "publisher", "published", "arrived", "keypoints", "had time for",
    "share", "idle", "age p50, p99 (ms)",
)  # fmt: skip


def main() -> int:
    """Run the role that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--profiles", nargs="+", choices=PROFILES, default=list(PROFILES))
    parser.add_argument("--profile", type=Path, default=PROFILE, metavar="FILE", help="another one to try")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), metavar="WxH")
    parser.add_argument("--rates", nargs="+", type=float, default=list(RATES), metavar="HZ")
    parser.add_argument("--publishers", nargs="+", choices=RELIABILITIES, default=list(RELIABILITIES))
    parser.add_argument("--seconds", type=float, default=4.0, help="of publishing, per combination")
    parser.add_argument("--role", choices=("all", "driver", "node"), default="all", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role == "driver":
        drive(arguments)
    if arguments.role == "node":
        return serve()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for name in arguments.profiles:
        driver, node = PROFILES[name]
        ours, theirs = (environment(wanted, arguments.profile) for wanted in (node, driver))
        serving = subprocess.Popen([sys.executable, __file__, "--role", "node"], env=ours)
        words = [sys.executable, __file__, *sys.argv[1:], "--role", "driver"]
        with subprocess.Popen(words, env=theirs, stdout=subprocess.PIPE, text=True) as driving:
            for line in driving.stdout or ():
                print(f"| {name} | {line}", end="", flush=True)
        serving.terminate()
        serving.wait()
        if driving.returncode:
            return driving.returncode
    return 0


def environment(wanted: bool, profile: Path) -> dict[str, str]:
    """This process's variables, with or without a profile."""
    out = {k: v for k, v in os.environ.items() if "PROFILES_FILE" not in k}
    old = os.environ.get("ROS_DISTRO") == "jazzy"
    variable = "FASTRTPS_DEFAULT_PROFILES_FILE" if old else "FASTDDS_DEFAULT_PROFILES_FILE"
    return {**out, variable: str(profile)} if wanted else out


def serve() -> int:
    """The keypoints node with a stub that sees nobody, and a service that tells what it counted."""
    from std_srvs.srv import Trigger

    from diffpose_ros.core import People2D
    from diffpose_ros.nodes.keypoints import KeypointsNode
    from diffpose_ros.nodes.process import run_node

    def detect(rgb: Any) -> People2D:
        time.sleep(STUB_S)
        return People2D.empty()

    stub = SimpleNamespace(
        name="stub", joint_set="coco17", reason="nothing", detect=detect, close=lambda: None
    )

    class Counting(KeypointsNode):
        def __init__(self) -> None:
            super().__init__(make_detector=lambda name, **options: stub)
            self.arrived, self.busy = 0, []
            self.create_service(Trigger, "count", self.tell)

        def tell(self, request: Any, response: Any) -> Any:
            response.message = json.dumps({"arrived": self.arrived, "busy": self.busy})
            self.arrived, self.busy = 0, []
            return response

        def _image_came(self, message: Any) -> None:
            self.arrived += 1
            super()._image_came(message)

        def _work(self, message: Any) -> None:
            began = time.monotonic()
            super()._work(message)
            self.busy.append(time.monotonic() - began)

    return run_node(Counting, ["--ros-args"])


def drive(arguments: argparse.Namespace) -> NoReturn:
    """Publish every combination and count what comes back."""
    import rclpy
    from diffpose_ros.msg import Person2DArray
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import Image
    from std_srvs.srv import Trigger

    rclpy.init(args=[])
    node = rclpy.create_node("driver")
    ages: list[float] = []

    def came(message: Person2DArray) -> None:
        ages.append(time.time() - message.header.stamp.sec - message.header.stamp.nanosec / 1e9)

    node.create_subscription(Person2DArray, "keypoints", came, 100)
    count = node.create_client(Trigger, "count")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    threading.Thread(target=executor.spin, daemon=True).start()
    for size in arguments.sizes:
        width, height = map(int, size.split("x"))
        message = Image(width=width, height=height, encoding="bgr8", step=3 * width)
        message.data = array.array("B", bytes(3 * width * height))
        for rate in arguments.rates:
            for reliability in arguments.publishers:
                profile = QoSProfile(depth=5, reliability=ReliabilityPolicy[reliability.upper()])
                publisher = node.create_publisher(Image, "image_raw", profile)
                wait(lambda p=publisher: p.get_subscription_count() > 0)  # type: ignore[misc]
                time.sleep(1.0)  # the reader may be made anew for this publisher
                ask(count)
                ages.clear()
                before = cpu_times()
                published = publish(publisher, message, rate, arguments.seconds)
                idle, total = (b - a for a, b in zip(before, cpu_times(), strict=True))
                time.sleep(0.7)
                node.destroy_publisher(publisher)
                counted, back = ask(count), sorted(ages)
                busy = counted["busy"]
                could = newest_wins(published, sum(busy) / len(busy) if busy else STUB_S)
                p50, p99 = (back[int(q * len(back))] * 1e3 if back else 0 for q in (0.5, 0.99))
                cells = (
                    size, f"{rate:g}", reliability, len(published), counted["arrived"], len(back), could,
                    f"{100 * len(back) / max(could, 1):.0f} %", f"{100 * idle / total:.0f} %",
                    f"{p50:.0f}, {p99:.0f}",
                )  # fmt: skip
                print(" | ".join(map(str, cells)), "|", flush=True)
    os._exit(0)  # the thread that spins would be cut off inside rclpy


def publish(publisher: Any, message: Any, rate: float, seconds: float) -> list[float]:
    """Publish at a rate for a while, as a camera does; return when each image left, seconds.

    What a camera took while its driver was still sending is dropped by the driver.
    """
    left: list[float] = []
    began = time.monotonic()
    while True:
        frame = int((time.monotonic() - began) * rate) + 1
        due = began + frame / rate
        if due > began + seconds + 0.5 / rate:
            return left
        time.sleep(max(due - time.monotonic(), 0.0))
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(time.time_ns(), 10**9)
        left.append(time.monotonic())
        publisher.publish(message)


def newest_wins(published: Sequence[float], busy_s: float) -> int:
    """How many images a loop takes that always takes the newest one and is busy with each this long."""
    taken, free = 0, float("-inf")
    for this, following in zip(published, [*published[1:], float("inf")], strict=True):
        start = max(this, free)
        if start < following:  # otherwise a newer one is there when the loop is free
            taken, free = taken + 1, start + busy_s
    return taken


def ask(client: Any) -> dict[str, Any]:
    """What the node counted since it was last asked."""
    from std_srvs.srv import Trigger

    future = client.call_async(Trigger.Request())
    wait(future.done)
    return json.loads(future.result().message)  # type: ignore[no-any-return]


def cpu_times() -> tuple[int, int]:
    """Idle and total time of all cores, in ticks."""
    ticks = list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]))
    return ticks[3] + ticks[4], sum(ticks)


def wait(until: Any, timeout_s: float = 30.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + timeout_s
    while not until():
        if time.monotonic() > end:
            raise TimeoutError("the node does not subscribe")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
