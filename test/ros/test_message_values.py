"""Each number of a message stands in the field that is named after it, in the unit that the field has."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

from rclpy.qos import DurabilityPolicy, HistoryPolicy, ReliabilityPolicy
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from diffpose_ros.core import Camera, People2D, Skeleton
from diffpose_ros.core.colours import SIDE_COLOURS
from diffpose_ros.ros import conversions, diagnostics, qos
from diffpose_ros.ros.markers import MarkerStyle, SkeletonMarkers
from diffpose_ros.ros.target_frame import FrameLookup, Rigid

HEADER = Header(stamp=conversions.ns_to_stamp(12_000_000_345), frame_id="eye")
TURN = np.array([[0.0, -1, 0], [0.6, 0, -0.8], [0.8, 0, 0.6]])
PERSON = Skeleton(
    xyz=np.arange(51.0).reshape(17, 3), covariance=np.zeros((17, 3, 3)), score=np.linspace(0, 1, 17),
    root=np.array([0.0, 1, 2]), root_is_metric=True, track_id=3, person_score=0.875,
)  # fmt: skip


def test_width_is_width_and_height_is_height():
    size = {"width": 640, "height": 480}
    person = People2D(xy=np.ones((1, 17, 2)), score=np.ones((1, 17)))
    several = conversions.skeletons_to_message(
        [PERSON], HEADER, **size, model="m", hypotheses=5, steps=2, latency_s=0.25
    )
    for message in (
        conversions.people_to_message(person, HEADER, **size, detector="d"),
        conversions.skeleton_to_message(PERSON, HEADER, **size),
        several,
        *several.skeletons,
    ):
        assert (message.image_width, message.image_height) == (640, 480)


def test_an_array_of_skeletons_says_how_they_were_made():
    message = conversions.skeletons_to_message(
        [PERSON], HEADER, width=640, height=480, model="m", hypotheses=5, steps=2, latency_s=0.25
    )
    assert (message.model, message.hypotheses, message.steps) == ("m", 5, 2)
    assert (message.latency.sec, message.latency.nanosec) == (0, 250_000_000)
    assert (message.joint_set, message.header, message.skeletons[0].header) == ("h36m17", HEADER, HEADER)
    assert message.skeletons[0].score == 0.875


def test_joints_named_in_another_order_are_sorted():
    message = conversions.skeleton_to_message(PERSON, HEADER, width=640, height=480)
    message.joints = message.joints[::-1]
    np.testing.assert_array_equal(conversions.skeleton_from_message(message).xyz, PERSON.xyz)


def test_a_stereo_camera_comes_back_with_its_turn_and_projection():
    k = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])
    p = np.array([[400.0, 0, 310], [0, 410, 230], [0, 0, 1]])
    info = conversions.camera_to_info(
        Camera(matrix=k, width=640, height=480, rectification=TURN, projection=p), HEADER
    )
    assert list(info.k) == [500, 0, 320, 0, 510, 240, 0, 0, 1]
    assert list(info.r) == TURN.ravel().tolist()
    assert list(info.p) == [400, 0, 310, 0, 0, 410, 230, 0, 0, 0, 1, 0]
    back = conversions.camera_from_info(info)
    np.testing.assert_array_equal(back.rectification, TURN)
    np.testing.assert_array_equal(back.projection, p)


def test_binning_may_differ_in_columns_and_rows():
    info = conversions.camera_to_info(Camera.from_fov(640, 480, diagonal_fov_deg=90.0), HEADER)
    info.binning_x, info.binning_y = 4, 2
    camera = conversions.camera_from_info(info)
    assert (camera.width, camera.height) == (160, 240)
    assert camera.focal == pytest.approx((100.0, 200.0))


def test_markers_last_as_long_as_they_are_told_and_left_is_orange():
    style = MarkerStyle(
        lifetime_s=0.25, joint_diameter=0.06, bone_width=0.02, label_height=0.0, ellipsoid_sigma=0.0
    )
    drawn = SkeletonMarkers(style).draw([PERSON], HEADER).markers
    assert {(m.lifetime.sec, m.lifetime.nanosec) for m in drawn} == {(0, 250_000_000)}
    joints = [m for m in drawn if m.type == Marker.SPHERE]
    for joint, side in ((5, "left"), (2, "right"), (0, "middle")):
        colour = joints[joint].color
        assert (colour.r, colour.g, colour.b) == pytest.approx(np.array(SIDE_COLOURS[side]) / 255)
    left = joints[5].color
    assert left.r > left.g > left.b


def test_what_goes_out_is_reliable_and_images_do_not_queue():
    for profile, depth in ((qos.IMAGE_OUT, 1), (qos.RESULT, 10)):
        assert profile.reliability == ReliabilityPolicy.RELIABLE
        assert profile.durability == DurabilityPolicy.VOLATILE
        assert (profile.history, profile.depth) == (HistoryPolicy.KEEP_LAST, depth)
    assert qos.RELIABLE_IMAGE_DEPTH == 5  # large images come in pieces


@pytest.mark.parametrize("reliable", [True, False])
@pytest.mark.parametrize("latched", [True, False])
def test_a_reader_is_what_was_negotiated(reliable, latched):
    profile = qos.reader(qos.Offer(reliable, latched), depth=3)
    assert qos.offered(profile) == qos.Offer(reliable, latched)
    assert (profile.reliability == ReliabilityPolicy.BEST_EFFORT) is not reliable
    assert (profile.durability == DurabilityPolicy.VOLATILE) is not latched
    assert (profile.history, profile.depth) == (HistoryPolicy.KEEP_LAST, 3)


def test_one_who_offers_less_decides_for_all():
    best, most = qos.Offer(), qos.Offer(reliable=True, latched=True)
    assert qos.negotiate([most, most]) == most
    assert qos.negotiate([most, best]) == best
    assert qos.negotiate([most, qos.Offer(reliable=True)]) == qos.Offer(reliable=True)
    assert qos.negotiate([]) == best


def test_a_diagnostic_message_says_who_when_and_how_bad():
    result = diagnostics.Report(diagnostics.ERROR, "no camera", (("rate_hz", "0.0"),))
    message = diagnostics.to_message(result, name="/a/lifter", hardware_id="eye", stamp=HEADER.stamp)
    (status,) = message.status
    assert message.header.stamp == HEADER.stamp
    assert (status.name, status.hardware_id, status.message) == ("/a/lifter", "eye", "no camera")
    assert status.level == b"\x02"
    assert [(v.key, v.value) for v in status.values] == [("rate_hz", "0.0")]


def test_a_lookup_gives_the_motion_of_the_frames_own_time():
    """A quarter turn about z takes x to y; the transform of the frame's stamp is asked for."""
    asked = []
    transform = SimpleNamespace(
        rotation=SimpleNamespace(x=0.0, y=0.0, z=np.sqrt(0.5), w=np.sqrt(0.5)),
        translation=SimpleNamespace(x=1.0, y=2.0, z=3.0),
    )

    def find(target, source, when):
        asked.append((target, source, when.nanoseconds))
        return SimpleNamespace(transform=transform)

    lookup = FrameLookup.__new__(FrameLookup)
    lookup._buffer = SimpleNamespace(lookup_transform=find)
    lookup._tf2 = SimpleNamespace(TransformException=LookupError)
    lookup._time = lambda nanoseconds: SimpleNamespace(nanoseconds=nanoseconds)
    lookup._last_ns = None
    motion = lookup("map", "eye", 12_345, 0.0)
    assert isinstance(motion, Rigid)
    assert asked == [("map", "eye", 12_345)]
    np.testing.assert_allclose(motion.rotation @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    assert motion.translation.tolist() == [1, 2, 3]
