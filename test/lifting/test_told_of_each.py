"""What a method is told of each person is that person's own, and nobody's keypoints are lost on the way."""

import numpy as np
from fakes import Still

from diffpose_ros.core import Camera, People2D
from diffpose_ros.lifting import Lifter, LifterConfig


def test_the_second_and_the_third_person_keep_their_own_covariances_and_scores():
    """The first one has too few keypoints. Pixels up to an image's width beside it count, not its height."""
    camera = Camera(np.array([[1000.0, 0, 640], [0, 1000.0, 360], [0, 0, 1]]), 1280, 720)
    xy = np.tile(np.random.default_rng(0).uniform([400, 100], [800, 600], (17, 2)), (3, 1, 1))
    xy[1, 9], xy[1, 10] = (2200.0, 300.0), (300.0, 1500.0)
    score = np.full((3, 17), 0.9)
    score[0, 2:] = 0.0
    covariance = np.array([1.0, 4.0, 9.0])[:, None, None, None] * np.tile(np.eye(2), (3, 17, 1, 1))
    people = People2D(xy=xy, score=score, track_id=[1, 2, 3], person_score=[0.9] * 3, covariance=covariance)
    method, kept = Still(), []
    lifter = Lifter(LifterConfig(), method=method)
    method.step = lambda seen, rows, level: kept.append(seen) or method.answer(len(seen))
    lifter.lift(people, camera, 10**9)
    (seen,) = kept
    np.testing.assert_allclose(seen.covariance[:, 1], 1e-6 * np.array([4.0, 9.0])[:, None, None] * np.eye(2))
    assert seen.score[0, 13] == 0.9  # the left wrist, 920 pixels to the right of the image
    assert seen.score[0, 16] == 0.0  # the right one, 780 below it
