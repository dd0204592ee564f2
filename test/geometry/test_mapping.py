"""COCO's keypoints become the lifter's 21 points: by name, masked where one is missing."""

import numpy as np
import pytest

from diffpose_ros.core import COCO17, H36M17
from diffpose_ros.geometry.mapping import MIRRORED_POINTS, NUM_POINTS, coco_to_points

FACE = ("left_eye", "right_eye", "left_ear", "right_ear")
MEANS = {
    "hip": ("left_hip", "right_hip"),
    "spine": ("left_hip", "right_hip", "left_shoulder", "right_shoulder"),
    "thorax": ("left_shoulder", "right_shoulder"),
}
NAMES = (*H36M17.joints, *FACE)


def sources(name):
    return MEANS.get(name, () if name == "head_top" else (name,))


@pytest.fixture
def people():
    rng = np.random.default_rng(0)
    return rng.normal(100, 50, (3, 17, 2)), rng.uniform(0.1, 1.0, (3, 17))


@pytest.mark.parametrize("name", NAMES)
def test_every_point_is_the_mean_of_its_keypoints_and_as_sure_as_the_least_of_them(people, name):
    xy, score = people
    points, sure = coco_to_points(xy, score)
    assert points.shape == (3, NUM_POINTS, 2)
    assert sure.shape == (3, NUM_POINTS)
    at, rows = NAMES.index(name), [COCO17.index(n) for n in sources(name)]
    if rows:
        np.testing.assert_allclose(points[:, at], xy[:, rows].mean(1))
        np.testing.assert_allclose(sure[:, at], score[:, rows].min(1))
    else:
        assert (points[:, at] == 0).all()
        assert (sure[:, at] == 0).all()


@pytest.mark.parametrize("lost", COCO17.joints)
def test_a_point_with_a_missing_keypoint_is_masked_and_no_other(people, lost):
    xy, score = people
    score[1, COCO17.index(lost)] = 0
    points, sure = coco_to_points(xy, score)
    for at, name in enumerate(NAMES):
        masked = name == "head_top" or lost in sources(name)
        assert (sure[1, at] == 0) == masked
        assert (points[1, at] == 0).all() == masked
    assert (sure[[0, 2]][:, NAMES.index("hip")] > 0).all()


def test_left_and_right_change_places_together(people):
    xy, score = people
    a, sure = coco_to_points(xy, score)
    flip = list(COCO17.flip)
    b, other = coco_to_points(xy[:, flip], score[:, flip])
    np.testing.assert_allclose(b, a[:, list(MIRRORED_POINTS)])
    np.testing.assert_allclose(other, sure[:, list(MIRRORED_POINTS)])
    assert sorted(MIRRORED_POINTS) == list(range(NUM_POINTS))


def test_any_leading_shape(people):
    xy, score = people
    a, sure = coco_to_points(xy, score)
    b, other = coco_to_points(xy[0], score[0])
    np.testing.assert_array_equal(b, a[0])
    np.testing.assert_array_equal(other, sure[0])
