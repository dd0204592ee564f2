"""Boxes, regions and keypoints in messages of other packages, which need not be installed for this."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from walker import POSE

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

from diffpose_ros.core import COCO17, People2D, Skeleton
from diffpose_ros.core.rotations import rotations
from diffpose_ros.ros import conversions, standard
from diffpose_ros.ros.boxes import body_box
from diffpose_ros.ros.hri import SKELETON2D, HriMessages, with_neck

SIZE = (640, 480)


class Message:
    """Stands in for a message: a field is there once somebody asks for it."""

    def __init__(self, **fields):
        self.__dict__.update(fields)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        made = [] if name in ("detections", "people") else Message()
        setattr(self, name, made)
        return made


class AnyMessage:
    """A module whose every name is a message."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Message


@pytest.fixture
def foreign(monkeypatch):
    for package in ("vision_msgs", "people_msgs", "hri_msgs"):
        monkeypatch.setitem(sys.modules, package, SimpleNamespace(msg=AnyMessage()))
        monkeypatch.setitem(sys.modules, f"{package}.msg", AnyMessage())


def figure():
    """A body that spans 100 x 200 pixels, and ends at the left edge of the image."""
    xy = np.full((1, 17, 2), 100.0)
    xy[0, 0], xy[0, 1] = (10, 100), (110, 300)
    xy[0, 2] = (600, 400)  # not seen
    score = np.full((1, 17), 0.9)
    score[0, 2] = 0.0
    return People2D(xy=xy, score=score, person_score=[0.5], track_id=[11])


def test_a_box_is_a_tenth_of_its_longer_side_wider_and_ends_at_the_image():
    box = body_box(figure(), 0, SIZE)
    assert box == pytest.approx((0.0, 80.0, 130.0, 320.0, 0.5))
    assert box.size == pytest.approx((130.0, 240.0))
    assert box.centre == pytest.approx((65.0, 200.0))
    assert body_box(figure(), 0, (120, 250)) == pytest.approx((0.0, 80.0, 120.0, 250.0, 0.5))
    assert body_box(figure(), 0, (640, 60)) is None


def test_detections_in_the_image_are_centres_and_sizes(foreign):
    (one,) = standard.detections_2d(figure(), "header", SIZE).detections
    assert (one.id, one.results[0].hypothesis.class_id) == ("body_aaaal", "person")
    assert (one.bbox.center.position.x, one.bbox.center.position.y) == pytest.approx((65.0, 200.0))
    assert (one.bbox.size_x, one.bbox.size_y) == pytest.approx((130.0, 240.0))


def test_a_box_in_space_lies_along_the_body_and_holds_all_joints(foreign):
    """Of somebody who leans to the side and is turned away by 40 degrees."""
    a, b = np.radians(40), np.radians(25)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    lean = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    xyz = POSE @ (turn @ lean).T + [0.5, 0.2, 4.0]
    person = Skeleton(
        xyz=xyz, covariance=np.zeros((17, 3, 3)), score=np.ones(17), root=xyz[0], root_is_metric=True,
        track_id=11, root_covariance=np.diag([0.01, 0.02, 0.09]), orientation=np.tile(np.eye(3), (17, 1, 1)),
        orientation_covariance=np.tile(np.diag([0.1, 0.2, 0.3]), (17, 1, 1)),
    )  # fmt: skip
    (one,) = standard.detections_3d([("somebody", person)], "header").detections
    c, q, size = one.bbox.center.position, one.bbox.center.orientation, one.bbox.size
    inside = (xyz - [c.x, c.y, c.z]) @ rotations(np.array([q.x, q.y, q.z, q.w]))
    half = np.array([size.x, size.y, size.z]) / 2 - standard.HEAD_ROOM_M
    np.testing.assert_allclose(inside.max(axis=0), half, atol=1e-9)
    np.testing.assert_allclose(inside.min(axis=0), -half, atol=1e-9)
    assert size.z == pytest.approx(1.60 + 2 * standard.HEAD_ROOM_M, abs=0.03)  # from the feet to the crown
    covariance = np.reshape(one.results[0].pose.covariance, (6, 6))
    assert np.diag(covariance) == pytest.approx([0.01, 0.02, 0.09, 0.1, 0.2, 0.3])


def test_people_of_navigation_have_places_and_speeds(foreign):
    walking = Skeleton(
        xyz=POSE + np.array([0.5, 0.2, 4.0]), covariance=np.zeros((17, 3, 3)), score=np.ones(17),
        root=np.array([0.5, 0.2, 4.0]), root_is_metric=True, velocity=np.array([0.3, -0.1, 1.2]),
    )  # fmt: skip
    (one,) = standard.people_msgs([("somebody", walking)], "header").people
    assert (one.position.x, one.position.y, one.position.z) == pytest.approx((0.5, 0.2, 4.0))
    assert (one.velocity.x, one.velocity.y, one.velocity.z) == pytest.approx((0.3, -0.1, 1.2))
    assert one.tags == ["known"]


def test_the_neck_is_between_the_shoulders_and_as_sure_as_the_worse_of_them():
    rng = np.random.default_rng(0)
    xy, score = rng.uniform(0, 400, (17, 2)), rng.uniform(0.2, 0.8, 17)
    got, sure = with_neck(xy, score)
    left, right = COCO17.index("left_shoulder"), COCO17.index("right_shoulder")
    for name, point, how in zip(SKELETON2D, got, sure, strict=True):
        if name == "neck":
            np.testing.assert_allclose(point, (xy[left] + xy[right]) / 2)
            assert how == min(score[left], score[right])
        else:
            np.testing.assert_array_equal(point, xy[COCO17.index(name)])
            assert how == score[COCO17.index(name)]


def test_regions_and_keypoints_are_shares_of_width_and_height(foreign):
    messages = HriMessages()
    roi = messages.roi("header", body_box(figure(), 0, SIZE), SIZE)
    assert (roi.xmin, roi.ymin, roi.xmax, roi.ymax) == pytest.approx((0, 80 / 480, 130 / 640, 320 / 480))
    assert roi.c == 0.5
    points = dict(zip(SKELETON2D, messages.skeleton2d("header", figure(), 0, SIZE).skeleton, strict=True))
    nose, hidden = points["nose"], points["right_eye"]
    assert (nose.x, nose.y, nose.c) == pytest.approx((10 / 640, 100 / 480, 0.9))
    assert (hidden.x, hidden.y, hidden.c) == (0, 0, 0)
    outside = messages.skeleton2d("header", figure(), 0, (100, 480)).skeleton
    left_eye = dict(zip(SKELETON2D, outside, strict=True))["left_eye"]  # at 110 of 100 pixels
    assert (left_eye.x, left_eye.c) == (0, 0)


def test_up_is_told_as_it_is():
    from std_msgs.msg import Header

    made = {"width": 640, "height": 480, "model": "m", "hypotheses": 5, "steps": 2, "latency_s": 0.1}
    up = np.array([0.0, -0.8, -0.6])
    message = conversions.skeletons_to_message([], Header(), up=up, **made)
    assert (message.up.x, message.up.y, message.up.z) == pytest.approx((0.0, -0.8, -0.6))
    unknown = conversions.skeletons_to_message([], Header(), **made).up
    assert (unknown.x, unknown.y, unknown.z) == (0.0, 0.0, 0.0)
