"""Gravity and height on a robot: which source is asked, what it answers, and what is said when it fails."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from diffpose_ros.core import ConfigError
from diffpose_ros.core.resources import config_path
from diffpose_ros.nodes.lifter_parameters import lifter_config
from diffpose_ros.ros.gravity import NS, Gravity, reading_of, rotation_of, source_of
from diffpose_ros.ros.target_frame import Rigid

DEFAULTS = yaml.safe_load(config_path("lifter.yaml").read_text())["/**"]["ros__parameters"]
OPTICAL_IN_BASE = Rigid.from_quaternion((-0.5, 0.5, -0.5, 0.5), (0.2, 0.0, 1.5))
"""An optical frame in a body frame (x forward, y left, z up), level and 1.5 m high."""
LINK_IN_OPTICAL = "0.5 -0.5 0.5 0.5"
"""The rotation of a sensor with x forward, y left, z up into the optical frame."""
LEVEL = [0, -1, 0]


def values(**changes):
    return {**DEFAULTS, **changes}


class Lookup:
    """tf2 with one answer at the image's time and one for the newest."""

    def __init__(self, at="missing", newest="missing"):
        self.at, self.newest, self.asked = at, newest, []

    def __call__(self, target, source, stamp_ns, timeout_s):
        self.asked.append((target, source, stamp_ns, timeout_s))
        return self.at

    def latest(self, target, source):
        self.asked.append((target, source))
        return self.newest


def xyz(x, y, z):
    return SimpleNamespace(x=x, y=y, z=z)


def imu(stamp_ns, *, q=None, a=(0.0, 0.0, 9.81), w=(0.0, 0.0, 0.0), frame="imu_link"):
    """A ``sensor_msgs/Imu`` as far as it is read."""
    x, y, z, qw = q or (0.0, 0.0, 0.0, 0.0)
    return SimpleNamespace(
        header=SimpleNamespace(
            frame_id=frame, stamp=SimpleNamespace(sec=stamp_ns // NS, nanosec=stamp_ns % NS)
        ),
        orientation=SimpleNamespace(x=x, y=y, z=z, w=qw),
        orientation_covariance=[-1.0 if q is None else 0.0] * 9,
        linear_acceleration=xyz(*(a or (0, 0, 0))),
        linear_acceleration_covariance=[-1.0 if a is None else 0.0] * 9,
        angular_velocity=xyz(*w),
        angular_velocity_covariance=[0.0] * 9,
    )


def gravity(lookup=None, **changes):
    chosen, said = values(**changes), []
    made = Gravity(source_of(chosen), chosen, lookup, said.append)
    return made, lambda stamp_ns=NS, frame="cam": made.around(frame, stamp_ns, chosen), said


def test_what_people_tell_the_lifter_learns() -> None:
    _, around, said = gravity(gravity="people")
    assert around().up is None
    assert said == []
    assert lifter_config(values(gravity="people")).estimate_gravity
    assert not lifter_config(values()).estimate_gravity


@pytest.mark.parametrize(
    ("changes", "source"),
    [
        ({}, "none"),
        ({"camera_height": 1.2}, "none"),
        ({"camera_pitch_deg": 10.0}, "angles"),
        ({"gravity": "angles"}, "angles"),
        ({"imu": "/imu/data", "camera_pitch_deg": 10.0}, "imu"),
        ({"imu": "/imu/data", "gravity_frame": "map"}, "tf"),
        ({"imu": "/imu/data", "gravity": "none"}, "none"),
        ({"gravity": "people", "camera_height": 1.2}, "people"),
    ],
)
def test_the_parameters_choose_a_source(changes, source) -> None:
    assert source_of(values(**changes)) == source


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"gravity": "tf"}, "tf needs 'gravity_frame'"),
        ({"gravity": "imu"}, "imu needs 'imu'"),
        ({"imu": "/imu", "imu_rotation": "0 0 0"}, "expected a quaternion 'x y z w', got '0 0 0'"),
        ({"imu": "/imu", "imu_rotation": "0 0 0 2"}, "expected a quaternion"),
        ({"camera_height": 0.02}, "camera height: expected 0.1 to 50 m"),
    ],
)
def test_parameters_that_make_no_sense_together_are_refused(changes, text) -> None:
    with pytest.raises(ConfigError, match=text):
        source_of(values(**changes))


def test_nothing_given_is_nothing_known() -> None:
    made, around, said = gravity()
    assert (around().up, around().camera_height, said) == (None, None, [])
    assert made.said == "unknown"


def test_a_mounting_is_known_at_once() -> None:
    made, around, _ = gravity(camera_pitch_deg=30.0, camera_height=2.0)
    assert around().up == pytest.approx([0, -np.cos(np.pi / 6), -0.5])
    assert around().camera_height == 2.0
    assert made.said == (
        "angles: the camera looks down by 30.0 degrees and leans right by 0.0, 2.00 m over the floor"
    )


def test_a_transform_tells_up_and_height() -> None:
    lookup = Lookup(OPTICAL_IN_BASE)
    _, around, said = gravity(lookup, gravity_frame="base_footprint")
    assert around().up == pytest.approx(LEVEL)
    assert around().camera_height == pytest.approx(1.5)
    assert lookup.asked[0] == ("base_footprint", "cam", NS, 0.0)  # nothing waits for it
    assert said == []
    _, around, _ = gravity(lookup, gravity_frame="map", camera_height=1.1)
    assert around().camera_height == 1.1


def test_a_transform_of_a_moment_ago_will_do() -> None:
    lookup = Lookup("extrapolation into the future", (OPTICAL_IN_BASE, NS - NS // 10))
    _, around, said = gravity(lookup, gravity_frame="map")
    assert around().up == pytest.approx(LEVEL)
    assert said == []
    lookup.newest = (OPTICAL_IN_BASE, 0)  # a static one
    assert around(100 * NS).up == pytest.approx(LEVEL)


def test_a_transform_that_stops_is_told_of_and_forgotten() -> None:
    lookup = Lookup(OPTICAL_IN_BASE)
    made, around, said = gravity(lookup, gravity_frame="map")
    around(NS)
    lookup.at, lookup.newest = "extrapolation", (OPTICAL_IN_BASE, NS)
    assert around(NS + NS // 3).up == pytest.approx(LEVEL)
    assert "gravity from tf: what is known of gravity is 333 ms older than the image" in said[0]
    assert around(3 * NS).up is None
    assert made.said == "tf: unknown"
    lookup.newest = "frame map does not exist"
    assert around(4 * NS).up is None
    assert said[-1] == "gravity from tf: the transform from cam to map is missing: frame map does not exist"


def test_a_camera_below_the_floor_keeps_gravity() -> None:
    low = Rigid(OPTICAL_IN_BASE.rotation, np.array([0.0, 0.0, -1.0]))
    _, around, said = gravity(Lookup(low), gravity_frame="map")
    assert (around().up == pytest.approx(LEVEL), around().camera_height) == (True, None)
    assert "the camera is said to be -1 m over the floor" in said[0]


def test_an_imu_is_turned_into_the_cameras_frame() -> None:
    made, around, said = gravity(imu="/imu", imu_rotation=LINK_IN_OPTICAL, camera_height=0.8)
    assert around().up is None
    assert "nothing has come from the IMU yet" in said[0]
    made.imu_came(imu(NS))
    assert around().up == pytest.approx(LEVEL)
    assert around().camera_height == 0.8


def test_the_imus_orientation_goes_before_its_accelerations() -> None:
    made, around, _ = gravity(imu="/imu", imu_rotation=LINK_IN_OPTICAL)
    half = np.radians(20) / 2
    made.imu_came(imu(NS, q=(0.0, np.sin(half), 0.0, np.cos(half))))  # nose down by 20 degrees
    assert around().up == pytest.approx([0, -np.cos(np.radians(20)), -np.sin(np.radians(20))])


def test_tf_tells_how_an_imu_sits() -> None:
    turn = Rigid(rotation_of(LINK_IN_OPTICAL), np.zeros(3))
    lookup = Lookup(newest=(turn, 0))
    made, around, _ = gravity(lookup, imu="/imu")
    made.imu_came(imu(NS))
    assert around().up == pytest.approx(LEVEL)
    assert lookup.asked == [("cam", "imu_link")]


@pytest.mark.parametrize(
    ("lookup", "text"),
    [
        (None, "the IMU's frame is 'imu_link' and the camera's 'cam': install tf2_ros"),
        (Lookup(), "the transform from the IMU's frame imu_link to cam is missing"),
    ],
)
def test_an_imu_in_another_frame_without_a_transform_says_so(lookup, text) -> None:
    made, around, said = gravity(lookup, imu="/imu")
    made.imu_came(imu(NS))
    assert around().up is None
    assert text in said[0]


def test_an_imu_in_the_cameras_own_frame_needs_no_transform() -> None:
    made, around, _ = gravity(imu="/imu")
    made.imu_came(imu(NS, frame="cam", a=(0.0, -9.81, 0.0)))
    assert around().up == pytest.approx(LEVEL)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"a": (0.0, 0.0, 1.0)}, "in g"),
        ({"a": None}, "neither an orientation nor accelerations"),
        ({"q": (0.0, 0.0, 0.0, 0.5)}, "expected a quaternion of length 1, got 0.5"),
    ],
)
def test_an_imu_that_tells_nothing_says_why(message, text) -> None:
    made, around, said = gravity(imu="/imu", imu_rotation=LINK_IN_OPTICAL)
    made.imu_came(imu(NS, **message))
    assert around().up is None
    assert text in said[0]


def test_an_imu_that_stops_is_told_of() -> None:
    made, around, said = gravity(imu="/imu", imu_rotation=LINK_IN_OPTICAL)
    made.imu_came(imu(NS))
    assert around(NS).up is not None
    assert around(5 * NS).up is None
    assert "4000 ms older than the image" in said[0]


def test_an_orientation_of_zeros_is_none() -> None:
    message = imu(NS, q=(0.0, 0.0, 0.0, 0.0))
    message.orientation_covariance[0] = 0.0  # as drivers send that fill in nothing
    assert reading_of(message).up is None
