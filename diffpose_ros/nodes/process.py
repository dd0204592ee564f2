"""One or several nodes as this process, until SIGINT or SIGTERM, which end it quietly at any time."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.logging import LoggingSeverity, set_logger_level
from rclpy.utilities import remove_ros_args

from diffpose_ros.core import ConfigError, DiffposeError
from diffpose_ros.core.threads import switch_threads_often
from diffpose_ros.nodes.runner import NODES, OPTIONAL, node_class
from diffpose_ros.ros.lifecycle import PipelineNode
from diffpose_ros.ros.malloc import reuse_large_blocks

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ROS_ARGUMENT_ERRORS = (rclpy_implementation.RCLError, rclpy_implementation.UnknownROSArgsError)
PATIENCE_S = 2.0
"""A signal that comes this long after the first ends the process at once, seconds."""

HEALTHY_S = 1.0
"""An executor that ran so long is worth another try, seconds."""

MAX_FAILURES = 10

LEAVE_S = 0.3
"""A process that a signal ends before ROS runs stays this long: ros2 launch signals its processes, too, and
reports one that ends just before as dead, seconds."""

LOADING_S = 1.0
"""How long the end of the process waits for a model that is being loaded, seconds."""


class QuietSignals:
    """Handles signals without an exception, so that none surfaces in a library's code.

    Before ROS runs there is nothing to lose, and a signal ends the process at once. Then rclpy's own
    handler shuts the context down and the executor returns; where it came too early for that, the
    context is shut down here, in a thread, since the main one may hold the context's lock.
    """

    def __init__(self) -> None:
        self.ros_runs = False
        self._first_s: float | None = None
        for number in SIGNALS:
            signal.signal(number, self)

    def __call__(self, number: int, frame: object) -> None:
        now = time.monotonic()
        if not self.ros_runs:
            self.ignore()
            time.sleep(LEAVE_S)
            os._exit(0)
        if self._first_s is not None and now - self._first_s > PATIENCE_S:
            os._exit(0)
        if self._first_s is None:
            self._first_s = now
            # what a half-done transition would now say is no trouble, and nobody could receive it
            set_logger_level("", LoggingSeverity.FATAL)
            threading.Thread(target=rclpy.try_shutdown, name="shutdown", daemon=True).start()

    @staticmethod
    def ignore() -> None:
        """From here on the process ends by itself; Python would turn signals on again."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def run_node(make: Callable[[], PipelineNode], args: Sequence[str] | None = None) -> int:
    """Run one node as this process; see :func:`run_nodes`."""
    return run_nodes([make], args)


def run_nodes(makes: Sequence[Callable[[], PipelineNode]], args: Sequence[str] | None = None) -> int:
    """Run nodes as this process, until SIGINT or SIGTERM.

    A node whose model is missing stays alive, unconfigured, with the reason in ``/diagnostics``, so
    that a lifecycle manager can try again; one with wrong parameters does not start. Models are
    loaded while the nodes are spun, so diagnostics, services and signals are served meanwhile.

    Args:
        makes: make the nodes, in the order of the data's flow.
        args: the command line; ``None``: this process's own.

    Returns:
        The exit code: 0 after a signal, 1 when a node could spin no more, 2 for wrong parameters or ROS
        arguments.
    """
    signals = QuietSignals()
    code, clean = 0, True
    nodes: list[PipelineNode] = []
    starter: threading.Thread | None = None
    spinning: Spinning | None = None
    reuse_large_blocks()
    switch_threads_often()
    try:
        _init(args)
        signals.ros_runs = True
        nodes += [make() for make in makes]
        spinning = Spinning(nodes)
        starter = threading.Thread(target=_start, args=(nodes,), name="start", daemon=True)
        starter.start()
        spinning.run()
    except DiffposeError as error:
        print(f"[ERROR] {error}", file=sys.stderr)
        code = 2
    except ExecutorError as error:
        print(f"[ERROR] {error}", file=sys.stderr)
        code = 1
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception:
        if rclpy.ok():
            raise
        # the signal came while the nodes were being made: rclpy fails in many ways then
    if starter is not None:
        starter.join(LOADING_S)
        clean = not starter.is_alive()
    if spinning is not None:
        clean &= spinning.ended()
    if clean:
        for node in nodes:
            clean &= node.close()
        rclpy.try_shutdown()
    signals.ignore()
    if not clean:
        # a thread is still inside a library that Python must not tear down under it
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def main(args: Sequence[str] | None = None) -> int:
    """Run the nodes that are named, all in this process."""
    given = list(sys.argv if args is None else ["pipeline", *args])
    known = (*NODES, *OPTIONAL)
    parser = argparse.ArgumentParser(
        prog="pipeline",
        description="Runs nodes in one process: images stay in it and are not compressed.",
        epilog="example: ros2 run diffpose_ros pipeline --ros-args -r __ns:=/diffpose "
        "-r image_raw:=/camera/image_raw -r camera_info:=/camera/camera_info "
        "-p lifter:person_height:=1.75",
    )
    parser.add_argument(
        "nodes",
        nargs="*",
        metavar="NODE",
        help=f"of {', '.join(known)}; by default {', '.join(NODES[1:])}",
    )
    try:
        own = remove_ros_args(given)[1:]
    except ROS_ARGUMENT_ERRORS as error:
        print(f"[ERROR] {_told(error)}", file=sys.stderr)
        return 2
    names = parser.parse_args(own).nodes or list(NODES[1:])
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"unknown node '{unknown[0]}', expected: {', '.join(known)}")
    return run_nodes([node_class(name) for name in names], given[1:])


def _init(args: Sequence[str] | None) -> None:
    """Start ROS.

    Raises:
        ConfigError: its arguments are wrong, or a parameter file that they name.
    """
    try:
        rclpy.init(args=None if args is None else list(args))
    except ROS_ARGUMENT_ERRORS as error:
        raise ConfigError(_told(error)) from None


def _told(error: Exception) -> str:
    """What rcl says, without the lines of its source and what it says twice."""
    text = re.sub(r", at [^ ,]+:[0-9]+", "", str(error))
    return f"wrong ROS arguments: {' '.join(text.split())}"


def _start(nodes: Sequence[PipelineNode]) -> None:
    """Autostart, the last of the flow first, so that everyone is there when the first image comes."""
    for node in reversed(nodes):
        try:
            node.autostart()
        except Exception as error:
            if rclpy.ok():
                node.failed(error)


class ExecutorError(Exception):
    """An executor failed again and again, and was given up."""


class Spinning:
    """Nodes that spin, each on an executor of its own: the first in this thread, others in theirs.

    rclpy's executor goes through all that it could wait for each time it wakes, so one for all nodes would
    take the interpreter from the work several hundred times a second.
    """

    def __init__(self, nodes: Sequence[PipelineNode]) -> None:
        self._nodes = list(nodes)
        self._executors = [SingleThreadedExecutor() for _ in nodes]
        for executor, node in zip(self._executors, nodes, strict=True):
            executor.add_node(node)
        self._error: ExecutorError | None = None
        self._threads = [
            threading.Thread(target=self._one, args=pair, name=f"spin {pair[1].get_name()}", daemon=True)
            for pair in zip(self._executors[1:], self._nodes[1:], strict=True)
        ]

    def run(self) -> None:
        """Spin until the signal.

        Raises:
            ExecutorError: one of them did; the context is shut down.
        """
        for thread in self._threads:
            thread.start()
        self._one(self._executors[0], self._nodes[0])
        if self._error is not None:
            raise self._error

    def ended(self) -> bool:
        """Whether no other thread spins any more; waits a moment for that."""
        for thread in self._threads:
            if thread.is_alive():
                thread.join(LOADING_S)
        return not any(thread.is_alive() for thread in self._threads)

    def _one(self, executor: SingleThreadedExecutor, node: PipelineNode) -> None:
        try:
            _spin(executor, node)
        except Exception as error:
            self._error = ExecutorError(f"{node.get_name()}: the executor failed for good: {error}")
            self._error.__cause__ = error
            rclpy.try_shutdown()


def _spin(executor: SingleThreadedExecutor, node: Any) -> None:
    """Spin until the signal. An error between callbacks is logged and outlived.

    A signal that lands while rclpy converts a message surfaces as any error at all, just before the
    context shuts down; so the context is asked a moment later.

    Raises:
        Exception: the executor failed ten times in a row, and never ran for a second between.
    """
    failures = 0
    while True:
        began = time.monotonic()
        try:
            executor.spin()
            return
        except (KeyboardInterrupt, ExternalShutdownException):
            return
        except Exception as error:
            failures = 1 if time.monotonic() - began > HEALTHY_S else failures + 1
            time.sleep(0.1)
            if not rclpy.ok():
                return
            if failures == MAX_FAILURES:
                raise
            node.get_logger().error(f"the executor failed and goes on: {error}")
