"""Gravity and the camera's height on a robot: from its mounting, from transforms, from an IMU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ConfigError, InputError, Surroundings
from diffpose_ros.core.gravity import Claim, GravityJudge, tilt_deg
from diffpose_ros.core.imu import Reading, UpFilter, up_of_orientation
from diffpose_ros.ros.parameters import Spec
from diffpose_ros.ros.target_frame import Rigid

NS = 1_000_000_000
SOURCES = ("auto", "none", "angles", "tf", "imu", "people")
SPECS = (
    Spec("gravity", str,
         "Source of the up direction; auto: tf if gravity_frame is set, imu if imu is, angles if "
         "camera_pitch_deg or camera_roll_deg is not zero; people: learnt from people who walk in view of "
         "a fixed camera.", choices=SOURCES, fixed=True),
    Spec("gravity_frame", str,
         "Frame with z pointing up and the floor at z = 0, e.g. base_footprint or map; "
         "through tf2.", fixed=True),
    Spec("imu", str, "Topic of a sensor_msgs/Imu that moves with the camera; empty: none.", fixed=True),
    Spec("imu_rotation", str,
         "Quaternion 'x y z w' from the IMU's axes to the camera's optical frame; empty: through tf2.",
         fixed=True),
    Spec("camera_pitch_deg", float, "How far the camera looks down, degrees.", -90.0, 90.0),
    Spec("camera_roll_deg", float, "How far the camera's right side is lower than its left, degrees.",
         -180.0, 180.0),
    Spec("camera_height", float,
         "Height of the camera above the floor, m; 0: from tf if available, else unknown.", 0.0, 50.0),
)  # fmt: skip


class Lookup(Protocol):
    """What :class:`~diffpose_ros.ros.target_frame.FrameLookup` is used for here."""

    def __call__(self, target: str, source: str, stamp_ns: int, timeout_s: float) -> Rigid | str:
        """Where ``source`` lies in ``target`` at a time."""

    def latest(self, target: str, source: str) -> tuple[Rigid, int] | str:
        """The same, as it is known last, and from when; stamp 0: it never changes."""


def source_of(values: Mapping[str, Any]) -> str:
    """Which source the node's parameters choose.

    Raises:
        ConfigError: the chosen source lacks what it needs, or a value makes no sense.
    """
    chosen: str = values["gravity"]
    for source, needed in (("tf", "gravity_frame"), ("imu", "imu")):
        if chosen == source and not values[needed]:
            raise ConfigError(f"parameter 'gravity': {source} needs '{needed}' to be set")
    if values["imu_rotation"]:
        rotation_of(values["imu_rotation"])
    try:
        mounting(values)
    except InputError as error:
        raise ConfigError(f"parameters of the camera's place: {error}") from None
    if chosen != "auto":
        return chosen
    if values["gravity_frame"]:
        return "tf"
    if values["imu"]:
        return "imu"
    return "angles" if values["camera_pitch_deg"] or values["camera_roll_deg"] else "none"


def mounting(values: Mapping[str, Any]) -> Surroundings:
    """Angles and height as the parameters have them.

    Raises:
        InputError: they are out of range.
    """
    return Surroundings.of_angles(
        values["camera_pitch_deg"], values["camera_roll_deg"], values["camera_height"] or None
    )


def rotation_of(text: str) -> NDArray[np.float64]:
    """(3, 3) of a quaternion ``x y z w``.

    Raises:
        ConfigError: it is none.
    """
    try:
        x, y, z, w = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        x = y = z = w = 0.0
    if not abs(x * x + y * y + z * z + w * w - 1) < 0.05:
        raise ConfigError(f"parameter 'imu_rotation': expected a quaternion 'x y z w', got '{text}'")
    return Rigid.from_quaternion((x, y, z, w), (0.0, 0.0, 0.0)).rotation


def reading_of(message: Any) -> Reading:
    """What a ``sensor_msgs/Imu`` tells; a first covariance of -1 means that it does not (REP-145).

    Raises:
        InputError: the orientation is no quaternion.
    """
    q, a, w = message.orientation, message.linear_acceleration, message.angular_velocity
    oriented = message.orientation_covariance[0] != -1 and any((q.x, q.y, q.z, q.w))
    return Reading(
        stamp_ns=message.header.stamp.sec * NS + message.header.stamp.nanosec,
        up=up_of_orientation((q.x, q.y, q.z, q.w)) if oriented else None,
        acceleration=None if message.linear_acceleration_covariance[0] == -1 else np.array([a.x, a.y, a.z]),
        rate=None if message.angular_velocity_covariance[0] == -1 else np.array([w.x, w.y, w.z]),
    )


class Gravity:
    """Asks one source for each image, and judges it.

    Args:
        source: of :data:`SOURCES`.
        values: the node's parameters; looked at in each frame.
        lookup: tf2, where it is there.
        trouble: called with a line when something is wrong.
    """

    def __init__(
        self, source: str, values: Mapping[str, Any], lookup: Lookup | None, trouble: Callable[[str], None]
    ) -> None:
        self.source, self._values, self._lookup, self._trouble = source, values, lookup, trouble
        self._judge, self._ups = GravityJudge(), UpFilter()
        self._imu_frame = ""
        given = values["imu_rotation"]
        self._imu_rotation = rotation_of(given) if given else None
        self._bad = ""
        self._lock = threading.Lock()  # messages come in one thread, images are worked on in another
        self.said = "unknown"

    def imu_came(self, message: Any) -> None:
        """Take in a ``sensor_msgs/Imu``."""
        with self._lock:
            self._imu_frame = message.header.frame_id
            try:
                self._bad = self._ups.add(reading_of(message))
            except InputError as error:
                self._bad = f"IMU: {error}"

    def around(self, frame: str, stamp_ns: int, values: Mapping[str, Any]) -> Surroundings:
        """Gravity and height at the time of an image of the optical frame ``frame``."""
        self._values = values
        if self.source in ("none", "people"):  # the lifter learns it
            return Surroundings(camera_height=values["camera_height"] or None)
        judged = self._judge(stamp_ns, self._claim(frame, stamp_ns))
        if judged.trouble:
            self._trouble(f"gravity from {self.source}: {judged.trouble}")
        self.said = f"{self.source}: {described(judged.around)}"
        return judged.around

    def _claim(self, frame: str, stamp_ns: int) -> Claim | str:
        if self.source == "angles":
            around = mounting(self._values)
            return Claim(around.up, around.camera_height)
        claim = self._by_tf(frame, stamp_ns) if self.source == "tf" else self._by_imu(frame, stamp_ns)
        height = self._values["camera_height"]
        if isinstance(claim, Claim) and height:
            return Claim(claim.up, height, claim.late_s)
        return claim

    def _by_tf(self, frame: str, stamp_ns: int) -> Claim | str:
        assert self._lookup is not None
        to = self._values["gravity_frame"]
        motion: Rigid | str = self._lookup(to, frame, stamp_ns, 0.0) if stamp_ns else "no stamp"
        late_s = 0.0
        if isinstance(motion, str):
            # gravity turns slowly: what was known a moment ago will do, and nothing waits for it
            found = self._lookup.latest(to, frame)
            if isinstance(found, str):
                return f"the transform from {frame} to {to} is missing: {found}"
            motion, when = found
            late_s = (stamp_ns - when) / NS if when and stamp_ns else 0.0
        return Claim(motion.rotation[2], float(motion.translation[2]), late_s)

    def _by_imu(self, frame: str, stamp_ns: int) -> Claim | str:
        with self._lock:
            found = self._ups.at(stamp_ns)
        if isinstance(found, str):
            return self._bad or found
        up, late_s = found
        if self._imu_rotation is not None:
            return Claim(self._imu_rotation @ up, None, late_s)
        if self._imu_frame == frame:
            return Claim(up, None, late_s)
        if self._lookup is None or not self._imu_frame:
            return (
                f"the IMU's frame is '{self._imu_frame}' and the camera's '{frame}': install tf2_ros and "
                "publish the transform, or set imu_rotation"
            )
        turn = self._lookup.latest(frame, self._imu_frame)
        if isinstance(turn, str):
            return f"the transform from the IMU's frame {self._imu_frame} to {frame} is missing: {turn}"
        return Claim(turn[0].rotation @ up, None, late_s)


def described(around: Surroundings) -> str:
    """A line on what is known."""
    if around.up is None:
        return "unknown"
    pitch, roll = tilt_deg(around.up)
    text = f"the camera looks down by {pitch:.1f} degrees and leans right by {roll:.1f}"
    if around.camera_height is None:
        return f"{text}, its height is unknown"
    return f"{text}, {around.camera_height:.2f} m over the floor"
