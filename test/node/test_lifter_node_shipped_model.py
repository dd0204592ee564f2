"""The lifter node on the shipped model: stamps, crowds and cameras that misbehave."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

from diffpose_ros.msg import Skeleton3DArray

from diffpose_ros.core import ModelError, People2D
from diffpose_ros.core.resources import weights_path
from diffpose_ros.lifting import Lifter, LifterConfig
from diffpose_ros.nodes.lifter import LifterNode
from diffpose_ros.ros.conversions import skeleton_from_message, stamp_to_ns

S = 1_000_000_000
FRAME = S // 30


@pytest.fixture(scope="module")
def model():
    """One loaded lifter for all tests of this file: loading takes seconds."""
    try:
        weights_path("starpose/model.onnx")
    except ModelError as error:
        pytest.skip(str(error))
    lifter = Lifter(LifterConfig(backend="onnxruntime", max_people=10, max_tracks=30))
    yield lifter
    lifter.close()


class Kept:
    """The shared lifter, which a node may not close."""

    def __init__(self, lifter, config):
        self.lift, self.reset, self.backend = lifter.lift, lifter.reset, lifter.backend

    def close(self):
        """The fixture closes it."""


@pytest.fixture
def node(bench, kit, model):
    made = bench.add(partial(LifterNode, make_lifter=partial(Kept, model)), deadline_ms=0.0, max_tracks=30)
    bench.skeletons = bench.listen(Skeleton3DArray, "/diffpose/skeletons")
    bench.publish("/diffpose/camera_info", kit.camera_info())
    assert bench.spin(lambda: made._camera is not None)
    return made


def lift(bench, kit, people, stamp_ns, **size):
    """Send one frame; the message that comes of it."""
    before = len(bench.skeletons)
    bench.publish("/diffpose/keypoints", kit.people_message(people, stamp_ns, **size))
    assert bench.spin(lambda: len(bench.skeletons) > before, timeout_s=10.0)
    return bench.skeletons[-1]


def dropped(bench, kit, counter, people, stamp_ns):
    """Send one frame; whether it is counted as dropped and nothing comes of it."""
    before = len(bench.skeletons)
    bench.publish("/diffpose/keypoints", kit.people_message(people, stamp_ns))
    counted = bench.spin(lambda: count(bench.nodes[0], counter) == 1, timeout_s=10.0)
    bench.spin(timeout_s=0.1)
    return counted and len(bench.skeletons) == before


def count(node, name):
    return node.monitor.status().counters.get(name, 0)


def test_a_person_becomes_a_finite_skeleton_before_the_camera(bench, kit, node):
    for i in range(5):
        message = lift(bench, kit, kit.people(1), S + i * FRAME)
    skeleton = skeleton_from_message(message.skeletons[0])
    assert 0.5 < skeleton.root[2] < 20
    assert np.abs(skeleton.xyz - skeleton.root).max() < 1.5
    assert stamp_to_ns(message.header.stamp) == S + 4 * FRAME


@pytest.mark.parametrize("back", [0, FRAME, S // 2], ids=["repeated", "one frame", "half a second"])
def test_a_stamp_that_is_not_newer_is_refused_and_said(bench, kit, node, back):
    assert lift(bench, kit, kit.people(1), 10 * S)
    assert dropped(bench, kit, "dropped: refused", kit.people(1), 10 * S - back)
    assert bench.logged("is not newer than the last frame's")
    assert lift(bench, kit, kit.people(1), 10 * S + FRAME)


def test_a_clock_that_jumps_back_starts_anew_and_goes_on(bench, kit, node):
    first = lift(bench, kit, kit.people(1), 100 * S)
    lift(bench, kit, kit.people(1, shift=9.0), 100 * S + FRAME)
    again = lift(bench, kit, kit.people(1), 5 * S)
    assert bench.logged("the clock jumped back: everyone starts anew")
    # nothing of the old history is left: the same frame gives the same skeleton
    a, b = (skeleton_from_message(m.skeletons[0]) for m in (first, again))
    assert b.xyz == pytest.approx(a.xyz, abs=1e-5)


def test_a_camera_that_changes_mid_stream_starts_anew_and_is_said(bench, kit, node):
    assert lift(bench, kit, kit.people(1), S)
    bench.publish("/diffpose/camera_info", kit.camera_info((640, 480)))
    assert bench.spin(lambda: node._camera.width == 640)
    # the images have not changed yet
    assert dropped(bench, kit, "dropped: no camera", kit.people(1), S + FRAME)
    assert bench.logged("camera_info is for images of 640x480")
    message = lift(bench, kit, kit.people(1), S + 2 * FRAME, width=640, height=480)
    assert message.image_width == 640
    assert bench.logged("the camera changed: everyone starts anew")


def test_fifty_people_are_capped_and_the_cap_is_logged(bench, kit, node):
    one = kit.people(1)
    crowd = People2D(
        xy=np.repeat(one.xy, 50, axis=0) + np.arange(50)[:, None, None] * [4.0, 0.5],
        score=np.full((50, 17), 0.9),
        track_id=np.arange(50),
    )
    message = lift(bench, kit, crowd, S)
    assert 1 <= len(message.skeletons) <= 10
    assert bench.logged("50 people in view: at most 10 are lifted per frame")
    assert "20 are left out" in bench.read_log()
    seen = {s.track_id for s in message.skeletons}
    for i in range(1, 3):
        seen |= {s.track_id for s in lift(bench, kit, crowd, S + i * FRAME).skeletons}
    assert len(seen) == 30  # in turns


def test_a_deadline_that_cannot_be_kept_is_said_and_people_still_lifted(bench, kit, node):
    from rclpy.parameter import Parameter

    node.set_parameters([Parameter("deadline_ms", value=0.2)])
    message = lift(bench, kit, kit.people(3), S)
    assert len(message.skeletons) >= 1
    assert bench.logged("deadline: ")
    values = node.monitor.status().values
    assert values["deadline"] != "met"
    node.set_parameters([Parameter("deadline_ms", value=0.0)])


def test_nobody_then_somebody(bench, kit, node):
    assert lift(bench, kit, kit.people(0), S).skeletons == []
    assert len(lift(bench, kit, kit.people(2), S + FRAME).skeletons) == 2
