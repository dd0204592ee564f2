"""The keypoints node: images in, people with identities out, and every bad image it survives."""

from __future__ import annotations

import array
from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

from functools import partial

from diffpose_ros.msg import Person2DArray
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image

from diffpose_ros.core import ConfigError
from diffpose_ros.core.resources import config_path
from diffpose_ros.nodes.keypoints import SPECS, KeypointsNode, detector_options, tracker_config
from diffpose_ros.ros.conversions import people_from_message, stamp_to_ns
from diffpose_ros.ros.lifecycle import AUTOSTART
from diffpose_ros.ros.parameters import load_defaults
from diffpose_ros.tracking import Tracker

S = 1_000_000_000
MS = 1_000_000
RAW = "/diffpose/image_raw"


@pytest.fixture
def make(bench, kit):
    """Make the node on a fake detector; ``node.fakes`` holds all that were made."""

    def make_node(**parameters):
        fakes = []

        def detector(name, **options):
            fakes.append(kit.FakeDetector(name, **options))
            return fakes[-1]

        node = bench.add(partial(KeypointsNode, make_detector=detector), min_hits=1, **parameters)
        node.fakes = fakes
        bench.people = bench.listen(Person2DArray, "/diffpose/keypoints")
        return node

    return make_node


def count(node, name):
    return node.monitor.status().counters.get(name, 0)


def alive(bench, kit, stamp_ns=100 * S):
    """The node still finds people in a good image."""
    before = len(bench.people)
    bench.publish(RAW, kit.image_message(stamp_ns))
    return bench.spin(lambda: len(bench.people) > before)


def test_an_image_becomes_people_with_its_stamp_and_frame(bench, kit, make):
    node = make()
    bench.publish(RAW, kit.image_message(5 * S + 7))
    assert bench.spin(lambda: bench.people)
    message = bench.people[0]
    assert stamp_to_ns(message.header.stamp) == 5 * S + 7
    assert message.header.frame_id == "cam"
    assert (message.image_width, message.image_height) == (kit.WIDTH, kit.HEIGHT)
    assert (message.joint_set, message.detector) == ("coco17", "fake")
    assert message.people[0].keypoints[5].name == "left_shoulder"
    got = people_from_message(message)
    assert got.xy == pytest.approx(kit.people(1).xy)
    assert got.track_id.tolist() == [0]
    assert node.fakes[0].images[0].shape == (kit.HEIGHT, kit.WIDTH, 3)


def test_a_compressed_image_is_read_where_asked_for(bench, kit, make):
    node = make(transport="compressed")
    ok, data = cv2.imencode(".jpg", np.full((kit.HEIGHT, kit.WIDTH, 3), (0, 0, 255), np.uint8))
    assert ok
    message = CompressedImage(header=kit.header(), format="jpeg", data=array.array("B", data.tobytes()))
    bench.publish(RAW + "/compressed", message)
    assert bench.spin(lambda: bench.people)
    assert node.fakes[0].images[0][0, 0] == pytest.approx([255, 0, 0], abs=3)  # RGB


def test_nobody_in_view_publishes_an_empty_array(bench, kit, make):
    node = make()
    node.fakes[0].sees = kit.people(0)
    bench.publish(RAW, kit.image_message())
    assert bench.spin(lambda: bench.people)
    assert bench.people[0].people == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"encoding": "jpeg2000"}, "jpeg2000"),
        ({"encoding": ""}, "encoding"),
        ({"data": array.array("B", b"\x00" * 1000)}, "expected step x height = 230400 bytes"),
        ({"data": array.array("B")}, "got 0"),
        ({"width": 0}, "expected a positive size, got 0x240"),
        ({"height": 0}, "expected a positive size, got 320x0"),
        ({"step": 320}, "image step: expected at least 960 bytes"),
    ],
    ids=["unknown encoding", "no encoding", "short", "no data", "width 0", "height 0", "step"],
)
def test_what_is_no_image_is_said_and_nothing_published(bench, kit, make, changes, text):
    node = make()
    message = kit.image_message()
    for name, value in changes.items():
        setattr(message, name, value)
    bench.publish(RAW, message)
    assert bench.logged(text)
    problem = node.monitor.status().problems["input"]
    assert text in problem.text
    assert "\n" not in problem.text
    assert bench.people == []
    assert node.fakes[0].images == []
    assert alive(bench, kit)


def test_a_compressed_image_that_cannot_be_decoded_is_said(bench, kit, make):
    make(transport="compressed")
    message = CompressedImage(header=kit.header(), format="jpeg", data=array.array("B", b"\xff\xd8"))
    bench.publish(RAW + "/compressed", message)
    assert bench.logged("expected JPEG or PNG, got 2 bytes")
    assert bench.people == []


def test_trouble_that_repeats_is_logged_once_and_counted(bench, kit, make):
    node = make()
    for i in range(5):
        bench.publish(RAW, Image(header=kit.header(i * S)))
        assert bench.spin(lambda n=i: count(node, "failed: InputError") > n)
    assert bench.read_log().count("expected a positive size") == 1
    assert node.monitor.status().problems["input"].count == 5


@pytest.mark.parametrize(
    ("stamp_ns", "counter"),
    [(10 * S, "dropped: stamp repeated"), (10 * S - MS, "dropped: stamp out of order")],
    ids=["repeated", "out of order"],
)
def test_an_image_with_an_old_stamp_is_dropped(bench, kit, make, stamp_ns, counter):
    node = make()
    bench.publish(RAW, kit.image_message(10 * S))
    assert bench.spin(lambda: bench.people)
    bench.publish(RAW, kit.image_message(stamp_ns))
    assert bench.spin(lambda: count(node, counter) == 1)
    assert bench.logged("dropped an image whose stamp is")
    assert len(bench.people) == 1
    assert alive(bench, kit)


def test_a_clock_that_jumps_back_starts_new_identities(bench, kit, make):
    make()
    bench.publish(RAW, kit.image_message(100 * S))
    assert bench.spin(lambda: bench.people)
    bench.publish(RAW, kit.image_message(1 * S))
    assert bench.logged("jumped back")
    assert bench.spin(lambda: len(bench.people) == 2)
    assert [m.people[0].track_id for m in bench.people] == [0, 1]


def test_an_image_size_that_changes_starts_new_identities(bench, kit, make):
    make()
    bench.publish(RAW, kit.image_message(1 * S))
    assert bench.spin(lambda: bench.people)
    bench.publish(RAW, kit.image_message(2 * S, width=640, height=480))
    assert bench.logged("image size changed from 320x240 to 640x480")
    assert bench.spin(lambda: len(bench.people) == 2)
    assert bench.people[1].image_width == 640
    assert [m.people[0].track_id for m in bench.people] == [0, 1]


def test_another_cameras_frame_starts_new_identities(bench, kit, make):
    node = make()
    for i, frame in enumerate(["front", "front", "rear", "rear"], start=1):
        message = kit.image_message(i * S)
        message.header.frame_id = frame
        bench.publish(RAW, message)
        assert bench.spin(lambda: len(bench.people) == i)  # noqa: B023
    assert [m.people[0].track_id for m in bench.people] == [0, 0, 1, 1]
    problem = node.monitor.status().problems["camera frame"]
    assert "changed from 'front' to 'rear'" in problem.text
    assert problem.count == 1


def test_identities_are_not_used_twice_after_a_restart(bench, kit, make):
    node = make()
    bench.publish(RAW, kit.image_message(1 * S))
    assert bench.spin(lambda: bench.people)
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert node.fakes[0].closed
    assert node.autostart()
    bench.spin(timeout_s=0.3)
    bench.publish(RAW, kit.image_message(2 * S))
    assert bench.spin(lambda: len(bench.people) == 2)
    assert [m.people[0].track_id for m in bench.people] == [0, 1]


def test_the_newest_image_wins_while_the_detector_works(bench, kit, make):
    node = make()
    fake = node.fakes[0]
    fake.free.clear()
    for i in range(1, 6):
        bench.publish(RAW, kit.image_message(i * S))
        assert bench.spin(lambda n=i: count(node, "images") >= n and fake.images)
    assert len(fake.images) == 1
    fake.free.set()
    assert bench.spin(lambda: len(bench.people) == 2)
    assert [m.header.stamp.sec for m in bench.people] == [1, 5]
    assert count(node, "skipped: a newer image came") == 3


def test_the_annotated_image_is_made_only_while_someone_looks(bench, kit, make):
    node = make()
    assert node._annotated.get_subscription_count() == 0
    bench.publish(RAW, kit.image_message(1 * S))
    assert bench.spin(lambda: bench.people)
    seen = bench.listen(Image, "/diffpose/annotated")
    assert bench.spin(lambda: node._annotated.get_subscription_count() == 1)
    bench.publish(RAW, kit.image_message(2 * S))
    assert bench.spin(lambda: seen)
    assert (seen[0].encoding, seen[0].width, seen[0].header.stamp.sec) == ("rgb8", kit.WIDTH, 2)
    assert len(set(bytes(seen[0].data))) > 1  # something was drawn on the grey


def test_a_threshold_changed_at_run_time_reaches_the_detector(bench, kit, make):
    node = make()
    node.set_parameters([Parameter("person_threshold", value=0.55)])
    assert alive(bench, kit)
    assert len(node.fakes) == 2
    assert node.fakes[0].closed
    assert node.fakes[1].options["person_threshold"] == 0.15  # known people are followed further down
    assert (node._tracker.config.high_score, node._tracker.config.low_score) == (0.55, 0.15)


@pytest.mark.parametrize("keep", [0.0, 0.15, 1.0])
@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.15, 0.29, 0.31, 0.6, 1.0])
def test_person_threshold_decides_over_its_whole_range(kit, threshold, keep):
    defaults = load_defaults(config_path("keypoints.yaml"), (*SPECS, AUTOSTART))
    values = defaults | {"person_threshold": threshold, "keep_threshold": keep}
    for score, seen in ((threshold, True), (threshold - 0.01, False)):
        if score < detector_options(values)["person_threshold"]:
            continue  # the detector itself drops it
        tracker = Tracker(tracker_config(values))
        shown = [
            tracker.update(replace(kit.people(1), person_score=np.array([max(score, 0.0)])), i * S // 10)
            for i in range(5)
        ]
        assert bool(len(shown[-1])) == (seen or score < 0), (threshold, score)


def test_a_known_person_is_followed_down_to_keep_threshold(kit):
    defaults = load_defaults(config_path("keypoints.yaml"), (*SPECS, AUTOSTART))
    tracker = Tracker(tracker_config(defaults | {"person_threshold": 0.5, "keep_threshold": 0.2}))
    counts = []
    for i, score in enumerate([0.6, 0.6, 0.6, 0.3, 0.3, 0.1]):
        people = replace(kit.people(1), person_score=np.array([score]))
        counts.append(len(tracker.update(people, i * S // 10)))
    assert counts == [0, 0, 1, 1, 1, 0]


def test_what_runs_the_detector_is_said_once_and_shown(bench, kit, make):
    node = make(runtime="onnxruntime")
    assert node.fakes[0].options["runtime"] == "onnxruntime"
    assert bench.logged("detector 'fake' on nothing: the only one here")
    assert node.monitor.status().values["detector choice"] == "nothing: the only one here"
    node.set_parameters([Parameter("person_threshold", value=0.55)])
    assert alive(bench, kit)
    assert bench.read_log().count("the only one here") == 1


def test_an_unknown_runtime_is_refused(bench):
    with pytest.raises(ConfigError, match=r"'runtime': expected one of auto, .*, got 'tvm'"):
        bench.add(KeypointsNode, start=False, runtime="tvm")


def test_a_missing_detector_file_fails_configure_and_names_the_path(bench, tmp_path):
    path = tmp_path / "nothing.onnx"
    node = bench.add(KeypointsNode, start=False, model=str(path))
    assert node.autostart() is False
    assert bench.logged(str(path))
    assert "configure failed" in node.monitor.status().problems["transition"].text


@pytest.mark.parametrize("damage", ["truncated", "text"])
def test_a_damaged_detector_file_fails_configure_and_names_the_path(bench, tmp_path, damage):
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"\x08\x07\x12\x09" if damage == "truncated" else b"not a model\n" * 99)
    node = bench.add(KeypointsNode, start=False, model=str(path))
    assert node.autostart() is False
    assert bench.logged(str(path))
