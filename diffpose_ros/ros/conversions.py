"""Messages to the core's values and back. Wrong messages are refused with one clear line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError, People2D, Skeleton, TrackState, joint_set
from diffpose_ros.core.joints import JOINT_SETS
from diffpose_ros.core.rotations import quaternions, rotations
from diffpose_ros.core.types import SIZE_SOURCES
from diffpose_ros.ros.body_frame import body_frame
from diffpose_ros.ros.camera_info import camera_from_info, camera_to_info

__all__ = [
    "camera_from_info",
    "camera_to_info",
    "ns_to_stamp",
    "people_from_message",
    "people_to_message",
    "seconds_to_duration",
    "skeleton_from_message",
    "skeleton_to_message",
    "skeletons_to_message",
    "stamp_to_ns",
]

NS = 1_000_000_000
MAX_POSITION_M = 1e6
"""Nobody stands farther away than this; viewers that are told so draw nothing any more."""
MAX_SPEED_MPS = 1e4
IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])
NOT_KNOWN = np.array([-1.0, *[0.0] * 8])
"""Covariance of an orientation that is not known, as in sensor_msgs/Imu."""


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


def people_from_message(message: Any) -> People2D:
    """The people of a ``Person2DArray``.

    Keypoints go by their names: those in another order are sorted, those without any are taken in the
    order of the joint set.

    Raises:
        InputError: unknown joint set, wrong number or names of joints, NaN or infinity, scores outside
            0..1, an unknown track state, a covariance that is none.
    """
    if message.joint_set not in JOINT_SETS:
        raise InputError(
            f"keypoints: expected a joint set of {', '.join(JOINT_SETS)}, got '{message.joint_set}'"
        )
    people = message.people
    if not people:
        return People2D.empty(message.joint_set)
    rows = [_in_order("keypoints", p.keypoints, message.joint_set, p.track_id) for p in people]
    table = np.array([[(k.x, k.y, k.score) for k in row] for row in rows])
    return People2D(
        covariance=_keypoint_covariance(rows, table[..., 2]),
        xy=table[..., :2],
        score=table[..., 2],
        joint_set=message.joint_set,
        person_score=np.array([p.score for p in people]),
        track_id=np.array([p.track_id for p in people]),
        age_s=np.array([stamp_to_ns(p.age) / NS for p in people]),
        state=np.array([p.state for p in people]),
    )


def _in_order(what: str, given: Sequence[Any], joints_of: str, track_id: int) -> Sequence[Any]:
    """Keypoints or joints in the order of their joint set.

    Raises:
        InputError: their number or names are not those of the set.
    """
    joints = joint_set(joints_of).joints
    if len(given) != len(joints):
        raise InputError(
            f"{what}: expected {len(joints)} joints of {joints_of}, got {len(given)} for person {track_id}"
        )
    names = tuple(g.name for g in given)
    if names == joints or not any(names):
        return given
    by_name = dict(zip(names, given, strict=True))
    if len(by_name) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise InputError(f"{what}: expected each joint once, got '{twice}' twice for person {track_id}")
    unknown = [n for n in names if n not in joints]
    if unknown:
        raise InputError(
            f"{what}: expected the joint names of {joints_of}, got '{unknown[0]}' for person {track_id}"
        )
    return [by_name[j] for j in joints]


def _keypoint_covariance(
    rows: Sequence[Sequence[Any]], score: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """(P, J, 2, 2), or ``None`` where a keypoint that was seen has none."""
    given = [k.covariance for row in rows for k in row]
    lengths = np.array([len(c) for c in given])
    wrong = lengths[(lengths != 0) & (lengths != 4)]
    if len(wrong):
        raise InputError(f"keypoint covariance: expected 4 numbers or none, got {wrong[0]}")
    if not lengths.any() or ((lengths == 0) & (score.ravel() > 0)).any():
        return None
    return np.array([c if len(c) else (0.0,) * 4 for c in given]).reshape(*score.shape, 2, 2)


def people_to_message(
    people: People2D, header: Any, *, width: int, height: int, detector: str, image_topic: str = ""
) -> Any:
    """A ``Person2DArray`` of the people of an image of ``width`` x ``height``."""
    from diffpose_ros.msg import Keypoint2D, Person2D, Person2DArray

    names = joint_set(people.joint_set).joints
    xy, score = people.xy.tolist(), people.score.tolist()
    covariance = [[[]] * len(names)] * len(people)
    if people.covariance is not None:
        covariance = people.covariance.reshape(*people.score.shape, 4).tolist()
    message = Person2DArray(
        header=header,
        image_width=width,
        image_height=height,
        joint_set=people.joint_set,
        detector=detector,
        image_topic=image_topic,
    )
    message.people = [
        Person2D(
            track_id=int(people.track_id[i]),  # type: ignore[index]
            age=seconds_to_duration(float(people.age_s[i])),  # type: ignore[index]
            state=int(people.state[i]),  # type: ignore[index]
            score=float(people.person_score[i]),  # type: ignore[index]
            keypoints=[
                Keypoint2D(name=name, x=x, y=y, score=s, covariance=c)
                for name, (x, y), s, c in zip(names, xy[i], score[i], covariance[i], strict=True)
            ],
        )
        for i in range(len(people))
    ]
    return message


def skeleton_to_message(
    skeleton: Skeleton, header: Any, *, width: int, height: int, frame_prefix: str = ""
) -> Any:
    """A ``Skeleton3D``; the name of its body's frame begins with ``frame_prefix``."""
    from geometry_msgs.msg import Point, Quaternion, Vector3

    from diffpose_ros.msg import Joint3D, Skeleton3D

    names = joint_set(skeleton.joint_set).joints
    turned, doubt = _orientations(skeleton)
    root, velocity = skeleton.root.tolist(), skeleton.velocity.tolist()
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
            Joint3D(
                name=name,
                position=Point(x=x, y=y, z=z),
                covariance=covariance,
                score=score,
                orientation=Quaternion(x=q[0], y=q[1], z=q[2], w=q[3]),
                orientation_covariance=of_q,
            )
            for name, (x, y, z), covariance, score, q, of_q in zip(
                names,
                skeleton.xyz.tolist(),
                skeleton.covariance.reshape(-1, 9),
                skeleton.score.tolist(),
                turned,
                doubt,
                strict=True,
            )
        ],
        root=Point(x=root[0], y=root[1], z=root[2]),
        root_covariance=skeleton.root_covariance.reshape(9),
        root_is_metric=skeleton.root_is_metric,
        body_frame=body_frame(skeleton.track_id, frame_prefix),
        velocity=Vector3(x=velocity[0], y=velocity[1], z=velocity[2]),
        velocity_covariance=skeleton.velocity_covariance.reshape(9),
        contact=skeleton.contact.astype(np.float32),
        size_source=SIZE_SOURCES.index(skeleton.size_source),
    )


def _orientations(skeleton: Skeleton) -> tuple[list[list[float]], NDArray[np.float64]]:
    """Quaternions x, y, z, w, and (J, 9) covariances; of what is not known identity and -1."""
    q = quaternions(skeleton.orientation)
    unknown = ~np.isfinite(q).all(axis=1) | (skeleton.score == 0)
    q[unknown] = IDENTITY
    doubt = skeleton.orientation_covariance.reshape(-1, 9)
    return q.tolist(), np.where(unknown[:, None], NOT_KNOWN, doubt)


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
    frame_prefix: str = "",
    up: NDArray[np.float64] | None = None,
) -> Any:
    """A ``Skeleton3DArray`` of one image's people; ``up`` (3,) against gravity, ``None``: not known."""
    from geometry_msgs.msg import Vector3

    from diffpose_ros.msg import Skeleton3DArray

    x, y, z = (0.0, 0.0, 0.0) if up is None else up.tolist()

    return Skeleton3DArray(
        header=header,
        image_width=width,
        image_height=height,
        joint_set=skeletons[0].joint_set if skeletons else "h36m17",
        model=model,
        hypotheses=hypotheses,
        steps=steps,
        latency=seconds_to_duration(latency_s),
        skeletons=[
            skeleton_to_message(s, header, width=width, height=height, frame_prefix=frame_prefix)
            for s in skeletons
        ],
        up=Vector3(x=x, y=y, z=z),
    )


def skeleton_from_message(message: Any) -> Skeleton:
    """The skeleton of a ``Skeleton3D``.

    Raises:
        InputError: unknown joint set, track state or source of size, wrong number or names of joints, NaN
            or infinity (what may be unknown excepted), a position beyond :data:`MAX_POSITION_M`, a speed
            beyond :data:`MAX_SPEED_MPS`.
    """
    if message.joint_set not in JOINT_SETS:
        raise InputError(f"skeleton: unknown joint set '{message.joint_set}'")
    joints = _in_order("skeleton", message.joints, message.joint_set, message.track_id)
    root = message.root
    if message.state not in set(TrackState):
        raise InputError(f"skeleton: unknown track state {message.state}")
    if message.size_source >= len(SIZE_SOURCES):
        raise InputError(f"skeleton: unknown source of the size {message.size_source}")
    velocity = message.velocity
    orientation, doubt = _orientations_from(joints)
    skeleton = Skeleton(
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
        velocity=np.array([velocity.x, velocity.y, velocity.z]),
        velocity_covariance=np.array(message.velocity_covariance).reshape(3, 3),
        contact=np.array(message.contact, dtype=np.float64),
        size_source=SIZE_SOURCES[message.size_source],
        orientation=orientation,
        orientation_covariance=doubt,
    )
    _near("position", np.vstack([skeleton.xyz, skeleton.root]), MAX_POSITION_M, "m")
    _near("covariance", skeleton.covariance, MAX_POSITION_M**2, "m^2")
    _near("velocity", skeleton.velocity, MAX_SPEED_MPS, "m/s")
    return skeleton


def _orientations_from(joints: Sequence[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(J, 3, 3) frames and their covariances; NaN where the message does not know them.

    Raises:
        InputError: a quaternion is not of unit length, or a covariance is not finite.
    """
    q = np.array([(o.x, o.y, o.z, o.w) for o in (j.orientation for j in joints)])
    doubt = np.array([j.orientation_covariance for j in joints])
    known = ~(doubt[:, 0] <= 0)  # zeros: a publisher that fills in none
    with np.errstate(over="ignore", invalid="ignore"):  # a number whose square is none is refused below
        length = np.sqrt((q * q).sum(axis=1))
    wrong = known & ~(np.abs(length - 1) < 0.01)
    if wrong.any():
        raise InputError(
            "skeleton orientation: expected quaternions of length 1, or -1 as the first number of their "
            f"covariance where they are not known, got length {length[wrong][0]:g}"
        )
    doubt[~known] = np.nan
    matrix = np.full((len(q), 3, 3), np.nan)
    matrix[known] = rotations(q[known] / length[known, None])
    return matrix, doubt.reshape(-1, 3, 3)


def _near(name: str, value: NDArray[np.float64], limit: float, unit: str) -> None:
    worst = float(np.abs(value).max())
    if worst > limit:
        raise InputError(f"skeleton {name}: expected at most {limit:g} {unit}, got {worst:g}")
