"""Shows skeletons: ``skeletons`` -> ``markers`` and ``/tf``."""

from __future__ import annotations

from typing import Any

import numpy as np
from visualization_msgs.msg import MarkerArray

from diffpose_ros.core import Skeleton, TrackState, joint_set
from diffpose_ros.msg import Skeleton3DArray
from diffpose_ros.nodes.process import run_node
from diffpose_ros.ros import conversions, qos
from diffpose_ros.ros.body_frame import body_rotation
from diffpose_ros.ros.health import RESULT_BEHIND_S
from diffpose_ros.ros.lifecycle import PipelineNode
from diffpose_ros.ros.markers import MarkerStyle, SkeletonMarkers
from diffpose_ros.ros.parameters import Spec
from diffpose_ros.ros.transforms import TransformSender

SPECS = (
    Spec("lifetime_s", float, "How long a marker stays without an update, s.", 0.05,
         60.0),
    Spec("joint_diameter", float, "Diameter of a joint's sphere, m.", 0.001, 1.0),
    Spec("bone_width", float, "Width of a bone's line, m.", 0.001, 1.0),
    Spec("label_height", float, "Height of the label above a person, m; 0: no label.", 0.0, 1.0),
    Spec("ellipsoids", bool, "Show each joint's uncertainty as an ellipsoid."),
    Spec("ellipsoid_sigma", float, "Size of the ellipsoids in standard deviations.", 0.1, 5.0),
    Spec("velocity_s", float, "Length of velocity arrows in seconds of motion, s; 0: no arrows.", 0.0, 10.0),
    Spec("transforms", bool, "Send a frame per person to /tf: body_<id>."),
    Spec("joint_transforms", bool, "Send a frame per joint to /tf, too: body_<id>/<joint>."),
)  # fmt: skip


class MarkersNode(PipelineNode):
    """The node."""

    def __init__(self, **node_kwargs: Any) -> None:
        super().__init__("markers", SPECS, **node_kwargs)
        self._transforms: TransformSender | None = None

    def setup(self) -> None:
        """Make the publishers."""
        self._drawing = SkeletonMarkers(self._style())
        self._markers = self.publisher(MarkerArray, "markers", qos.RESULT)
        self._transforms = TransformSender(self)
        if self._transforms.missing:
            self.trouble("tf", self._transforms.missing)

    def start(self) -> None:
        """Listen to skeletons."""
        self.listen(
            Skeleton3DArray,
            "skeletons",
            self._skeletons_came,
            name="skeletons",
            behind_s=RESULT_BEHIND_S,
            depth=10,
            advice="the lifter does not run, or is not active",
        )

    def teardown(self) -> None:
        """Drop the transform publisher."""
        transforms, self._transforms = self._transforms, None
        if transforms is not None:
            transforms.close()

    def parameters_changed(self, names: set[str]) -> None:
        """Draw with the new sizes from the next frame on."""
        if self._transforms is not None:
            self._drawing.restyle(self._style())

    def _style(self) -> MarkerStyle:
        p = self.parameters
        return MarkerStyle(
            lifetime_s=p["lifetime_s"],
            joint_diameter=p["joint_diameter"],
            bone_width=p["bone_width"],
            label_height=p["label_height"],
            ellipsoid_sigma=p["ellipsoid_sigma"] if p["ellipsoids"] else 0.0,
            velocity_s=p["velocity_s"],
        )

    def _skeletons_came(self, message: Skeleton3DArray) -> None:
        skeletons, names = [], []
        for one in message.skeletons:
            skeleton = self.read(conversions.skeleton_from_message, one, "skeletons")
            if skeleton is not None:
                skeletons.append(skeleton)
                names.append(one.body_frame)
        if self._markers.get_subscription_count():
            self._markers.publish(self._drawing.draw(skeletons, message.header))
        if self.parameters["transforms"]:
            self._send_transforms(message.header, dict(zip(names, skeletons, strict=True)))
        self.hardware_id = message.header.frame_id
        stamp_ns = conversions.stamp_to_ns(message.header.stamp)
        self.monitor.published((self.now_ns() - stamp_ns) / 1e9)

    def _send_transforms(self, header: Any, people: dict[str, Skeleton]) -> None:
        if not header.frame_id:
            self.trouble("tf", "skeletons name no frame: none on bodies is sent; set the lifter's frame_id")
            return
        frames: list[tuple[str, Any, Any]] = []
        for name, skeleton in people.items():
            rotation = body_rotation(skeleton)
            # an unseen person's frame is not renewed: it ages out of tf buffers by itself
            if name and rotation is not None and skeleton.state != TrackState.OCCLUDED:
                frames.append((name, skeleton.root, rotation))
                if self.parameters["joint_transforms"]:
                    frames += joint_frames(name, skeleton)
        if self._transforms is not None:
            self._transforms.send(header, frames)


def joint_frames(name: str, skeleton: Skeleton) -> list[tuple[str, Any, Any]]:
    """A frame on each joint whose orientation is known."""
    turned = skeleton.orientation
    told = np.isfinite(turned).all(axis=(1, 2))
    names = joint_set(skeleton.joint_set).joints
    return [(f"{name}/{names[j]}", skeleton.xyz[j], turned[j]) for j in np.flatnonzero(told)]


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(MarkersNode, args)
