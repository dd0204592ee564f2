"""Ctrl-C at any time, also during the imports: one quiet end, no traceback."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PHOTO = Path(__file__).resolve().parents[1] / "frontend" / "people.jpg"


def interrupted(script, delay_s, *, number=signal.SIGINT, times=1):
    """Exit code and standard error of a node's process that got a signal after ``delay_s``."""
    words = ["--ros-args", "-p", f"source:={PHOTO}"] if script == "video_source_node" else []
    command = [SCRIPTS / script, *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(delay_s)
        for _ in range(times):
            process.send_signal(number)
            time.sleep(0.02)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    return process.returncode, err


def check(script, delay_s, code, err):
    # before the interpreter runs, the shell itself may take the signal
    assert code in (0, -signal.SIGINT, -signal.SIGTERM, 130), (script, delay_s, code, err)
    assert code == 0 or delay_s < 0.2, (script, delay_s, code, err)
    for word in ("Traceback", "Error", "ERROR", "Exception", "terminate called"):
        assert word not in err, (script, delay_s, err)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("delay_s", [0.0, 0.03, 0.1, 0.3, 0.6, 1.0, 2.0])
def test_ctrl_c_is_quiet_at_any_time(delay_s, times):
    check("markers_node", delay_s, *interrupted("markers_node", delay_s, times=times))


def test_what_the_end_interrupts_is_not_logged_as_an_error(monkeypatch):
    """A transition that the signal cuts short fails in rclpy, which logs it as an error."""
    from diffpose_ros.nodes import process

    ended, levels = threading.Event(), []
    monkeypatch.setattr(process.rclpy, "try_shutdown", ended.set)
    monkeypatch.setattr(process, "set_logger_level", lambda name, level: levels.append((name, level.name)))
    before = [signal.getsignal(number) for number in process.SIGNALS]
    try:
        quiet = process.QuietSignals()
        quiet.ros_runs = True
        quiet(signal.SIGINT, None)
        quiet(signal.SIGINT, None)
    finally:
        for number, handler in zip(process.SIGNALS, before, strict=True):
            signal.signal(number, handler)
    assert ended.wait(5.0)
    assert levels == [("", "FATAL")]


def test_what_fails_since_the_context_is_shut_down_is_no_error():
    """rclpy's own handler shuts the context down before Python's hears of the signal."""
    from diffpose_ros.nodes import process

    def make():
        process.rclpy.try_shutdown()
        raise RuntimeError("rcl node's context is invalid")

    before = [signal.getsignal(number) for number in process.SIGNALS]
    try:
        assert process.run_nodes([make], []) == 0
    finally:
        for number, handler in zip(process.SIGNALS, before, strict=True):
            signal.signal(number, handler)


def test_a_process_outlives_the_signal_of_its_launch():
    """ros2 launch reports a process as dead that ends between Ctrl-C and its own signal."""
    process = subprocess.Popen([SCRIPTS / "markers_node"], stderr=subprocess.PIPE)
    time.sleep(0.4)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize("script", ["keypoints_node", "lifter_node", "pipeline"])
def test_sigterm_while_a_model_is_loaded_is_quiet(script):
    check(script, 1.2, *interrupted(script, 1.2, number=signal.SIGTERM))


@pytest.mark.soak
@pytest.mark.parametrize(
    "script", ["keypoints_node", "lifter_node", "markers_node", "video_source_node", "pipeline"]
)
def test_ctrl_c_is_quiet_at_a_hundred_times(script):
    random.seed(0)
    for _ in range(100):
        delay_s = random.uniform(0.0, 4.0)
        check(script, delay_s, *interrupted(script, delay_s, times=random.choice([1, 2])))
