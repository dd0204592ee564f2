"""Whatever the precision of what goes in, geometry is worked out in double precision."""

import numpy as np
import pytest

from diffpose_ros.core import Camera
from diffpose_ros.geometry import project, root_translation, stature, undistort
from diffpose_ros.geometry.mapping import coco_to_points

RNG = np.random.default_rng(0)
CAMERA = Camera(
    matrix=np.array([[900.0, 0, 640], [0, 870.0, 360], [0, 0, 1]]), width=1280, height=720,
    model="plumb_bob", distortion=np.array([-0.28, 0.09, 0.001, -0.0007]),
)  # fmt: skip
POSE = RNG.normal(0, 0.4, (2, 17, 3))
CASES = {
    "points": (coco_to_points, (RNG.uniform(0, 700, (2, 17, 2)), RNG.uniform(0.2, 1, (2, 17)))),
    "undistort": (lambda xy: undistort(xy, CAMERA), (RNG.uniform(0, 700, (5, 2)),)),
    "project": (lambda xyz: project(xyz, CAMERA), (POSE + np.array([0, 0, 4.0]),)),
    "root": (root_translation, (POSE, (POSE / (POSE[..., 2:] + 4))[..., :2], RNG.uniform(0.2, 1, (2, 17)))),
    "stature": (stature, (POSE,)),
}


@pytest.mark.parametrize("name", CASES)
def test_single_precision_in_is_worked_out_in_double(name):
    function, arguments = CASES[name]
    single = [np.asarray(a, dtype=np.float32) for a in arguments]
    exact = function(*(a.astype(np.float64) for a in single))
    got = function(*single)
    for a, b in zip(got, exact, strict=True) if isinstance(got, tuple) else [(got, exact)]:
        assert np.asarray(a).dtype == np.float64
        np.testing.assert_array_equal(a, b)
    lists = function(*(a.tolist() for a in single))
    np.testing.assert_array_equal(np.asarray(lists[0]), np.asarray(exact[0]))
