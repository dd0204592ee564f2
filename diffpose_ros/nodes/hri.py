"""People as REP-155 wants them: ``skeletons`` and ``keypoints`` -> ``/humans/bodies/...`` and ``/tf``."""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import PointStamped, TwistStamped, Vector3
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Header, String

from diffpose_ros.core import Skeleton, TrackState
from diffpose_ros.core.joints import H36M17
from diffpose_ros.kinematics import human_model
from diffpose_ros.msg import Person2DArray, Skeleton3DArray
from diffpose_ros.nodes.process import run_node
from diffpose_ros.ros import conversions, images, qos
from diffpose_ros.ros.body_frame import body_rotation
from diffpose_ros.ros.boxes import body_box
from diffpose_ros.ros.health import RESULT_BEHIND_S
from diffpose_ros.ros.hri import HriMessages
from diffpose_ros.ros.lifecycle import PipelineNode
from diffpose_ros.ros.parameters import Spec
from diffpose_ros.ros.recent import Recent
from diffpose_ros.ros.transforms import TransformSender

SPECS = (
    Spec("limb_transforms", bool, "Send a frame per limb to /tf, as a child of body_<id>."),
    Spec("body_transforms", bool, "Send body_<id>, too; only if markers does not run, which sends it."),
    Spec("lost_s", float, "After this time without skeletons nobody is tracked, s.", 0.1, 60.0),
    Spec("cropped", bool, "Publish each person's image region; subscribes to the images.", fixed=True),
    Spec("transport", str, "Images for cropped: image_raw (raw) or image_raw/compressed (compressed).",
         choices=("raw", "compressed"), fixed=True),
    Spec("image_qos", str, "Reliability for reading images; auto: as published.",
         choices=qos.ASKED, fixed=True),
)  # fmt: skip
BODIES = "/humans/bodies"
Frame = tuple[str, str, Any, Any]
"""Parent, child, translation, rotation."""
LENGTH_CHANGED = 0.05
"""A person's description is published again when a bone differs by this share."""


class Body:
    """The topics of one person.

    Args:
        node: that publishes.
        name: the person's id in topics.
        messages: of ``hri_msgs``.
    """

    def __init__(self, node: HriNode, name: str, messages: HriMessages) -> None:
        def publisher(kind: type, topic: str, profile: Any = qos.RESULT) -> Any:
            return node.create_publisher(kind, f"{BODIES}/{name}/{topic}", profile)

        self._node = node
        self.position = publisher(PointStamped, "position")
        self.velocity = publisher(TwistStamped, "velocity")
        self.joint_states = publisher(JointState, "joint_states")
        self.urdf = publisher(String, "urdf", qos.LATCHED)
        self.roi = self.skeleton2d = self.cropped = None
        if not messages.missing:
            self.roi = publisher(messages.Roi, "roi")
            self.skeleton2d = publisher(messages.Skeleton2D, "skeleton2d")
        if node.parameters["cropped"]:
            self.cropped = publisher(Image, "cropped", qos.IMAGE_OUT)
        self.lengths: dict[str, float] = {}
        self.smooth: dict[str, float] = {}

    def close(self) -> None:
        """Take the topics back."""
        for made in (
            *(self.position, self.velocity, self.joint_states, self.urdf),
            *(self.roi, self.skeleton2d, self.cropped),
        ):
            if made is not None:
                self._node.destroy_publisher(made)


class HriNode(PipelineNode):
    """The node."""

    def __init__(self, **node_kwargs: Any) -> None:
        super().__init__("hri", SPECS, **node_kwargs)
        self._transforms: TransformSender | None = None
        self._bodies: dict[str, Body] = {}
        self._lost_timer: Any = None

    def setup(self) -> None:
        """Make what does not depend on people."""
        self._messages = HriMessages()
        self._tracked = None
        if self._messages.missing:
            self.trouble("hri_msgs", self._messages.missing)
        else:
            self._tracked = self.publisher(self._messages.IdsList, f"{BODIES}/tracked", qos.RESULT)
        self._transforms = TransformSender(self)
        if self._transforms.missing:
            self.trouble("tf", self._transforms.missing)
        self._positions = human_model.JointPositions()

    def start(self) -> None:
        """Listen."""
        self._names: dict[int, str] = {}
        self._frame = ""
        self._seen_s = self._monotonic()
        self._images: Recent[Any] = Recent()
        advice = "the lifter does not run, or is not active"
        self.listen(
            Skeleton3DArray, "skeletons", self._skeletons_came, name="skeletons",
            behind_s=RESULT_BEHIND_S, depth=10, advice=advice,
        )  # fmt: skip
        self.listen(
            Person2DArray, "keypoints", self._keypoints_came, name="keypoints",
            behind_s=RESULT_BEHIND_S, depth=10, advice="the keypoints node does not run, or is not active",
        )  # fmt: skip
        if self.parameters["cropped"]:
            raw = self.parameters["transport"] == "raw"
            self.listen(
                Image if raw else CompressedImage, "image_raw" if raw else "image_raw/compressed",
                self._images.add, name="images", asked=self.parameters["image_qos"],
                reliable_depth=qos.RELIABLE_IMAGE_DEPTH, near=raw,
                advice="start the camera, or remap image_raw (transport: compressed for JPEGs)",
            )  # fmt: skip
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._lost_timer = self.create_timer(0.1, self.guard(self._forget_when_silent), clock=steady)

    def stop(self) -> None:
        """Nobody is tracked any more."""
        timer, self._lost_timer = self._lost_timer, None
        if timer is not None:
            self.destroy_timer(timer)
            self._track(Header(stamp=self.get_clock().now().to_msg(), frame_id=self._frame), [])

    def teardown(self) -> None:
        """Drop the transform publisher."""
        transforms, self._transforms = self._transforms, None
        if transforms is not None:
            transforms.close()

    def _skeletons_came(self, message: Skeleton3DArray) -> None:
        self._seen_s = self._monotonic()
        self._frame = self.hardware_id = message.header.frame_id
        people: list[tuple[str, Skeleton]] = []
        for one in message.skeletons:
            skeleton = self.read(conversions.skeleton_from_message, one, "skeletons")
            if skeleton is not None and one.body_frame and skeleton.state != TrackState.OCCLUDED:
                people.append((one.body_frame, skeleton))
        self._names = {skeleton.track_id: topic_name(frame) for frame, skeleton in people}
        self._track(message.header, list(self._names.values()))
        self._positions.keep(set(self._names))
        frames: list[Frame] = []
        for body_frame, skeleton in people:
            self._tell(message.header, body_frame, skeleton, frames)
        if self._transforms is not None and message.header.frame_id:
            self._transforms.send_all(message.header, frames)
        self.monitor.published((self.now_ns() - conversions.stamp_to_ns(message.header.stamp)) / 1e9)

    def _track(self, header: Header, names: list[str]) -> None:
        for gone in set(self._bodies) - set(names):
            self._bodies.pop(gone).close()
        for new in names:
            if new not in self._bodies:
                self._bodies[new] = Body(self, new, self._messages)
        if self._tracked is not None:
            self._tracked.publish(self._messages.ids(header, names))

    def _tell(self, header: Header, body_frame: str, skeleton: Skeleton, frames: list[Frame]) -> None:
        body = self._bodies[self._names[skeleton.track_id]]
        position = PointStamped(header=header)
        position.point.x, position.point.y, position.point.z = skeleton.root.tolist()
        body.position.publish(position)
        if np.isfinite(skeleton.velocity).all():
            x, y, z = skeleton.velocity.tolist()
            twist = TwistStamped(header=header)
            twist.twist.linear = Vector3(x=x, y=y, z=z)
            body.velocity.publish(twist)
        rotation = body_rotation(skeleton)
        if rotation is None or skeleton.joint_set != H36M17.name:
            return
        prefix, number = split(body_frame)
        turned = skeleton.orientation
        angles = self._positions(skeleton.track_id, turned, rotation)
        known = np.flatnonzero(np.isfinite(angles))
        body.joint_states.publish(
            JointState(
                header=header,
                name=[f"{human_model.JOINTS[k]}_{number}" for k in known],
                position=angles[known].tolist(),
            )
        )
        self._describe(body, skeleton, number, prefix)
        if self.parameters["body_transforms"]:
            frames.append(("", body_frame, skeleton.root, rotation))
        if self.parameters["limb_transforms"]:
            for link, frame in human_model.link_frames(turned).items():
                place = skeleton.xyz[H36M17.index(human_model.LINKS[link])] - skeleton.root
                name = f"{prefix}{link}_{number}"
                frames.append((body_frame, name, rotation.T @ place, rotation.T @ frame))

    def _describe(self, body: Body, skeleton: Skeleton, number: str, prefix: str) -> None:
        """Publish the person as URDF, when it is new or has changed."""
        lengths = human_model.bone_lengths(skeleton.xyz)
        if body.lengths:  # of lifted skeletons they differ from frame to frame
            lengths = {k: 0.95 * v + 0.05 * lengths[k] for k, v in body.smooth.items()}
        body.smooth = lengths
        if body.lengths and all(abs(lengths[k] / v - 1) < LENGTH_CHANGED for k, v in body.lengths.items()):
            return
        body.lengths = lengths
        body.urdf.publish(String(data=human_model.human_description(number, lengths, prefix)))

    def _keypoints_came(self, message: Person2DArray) -> None:
        if not self._bodies or (self._messages.missing and not self.parameters["cropped"]):
            return
        people = self.read(conversions.people_from_message, message, "keypoints")
        if people is None:
            return
        size = (message.image_width, message.image_height)
        if people.joint_set != "coco17" or min(size) <= 0:
            return
        image: Any = None
        for k, track_id in enumerate(people.track_id.tolist()):  # type: ignore[union-attr]
            body = self._bodies.get(self._names.get(track_id, ""))
            box = body_box(people, k, size)
            if body is None or box is None:
                continue
            if body.roi is not None and body.skeleton2d is not None:
                body.roi.publish(self._messages.roi(message.header, box, size))
                body.skeleton2d.publish(self._messages.skeleton2d(message.header, people, k, size))
            if body.cropped is not None and body.cropped.get_subscription_count():
                image = image if image is not None else self._image_of(message.header)
                if image is not None:
                    x0, y0, x1, y1 = (round(v) for v in box[:4])
                    part = np.ascontiguousarray(image[y0 : y1 + 1, x0 : x1 + 1])
                    body.cropped.publish(images.rgb_to_image(part, message.header))

    def _image_of(self, header: Header) -> Any:
        """The image of this stamp as an RGB array, or ``None``."""
        found = self._images.at(header.stamp)
        if found is None:
            return None
        if isinstance(found, CompressedImage):
            return images.compressed_to_rgb(found)
        return images.image_to_rgb(found)

    def _forget_when_silent(self) -> None:
        """Who is seen no more, since nothing comes any more, is not tracked."""
        if self._bodies and self._monotonic() - self._seen_s > self.parameters["lost_s"]:
            self._names = {}
            self._track(Header(stamp=self.get_clock().now().to_msg(), frame_id=self._frame), [])


def split(body_frame: str) -> tuple[str, str]:
    """``front/body_aaaak`` -> ``front/`` and ``aaaak``."""
    prefix, _, number = body_frame.rpartition("body_")
    return prefix, number


def topic_name(body_frame: str) -> str:
    """The id in topics: ``body_aaaak`` -> ``aaaak``, ``front/body_aaaak`` -> ``front_aaaak``."""
    prefix, number = split(body_frame)
    return "".join(c if c.isalnum() else "_" for c in prefix) + number


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(HriNode, args)
