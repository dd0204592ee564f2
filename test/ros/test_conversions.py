"""Messages to values and back lose nothing; damaged ones are refused with one line."""

from __future__ import annotations

import array
import math

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

from geometry_msgs.msg import Vector3
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from diffpose_ros.core import Camera, InputError, People2D, Skeleton, TrackState
from diffpose_ros.ros import conversions, images
from diffpose_ros.ros.camera_info import choose_rectified

RNG = np.random.default_rng(5)
HEADER = Header(stamp=conversions.ns_to_stamp(1_234_567_890_123_456_789), frame_id="eye")


@pytest.mark.parametrize("ns", [0, 1, 999_999_999, 1_000_000_000, 1_795_259_682_847_917_795])
def test_stamps_keep_every_nanosecond(ns):
    assert conversions.stamp_to_ns(conversions.ns_to_stamp(ns)) == ns


@pytest.mark.parametrize("seconds", [0.0, 0.25, 1.5, -0.25, 1e-9])
def test_durations_may_be_negative(seconds):
    duration = conversions.seconds_to_duration(seconds)
    assert duration.nanosec < 1_000_000_000
    assert conversions.stamp_to_ns(duration) == round(seconds * 1e9)


def test_people_come_back_as_they_went():
    people = People2D(
        xy=RNG.uniform(0, 640, (3, 17, 2)),
        score=RNG.uniform(0, 1, (3, 17)).astype(np.float32),
        person_score=np.float32([0.5, 0.25, 1.0]),
        track_id=[4, -1, 2_000_000_000],
        age_s=[0.0, 1.25, 3600.5],
        state=[0, 1, 2],
    )
    message = conversions.people_to_message(people, HEADER, width=640, height=480, detector="d")
    back = conversions.people_from_message(message)
    for name in ("xy", "score", "person_score", "track_id", "age_s", "state"):
        assert np.array_equal(getattr(back, name), getattr(people, name)), name
    assert message.header == HEADER


def with_covariance():
    spread = RNG.normal(size=(2, 17, 2, 2))
    return People2D(
        xy=RNG.uniform(0, 640, (2, 17, 2)),
        score=np.full((2, 17), 0.5),
        covariance=spread @ spread.transpose(0, 1, 3, 2),
    )


def test_keypoint_covariances_come_back_as_they_went():
    people = with_covariance()
    message = conversions.people_to_message(people, HEADER, width=640, height=480, detector="d")
    back = conversions.people_from_message(message)
    np.testing.assert_array_equal(back.covariance, people.covariance)
    for person in message.people:
        person.keypoints[3].score = 0.0
        person.keypoints[3].covariance = []
    kept = conversions.people_from_message(message).covariance
    assert (kept[:, 3] == 0).all()
    np.testing.assert_array_equal(kept[:, 4], people.covariance[:, 4])


def test_people_without_covariances_have_none():
    message = conversions.people_to_message(with_covariance(), HEADER, width=64, height=48, detector="d")
    message.people[1].keypoints[2].covariance = []
    assert conversions.people_from_message(message).covariance is None


@pytest.mark.parametrize(
    ("covariance", "text"),
    [
        ([1.0, 0.0], "expected 4 numbers or none, got 2"),
        ([1.0, 2.0, 2.0, 1.0], "expected no negative eigenvalue"),
        ([-1.0, 0.0, 0.0, 1.0], "expected no negative eigenvalue"),
        ([1.0, 0.5, 0.1, 1.0], "expected symmetric"),
        ([math.nan, 0.0, 0.0, 1.0], "expected finite numbers"),
    ],
)
def test_a_keypoint_covariance_that_is_none_is_refused(covariance, text):
    message = conversions.people_to_message(with_covariance(), HEADER, width=64, height=48, detector="d")
    message.people[0].keypoints[0].covariance = covariance
    with pytest.raises(InputError, match=f"keypoint covariance: {text}"):
        conversions.people_from_message(message)


def test_nobody_comes_back_as_nobody():
    message = conversions.people_to_message(People2D.empty(), HEADER, width=64, height=48, detector="d")
    assert len(conversions.people_from_message(message)) == 0


def test_a_skeleton_comes_back_as_it_went():
    spread = RNG.normal(size=(19, 3, 3))
    covariance = spread @ spread.transpose(0, 2, 1)
    skeleton = Skeleton(
        xyz=RNG.normal(size=(17, 3)),
        covariance=covariance[:17],
        score=RNG.uniform(0, 1, 17).astype(np.float32),
        root=RNG.normal(size=3),
        root_is_metric=True,
        track_id=7,
        age_s=2.5,
        state=TrackState.OCCLUDED,
        person_score=0.5,
        root_covariance=covariance[17],
        velocity=RNG.normal(size=3),
        velocity_covariance=covariance[18],
        contact=np.float32([0.25, 0.9]),
        size_source="floor",
    )
    message = conversions.skeleton_to_message(skeleton, HEADER, width=640, height=480)
    back = conversions.skeleton_from_message(message)
    assert (message.size_source, back.size_source) == (message.SIZE_FROM_FLOOR, "floor")
    for name in (
        "xyz", "covariance", "score", "root", "root_covariance", "velocity", "velocity_covariance", "contact",
    ):  # fmt: skip
        assert np.array_equal(getattr(back, name), getattr(skeleton, name)), name
    assert (back.root_is_metric, back.track_id, back.age_s) == (True, 7, 2.5)
    assert (back.state, back.person_score) == (TrackState.OCCLUDED, 0.5)
    assert [j.name for j in message.joints][:2] == ["hip", "right_hip"]


@pytest.mark.parametrize("damage", ["joint set", "joints", "NaN"])
def test_a_damaged_skeleton_is_refused(damage):
    skeleton = Skeleton(
        xyz=np.zeros((17, 3)), covariance=np.zeros((17, 3, 3)), score=np.ones(17),
        root=np.zeros(3), root_is_metric=False,
    )  # fmt: skip
    message = conversions.skeleton_to_message(skeleton, HEADER, width=640, height=480)
    if damage == "joint set":
        message.joint_set = "smpl"
    elif damage == "joints":
        message.joints.pop()
    else:
        message.root.z = math.nan
    with pytest.raises(InputError):
        conversions.skeleton_from_message(message)


def keypoints(count=1):
    people = People2D(
        xy=RNG.uniform(0, 640, (count, 17, 2)), score=RNG.uniform(0, 1, (count, 17)).astype(np.float32),
        track_id=np.arange(count),
    )  # fmt: skip
    return conversions.people_to_message(
        people, HEADER, width=640, height=480, detector="d", image_topic="/cam/image_raw"
    )


def test_keypoints_in_another_order_go_by_their_names():
    message, shuffled = keypoints(2), keypoints(2)
    shuffled.people = list(message.people)
    want = conversions.people_from_message(message)
    for person in shuffled.people:
        person.keypoints = [person.keypoints[i] for i in RNG.permutation(17)]
    got = conversions.people_from_message(shuffled)
    assert np.array_equal(got.xy, want.xy)
    assert np.array_equal(got.score, want.score)


def test_keypoints_without_names_go_by_their_place():
    message = keypoints()
    want = conversions.people_from_message(message)
    for keypoint in message.people[0].keypoints:
        keypoint.name = ""
    assert np.array_equal(conversions.people_from_message(message).xy, want.xy)


def rename(message, index, name):
    message.people[0].keypoints[index].name = name


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda m: rename(m, 3, "tail"), "expected the joint names of coco17, got 'tail' for person 0"),
        (lambda m: rename(m, 3, "nose"), "expected each joint once, got 'nose' twice for person 0"),
        (lambda m: rename(m, 3, ""), "expected the joint names of coco17, got ''"),
        (lambda m: setattr(m.people[0], "score", 7.0), "person score: expected 0 to 1, got 7 to 7"),
        (lambda m: setattr(m.people[0], "score", -0.5), "person score: expected 0 to 1"),
        (lambda m: setattr(m.people[0], "state", 9), "track state: expected one of 0 .NEW.* got 9"),
        (lambda m: setattr(m, "joint_set", "body25"), "got 'body25'"),
    ],
    ids=["unknown name", "name twice", "name missing", "score 7", "score negative", "state", "joint set"],
)
def test_keypoints_that_are_not_what_they_say_are_refused(damage, text):
    message = keypoints()
    damage(message)
    with pytest.raises(InputError, match=text):
        conversions.people_from_message(message)


def stick():
    skeleton = Skeleton(
        xyz=RNG.normal(size=(17, 3)), covariance=np.zeros((17, 3, 3)), score=np.ones(17),
        root=np.zeros(3), root_is_metric=False, track_id=62,
    )  # fmt: skip
    return conversions.skeleton_to_message(skeleton, HEADER, width=64, height=48, frame_prefix="front/")


def test_the_joints_of_a_skeleton_go_by_their_names():
    message = stick()
    want = conversions.skeleton_from_message(message)
    message.joints = message.joints[::-1]
    assert np.array_equal(conversions.skeleton_from_message(message).xyz, want.xyz)


def test_what_is_not_known_of_a_skeleton_is_nan_on_the_wire():
    message = stick()
    assert math.isnan(message.velocity.x)
    assert np.isnan(message.velocity_covariance).all()
    assert np.isnan(message.contact).all()
    assert message.size_source == message.SIZE_FROM_PRIOR
    assert np.isnan(conversions.skeleton_from_message(message).contact).all()


def test_a_skeleton_names_the_frame_on_its_body():
    assert stick().body_frame == "front/body_aaack"


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda m: setattr(m, "state", 9), "unknown track state 9"),
        (lambda m: setattr(m.joints[2].position, "x", 2e6), "position: expected at most 1e.06 m, got 2e.06"),
        (lambda m: setattr(m.root, "z", -1e12), "position: expected at most 1e.06 m, got 1e.12"),
        (lambda m: setattr(m.joints[2], "covariance", [1e13] * 9), "covariance: expected at most 1e.12 m.2"),
        (lambda m: setattr(m.joints[2], "score", 1.5), "skeleton score: expected 0 to 1"),
        (lambda m: setattr(m, "size_source", 4), "unknown source of the size 4"),
        (lambda m: setattr(m, "velocity", Vector3(y=2e4)), "velocity: expected at most 10000 m/s, got 20000"),
        (lambda m: setattr(m.velocity, "y", 0.0), "skeleton velocity: expected finite"),
        (lambda m: setattr(m, "contact", [0.5, 1.5]), "skeleton contact: expected 0 to 1"),
    ],
    ids=["state", "joint far away", "root far away", "covariance", "score", "size source", "fast",
         "velocity half known", "contact"],
)
def test_a_skeleton_out_of_this_world_is_refused(damage, text):
    message = stick()
    damage(message)
    with pytest.raises(InputError, match=text):
        conversions.skeleton_from_message(message)


INFO = {"d": [-0.32, 0.11, 0.0, 0.0, 0.0]}


@pytest.mark.parametrize(
    ("asked", "topic", "changes", "expected", "reason"),
    [
        ("true", "/cam/image_raw", {}, True, "parameter rectified is true"),
        ("false", "/cam/image_rect", {}, False, "parameter rectified is false"),
        ("auto", "/cam/image_rect", {}, True, "images come from /cam/image_rect"),
        ("auto", "/cam/image_rect_color/compressed", {}, True, "images come from"),
        ("auto", "/camera/infra1/image_rect_raw", {}, True, "images come from"),
        ("auto", "/front/rect/image", {}, True, "images come from"),
        ("auto", "/rectified/left", {}, True, "images come from"),
        ("auto", "/rect/image_raw", {}, False, "neither the image's topic"),
        ("auto", "/cam/image_unrectified", {}, False, "neither the image's topic"),
        ("auto", "/cam/direct", {}, False, "neither the image's topic"),
        ("auto", "/correct/image_correct", {}, False, "neither the image's topic"),
        ("auto", "/left/rect/image_raw", {}, False, "neither"),
        ("auto", "/cam/image_unrect", {}, False, "neither"),
        ("auto", "/cam/image_raw", {}, False, "neither the image's topic nor camera_info says that it is"),
        ("auto", "", {"do_rectify": True}, True, "camera_info sets roi.do_rectify for the whole image"),
        ("auto", "", {"do_rectify": True, "width": 64, "height": 48}, True, "roi.do_rectify"),
        ("auto", "", {"do_rectify": True, "width": 32, "height": 32}, False, "neither"),
    ],
)
def test_whether_images_are_rectified_is_chosen_with_a_reason(asked, topic, changes, expected, reason):
    info = conversions.camera_to_info(Camera.from_fov(64, 48), HEADER)
    info.d = INFO["d"]
    for name, value in changes.items():
        setattr(info.roi, name, value)
    answer, why = choose_rectified(asked, info, topic)
    assert answer is expected
    assert reason in why


def test_a_rectified_image_goes_by_p():
    info = conversions.camera_to_info(Camera.from_fov(640, 480), HEADER)
    info.d = INFO["d"]
    info.p = [450.0, 0, 300, 0, 0, 455, 230, 0, 0, 0, 1, 0]
    camera = conversions.camera_from_info(info, rectified=True)
    assert (camera.focal, camera.matrix[:2, 2].tolist()) == ((450, 455), [300, 230])
    assert not camera.distortion.any()


def test_fisheye_in_a_message_is_equidistant():
    info = conversions.camera_to_info(Camera.from_fov(640, 480), HEADER)
    info.distortion_model, info.d = "fisheye", [0.01, 0.0, 0.0, 0.0]
    assert conversions.camera_from_info(info).model == "equidistant"


@pytest.mark.parametrize(
    ("model", "size"),
    [("none", 0), ("plumb_bob", 5), ("rational_polynomial", 8), ("equidistant", 4)],
)
def test_a_camera_comes_back_as_it_went(model, size):
    k = np.array([[500.0, 0, 320], [0, 510.0, 240], [0, 0, 1]])
    camera = Camera(
        matrix=k, width=640, height=480, distortion=RNG.normal(size=size) * 0.01, model=model,
        frame_id="eye",
    )  # fmt: skip
    info = conversions.camera_to_info(camera, HEADER)
    back = conversions.camera_from_info(info)
    assert np.array_equal(back.matrix, k)
    assert (back.width, back.height, back.frame_id) == (640, 480, "eye")
    assert back.distortion[:size] == pytest.approx(camera.distortion)
    assert not back.distortion[size:].any()


def test_a_region_of_interest_and_binning_move_and_scale_the_camera():
    k = np.array([[500.0, 0, 320], [0, 500.0, 240], [0, 0, 1]])
    info = conversions.camera_to_info(Camera(matrix=k, width=640, height=480), HEADER)
    info.roi.x_offset, info.roi.y_offset = 100, 40
    info.roi.width, info.roi.height = 400, 200
    info.binning_x = info.binning_y = 2
    camera = conversions.camera_from_info(info)
    assert (camera.width, camera.height) == (200, 100)
    assert camera.focal == (250.0, 250.0)
    assert camera.matrix[:2, 2] == pytest.approx([110.0, 100.0])


def test_no_distortion_model_is_none_unless_there_are_coefficients():
    info = conversions.camera_to_info(Camera.from_fov(64, 48), HEADER)
    info.distortion_model, info.d = "", []
    assert conversions.camera_from_info(info).model == "none"
    info.d = [0.1, 0.0, 0.0, 0.0]
    with pytest.raises(InputError, match="without a distortion model"):
        conversions.camera_from_info(info)


def test_an_rgb_image_comes_back_as_it_went():
    rgb = RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    assert np.array_equal(images.image_to_rgb(images.rgb_to_image(rgb, HEADER)), rgb)
    flipped = rgb[:, ::-1]  # not contiguous
    assert np.array_equal(images.image_to_rgb(images.rgb_to_image(flipped, HEADER)), flipped)


@pytest.mark.parametrize(
    ("encoding", "channels"), [("rgb8", 3), ("bgr8", 3), ("mono8", 1), ("rgba8", 4), ("bgra8", 4)]
)
@pytest.mark.parametrize("padding", [0, 13])
def test_encodings_with_and_without_padded_rows(encoding, channels, padding):
    rgb = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    if channels == 1:
        rgb = np.repeat(rgb[..., :1], 3, axis=-1)
    order = {"r": 0, "g": 1, "b": 2}
    planes = [rgb[..., order[c]] for c in encoding[:3]] if channels > 1 else [rgb[..., 0]]
    planes += [np.full((6, 8), 255, np.uint8)] * (channels - len(planes))
    rows = np.stack(planes, -1).reshape(6, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    message = Image(
        width=8, height=6, encoding=encoding, step=rows.shape[1],
        data=array.array("B", rows.tobytes()),
    )  # fmt: skip
    got = images.image_to_rgb(message)
    assert np.array_equal(got, rgb)
    assert got.flags.c_contiguous
