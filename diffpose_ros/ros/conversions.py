"""Messages to the core's values and back. Wrong messages are refused with one clear line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from diffpose_ros.core import Camera, InputError, People2D, Skeleton, TrackState, joint_set
from diffpose_ros.core.joints import JOINT_SETS

NS = 1_000_000_000


def stamp_to_ns(stamp: Any) -> int:
    """A ``builtin_interfaces`` Time or Duration in nanoseconds."""
    return int(stamp.sec) * NS + int(stamp.nanosec)


def ns_to_stamp(ns: int) -> Any:
    """Nanoseconds as ``builtin_interfaces/Time``."""
    from builtin_interfaces.msg import Time

    return Time(sec=ns // NS, nanosec=ns % NS)


def seconds_to_duration(seconds: float) -> Any:
    """Seconds as ``builtin_interfaces/Duration``."""
    from builtin_interfaces.msg import Duration

    ns = round(seconds * NS)
    return Duration(sec=ns // NS, nanosec=ns % NS)


def camera_from_info(info: Any) -> Camera:
    """The core's camera of a ``sensor_msgs/CameraInfo``, of the image as published.

    A region of interest and binning are taken into account (REP-145). No distortion model and no
    coefficients mean an undistorted camera.

    Raises:
        InputError: K is all zeros, the size is zero, the distortion model is unknown...
    """
    k = np.array(info.k, dtype=np.float64).reshape(3, 3)
    width, height = int(info.width), int(info.height)
    roi = info.roi
    if roi.width and roi.height:
        k[0, 2] -= roi.x_offset
        k[1, 2] -= roi.y_offset
        width, height = int(roi.width), int(roi.height)
    bin_x, bin_y = max(1, int(info.binning_x)), max(1, int(info.binning_y))
    k[0] /= bin_x
    k[1] /= bin_y
    d = np.array(info.d, dtype=np.float64)
    model = info.distortion_model
    if not model:
        if d.any():
            raise InputError("camera_info: distortion coefficients without a distortion model")
        model, d = "none", d[:0]
    return Camera(
        matrix=k,
        width=width // bin_x,
        height=height // bin_y,
        distortion=d,
        model=model,
        frame_id=info.header.frame_id or "camera_optical_frame",
    )


def camera_to_info(camera: Camera, header: Any) -> Any:
    """A ``sensor_msgs/CameraInfo`` of a camera."""
    from sensor_msgs.msg import CameraInfo

    k = camera.matrix
    p = np.hstack([k, np.zeros((3, 1))])
    plain = camera.model == "none"
    return CameraInfo(
        header=header,
        height=camera.height,
        width=camera.width,
        distortion_model="plumb_bob" if plain else camera.model,
        d=[0.0] * 5 if plain else camera.distortion.tolist(),
        k=k.ravel().tolist(),
        r=np.eye(3).ravel().tolist(),
        p=p.ravel().tolist(),
    )


def people_from_message(message: Any) -> People2D:
    """The people of a ``Person2DArray``.

    Raises:
        InputError: unknown joint set, wrong number of joints, NaN or infinity, scores outside 0..1.
    """
    if message.joint_set not in JOINT_SETS:
        raise InputError(
            f"keypoints: expected a joint set of {', '.join(JOINT_SETS)}, got '{message.joint_set}'"
        )
    joints = len(joint_set(message.joint_set))
    people = message.people
    if not people:
        return People2D.empty(message.joint_set)
    for person in people:
        if len(person.keypoints) != joints:
            raise InputError(
                f"keypoints: expected {joints} joints of {message.joint_set}, "
                f"got {len(person.keypoints)} for person {person.track_id}"
            )
    table = np.array([[(k.x, k.y, k.score) for k in person.keypoints] for person in people])
    return People2D(
        xy=table[..., :2],
        score=table[..., 2],
        joint_set=message.joint_set,
        person_score=np.array([p.score for p in people]),
        track_id=np.array([p.track_id for p in people]),
        age_s=np.array([stamp_to_ns(p.age) / NS for p in people]),
        state=np.array([p.state for p in people]),
    )


def people_to_message(people: People2D, header: Any, *, width: int, height: int, detector: str) -> Any:
    """A ``Person2DArray`` of the people of an image of ``width`` x ``height``."""
    from diffpose_ros.msg import Keypoint2D, Person2D, Person2DArray

    names = joint_set(people.joint_set).joints
    xy, score = people.xy.tolist(), people.score.tolist()
    message = Person2DArray(
        header=header,
        image_width=width,
        image_height=height,
        joint_set=people.joint_set,
        detector=detector,
    )
    message.people = [
        Person2D(
            track_id=int(people.track_id[i]),  # type: ignore[index]
            age=seconds_to_duration(float(people.age_s[i])),  # type: ignore[index]
            state=int(people.state[i]),  # type: ignore[index]
            score=float(people.person_score[i]),  # type: ignore[index]
            keypoints=[
                Keypoint2D(name=name, x=x, y=y, score=s)
                for name, (x, y), s in zip(names, xy[i], score[i], strict=True)
            ],
        )
        for i in range(len(people))
    ]
    return message


def skeleton_to_message(skeleton: Skeleton, header: Any, *, width: int, height: int) -> Any:
    """A ``Skeleton3D``."""
    from geometry_msgs.msg import Point

    from diffpose_ros.msg import Joint3D, Skeleton3D

    names = joint_set(skeleton.joint_set).joints
    root = skeleton.root.tolist()
    return Skeleton3D(
        header=header,
        image_width=width,
        image_height=height,
        joint_set=skeleton.joint_set,
        track_id=int(skeleton.track_id),
        age=seconds_to_duration(skeleton.age_s),
        state=int(skeleton.state),
        score=float(skeleton.person_score),
        joints=[
            Joint3D(name=name, position=Point(x=x, y=y, z=z), covariance=covariance, score=score)
            for name, (x, y, z), covariance, score in zip(
                names,
                skeleton.xyz.tolist(),
                skeleton.covariance.reshape(-1, 9),
                skeleton.score.tolist(),
                strict=True,
            )
        ],
        root=Point(x=root[0], y=root[1], z=root[2]),
        root_covariance=skeleton.root_covariance.reshape(9),
        root_is_metric=skeleton.root_is_metric,
    )


def skeletons_to_message(
    skeletons: Sequence[Skeleton],
    header: Any,
    *,
    width: int,
    height: int,
    model: str,
    hypotheses: int,
    steps: int,
    latency_s: float,
) -> Any:
    """A ``Skeleton3DArray`` of one image's people."""
    from diffpose_ros.msg import Skeleton3DArray

    return Skeleton3DArray(
        header=header,
        image_width=width,
        image_height=height,
        joint_set=skeletons[0].joint_set if skeletons else "h36m17",
        model=model,
        hypotheses=hypotheses,
        steps=steps,
        latency=seconds_to_duration(latency_s),
        skeletons=[skeleton_to_message(s, header, width=width, height=height) for s in skeletons],
    )


def skeleton_from_message(message: Any) -> Skeleton:
    """The skeleton of a ``Skeleton3D``.

    Raises:
        InputError: unknown joint set, wrong number of joints, NaN or infinity.
    """
    if message.joint_set not in JOINT_SETS:
        raise InputError(f"skeleton: unknown joint set '{message.joint_set}'")
    joints = message.joints
    root = message.root
    return Skeleton(
        xyz=np.array([(j.position.x, j.position.y, j.position.z) for j in joints]).reshape(-1, 3),
        covariance=np.array([j.covariance for j in joints]).reshape(-1, 3, 3),
        score=np.array([j.score for j in joints]),
        root=np.array([root.x, root.y, root.z]),
        root_is_metric=message.root_is_metric,
        track_id=message.track_id,
        age_s=stamp_to_ns(message.age) / NS,
        state=TrackState(message.state),
        person_score=message.score,
        joint_set=message.joint_set,
        root_covariance=np.array(message.root_covariance).reshape(3, 3),
    )
