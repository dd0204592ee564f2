"""What detectors' networks are given and what is made of their answers, number by number."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core import People2D
from diffpose_ros.frontend._suppress import suppress_doubles
from diffpose_ros.frontend.detectors import _top_down
from diffpose_ros.frontend.detectors.letterbox import Letterbox
from diffpose_ros.frontend.detectors.movenet import MoveNetConfig, decode
from diffpose_ros.frontend.detectors.onnx_pose import PADDING_OF_KEYPOINTS, OnnxPose, OnnxPoseConfig, _crops
from diffpose_ros.frontend.tracked import sightings, uncertainty
from diffpose_ros.frontend.tracked.candidates import with_expected
from diffpose_ros.frontend.tracked.heads import _moments
from diffpose_ros.tracking.expected import Expected


class Recorder:
    """A network that notes what it is given and finds nobody."""

    def run(self, tensor):
        self.given = tensor
        return [np.zeros((1, 56, 10), np.float32)]


def test_yolo_is_given_red_green_blue_from_0_to_1():
    pose = OnnxPose.__new__(OnnxPose)
    pose.config = OnnxPoseConfig(model="m.onnx")
    pose.kind, pose._type, pose._shape, pose._network = "yolo", np.float32, (64, 64), Recorder()
    image = np.empty((64, 64, 3), np.uint8)
    image[:] = (255, 102, 51)
    assert len(pose.detect(image)) == 0
    given = pose._network.given
    assert given.shape == (1, 3, 64, 64)
    np.testing.assert_allclose(given[0, :, 32, 32], [1.0, 0.4, 0.2], atol=1e-6)


def test_top_down_networks_are_given_what_imagenet_was_normalised_to():
    """Mean and deviation of red, green and blue, 0 to 255, as torchvision and mmpose have them."""
    crop = np.zeros((1, 2, 2, 3), np.uint8)
    crop[0, 0, 1] = (255, 0, 100)
    given = _top_down.normalised(crop)
    assert given.shape == (1, 3, 2, 2)
    want = [(255 - 123.675) / 58.395, (0 - 116.28) / 57.12, (100 - 103.53) / 57.375]
    np.testing.assert_allclose(given[0, :, 0, 1], want, rtol=1e-5)


def test_a_bin_stands_for_its_middle_and_the_less_sure_axis_counts():
    x, y = np.zeros((1, 17, 10)), np.zeros((1, 17, 20))
    x[0, :, 3], y[0, :, 3] = 0.9, 0.6
    x[0, 1, 3], y[0, 1, 3] = 0.2, 0.7
    at, score = _top_down.from_bins(x, y)
    np.testing.assert_allclose(at[0, 0], [0.35, 0.175])
    assert score[0, :2].tolist() == pytest.approx([0.6, 0.2])


def test_a_heatmap_is_read_a_quarter_of_a_cell_towards_the_higher_neighbour():
    maps = np.zeros((1, 17, 10, 20))
    maps[0, :, 4, 7] = 0.8
    maps[0, :, 4, 8], maps[0, :, 3, 7] = 0.5, 0.3  # to the right, and up
    at, score = _top_down.from_maps(maps)
    np.testing.assert_allclose(at[0, 0], [7.75 / 20, 4.25 / 10])
    assert score[0, 0] == pytest.approx(0.8)


def people(*corners):
    """People whose keypoints fill boxes (low x, low y, high x, high y)."""
    low, high = np.split(np.array(corners, dtype=float), 2, axis=1)
    xy = np.stack([low, high, *[(low + high) / 2] * 15], axis=1)
    return People2D(xy=xy, score=np.ones(xy.shape[:2]))


@pytest.mark.parametrize(
    ("box", "size"), [((100, 50, 140, 250), (150, 200)), ((100, 50, 400, 90), (300, 400))]
)
def test_a_crop_holds_its_person_in_the_middle_at_the_networks_shape(box, size):
    corner, scale = _crops(people(box), aspect=0.75)
    np.testing.assert_allclose(scale[0], np.array(size) * PADDING_OF_KEYPOINTS)
    np.testing.assert_allclose(corner[0] + scale[0] / 2, [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])


def test_without_suppression_the_best_person_is_still_the_first():
    rows = np.zeros((1, 6, 56), np.float32)
    rows[..., :51] = np.tile([0.5, 0.5, 0.9], 17)
    rows[0, :, -1] = [0.3, 0.9, 0.2, 0.5, 0.4, 0.6]
    box = Letterbox.fit(640, 480, 256)
    found = decode(rows, box, (640, 480), MoveNetConfig(nms_threshold=1.0))
    assert found.person_score.tolist() == pytest.approx([0.9, 0.6, 0.5, 0.4, 0.3, 0.2])


def test_a_ridge_of_a_heatmap_leans_as_it_lies():
    """Mass at (-d, -d) and (d, d) from the keypoint: x and y err together."""
    weighed = np.zeros((1, 1, 11, 11))
    weighed[0, 0, 3, 4] = weighed[0, 0, 7, 6] = 1.0
    moments = _moments(weighed, np.array([[[5 / 11, 5 / 11]]]), 11, 11)[0, 0]
    np.testing.assert_allclose(moments, np.array([[1, 2], [2, 4]]) / 121, rtol=1e-5)


def test_a_heatmaps_width_becomes_pixels_and_doubt_widens_it():
    spread = np.array([[[[4e-4, 1e-4], [1e-4, 2e-4]]]])
    sure = uncertainty.from_heatmap(spread, np.ones((1, 1)), np.array([200.0]))
    floor = (uncertainty.CROP_FLOOR * 200) ** 2 * np.eye(2)
    np.testing.assert_allclose(sure[0, 0], uncertainty.SPREAD_GAIN * spread[0, 0] * 200**2 + floor)
    half = uncertainty.from_heatmap(spread, np.full((1, 1), 0.5), np.array([200.0]))
    np.testing.assert_allclose(half - floor, 2 * (sure - floor))


def test_a_low_score_is_a_wide_keypoint():
    covariance = uncertainty.from_score(np.array([[1.0, 0.0]]), np.array([100.0]))
    sigma = 100 * np.array([uncertainty.SCORE_FLOOR, uncertainty.SCORE_FLOOR + uncertainty.SCORE_SLOPE])
    np.testing.assert_allclose(covariance[0], sigma[:, None, None] ** 2 * np.eye(2))


def test_who_was_not_looked_at_is_as_unsure_as_a_keypoint_hardly_seen():
    late = Expected(
        key=np.array([4]), track_id=np.array([7]), xy=np.ones((1, 17, 2)), visible=np.ones((1, 17), bool),
        size=np.array([100.0]), unseen_s=np.array([0.1]), age_s=np.array([3.0]),
    )  # fmt: skip
    both = with_expected(People2D.empty("coco17"), late)
    np.testing.assert_allclose(both.covariance[0], np.tile(12.0**2 * np.eye(2), (17, 1, 1)))
    assert (both.track_id.tolist(), both.age_s.tolist()) == ([7], [3.0])


def test_boxes_overlap_by_what_they_share_over_what_they_cover():
    a = np.array([[0.0, 0, 4, 2]])
    b = np.array([[2.0, 0, 6, 2], [0, 0, 4, 2], [9, 9, 10, 10]])
    np.testing.assert_allclose(sightings._iou(a, b), [[4 / 12, 1.0, 0.0]])


def test_half_of_a_body_is_the_whole_body_again():
    """Two people are one by the size of the larger: a second row of head and arms, 8 pixels aside."""
    xy = np.array(
        [(300, 120), (305, 115), (295, 115), (310, 120), (290, 120), (330, 150), (270, 150), (340, 200),
         (260, 200), (345, 240), (255, 240), (320, 260), (280, 260), (322, 350), (278, 350), (324, 440),
         (276, 440)], dtype=float,
    )  # fmt: skip
    score = np.full((3, 17), 0.9)
    score[1, 11:] = 0.0
    people = np.stack([xy + np.array([aside, 0.0]) for aside in (0, 8, 60)])
    kept = suppress_doubles(people, score, np.array([0.6, 0.5, 0.7]), threshold=0.7, visible_above=0.1)
    assert kept.tolist() == [2, 0]
