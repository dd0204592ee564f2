"""What is drawn of a skeleton lies where the skeleton is, and its ellipsoids as its covariances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("visualization_msgs.msg", reason="needs ROS messages")

from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from diffpose_ros.core import H36M17, Skeleton
from diffpose_ros.ros.markers import MarkerStyle, SkeletonMarkers

STYLE = MarkerStyle(
    lifetime_s=0.5, joint_diameter=0.06, bone_width=0.02, label_height=0.1, ellipsoid_sigma=2.0
)


def skeleton(track_id: int = 3) -> Skeleton:
    """Joints all over, each with a covariance whose axes are nobody else's."""
    rng = np.random.default_rng(track_id)
    spread = 0.03 * rng.normal(size=(17, 3, 3))
    return Skeleton(
        xyz=rng.normal([0, 0, 4], 0.5, (17, 3)),
        covariance=spread @ spread.transpose(0, 2, 1) + 1e-5 * np.eye(3),
        score=np.ones(17), root=np.array([0, 0, 4.0]), root_is_metric=False, track_id=track_id,
    )  # fmt: skip


def drawn(*people: Skeleton) -> list[Marker]:
    return list(SkeletonMarkers(STYLE).draw(people, Header()).markers)


def at(point) -> list[float]:
    return [point.x, point.y, point.z]


@pytest.mark.parametrize("joint", range(17))
def test_an_ellipsoid_is_its_joints_covariance(joint: int) -> None:
    person = skeleton()
    marker = [m for m in drawn(person) if m.ns == "uncertainty"][joint]
    q = marker.pose.orientation
    x, y, z, w = q.x, q.y, q.z, q.w
    axes = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    # a sphere of diameter 1 scaled to 2 sigma on each side, then turned
    sigma = np.array(at(marker.scale)) / 4
    got = axes @ np.diag(sigma**2) @ axes.T
    np.testing.assert_allclose(got, person.covariance[joint], rtol=1e-5, atol=1e-9)
    assert at(marker.pose.position) == pytest.approx(person.xyz[joint])


def test_joints_bones_and_label_lie_on_the_skeleton() -> None:
    person = skeleton()
    markers = drawn(person)
    joints = [m for m in markers if m.ns == "joints"]
    np.testing.assert_allclose([at(m.pose.position) for m in joints], person.xyz)
    assert [m.id for m in joints] == [300 + j for j in range(17)]
    (bones,) = (m for m in markers if m.ns == "bones")
    ends = np.array([at(p) for p in bones.points]).reshape(-1, 2, 3)
    np.testing.assert_allclose(ends, person.xyz[np.array(H36M17.bones)])
    (label,) = (m for m in markers if m.ns == "labels")
    top = person.xyz[person.xyz[:, 1].argmin()]
    assert at(label.pose.position) == pytest.approx(top - [0, 0.15, 0])
    assert label.text == "3"


def test_left_and_right_have_colours_of_their_own() -> None:
    markers = drawn(skeleton())
    joints = [m for m in markers if m.ns == "joints"]
    colour = [(m.color.r, m.color.g, m.color.b) for m in joints]
    left, right = colour[H36M17.index("left_wrist")], colour[H36M17.index("right_wrist")]
    assert left != right
    for j, name in enumerate(H36M17.joints):
        want = left if name.startswith("left") else right if name.startswith("right") else colour[0]
        assert colour[j] == want, name
    (bones,) = (m for m in markers if m.ns == "bones")
    ends = [(c.r, c.g, c.b) for c in bones.colors]
    for k, (_, child) in enumerate(H36M17.bones):
        assert ends[2 * k] == ends[2 * k + 1] == colour[child], H36M17.joints[child]


def test_someone_seen_again_moves_and_someone_who_left_is_deleted() -> None:
    draw = SkeletonMarkers(STYLE)
    draw.draw([skeleton(1), skeleton(2)], Header())
    moved = skeleton(7)
    again = Skeleton(
        xyz=moved.xyz, covariance=moved.covariance, score=moved.score, root=moved.root,
        root_is_metric=False, track_id=2,
    )  # fmt: skip
    markers = draw.draw([again], Header()).markers
    gone = {(m.ns, m.id) for m in markers if m.action == Marker.DELETE}
    assert gone == {(m.ns, m.id) for m in drawn(skeleton(1))}
    joints = [m for m in markers if m.ns == "joints" and m.action == Marker.ADD]
    np.testing.assert_allclose([at(m.pose.position) for m in joints], moved.xyz)


def test_the_label_stands_over_the_head_in_a_frame_whose_z_is_up() -> None:
    xyz = np.random.default_rng(1).normal(0, 0.1, (17, 3)) + np.array([4.0, 0, 1.0])
    xyz[H36M17.index("head_top")] = [4.0, 0.0, 1.9]
    person = Skeleton(
        xyz=xyz, covariance=np.zeros((17, 3, 3)), score=np.ones(17), root=xyz[0], root_is_metric=False,
        track_id=3,
    )  # fmt: skip
    (label,) = (m for m in drawn(person) if m.ns == "labels")
    assert at(label.pose.position) == pytest.approx([4.0, 0.0, 2.05])


def test_an_arrow_shows_where_the_velocity_takes_the_root() -> None:
    style = replace(STYLE, velocity_s=0.5)
    person = replace(skeleton(), velocity=np.array([1.0, -2.0, 0.5]))
    draw = SkeletonMarkers(style)
    markers = draw.draw([person], Header()).markers
    (arrow,) = (m for m in markers if m.ns == "velocity")
    assert (arrow.type, arrow.action) == (Marker.ARROW, Marker.ADD)
    assert [at(p) for p in arrow.points] == [[0, 0, 4.0], [0.5, -1.0, 4.25]]
    assert len([m for m in markers if m.ns == "uncertainty"]) == 17
    (arrow,) = (m for m in draw.draw([skeleton()], Header()).markers if m.ns == "velocity")
    assert arrow.action == Marker.DELETE  # its velocity is not known any more
    assert not [m for m in drawn(person) if m.ns == "velocity"]
