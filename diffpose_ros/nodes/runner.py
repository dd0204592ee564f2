"""Running nodes from Python: all of them in one process, each on an executor of its own.

As in::

    with ros_context() as context:
        nodes = make_nodes(context, {"video_source": {"source": "people.mp4", "loop": False}})
        with Graph(nodes, context=context) as graph:      # autostarts, spins in a thread
            graph.wait(lambda: nodes["video_source"].finished.is_set(), timeout_s=600)
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter

from diffpose_ros.core import ConfigError
from diffpose_ros.core.threads import switch_threads_often
from diffpose_ros.ros.lifecycle import PipelineNode
from diffpose_ros.ros.malloc import reuse_large_blocks

NAMESPACE = "diffpose"
NODES = ("video_source", "keypoints", "lifter", "markers")
"""The nodes of the pipeline, in the order of the data's flow."""
OPTIONAL = ("hri", "pose_search", "standard")
"""Nodes that run only when they are asked for."""


@contextlib.contextmanager
def ros_context(args: Sequence[str] | None = None) -> Iterator[Context]:
    """A ROS context of its own: no signal handlers, nothing shared with the default context.

    Args:
        args: ROS command line arguments, ``["--ros-args", ...]``; not those of this process.
    """
    context = Context()
    rclpy.init(args=list(args or ()), context=context)
    try:
        yield context
    finally:
        context.try_shutdown()


def node_class(name: str) -> type[PipelineNode]:
    """The class of a node by its name.

    Raises:
        ConfigError: no such node.
    """
    if name == "video_source":
        from diffpose_ros.nodes.video_source import VideoSourceNode

        return VideoSourceNode
    if name == "keypoints":
        from diffpose_ros.nodes.keypoints import KeypointsNode

        return KeypointsNode
    if name == "lifter":
        from diffpose_ros.nodes.lifter import LifterNode

        return LifterNode
    if name == "markers":
        from diffpose_ros.nodes.markers import MarkersNode

        return MarkersNode
    if name == "hri":
        from diffpose_ros.nodes.hri import HriNode

        return HriNode
    if name == "pose_search":
        from diffpose_ros.nodes.pose_search import PoseSearchNode

        return PoseSearchNode
    if name == "standard":
        from diffpose_ros.nodes.standard import StandardNode

        return StandardNode
    raise ConfigError(f"unknown node '{name}', expected one of: {', '.join((*NODES, *OPTIONAL))}")


def make_nodes(
    context: Context,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    names: Iterable[str] = NODES,
    namespace: str = NAMESPACE,
    classes: Mapping[str, Callable[..., PipelineNode]] | None = None,
) -> dict[str, PipelineNode]:
    """Make nodes, not yet configured.

    Args:
        context: from :func:`ros_context`.
        parameters: by node, the parameters that differ from the defaults of ``config/*.yaml``.
        names: which nodes.
        namespace: of all of them.
        classes: by node, what makes it instead of the node's own class.

    Returns:
        The nodes by name.

    Raises:
        ConfigError: a parameter is wrong; no node is left over.
    """
    nodes: dict[str, PipelineNode] = {}
    try:
        for name in names:
            given = (parameters or {}).get(name, {})
            make: Callable[..., PipelineNode] = (classes or {}).get(name) or node_class(name)
            nodes[name] = make(
                context=context,
                namespace=namespace,
                use_global_arguments=False,
                parameter_overrides=[Parameter(key, value=v) for key, v in given.items()],
            )
    except BaseException:
        for node in nodes.values():
            node.close()
        raise
    return nodes


class Graph:
    """Nodes that spin, each on an executor and a thread of its own; a context manager that stops cleanly.

    rclpy's executor goes through all that it could wait for each time it wakes, so one for all nodes would
    take the interpreter from the work several hundred times a second.

    Args:
        nodes: lifecycle nodes of this package, by name (they are autostarted and closed here).
        context: the context they live in.
        extra: other rclpy nodes to spin along, e.g. a recorder (destroyed here as well).
    """

    def __init__(
        self, nodes: Mapping[str, PipelineNode], *, context: Context, extra: Sequence[Any] = ()
    ) -> None:
        self.nodes = dict(nodes)
        self._extra = list(extra)
        self._context = context
        self._error: BaseException | None = None
        self._stopped = False
        self._executors: list[SingleThreadedExecutor] = []
        self._threads: list[threading.Thread] = []
        for node in (*self.nodes.values(), *self._extra):
            executor = SingleThreadedExecutor(context=context)
            executor.add_node(node)
            self._executors.append(executor)
            spin = partial(self._spin, executor)
            self._threads.append(threading.Thread(target=spin, name=f"spin {node.get_name()}", daemon=True))
        reuse_large_blocks()
        switch_threads_often()

    def __enter__(self) -> Graph:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Configure and activate the nodes, the last of the flow first, and spin.

        Raises:
            ConfigError: a node did not start; the text says why.
        """
        for name, node in reversed(self.nodes.items()):
            if not node.autostart():
                problem = node.monitor.status().problems.get("transition")
                raise ConfigError(f"{name}: {problem.text if problem else 'did not start'}")
        for thread in self._threads:
            thread.start()

    def wait(self, until: Callable[[], bool], *, timeout_s: float, period_s: float = 0.05) -> bool:
        """Wait until a condition holds. False when the time ran out first.

        Raises:
            RuntimeError: the executor ended with an error.
        """
        end = time.monotonic() + timeout_s
        while not until():
            if self._error is not None:
                raise RuntimeError(f"the executor stopped: {self._error}") from self._error
            if time.monotonic() > end:
                return False
            time.sleep(period_s)
        return True

    def stop(self) -> None:
        """Stop spinning, close and destroy all nodes. Calling it twice does no harm."""
        if self._stopped:
            return
        self._stopped = True
        for executor in self._executors:
            executor.shutdown(timeout_sec=2.0)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(2.0)
        for node in self.nodes.values():
            node.close()
        for node in self._extra:
            node.destroy_node()

    def _spin(self, executor: SingleThreadedExecutor) -> None:
        try:
            executor.spin()
        except ExternalShutdownException:
            return
        except Exception as error:
            self._error = error
