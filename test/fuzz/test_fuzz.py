"""A small slice of `make fuzz`: bad inputs to every command, bad messages to the nodes."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run(script, *words):
    command = [sys.executable, str(HERE / script), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)


def test_bad_inputs_end_in_one_line():
    pytest.importorskip("av", reason="needs PyAV to make the files")
    pytest.importorskip("torch", reason="some commands need torch: make setup-train")
    done = run("run_cli.py", "--count", "40", "--seed", "7")
    assert done.returncode == 0, done.stdout


def test_bad_messages_leave_the_nodes_alive_and_answering():
    pytest.importorskip("rclpy", reason="rclpy is not installed: nodes need ROS 2")
    done = run("run_nodes.py", "--only", "pipeline", "--count", "300", "--seed", "7")
    assert done.returncode == 0, done.stdout + done.stderr
