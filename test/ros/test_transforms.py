"""Transforms are composed where tf2's message exists, and their absence is said where not."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from std_msgs.msg import Header

from diffpose_ros.ros.transforms import TransformSender


class Node:
    """Stands for an rclpy node: keeps what is published."""

    def __init__(self):
        self.sent = []
        self.destroyed = 0

    def create_publisher(self, kind, topic, profile):
        self.topic = topic
        return SimpleNamespace(publish=self.sent.append)

    def destroy_publisher(self, publisher):
        self.destroyed += 1


@pytest.fixture
def tf2(monkeypatch):
    """A ``tf2_msgs`` that keeps its transforms; the real one may not be installed."""
    package, module = ModuleType("tf2_msgs"), ModuleType("tf2_msgs.msg")
    module.TFMessage = SimpleNamespace
    monkeypatch.setitem(sys.modules, "tf2_msgs", package)
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", module)


def test_each_frame_becomes_a_transform_from_the_camera(tf2):
    node = Node()
    sender = TransformSender(node)
    assert (sender.missing, node.topic) == ("", "/tf")
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    sender.send(
        Header(frame_id="eye"),
        [("body_00001", np.array([1.0, 2, 3]), np.eye(3)), ("body_00002", np.zeros(3), quarter)],
    )
    first, second = node.sent[0].transforms
    assert (first.header.frame_id, first.child_frame_id) == ("eye", "body_00001")
    t, q = first.transform.translation, first.transform.rotation
    assert (t.x, t.y, t.z) == (1, 2, 3)
    assert (q.x, q.y, q.z, q.w) == pytest.approx((0, 0, 0, 1))
    q = second.transform.rotation
    assert (q.x, q.y, q.z, q.w) == pytest.approx((0, 0, 0.5**0.5, 0.5**0.5))


def test_nobody_sends_nothing(tf2):
    node = Node()
    TransformSender(node).send(Header(), [])
    assert node.sent == []


def test_closing_twice_destroys_the_publisher_once(tf2):
    node = Node()
    sender = TransformSender(node)
    sender.close()
    sender.close()
    assert node.destroyed == 1


def test_without_tf2_it_says_what_to_install_and_does_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_msgs", None)
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", None)
    node = Node()
    sender = TransformSender(node)
    assert "install tf2_msgs" in sender.missing
    sender.send(Header(), [("body_00001", np.zeros(3), np.eye(3))])
    assert node.sent == []
