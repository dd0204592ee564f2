"""Depth images in a session: one that fits tells distance and size, another changes nothing."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the Python package onnx to make a test graph")

from views import FRAME, S, standing

from diffpose_ros.core.depth import DepthImage


def test_a_depth_image_makes_the_root_metric(make, camera):
    """A flat wall where people are painted on it: the root lies behind its surface."""
    wall = np.full((camera.height, camera.width), 3.0, dtype=np.float32)
    lifter = make()
    for k in range(10):
        now = 10 * S + k * FRAME
        depth = DepthImage(wall, now)
        result = lifter.lift(standing(camera, [[0.2, 0.1, 4.0]]), camera, now, depth=depth)
    (skeleton,) = result.skeletons
    assert (skeleton.size_source, skeleton.root_is_metric) == ("depth", True)
    assert 3.0 < skeleton.root[2] < 3.25
    assert skeleton.root[:2] / skeleton.root[2] == pytest.approx([0.05, 0.025], abs=0.02)
    assert result.report.messages == ()


def test_a_depth_image_that_does_not_fit_changes_nothing(make, camera):
    lifter, free = make(), make()
    for k, (depth, text) in enumerate(
        [
            (DepthImage(np.full((48, 64), 3.0, dtype=np.float32), 10 * S), "it has 64x48 pixels"),
            (DepthImage(np.full((camera.height, camera.width), 3.0), 9 * S), "apart from the image"),
        ]
    ):
        now = 10 * S + k * FRAME
        people = standing(camera, [[0.2, 0.1, 4.0]])
        result = lifter.lift(people, camera, now, depth=depth)
        assert text in result.report.messages[0]
        assert result.skeletons[0].root.tolist() == free.lift(people, camera, now).skeletons[0].root.tolist()
