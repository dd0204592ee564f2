"""The keypoints' covariance reaches the method as rays, and the place of the person."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the Python package onnx to make a test graph")

from views import FRAME, standing

LIMBS = [7, 8, 9, 10, 13, 14, 15, 16]


def told(people, x_px, y_px):
    covariance = np.tile(np.diag([float(x_px) ** 2, float(y_px) ** 2]), (len(people), 17, 1, 1))
    return replace(people, covariance=covariance)


def observed(lifter, people, camera):
    """What the method sees of a frame."""
    kept = []
    step = lifter.method.step

    def note(seen, rows, level):
        kept.append(seen)
        return step(seen, rows, level)

    lifter.method.step = note
    lifter.lift(people, camera, 0)
    return kept[0]


def test_methods_see_it_in_the_units_of_rays(make, camera):
    people = told(standing(camera, [[0.3, 0.0, 4.0]]), 6.0, 3.0)
    covariance = observed(make(), people, camera).covariance
    assert covariance.shape == (1, 21, 2, 2)
    sides = np.array([camera.matrix[0, 0], camera.matrix[1, 1]])
    np.testing.assert_allclose(covariance[0, 1], np.diag((np.array([6.0, 3.0]) / sides) ** 2), atol=1e-9)


def test_without_it_methods_see_none(make, camera):
    assert observed(make(), standing(camera, [[0.3, 0.0, 4.0]]), camera).covariance is None


def test_doubtful_limbs_do_not_pull_the_person_along(make, camera):
    """Both arms and legs are off to the right. Where they are doubtful along x, the trunk decides."""
    right = standing(camera, [[0.0, 0.0, 4.0]])
    xy = right.xy.copy()
    xy[0, LIMBS, 0] += 60.0
    wrong = replace(right, xy=xy)
    lifted = {}
    for name, doubt in (("none", None), ("along", (60.0, 2.0)), ("across", (2.0, 60.0))):
        people = wrong
        if doubt is not None:
            covariance = np.tile(4.0 * np.eye(2), (1, 17, 1, 1))
            covariance[0, LIMBS] = np.diag(np.square(doubt))
            people = replace(wrong, covariance=covariance)
        lifter = make()
        first = lifter.lift(right, camera, 0).skeletons[0].root[0]
        lifted[name] = abs(lifter.lift(people, camera, FRAME).skeletons[0].root[0] - first)
    assert lifted["along"] < 0.7 * lifted["none"]
    assert lifted["along"] < 0.7 * lifted["across"]
