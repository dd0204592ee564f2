"""The lifter node: what comes in, what goes out, and every bad input it survives."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

from dataclasses import replace
from functools import partial

from diagnostic_msgs.msg import DiagnosticArray
from diffpose_ros.msg import Skeleton3D, Skeleton3DArray

from diffpose_ros.core import BackendError, ModelError
from diffpose_ros.nodes.lifter import LifterNode
from diffpose_ros.ros.conversions import skeleton_from_message, stamp_to_ns

S = 1_000_000_000
MS = 1_000_000


@pytest.fixture
def lifter(bench, kit):
    """The node on a fake lifter, which is ``node.fake``."""
    fakes = []

    def make(config):
        fakes.append(kit.FakeLifter(config))
        return fakes[-1]

    node = bench.add(partial(LifterNode, make_lifter=make))
    node.fake = fakes[0]
    bench.skeletons = bench.listen(Skeleton3DArray, "/diffpose/skeletons")
    return node


def ready(bench, kit):
    """Give the node its camera."""
    bench.publish("/diffpose/camera_info", kit.camera_info())
    bench.spin(lambda: bench.nodes[0]._camera is not None)


def send(bench, kit, people, stamp_ns=S, **size):
    bench.publish("/diffpose/keypoints", kit.people_message(people, stamp_ns, **size))


def alive(bench, kit, stamp_ns=100 * S):
    """The node still lifts a good frame."""
    before = len(bench.skeletons)
    send(bench, kit, kit.people(1), stamp_ns)
    return bench.spin(lambda: len(bench.skeletons) > before)


def diagnostic(node):
    from diffpose_ros.ros.diagnostics import report

    return report(node.monitor.status(), node._monotonic())


def test_keypoints_become_skeletons_with_the_stamp_and_frame_of_the_image(bench, kit, lifter):
    primary = bench.listen(Skeleton3D, "/diffpose/skeleton")
    ready(bench, kit)
    send(bench, kit, kit.people(2), 5 * S + 7)
    assert bench.spin(lambda: bench.skeletons and primary)
    message = bench.skeletons[0]
    assert stamp_to_ns(message.header.stamp) == 5 * S + 7
    assert message.header.frame_id == "cam"
    assert (message.image_width, message.image_height) == (kit.WIDTH, kit.HEIGHT)
    assert (message.joint_set, message.hypotheses, message.steps) == ("h36m17", 5, 5)
    assert [s.track_id for s in message.skeletons] == [0, 1]
    sent = kit.skeleton(1, depth=4.0)
    got = skeleton_from_message(message.skeletons[1])
    assert got.xyz == pytest.approx(sent.xyz)
    assert got.covariance == pytest.approx(sent.covariance)
    assert primary[0].track_id == 0  # the nearest


def test_nobody_in_view_publishes_an_empty_array(bench, kit, lifter):
    ready(bench, kit)
    send(bench, kit, kit.people(0))
    assert bench.spin(lambda: bench.skeletons)
    assert bench.skeletons[0].skeletons == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (None, "no camera_info on /diffpose/camera_info yet"),
        ({"k": [0.0] * 9}, "camera matrix: all zeros"),
        ({"k": [math.nan] * 9}, "camera matrix: expected finite numbers"),
        ({"distortion_model": "thin_prism"}, "got 'thin_prism'"),
        ({"d": [0.1] * 7}, "expected 4 or 5 coefficients, got 7"),
        ({"width": 0}, "image size: expected positive"),
        ({"width": 640}, "camera_info is for images of 640x240, the keypoints' image is 320x240"),
    ],
    ids=["none yet", "K zeros", "K NaN", "unknown model", "coefficients", "no size", "other size"],
)
def test_a_camera_that_does_not_fit_is_said_and_nothing_invented(bench, kit, lifter, changes, text):
    if changes is not None:
        bench.publish("/diffpose/camera_info", kit.camera_info(**changes))
        bench.spin(lambda: lifter._info is not None)
    send(bench, kit, kit.people(1))
    assert bench.logged(text)
    assert text in diagnostic(lifter).message
    assert lifter.fake.calls == []
    assert bench.skeletons == []
    ready(bench, kit)
    assert alive(bench, kit)


def test_keypoints_that_are_not_numbers_are_refused(bench, kit, lifter):
    ready(bench, kit)
    for field, value in (("x", math.nan), ("y", math.inf), ("score", math.nan), ("score", 1.5)):
        message = kit.people_message(kit.people(1))
        setattr(message.people[0].keypoints[3], field, value)
        bench.publish("/diffpose/keypoints", message)
        counted = lifter.monitor.status().counters.get("dropped: bad keypoints", 0)
        assert bench.spin(
            lambda n=counted: lifter.monitor.status().counters.get("dropped: bad keypoints", 0) > n
        )
    assert bench.logged("got NaN or infinity")
    assert bench.skeletons == []
    assert alive(bench, kit)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda m: m.people[0].keypoints.pop(), "expected 17 joints of coco17, got 16"),
        (lambda m: setattr(m, "joint_set", "body25"), "got 'body25'"),
        (lambda m: setattr(m.people[0], "score", math.nan), "person score: expected finite"),
    ],
    ids=["16 joints", "unknown joint set", "score NaN"],
)
def test_keypoints_of_another_form_are_refused(bench, kit, lifter, damage, text):
    ready(bench, kit)
    message = kit.people_message(kit.people(1))
    damage(message)
    bench.publish("/diffpose/keypoints", message)
    assert bench.logged(text)
    assert text in diagnostic(lifter).message
    assert bench.skeletons == []
    assert alive(bench, kit)


@pytest.mark.parametrize(
    ("report", "text", "published"),
    [
        ({"refused": "stamp 1 ns is not newer"}, "keypoints not taken: stamp 1 ns", False),
        ({"degraded": ("3 of 5 hypotheses",)}, "deadline: 3 of 5 hypotheses", True),
        ({"floor_refused": (4, 7)}, "the floor is not used for person 4, 7", True),
        ({"failed": (3,)}, "the network gave NaN for person 3", True),
        ({"messages": ("camera changed",)}, "camera changed", True),
    ],
    ids=["refused", "deadline", "floor", "NaN", "event"],
)
def test_what_the_lifter_reports_is_logged_and_shown(bench, kit, lifter, report, text, published):
    ready(bench, kit)
    lifter.fake.report = replace(lifter.fake.report, **report)
    send(bench, kit, kit.people(1))
    assert bench.logged(text)
    assert text in diagnostic(lifter).message
    bench.spin(lambda: bench.skeletons, timeout_s=1.0 if published else 0.1)
    assert bool(bench.skeletons) is published


def test_more_people_than_can_be_lifted_is_said(bench, kit, lifter):
    ready(bench, kit)
    lifter.fake.report = replace(lifter.fake.report, waiting=tuple(range(35)), left_out=7)
    send(bench, kit, kit.people(52))
    text = "52 people in view: at most 10 are lifted per frame, 35 wait for their turn, 7 are left out"
    assert bench.logged(text)
    assert text in diagnostic(lifter).message


def test_a_backend_that_fails_is_an_error_and_the_node_goes_on(bench, kit, lifter):
    ready(bench, kit)
    lift, lifter.fake.lift = lifter.fake.lift, _raise(BackendError("the device disappeared"))
    send(bench, kit, kit.people(1), S)
    assert bench.logged("the device disappeared")
    assert diagnostic(lifter).level == 2
    lifter.fake.lift = _raise(ZeroDivisionError("a bug"))
    send(bench, kit, kit.people(1), 2 * S)
    assert bench.logged("ZeroDivisionError: a bug")
    lifter.fake.lift = lift
    assert alive(bench, kit)


def _raise(error):
    def lift(*args, **kwargs):
        raise error

    return lift


def test_only_the_newest_keypoints_wait_while_one_frame_is_lifted(bench, kit, lifter):
    ready(bench, kit)
    lifter.fake.free.clear()
    for i in range(1, 6):
        send(bench, kit, kit.people(1), i * 100 * MS)
        assert bench.spin(
            lambda n=i: lifter.fake.calls and lifter.monitor.status().counters.get("keypoints", 0) >= n
        )
    assert len(lifter.fake.calls) == 1
    lifter.fake.free.set()
    bench.spin(lambda: len(lifter.fake.calls) >= 2)
    bench.spin(timeout_s=0.2)
    stamps = [call[2] for call in lifter.fake.calls]
    assert stamps == [100 * MS, 500 * MS]
    assert lifter.monitor.status().counters["skipped: newer keypoints came"] == 3


def test_the_deadline_can_be_changed_while_running(bench, kit, lifter):
    from rclpy.parameter import Parameter

    ready(bench, kit)
    lifter.set_parameters([Parameter("deadline_ms", value=12.5)])
    send(bench, kit, kit.people(1))
    assert bench.spin(lambda: lifter.fake.calls)
    assert lifter.fake.calls[0][3] == pytest.approx(0.0125)


def test_repeated_camera_info_is_read_once_and_a_new_one_is_used(bench, kit, lifter):
    ready(bench, kit)
    first = lifter._camera
    bench.publish("/diffpose/camera_info", kit.camera_info())
    bench.spin(timeout_s=0.2)
    assert lifter._camera is first
    bench.publish("/diffpose/camera_info", kit.camera_info((640, 480)))
    assert bench.spin(lambda: lifter._camera is not first)
    send(bench, kit, kit.people(1), width=640, height=480)
    assert bench.spin(lambda: bench.skeletons)
    assert bench.skeletons[0].image_width == 640


@pytest.mark.parametrize("kind", ["missing", "truncated", "not a model"])
def test_a_wrong_model_file_fails_configure_and_names_the_path(bench, kit, tmp_path, kind):
    path = tmp_path / "person.onnx"
    if kind != "missing":
        path.write_bytes(b"\x08\x07\x12" if kind == "truncated" else b"hello, no model" * 9)
    node = bench.add(LifterNode, start=False, model=str(path))
    diagnostics = bench.listen(DiagnosticArray, "/diagnostics")
    assert node.autostart() is False
    assert bench.logged(str(path))
    assert node.monitor.status().state == "unconfigured"
    assert bench.spin(
        lambda: any(s.level == b"\x02" and str(path) in s.message for d in diagnostics for s in d.status)
    )
    assert node._lifter is None
    # alive: it can be configured once the file is right
    node._make_lifter = kit.FakeLifter
    assert node.autostart() is True


def test_a_prompt_can_change_while_people_are_lifted(bench, kit, lifter):
    from rclpy.parameter import Parameter

    ready(bench, kit)
    (refused,) = lifter.set_parameters([Parameter("prompt", value="walking")])
    assert not refused.successful
    assert "model 'starpose' is not told by prompts; expected one of finepose" in refused.reason
    node = bench.add(partial(LifterNode, make_lifter=kit.FakeLifter), model="mine.onnx", prompt="walking")
    assert node._lifter.config.prompt == "walking"
    assert node.set_parameters([Parameter("prompt", value="walking; 3: lying")])[0].successful
    bench.publish("/diffpose/camera_info", kit.camera_info())
    bench.spin(lambda: node._camera is not None)
    send(bench, kit, kit.people(1))
    assert bench.spin(lambda: getattr(node._lifter, "prompt", None) == "walking; 3: lying")


def test_a_service_says_what_is_known_of_one_person(bench, kit):
    from diffpose_ros.srv import SetPrompt

    node = bench.add(partial(LifterNode, make_lifter=kit.FakeLifter), model="finepose", prompt="walking")
    client = bench.peer.create_client(SetPrompt, "/diffpose/lifter/set_prompt")
    assert client.wait_for_service(10.0)

    def ask(**fields):
        future = client.call_async(SetPrompt.Request(**fields))
        assert bench.spin(future.done)
        return future.result()

    told = ask(track_id=3, prompt="lying")
    assert told.success and told.said == node.parameters["prompt"] == "walking; 3: lying"
    refused = ask(track_id=3, prompt="flying")
    assert not refused.success and refused.said == "walking; 3: lying"
    assert "no such word; did you mean 'lying'?" in refused.message and "crouching" in refused.message
    assert "name them by track_id" in ask(prompt="walking; 3: lying").message
    ready(bench, kit)
    send(bench, kit, kit.people(1))
    assert bench.spin(lambda: getattr(node._lifter, "prompt", None) == "walking; 3: lying")
    assert ask().said == "3: lying"


def test_a_failed_configure_can_be_tried_again(bench, kit):
    def fail(config):
        raise ModelError("model /nowhere/x.onnx: no such file")

    node = bench.add(partial(LifterNode, make_lifter=fail), start=False)
    assert node.autostart() is False
    assert bench.logged("configure failed: model /nowhere/x.onnx")
    node._make_lifter = kit.FakeLifter
    assert node.autostart() is True
    assert "transition" not in node.monitor.status().problems


def test_diagnostics_tell_age_and_rate_once_a_second(bench, kit, lifter):
    diagnostics = bench.listen(DiagnosticArray, "/diagnostics")
    ready(bench, kit)
    now = lifter.now_ns()
    for i in range(3):
        send(bench, kit, kit.people(1), now + i * MS)
        bench.spin(lambda n=i: len(bench.skeletons) > n)
    assert bench.spin(
        lambda: any("age_p50_ms" in [v.key for v in s.values] for d in diagnostics for s in d.status)
    )
    status = diagnostics[-1].status[0]
    values = {v.key: v.value for v in status.values}
    assert status.name == "/diffpose/lifter"
    assert status.hardware_id == "cam"
    assert values["state"] == "active"
    assert values["backend"] == "fake"
    assert values["backend choice"] == "fake: the only one here"
    assert "model 'starpose' on fake: the only one here" in bench.read_log()
    assert float(values["age_p99_ms"]) >= 0
