"""The markers node: ids that stay, a DELETE for who leaves, sides in colour."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

from rclpy.parameter import Parameter
from visualization_msgs.msg import Marker, MarkerArray

from diffpose_ros.core import H36M17
from diffpose_ros.core.colours import SIDE_COLOURS
from diffpose_ros.kinematics import PeopleRotations
from diffpose_ros.nodes.markers import MarkersNode
from diffpose_ros.ros.conversions import skeletons_to_message

TOPIC = "/diffpose/skeletons"


def message(kit, *people, stamp_ns=1_000_000_000):
    return skeletons_to_message(
        people, kit.header(stamp_ns), width=320, height=240,
        model="fake", hypotheses=5, steps=5, latency_s=0.01,
    )  # fmt: skip


@pytest.fixture
def node(bench):
    made = bench.add(MarkersNode)
    bench.markers = bench.listen(MarkerArray, "/diffpose/markers")
    assert bench.spin(lambda: made._markers.get_subscription_count() == 1)
    return made


def turned(person):
    """The person with the orientations that the lifter tells."""
    matrix, doubt = PeopleRotations().update([0], person.xyz[None], person.covariance[None], 0)
    return replace(person, orientation=matrix[0], orientation_covariance=doubt[0])


def show(bench, skeletons):
    """Publish; return the markers that come of it."""
    before = len(bench.markers)
    bench.publish(TOPIC, skeletons)
    assert bench.spin(lambda: len(bench.markers) > before)
    return bench.markers[-1].markers


def of(markers, ns, action=Marker.ADD):
    return [m for m in markers if m.ns == ns and m.action == action]


def test_a_person_is_joints_bones_and_a_label(bench, kit, node):
    person = kit.skeleton(3)
    markers = show(bench, message(kit, person))
    joints = of(markers, "joints")
    assert [m.id for m in joints] == [300 + j for j in range(17)]
    places = np.array([(m.pose.position.x, m.pose.position.y, m.pose.position.z) for m in joints])
    assert places == pytest.approx(person.xyz)
    (bones,) = of(markers, "bones")
    assert len(bones.points) == 2 * len(H36M17.bones) == len(bones.colors)
    (label,) = of(markers, "labels")
    assert label.text == "3"
    assert {m.header.frame_id for m in markers} == {"cam"}
    assert all(m.lifetime.nanosec == 500_000_000 for m in markers)
    assert of(markers, "uncertainty") == []


def test_left_and_right_differ_in_colour(bench, kit, node):
    joints = of(show(bench, message(kit, kit.skeleton())), "joints")
    colour = [(m.color.r, m.color.g, m.color.b) for m in joints]
    assert len({colour[i] for i in H36M17.left}) == 1
    assert len({colour[i] for i in H36M17.right}) == 1
    assert colour[H36M17.left[0]] != colour[H36M17.right[0]]


def test_left_is_orange_and_right_is_blue_as_in_the_video(bench, kit, node):
    markers = show(bench, message(kit, kit.skeleton()))
    for joint, marker in enumerate(of(markers, "joints")):
        colour = SIDE_COLOURS[H36M17.side(joint)]
        assert (marker.color.r, marker.color.g, marker.color.b) == pytest.approx(np.array(colour) / 255)
    (bones,) = of(markers, "bones")
    thigh = H36M17.bones.index((4, 5))
    assert bones.colors[2 * thigh].r == pytest.approx(SIDE_COLOURS["left"][0] / 255)


def test_ids_stay_and_who_leaves_is_deleted(bench, kit, node):
    first = show(bench, message(kit, kit.skeleton(0), kit.skeleton(1)))
    second = show(bench, message(kit, kit.skeleton(1)))
    shown = {(m.ns, m.id) for m in first}
    kept = {(m.ns, m.id) for m in second if m.action == Marker.ADD}
    deleted = {(m.ns, m.id) for m in second if m.action == Marker.DELETE}
    assert kept | deleted == shown
    assert not kept & deleted
    assert {i // 100 for _, i in deleted} == {0}
    assert of(show(bench, message(kit)), "joints", Marker.DELETE)
    assert show(bench, message(kit)) == []


def test_ellipsoids_are_drawn_on_request_and_follow_the_covariance(bench, kit, node):
    node.set_parameters_atomically(
        [Parameter("ellipsoids", value=True), Parameter("ellipsoid_sigma", value=2.0)]
    )
    markers = show(bench, message(kit, kit.skeleton()))
    assert markers[0].action == Marker.DELETEALL
    ellipsoid = of(markers, "uncertainty")[5]
    axes = sorted((ellipsoid.scale.x, ellipsoid.scale.y, ellipsoid.scale.z))
    # 2 sigma to each side; the fixture's sigmas are 10, 14.1 and 30 mm
    assert axes == pytest.approx([0.04, 4 * math.sqrt(2e-4), 0.12], rel=1e-4)
    q = ellipsoid.pose.orientation
    assert np.linalg.norm([q.x, q.y, q.z, q.w]) == pytest.approx(1.0)


def test_a_skeleton_that_is_not_finite_is_left_out_and_said(bench, kit, node):
    bad = message(kit, kit.skeleton(0), kit.skeleton(1))
    bad.skeletons[0].joints[4].position.x = math.nan
    markers = show(bench, bad)
    assert {m.id // 100 for m in markers} == {1}
    assert bench.logged("skeleton xyz: expected finite numbers")


@pytest.mark.parametrize("value", [1e7, -3e8, 1e308])
def test_a_skeleton_out_of_this_world_is_left_out_and_said(bench, kit, node, value):
    bad = message(kit, kit.skeleton(0), kit.skeleton(1))
    bad.skeletons[0].joints[4].position.z = value
    markers = show(bench, bad)
    assert {m.id // 100 for m in markers} == {1}
    assert bench.logged("skeleton position: expected at most 1e+06 m")


def test_people_without_identity_and_with_huge_ones_are_all_shown(bench, kit, node):
    people = [replace(kit.skeleton(1), track_id=t) for t in (-1, -1, 2_000_000_000, 7, 7)]
    markers = show(bench, message(kit, *people))
    assert len({(m.ns, m.id) for m in markers}) == len(markers) == 5 * (17 + 2)
    assert [m.text for m in of(markers, "labels")] == ["?", "?", "2000000000", "7", "7"]


def test_a_frame_on_each_body_is_sent_where_tf2_is_installed(bench, kit, node):
    tf2 = pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not installed")
    heard = bench.listen(tf2.TFMessage, "/tf")
    bench.spin(timeout_s=0.3)
    show(bench, message(kit, kit.skeleton(11)))
    assert bench.spin(lambda: heard)
    (transform,) = heard[0].transforms
    assert transform.header.frame_id == "cam"
    assert transform.child_frame_id == "body_aaaal"
    assert transform.transform.translation.z == pytest.approx(3.0)


def test_a_frame_on_each_joint_is_sent_on_request(bench, kit, node, monkeypatch):
    sent = []
    monkeypatch.setattr(node._transforms, "send", lambda header, frames: sent.append(frames))
    node.set_parameters_atomically([Parameter("joint_transforms", value=True)])
    person = turned(kit.skeleton(11))
    unseen = replace(person, score=np.where(np.arange(17) == 13, 0.0, person.score))
    show(bench, message(kit, unseen))
    names = [name for name, _, _ in sent[-1]]
    told = [j for j in H36M17.joints if j != "left_wrist"]
    assert names == ["body_aaaal", *(f"body_aaaal/{joint}" for joint in told)]
    elbow = sent[-1][names.index("body_aaaal/right_elbow")]
    assert elbow[1] == pytest.approx(person.xyz[15])
    forearm = person.xyz[15] - person.xyz[16]
    assert elbow[2][:, 1] == pytest.approx(forearm / np.linalg.norm(forearm))  # Y: from wrist to elbow


def test_who_tells_no_orientations_gets_no_frames_on_joints(bench, kit, node, monkeypatch):
    sent = []
    monkeypatch.setattr(node._transforms, "send", lambda header, frames: sent.append(frames))
    node.set_parameters_atomically([Parameter("joint_transforms", value=True)])
    show(bench, message(kit, kit.skeleton(11)))
    assert [name for name, _, _ in sent[-1]] == ["body_aaaal"]


def test_without_tf2_the_node_works_and_says_so(bench, kit, node):
    try:
        import tf2_msgs  # noqa: F401
    except ImportError:
        assert bench.logged("install tf2_msgs")
    assert show(bench, message(kit, kit.skeleton()))
