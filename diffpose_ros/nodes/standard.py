"""People in messages that other packages know: ``skeletons``, ``keypoints`` -> ``poses``, ``people``..."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffpose_ros.core import ConfigError, Skeleton
from diffpose_ros.msg import Person2DArray, Skeleton3D, Skeleton3DArray
from diffpose_ros.nodes.process import run_node
from diffpose_ros.ros import conversions, qos, standard
from diffpose_ros.ros.health import RESULT_BEHIND_S
from diffpose_ros.ros.lifecycle import PipelineNode
from diffpose_ros.ros.parameters import Spec

SPECS = (
    Spec("outputs", str, "Topics to publish, separated by commas; auto: all whose packages are installed.",
         fixed=True),
)  # fmt: skip
AUTO = "auto"


def chosen(text: str) -> list[str]:
    """The topics that the parameter ``outputs`` names.

    Raises:
        ConfigError: one is unknown.
    """
    if text.strip() == AUTO:
        return list(standard.OUTPUTS)
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in standard.OUTPUTS]
    if unknown or not names:
        raise ConfigError(
            f"parameter 'outputs': expected {AUTO} or some of {', '.join(standard.OUTPUTS)}, got "
            f"'{unknown[0] if unknown else text}'"
        )
    return names


def check(values: Mapping[str, Any]) -> None:
    """Raise ConfigError when an output is unknown."""
    chosen(values["outputs"])


class StandardNode(PipelineNode):
    """The node. A message is made only while someone listens."""

    def __init__(self, **node_kwargs: Any) -> None:
        super().__init__("standard", SPECS, check=check, **node_kwargs)
        self._outputs: dict[str, Any] = {}

    def setup(self) -> None:
        """Make the publishers whose packages are installed."""
        self._outputs = {}
        missing: dict[str, list[str]] = {}
        for topic in chosen(self.parameters["outputs"]):
            package, name = standard.OUTPUTS[topic].kind
            kind = standard.load(package, name)
            if kind is None:
                missing.setdefault(package, []).append(topic)
                continue
            self._outputs[topic] = self.publisher(kind, topic, qos.RESULT)
        for package, topics in missing.items():
            text = f"not published: {', '.join(topics)}; {standard.INSTALL[package]}"
            if self.parameters["outputs"].strip() == AUTO:
                self.get_logger().info(text)
            else:
                self.trouble("package", text)

    def start(self) -> None:
        """Listen to what the outputs are made of."""
        if {"detections_3d", "poses", "people"} & set(self._outputs):
            self.listen(
                Skeleton3DArray, "skeletons", self._skeletons_came, name="skeletons",
                behind_s=RESULT_BEHIND_S, depth=10, advice="the lifter does not run, or is not active",
            )  # fmt: skip
        if "pose" in self._outputs:
            self.listen(
                Skeleton3D, "skeleton", self._primary_came, name="skeleton", timeout_s=None,
                behind_s=RESULT_BEHIND_S, depth=10, advice="the lifter does not run, or is not active",
            )  # fmt: skip
        if "detections_2d" in self._outputs:
            self.listen(
                Person2DArray, "keypoints", self._keypoints_came, name="keypoints", depth=10,
                behind_s=RESULT_BEHIND_S, advice="the keypoints node does not run, or is not active",
            )  # fmt: skip

    def teardown(self) -> None:
        """Drop the publishers."""
        self._outputs = {}

    def _wanted(self, *topics: str) -> list[str]:
        return [t for t in topics if t in self._outputs and self._outputs[t].get_subscription_count()]

    def _skeletons_came(self, message: Skeleton3DArray) -> None:
        self._count(message.header)
        wanted = self._wanted("detections_3d", "poses", "people")
        if not wanted:
            return
        people = []
        for one in message.skeletons:
            skeleton = self._skeleton(one)
            if skeleton is not None:
                people.append((one.body_frame or standard.name_of(-1), skeleton))
        make = {
            "detections_3d": standard.detections_3d, "poses": standard.poses, "people": standard.people_msgs,
        }  # fmt: skip
        for topic in wanted:
            self._outputs[topic].publish(make[topic](people, message.header))

    def _primary_came(self, message: Skeleton3D) -> None:
        if self._wanted("pose"):
            skeleton = self._skeleton(message)
            if skeleton is not None:
                self._outputs["pose"].publish(standard.pose_with_covariance(skeleton, message.header))

    def _keypoints_came(self, message: Person2DArray) -> None:
        if not self._wanted("detections_2d"):
            return
        people = self.read(conversions.people_from_message, message, "keypoints")
        if people is None:
            return
        size = (message.image_width, message.image_height)
        self._outputs["detections_2d"].publish(standard.detections_2d(people, message.header, size))

    def _skeleton(self, message: Skeleton3D) -> Skeleton | None:
        """A skeleton, or ``None`` after saying why it is none."""
        return self.read(conversions.skeleton_from_message, message, "skeletons")

    def _count(self, header: Any) -> None:
        self.hardware_id = header.frame_id
        self.monitor.published((self.now_ns() - conversions.stamp_to_ns(header.stamp)) / 1e9)


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(StandardNode, args)
