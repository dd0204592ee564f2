"""How many raw images arrive from a camera driver of another process, and become keypoints.

    . .venv/env.sh
    python tools/measure_transport.py                 every combination, as a table in Markdown (5 minutes)
    python tools/measure_transport.py --profiles none --seconds 10

The driver publishes bgr8 images with rclpy; the keypoints node, in a process of its own, runs a stub
that takes 5 ms in place of the detector; what comes back as keypoints is counted at the driver.
"""

from __future__ import annotations

import argparse
import array
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PROFILE = Path(__file__).resolve().parents[1] / "config" / "fastdds_large_images.xml"
SIZES = ((640, 360), (1280, 720), (1920, 1080))
RATES = (10.0, 30.0)
RELIABILITIES = ("reliable", "best_effort")
PROFILES = {"none": (False, False), "nodes": (False, True), "driver": (True, False), "both": (True, True)}
STUB_S = 0.005


def main() -> int:
    """Run the role that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--profiles", nargs="+", choices=PROFILES, default=list(PROFILES))
    parser.add_argument("--seconds", type=float, default=4.0, help="of publishing, per combination")
    parser.add_argument("--role", choices=("all", "driver", "node"), default="all", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role == "driver":
        return drive(arguments.seconds)
    if arguments.role == "node":
        return serve()
    print("| profile in | image | Hz | publisher | published | became keypoints | age p50, p99 (ms) |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in arguments.profiles:
        driver, node = PROFILES[name]
        serving = subprocess.Popen([sys.executable, __file__, "--role", "node"], env=environment(node))
        try:
            seconds = ["--seconds", str(arguments.seconds)]
            done = subprocess.run(
                [sys.executable, __file__, "--role", "driver", *seconds],
                env=environment(driver), check=True, capture_output=True, text=True,
            )  # fmt: skip
        finally:
            serving.terminate()
            serving.wait()
        for line in done.stdout.splitlines():
            print(f"| {name} | {line}", flush=True)
    return 0


def environment(profile: bool) -> dict[str, str]:
    """This process's variables, with or without the profile."""
    out = {k: v for k, v in os.environ.items() if "PROFILES_FILE" not in k}
    return {**out, "FASTDDS_DEFAULT_PROFILES_FILE": str(PROFILE)} if profile else out


def serve() -> int:
    """The keypoints node with a stub that sees nobody."""
    from diffpose_ros.core import People2D
    from diffpose_ros.nodes.keypoints import KeypointsNode
    from diffpose_ros.nodes.process import run_node

    def detect(rgb: Any) -> People2D:
        time.sleep(STUB_S)
        return People2D.empty()

    stub = SimpleNamespace(
        name="stub", joint_set="coco17", reason="nothing", detect=detect, close=lambda: None
    )
    return run_node(lambda: KeypointsNode(make_detector=lambda name, **options: stub), ["--ros-args"])


def drive(seconds: float) -> int:
    """Publish every combination and count what comes back."""
    import rclpy
    from diffpose_ros.msg import Person2DArray
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import Image

    rclpy.init(args=[])
    node = rclpy.create_node("driver")
    ages: list[float] = []

    def came(message: Person2DArray) -> None:
        ages.append(time.time() - message.header.stamp.sec - message.header.stamp.nanosec / 1e9)

    node.create_subscription(Person2DArray, "keypoints", came, 100)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    threading.Thread(target=executor.spin, daemon=True).start()
    for width, height in SIZES:
        message = Image(width=width, height=height, encoding="bgr8", step=3 * width)
        message.data = array.array("B", bytes(3 * width * height))
        for rate in RATES:
            for reliability in RELIABILITIES:
                profile = QoSProfile(depth=5, reliability=ReliabilityPolicy[reliability.upper()])
                publisher = node.create_publisher(Image, "image_raw", profile)
                wait(lambda p=publisher: p.get_subscription_count() > 0)  # type: ignore[misc]
                time.sleep(1.0)  # the reader may be made anew for this publisher
                ages.clear()
                count = publish(publisher, message, rate, seconds)
                time.sleep(0.5)
                node.destroy_publisher(publisher)
                time.sleep(0.2)
                p50, p99 = (sorted(ages)[int(q * len(ages))] * 1e3 if ages else 0 for q in (0.5, 0.99))
                size = f"{width}x{height} | {rate:g} | {reliability}"
                print(f"{size} | {count} | {len(ages)} | {p50:.0f}, {p99:.0f} |", flush=True)
    return 0


def publish(publisher: Any, message: Any, rate: float, seconds: float) -> int:
    """Publish at a rate; return how many."""
    count = round(rate * seconds)
    due = time.monotonic()
    for _ in range(count):
        now = time.time_ns()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 10**9)
        publisher.publish(message)
        due += 1 / rate
        time.sleep(max(due - time.monotonic(), 0.0))
    return count


def wait(until: Any, timeout_s: float = 30.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + timeout_s
    while not until():
        if time.monotonic() > end:
            raise TimeoutError("the node does not subscribe")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
