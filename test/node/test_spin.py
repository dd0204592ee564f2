"""A node outlives what goes wrong between its callbacks, and ends when it is told to."""

from __future__ import annotations

import threading

import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed: nodes need ROS 2")

from diffpose_ros.nodes import process as graph  # noqa: E402


class Executor:
    """Fails as often as it is told, then ends."""

    def __init__(self, failures: int) -> None:
        self.failures, self.spins = failures, 0

    def spin(self) -> None:
        self.spins += 1
        if self.spins <= self.failures:
            raise RuntimeError("Unable to convert call argument")


class Node:
    """Remembers what it logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def get_logger(self) -> Node:
        return self

    def error(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(graph.time, "sleep", lambda seconds: None)


def test_an_error_between_callbacks_is_logged_and_outlived(monkeypatch) -> None:
    monkeypatch.setattr(graph.rclpy, "ok", lambda: True)
    executor, node = Executor(2), Node()
    graph._spin(executor, node)
    assert executor.spins == 3
    assert node.lines == ["the executor failed and goes on: Unable to convert call argument"] * 2


def test_an_error_after_the_signal_is_the_end_and_no_error(monkeypatch) -> None:
    monkeypatch.setattr(graph.rclpy, "ok", lambda: False)
    executor, node = Executor(5), Node()
    graph._spin(executor, node)
    assert executor.spins == 1
    assert not node.lines


def test_an_executor_that_only_fails_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(graph.rclpy, "ok", lambda: True)
    with pytest.raises(RuntimeError, match="convert"):
        graph._spin(Executor(100), Node())


def test_failures_far_apart_never_end_a_node(monkeypatch) -> None:
    monkeypatch.setattr(graph.rclpy, "ok", lambda: True)
    clock = iter(range(0, 10_000, 2))
    monkeypatch.setattr(graph.time, "monotonic", lambda: next(clock))
    executor = Executor(100)
    graph._spin(executor, Node())
    assert executor.spins == 101


class Named(Node):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def get_name(self) -> str:
        return self.name


class Waiting:
    """Spins until the context shuts down."""

    def __init__(self, down: threading.Event) -> None:
        self.down, self.nodes = down, []

    def add_node(self, node: Named) -> None:
        self.nodes.append(node)

    def spin(self) -> None:
        assert self.down.wait(10.0)


@pytest.mark.parametrize("bad", [0, 2])
def test_each_node_has_an_executor_and_one_that_fails_for_good_ends_all(monkeypatch, bad) -> None:
    down, made = threading.Event(), []

    def make() -> Waiting | Executor:
        made.append(Waiting(down))
        return made[-1]

    monkeypatch.setattr(graph, "SingleThreadedExecutor", make)
    monkeypatch.setattr(graph.rclpy, "ok", lambda: True)
    monkeypatch.setattr(graph.rclpy, "try_shutdown", down.set)
    nodes = [Named("a"), Named("b"), Named("c")]
    spinning = graph.Spinning(nodes)
    assert [[n.name for n in executor.nodes] for executor in made] == [["a"], ["b"], ["c"]]
    made[bad].spin = Executor(100).spin
    with pytest.raises(graph.ExecutorError, match=f"^{'abc'[bad]}: .* for good: Unable to convert"):
        spinning.run()
    assert spinning.ended()


def test_a_process_whose_executor_failed_for_good_says_so_and_ends_with_an_error(monkeypatch, capsys) -> None:
    class Fails(graph.Spinning):
        def __init__(self, nodes) -> None:
            super().__init__([])

        def run(self) -> None:
            raise graph.ExecutorError("lifter: the executor failed for good: no memory")

    monkeypatch.setattr(graph, "Spinning", Fails)
    monkeypatch.setattr(graph, "_init", lambda args: None)
    monkeypatch.setattr(graph, "QuietSignals", Signals)
    monkeypatch.setattr(graph.rclpy, "ok", lambda: False)  # one executor that fails ends the others
    assert graph.run_nodes([]) == 1
    assert capsys.readouterr().err == "[ERROR] lifter: the executor failed for good: no memory\n"


class Signals:
    """No handlers, which would outlive the test."""

    ros_runs = False

    def ignore(self) -> None:
        pass
