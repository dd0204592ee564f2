"""People in messages that other packages know: vision_msgs, geometry_msgs, people_msgs."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import People2D, Skeleton
from diffpose_ros.core.joints import H36M17
from diffpose_ros.core.rotations import quaternions
from diffpose_ros.ros.body_frame import body_frame, body_rotation
from diffpose_ros.ros.boxes import body_box

CLASS_ID = "person"
HEAD_ROOM_M = 0.12
"""How far a body reaches beyond its joints, on each side."""


@dataclass(frozen=True)
class Output:
    """One topic.

    Attributes:
        kind: package and message.
        about: what it says.
    """

    kind: tuple[str, str]
    about: str

    @property
    def package(self) -> str:
        """The package that the message comes from."""
        return self.kind[0]


OUTPUTS = {
    "detections_2d": Output(("vision_msgs", "Detection2DArray"), "boxes in the image"),
    "detections_3d": Output(("vision_msgs", "Detection3DArray"), "boxes in space"),
    "poses": Output(("geometry_msgs", "PoseArray"), "everyone's place and heading"),
    "pose": Output(("geometry_msgs", "PoseWithCovarianceStamped"), "the primary person's"),
    "people": Output(("people_msgs", "People"), "positions and velocities, for costmaps of navigation"),
}
"""Topic -> what it is."""
INSTALL = {
    "vision_msgs": "install vision_msgs (ros-$ROS_DISTRO-vision-msgs)",
    "people_msgs": "build people_msgs (branch ros2 of wg-perception/people) in the workspace",
}
"""What to do where a package is missing; geometry_msgs never is."""


def load(package: str, name: str) -> type | None:
    """The class of a message, ``None`` where its package is not installed."""
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)  # type: ignore[no-any-return]
    except ImportError:
        return None


def name_of(track_id: int, prefix: str = "") -> str:
    """What a person is called: the name of the body's frame; ``?`` who has no identity."""
    return body_frame(track_id, prefix) or "?"


def detections_2d(people: People2D, header: Any, size: tuple[int, int]) -> Any:
    """``vision_msgs/Detection2DArray`` of an image's people, in pixels."""
    from vision_msgs.msg import Detection2D, Detection2DArray

    message = Detection2DArray(header=header)
    for k in range(len(people)):
        box = body_box(people, k, size)
        if box is None:
            continue
        one = Detection2D(header=header, id=name_of(int(people.track_id[k])))  # type: ignore[index]
        one.results = [_hypothesis(float(people.person_score[k]))]  # type: ignore[index]
        one.bbox.center.position.x, one.bbox.center.position.y = box.centre
        one.bbox.size_x, one.bbox.size_y = box.size
        message.detections.append(one)
    return message


def detections_3d(people: Sequence[tuple[str, Skeleton]], header: Any) -> Any:
    """``vision_msgs/Detection3DArray``: boxes along the axes of the body's frame, where there is one."""
    from vision_msgs.msg import Detection3D, Detection3DArray

    message = Detection3DArray(header=header)
    for name, skeleton in people:
        rotation = body_rotation(skeleton)
        axes = np.eye(3) if rotation is None else rotation
        inside = (skeleton.xyz - skeleton.root) @ axes
        low, high = inside.min(axis=0) - HEAD_ROOM_M, inside.max(axis=0) + HEAD_ROOM_M
        centre = skeleton.root + axes @ ((low + high) / 2)
        one = Detection3D(header=header, id=name)
        one.results = [_hypothesis(skeleton.person_score)]
        one.results[0].pose.pose = pose(centre, axes)
        one.results[0].pose.covariance = pose_covariance(skeleton)
        one.bbox.center = pose(centre, axes)
        one.bbox.size.x, one.bbox.size.y, one.bbox.size.z = (high - low).tolist()
        message.detections.append(one)
    return message


def _hypothesis(score: float) -> Any:
    from vision_msgs.msg import ObjectHypothesisWithPose

    made = ObjectHypothesisWithPose()
    made.hypothesis.class_id, made.hypothesis.score = CLASS_ID, score
    return made


def poses(people: Sequence[tuple[str, Skeleton]], header: Any) -> Any:
    """``geometry_msgs/PoseArray``: mid-hips, x forward, y left, z up."""
    from geometry_msgs.msg import PoseArray

    return PoseArray(header=header, poses=[body_pose(skeleton) for _, skeleton in people])


def pose_with_covariance(skeleton: Skeleton, header: Any) -> Any:
    """``geometry_msgs/PoseWithCovarianceStamped`` of one person."""
    from geometry_msgs.msg import PoseWithCovarianceStamped

    message = PoseWithCovarianceStamped(header=header)
    message.pose.pose = body_pose(skeleton)
    message.pose.covariance = pose_covariance(skeleton)
    return message


def people_msgs(people: Sequence[tuple[str, Skeleton]], header: Any) -> Any:
    """``people_msgs/People``; a velocity that is not known is zero, and the tag ``velocity`` says so."""
    from people_msgs.msg import People, Person

    message = People(header=header)
    for name, skeleton in people:
        known = bool(np.isfinite(skeleton.velocity).all())
        one = Person(name=name, reliability=skeleton.person_score, tagnames=["velocity"])
        one.tags = ["known" if known else "unknown"]
        one.position.x, one.position.y, one.position.z = skeleton.root.tolist()
        if known:
            one.velocity.x, one.velocity.y, one.velocity.z = skeleton.velocity.tolist()
        message.people.append(one)
    return message


def body_pose(skeleton: Skeleton) -> Any:
    """Mid-hip and heading; without a heading, the axes of the header's frame."""
    rotation = body_rotation(skeleton)
    return pose(skeleton.root, np.eye(3) if rotation is None else rotation)


def pose(place: NDArray[np.float64], rotation: NDArray[np.float64]) -> Any:
    """``geometry_msgs/Pose`` of (3,) metres and a (3, 3) rotation."""
    from geometry_msgs.msg import Point, Pose, Quaternion

    (x, y, z), q = place.tolist(), quaternions(rotation).tolist()
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=q[0], y=q[1], z=q[2], w=q[3]))


def pose_covariance(skeleton: Skeleton) -> NDArray[np.float64]:
    """(36,) m^2 and rad^2 about the header's axes; place and heading are taken as independent.

    A heading that is not known has the variance of any angle at all, pi^2 / 3.
    """
    out = np.zeros((6, 6))
    out[:3, :3] = skeleton.root_covariance
    doubt = skeleton.orientation_covariance[H36M17.index("hip")]
    out[3:, 3:] = doubt if np.isfinite(doubt).all() else np.eye(3) * np.pi**2 / 3
    return out.reshape(36)
