"""Foxglove's layout and RViz's configuration name topics, types and classes that are there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LAYOUT = json.loads((ROOT / "config" / "foxglove" / "demo.json").read_text())
RVIZ = yaml.safe_load((ROOT / "config" / "rviz" / "lift.rviz").read_text())

PANELS = {
    "Image", "3D", "Plot", "RawMessages", "DiagnosticSummary", "DiagnosticStatusPanel", "SourceInfo",
    "StateTransitions", "Table", "TopicGraph", "Indicator", "Gauge", "Log",
}  # fmt: skip
"""Types of panels that Foxglove has (its documentation, "Panels")."""
RVIZ_CLASSES = {
    "rviz_common/Displays", "rviz_common/Selection", "rviz_common/Tool Properties", "rviz_common/Views",
    "rviz_common/Time", "rviz_default_plugins/Grid", "rviz_default_plugins/Axes",
    "rviz_default_plugins/TF", "rviz_default_plugins/Image",
    "rviz_default_plugins/Camera", "rviz_default_plugins/MarkerArray", "rviz_default_plugins/Orbit",
    "rviz_default_plugins/Interact", "rviz_default_plugins/MoveCamera", "rviz_default_plugins/Select",
    "rviz_default_plugins/FocusCamera", "rviz_default_plugins/Measure", "rviz_default_plugins/RobotModel",
    "rviz_default_plugins/ThirdPersonFollower", "rviz_default_plugins/FPS",
}  # fmt: skip
"""Classes of rviz2 (plugins_description.xml of rviz_common and rviz_default_plugins)."""
SHOWN = {
    "rviz_default_plugins/MarkerArray": "visualization_msgs/msg/MarkerArray",
    "rviz_default_plugins/Image": "sensor_msgs/msg/Image",
    "rviz_default_plugins/Camera": "sensor_msgs/msg/Image",
}  # fmt: skip
NODES_PUBLISH = {
    "/diffpose/markers": "visualization_msgs/msg/MarkerArray", "/diffpose/annotated": "sensor_msgs/msg/Image",
    "/diffpose/image_raw": "sensor_msgs/msg/Image",
}  # fmt: skip


def recorded() -> dict[str, str]:
    """Topics of the demo's bag and their types."""
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")
    from diffpose_ros.demo import graph

    topics = dict(graph.TOPICS)
    return {**topics, graph.IMAGES: "sensor_msgs/msg/CompressedImage"}


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.items() for part in item for text in strings(part)]
    if isinstance(value, list):
        return [text for part in value for text in strings(part)]
    return [value] if isinstance(value, str) else []


def test_the_layout_has_only_panels_that_there_are_and_shows_them_all() -> None:
    panels = set(LAYOUT["configById"])
    assert {name.split("!")[0] for name in panels} <= PANELS
    assert {text for text in strings(LAYOUT["layout"]) if "!" in text} == panels


def test_the_layout_names_topics_of_the_bag() -> None:
    topics = recorded()
    named = {re.split(r"[.\[]", text)[0] for text in strings(LAYOUT["configById"]) if text.startswith("/")}
    assert named and named <= set(topics), named - set(topics)
    for panel, config in LAYOUT["configById"].items():
        if panel.startswith("Image!"):
            mode = config["imageMode"]
            assert topics[mode["imageTopic"]] in ("sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image")
            assert topics[mode["calibrationTopic"]] == "sensor_msgs/msg/CameraInfo"
        for topic in config.get("topics", {}):
            assert topics[topic] in ("visualization_msgs/msg/MarkerArray", "sensor_msgs/msg/CompressedImage")


def test_paths_of_plots_are_fields_of_their_messages() -> None:
    topics = recorded()
    from diffpose_ros.media.bag import typestore

    store = typestore()
    paths = [text for text in strings(LAYOUT["configById"]) if text.startswith("/") and "." in text]
    for path in paths:
        topic, *names = path.split(".")
        kind = topics[re.split(r"\[", topic)[0]]
        for name in names:
            plain = re.split(r"[\[{]", name)[0]
            fields = dict(store.fielddefs[kind][1])
            assert plain in fields, f"{path}: {kind} has no {plain}"
            node = fields[plain]
            while isinstance(node[1], tuple) and not isinstance(node[1][0], str):
                node = node[1][0]
            kind = node[1] if isinstance(node[1], str) else node[1][0]
            if kind not in store.fielddefs:
                break


def entries(value: object) -> list[dict]:
    """Everything with a class."""
    found = []
    if isinstance(value, dict):
        found += [value] if value.get("Class") else []
        found += [e for part in value.values() for e in entries(part)]
    elif isinstance(value, list):
        found += [e for part in value for e in entries(part)]
    return found


def test_rviz_has_every_class_of_its_configuration() -> None:
    classes = {entry["Class"] for entry in entries(RVIZ)}
    assert "rviz_default_plugins/MarkerArray" in classes
    assert classes <= RVIZ_CLASSES, classes - RVIZ_CLASSES


def test_rviz_shows_topics_that_the_nodes_publish_in_their_types() -> None:
    for entry in entries(RVIZ):
        topic = entry.get("Topic", {}).get("Value") if isinstance(entry.get("Topic"), dict) else None
        if topic:
            assert NODES_PUBLISH[topic] == SHOWN[entry["Class"]], topic
