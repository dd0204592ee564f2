"""Each way in which a node can be left without what it needs has a level, a text and an advice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diffpose_ros.ros.diagnostics import Monitor, Status, report
from diffpose_ros.ros.health import (
    ERROR,
    OK,
    RESULT_BEHIND_S,
    WARN,
    ClockStatus,
    InputStatus,
    clock_trouble,
    input_trouble,
    plausible_age,
    work_trouble,
)

GOOD = InputStatus(
    name="images",
    topic="/cam/image_raw",
    kind="sensor_msgs/msg/Image",
    silent_s=0.05,
    received=100,
    period_s=0.1,
    publishers=("/cam/driver",),
    qos="reliable",
    recent=50,
    offset_s=0.03,
    advice="start the camera",
)
NOTHING = replace(GOOD, received=0, period_s=None, recent=0, offset_s=None)


def test_what_comes_as_it_should_is_no_trouble():
    assert input_trouble(GOOD) is None
    assert input_trouble(replace(GOOD, single=True)) is None
    assert input_trouble(replace(GOOD, publishers=("/a", "/b"))) is None  # of results, say
    assert input_trouble(replace(NOTHING, publishers=(), silent_s=0.9)) is None  # just subscribed


@pytest.mark.parametrize(
    ("seen", "level", "kind", "texts"),
    [
        (
            replace(NOTHING, publishers=(), silent_s=1.1, alike=("/camera/image_raw",)),
            WARN, "no publisher",
            ["nobody publishes /cam/image_raw (sensor_msgs/msg/Image)", "start the camera",
             "topics that would fit: /camera/image_raw"],
        ),
        (
            replace(GOOD, publishers=(), silent_s=1.2),
            WARN, "no publisher", ["any more, the last of images came 1.2 s ago"],
        ),
        (
            replace(NOTHING, publishers=(), silent_s=1.1, wrong_kinds=("sensor_msgs/msg/CompressedImage",)),
            ERROR, "wrong type",
            ["is published as sensor_msgs/msg/CompressedImage, expected sensor_msgs/msg/Image"],
        ),
        (
            replace(NOTHING, silent_s=1.1, incompatible="RELIABILITY"),
            ERROR, "incompatible QoS", ["/cam/driver", "RELIABILITY", "'auto'"],
        ),
        (
            replace(NOTHING, silent_s=1.6),
            WARN, "silent", ["no images on /cam/image_raw for 1.6 s, although /cam/driver publishes it"],
        ),
        (
            replace(GOOD, silent_s=1.6, recent=30),
            WARN, "silent", ["no images on /cam/image_raw for 1.6 s, they came at 10 Hz: look at /cam/"],
        ),
        (
            replace(NOTHING, silent_s=4.0, recent_lost=40),
            ERROR, "lost", ["40 of the last 40 images on /cam/image_raw were lost on the way",
                            "fastdds_large_images.xml", "compressed",
                            "FASTRTPS_DEFAULT_PROFILES_FILE on Jazzy"],
        ),
        (replace(GOOD, recent=30, recent_lost=20), WARN, "lost", ["20 of the last 50"]),
        (replace(GOOD, recent=10, recent_lost=40), ERROR, "lost", ["40 of the last 50"]),
        (
            replace(GOOD, offset_s=4479.28),
            WARN, "stamps", ["75 min behind this node's clock", "use_sim_time:=true"],
        ),
        (replace(GOOD, offset_s=1.8e9), WARN, "stamps", ["20833 days behind"]),
        (
            replace(GOOD, publishers=("/left/driver", "/right/driver"), single=True),
            WARN, "several publishers",
            ["2 nodes publish /cam/image_raw: /left/driver, /right/driver", "its own topic"],
        ),
        (replace(GOOD, offset_s=-0.4), WARN, "stamps", ["0.40 s ahead of this node's clock"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_each_trouble_says_what_and_what_to_do(seen, level, kind, texts):
    found = input_trouble(seen)
    assert found is not None
    assert (found.level, found.kind) == (level, kind)
    for text in texts:
        assert text in found.text
    assert "\n" not in found.text


def test_a_slow_camera_may_be_silent_for_three_of_its_periods():
    slow = replace(GOOD, period_s=2.0, recent=2)
    assert input_trouble(replace(slow, silent_s=5.9)) is None
    assert input_trouble(replace(slow, silent_s=6.1)).kind == "silent"


def test_a_latched_input_may_be_silent_once_it_came():
    latched = replace(GOOD, name="camera_info", timeout_s=None, silent_s=900.0, received=1, period_s=None)
    assert input_trouble(latched) is None
    assert input_trouble(replace(latched, publishers=())) is None
    assert input_trouble(replace(latched, received=0)).kind == "silent"
    assert input_trouble(replace(latched, received=0, publishers=())).kind == "no publisher"


def test_results_of_other_nodes_may_be_older_than_images():
    keypoints = replace(GOOD, name="keypoints", behind_s=RESULT_BEHIND_S, offset_s=1.8)
    assert input_trouble(keypoints) is None
    assert input_trouble(replace(keypoints, offset_s=5.1)).kind == "stamps"


def test_one_lost_image_is_no_trouble():
    assert input_trouble(replace(GOOD, recent_lost=1)) is None
    assert input_trouble(replace(GOOD, recent=150, recent_lost=7)) is None


def test_a_simulated_clock_that_stands_still_or_is_not_there():
    assert clock_trouble(ClockStatus(simulated=False, still_s=99.0)) is None
    assert clock_trouble(ClockStatus(simulated=True, still_s=0.5)) is None
    assert "nobody publishes /clock" in clock_trouble(ClockStatus(True, 2.0)).text
    assert "from /gazebo) has stood still for 2 s" in clock_trouble(ClockStatus(True, 2.0, ("/gazebo",))).text


def test_a_worker_that_hangs():
    assert work_trouble(1.9) is None
    assert work_trouble(3.0).level == WARN
    assert work_trouble(11.0).level == ERROR


def test_the_report_has_the_cause_before_what_follows_from_it():
    status = Status(
        state="active",
        inputs=(replace(GOOD, publishers=(), silent_s=3.0),),
        clock=ClockStatus(simulated=True, still_s=3.0),
    )
    result = report(status, 0.0)
    assert result.level == WARN
    assert "nobody publishes /clock" in result.message
    assert set(result.troubles) == {"clock", "images"}
    assert any("nobody publishes /cam/image_raw" in value for _, value in result.values)


def test_an_error_outranks_warnings():
    hanging = Status(state="active", inputs=(replace(GOOD, silent_s=3.0),), busy_s=60.0)
    assert report(hanging, 0.0).level == ERROR


def test_good_inputs_report_the_state_and_their_figures():
    result = report(Status(state="active", inputs=(replace(GOOD, lost=3),)), 0.0)
    assert (result.level, result.message) == (OK, "active")
    values = dict(result.values)
    assert values["images topic"] == "/cam/image_raw"
    assert values["images from"] == "/cam/driver"
    assert values["images read as"] == "reliable"
    assert values["images rate_hz"] == "10.0"
    assert values["images lost on the way"] == "3"


@pytest.mark.parametrize("age_s", [-1.8e9, -0.5, 4479.28])
def test_ages_by_another_clock_are_unknown_and_no_numbers(age_s):
    assert not plausible_age(age_s)
    monitor = Monitor(lambda: 0.0)
    monitor.published(age_s)
    values = dict(report(monitor.status(), 0.0).values)
    assert values["age_p50_ms"] == values["age_p99_ms"] == "unknown"
    monitor.published(0.040)
    assert dict(report(monitor.status(), 0.0).values)["age_p50_ms"] == "40.0"


@pytest.mark.parametrize(
    ("change", "bound"),
    [
        ({"silent_s": 1.5, "period_s": None}, "silent_s"),
        ({"offset_s": 1.0}, "offset_s"),
        ({"recent": 95, "recent_lost": 5}, "recent_lost"),
    ],
)
def test_trouble_begins_where_the_page_on_diagnostics_says(change, bound):
    at = replace(GOOD, **change)
    beyond = replace(at, **{bound: getattr(at, bound) + 0.01})
    if bound == "recent_lost":
        assert input_trouble(at) is not None
        assert input_trouble(replace(at, recent=96, recent_lost=4)) is None
    else:
        assert input_trouble(at) is None
        assert input_trouble(beyond) is not None


def test_an_age_is_plausible_from_now_to_a_minute():
    assert [plausible_age(a) for a in (-0.1, 0.0, 59.0, 61.0)] == [False, True, True, False]


def test_trouble_that_costs_results_speaks_before_what_only_costs_quality():
    monitor = Monitor(lambda: 10.0)
    monitor.problem("transform", "nothing is published in base_link")
    monitor.problem("deadline", "1 of 5 steps", minor=True)
    said = report(monitor.status(), 10.0)
    assert (said.level, said.message) == (WARN, "nothing is published in base_link")


def test_a_problem_colours_the_report_for_five_seconds_and_the_worst_speaks():
    now = [0.0]
    monitor = Monitor(lambda: now[0])
    monitor.problem("graver", "gave NaN", level=ERROR)
    now[0] = 1.0
    monitor.problem("newer", "slow", level=WARN)
    assert report(monitor.status(), 4.9).message == "gave NaN"
    assert report(monitor.status(), 5.1).message == "slow"
    assert report(monitor.status(), 6.1).level == OK
