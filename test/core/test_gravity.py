"""Which way is up, by whoever says so: what is believed, and what happens when it cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core import UNKNOWN, InputError, Surroundings
from diffpose_ros.core.gravity import Claim, GravityJudge, tilt_deg
from diffpose_ros.core.imu import Reading, UpFilter, up_of_orientation

NS = 1_000_000_000
STEP = NS // 30
UP = np.array([0.0, -1.0, 0.0])


def turned(degrees):
    """Up of a camera that looks down by so many degrees."""
    return Surroundings.of_angles(degrees).up


def test_angles_are_those_of_a_camera_that_looks_down_and_leans_right() -> None:
    assert Surroundings.of_angles(0).up == pytest.approx([0, -1, 0])
    assert Surroundings.of_angles(90).up == pytest.approx([0, 0, -1])  # straight down: up lies behind it
    assert Surroundings.of_angles(-90).up == pytest.approx([0, 0, 1])
    assert Surroundings.of_angles(0, 90).up == pytest.approx([-1, 0, 0])  # its right side is below
    assert tilt_deg(Surroundings.of_angles(25.0, -40.0).up) == pytest.approx((25, -40))


@pytest.mark.parametrize(("pitch", "roll"), [(91, 0), (0, 181), (np.nan, 0), (0, np.inf)])
def test_angles_that_no_camera_has_are_refused(pitch, roll) -> None:
    with pytest.raises(InputError, match=r"camera (pitch|roll): expected -\d+ to \d+ degrees"):
        Surroundings.of_angles(pitch, roll)


def test_an_honest_source_is_believed() -> None:
    judge = GravityJudge()
    for k in range(30):
        said = judge(k * STEP, Claim(turned(k), 1.3 + 0.01 * k))
        assert said.trouble == ""
        assert said.around.up == pytest.approx(turned(k))
        assert said.around.camera_height == pytest.approx(1.3 + 0.01 * k)


@pytest.mark.parametrize("height", [0.0, -1.0, np.nan, np.inf, 1e4])
def test_an_absurd_height_leaves_gravity(height) -> None:
    said = GravityJudge()(0, Claim(UP, height))
    assert said.around.up == pytest.approx(UP)
    assert said.around.camera_height is None
    assert "only gravity is used" in said.trouble


@pytest.mark.parametrize("up", [(0, 0, 0), (0, np.nan, 0), (0, -9.81, 0)], ids=str)
def test_an_absurd_up_leaves_nothing(up) -> None:
    said = GravityJudge()(0, Claim(np.array(up, dtype=float), 1.3))
    assert said.around == UNKNOWN
    assert said.trouble.startswith("up: expected")


@pytest.mark.parametrize(
    "claim", ["the transform is missing", Claim(UP, 1.3, late_s=0.3)], ids=["gone", "late"]
)
def test_a_source_that_stops_is_believed_for_a_moment(claim) -> None:
    judge = GravityJudge()
    judge(0, Claim(UP, 1.3))
    held = judge(NS // 4, claim)
    assert held.around.camera_height == 1.3
    assert "missing" in held.trouble or "300 ms older than the image" in held.trouble
    assert judge(NS, claim).around == UNKNOWN
    again = judge(2 * NS, Claim(turned(40), 2.0))
    assert (again.around.camera_height, again.trouble) == (2.0, "")


@pytest.mark.parametrize("after", [Claim(turned(20), 1.3), Claim(UP, 2.1)], ids=["turns", "rises"])
def test_a_jump_counts_when_it_has_lasted(after) -> None:
    judge = GravityJudge()
    for k in range(10):
        judge(k * STEP, Claim(UP, 1.3))
    jumped = [judge((10 + k) * STEP, after) for k in range(20)]
    assert "turned by 20 degrees" in jumped[0].trouble or "changed by 0.80 m" in jumped[0].trouble
    assert all(j.around.up == pytest.approx(UP) for j in jumped[:14])
    assert all(j.around.camera_height == 1.3 for j in jumped[:14])
    assert jumped[-1].trouble == ""
    assert jumped[-1].around.up == pytest.approx(after.up)


def test_one_that_jumps_to_and_fro_is_not_believed_elsewhere() -> None:
    judge = GravityJudge()
    judge(0, Claim(UP, 1.3))
    for k in range(1, 60):
        said = judge(k * STEP, Claim(turned(30 if k % 2 else -30), 1.3))
        assert said.around.up is None or said.around.up == pytest.approx(UP)
        assert said.trouble


def test_a_clock_that_went_back_begins_anew() -> None:
    judge = GravityJudge()
    judge(100 * NS, Claim(UP, 1.3))
    assert judge(NS, Claim(turned(60), 1.3)).trouble == ""


def quaternion_about(axis, degrees):
    half = np.radians(degrees) / 2
    return (*(np.sin(half) * np.array(axis, dtype=float)), np.cos(half))


def test_an_orientation_tells_up() -> None:
    assert up_of_orientation((0, 0, 0, 1)) == pytest.approx([0, 0, 1])
    # nose down by 30 degrees about the axis that points left: up leans to the back
    up = up_of_orientation(quaternion_about((0, 1, 0), 30))
    assert up == pytest.approx([-0.5, 0, np.cos(np.radians(30))])
    assert up_of_orientation(quaternion_about((0, 0, 1), 77)) == pytest.approx([0, 0, 1])
    with pytest.raises(InputError, match="quaternion of length 1, got 0"):
        up_of_orientation((0, 0, 0, 0))


def shaken(rng, seconds, rate_hz=100, noise=0.5):
    for k in range(round(seconds * rate_hz)):
        yield Reading(k * NS // rate_hz, acceleration=np.array([0, 0, 9.81]) + noise * rng.normal(size=3))


def test_accelerations_are_smoothed() -> None:
    rng, ups = np.random.default_rng(0), UpFilter()
    for reading in shaken(rng, 3.0):
        assert ups.add(reading) == ""
    up, late_s = ups.at(reading.stamp_ns + NS // 100)
    assert np.degrees(np.arccos(up[2])) < 1.5
    assert late_s == pytest.approx(0.01)


def test_the_gyroscope_turns_up_along() -> None:
    """A sensor that pitches at 60 degrees per second while its accelerometer is shaken."""
    rng, ups = np.random.default_rng(1), UpFilter()
    rate = np.radians(60)
    for k in range(150):
        angle = rate * k / 100
        up = np.array([-np.sin(angle), 0, np.cos(angle)])
        push = 9.81 * up + rng.normal(size=3)
        ups.add(Reading(k * NS // 100, acceleration=push, rate=np.array([0, rate, 0])))
    assert np.degrees(np.arccos(ups.at(149 * NS // 100)[0] @ up)) < 3


def test_a_hard_push_is_not_gravity() -> None:
    ups = UpFilter()
    for k in range(50):
        ups.add(Reading(k * NS // 100, acceleration=np.array([0, 0, 9.81])))
    for k in range(50, 90):
        assert ups.add(Reading(k * NS // 100, acceleration=np.array([8.0, 0, 9.81]))) == ""
    assert ups.at(89 * NS // 100)[0] == pytest.approx([0, 0, 1])
    texts = [ups.add(Reading(k * NS // 100, acceleration=np.array([8.0, 0, 9.81]))) for k in range(90, 300)]
    assert "expected about 9.81" in texts[-1]
    assert ups.at(3 * NS)[1] > 1.0  # old, and the judge says so


@pytest.mark.parametrize(
    ("reading", "text"),
    [
        (Reading(0), "neither an orientation nor accelerations"),
        (Reading(0, acceleration=np.array([0, 0, 1.0])), "in g"),
        (Reading(0, acceleration=np.zeros(3)), "of 0.00 m/s"),
        (Reading(0, acceleration=np.array([0, np.nan, 9.81])), "not finite"),
    ],
)
def test_a_reading_that_says_nothing_of_gravity_says_why(reading, text) -> None:
    ups = UpFilter()
    assert text in ups.add(reading)
    assert text in ups.at(0)


def test_up_is_that_of_the_images_time() -> None:
    ups = UpFilter()
    for k in range(200):
        ups.add(Reading(k * NS // 100, up=turned(k / 10)))
    up, late_s = ups.at(NS)
    assert (up, late_s) == (pytest.approx(turned(10)), 0.0)
    assert ups.at(5 * NS)[1] == pytest.approx(3.01)
    ups.add(Reading(0, up=turned(50)))  # the clock went back
    assert ups.at(0)[0] == pytest.approx(turned(50))
