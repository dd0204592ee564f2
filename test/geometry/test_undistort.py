"""Undistortion is the inverse of the lens, and stays finite where the lens has none."""

import cv2
import numpy as np
import pytest

from diffpose_ros.core import Camera, InputError
from diffpose_ros.geometry import project, undistort

K = np.array([[900.0, 0, 640], [0, 870.0, 360], [0, 0, 1]])
SKEWED = np.array([[900.0, 12.5, 640], [0, 870.0, 360], [0, 0, 1]])

LENSES = {
    "none": ("none", []),
    "plumb_bob without coefficients": ("plumb_bob", []),
    "plumb_bob 4": ("plumb_bob", [-0.28, 0.09, 0.001, -0.0007]),
    "plumb_bob 5": ("plumb_bob", [-0.35, 0.15, 0.001, -0.0007, -0.03]),
    "plumb_bob pincushion": ("plumb_bob", [0.3, 0.05, 0.0, 0.0, 0.0]),
    "rational 8": ("rational_polynomial", [8.6, 5.3, 1e-4, -2e-4, 0.3, 9.0, 8.1, 1.4]),
    "rational 12": (
        "rational_polynomial",
        [-0.2, 0.05, 1e-3, 1e-3, 0, 0.05, 0.01, 0, 1e-3, -5e-4, 2e-3, 1e-4],
    ),
    "rational 14, tilted sensor": (
        "rational_polynomial",
        [-0.2, 0.05, 1e-3, 1e-3, 0, 0.05, 0.01, 0, 1e-3, -5e-4, 2e-3, 1e-4, 0.01, -0.02],
    ),
    "equidistant": ("equidistant", [-0.01, 0.03, -0.02, 0.004]),
    "equidistant, zeros": ("equidistant", [0.0, 0.0, 0.0, 0.0]),
}


def camera(lens: str, matrix: np.ndarray = K) -> Camera:
    model, d = LENSES[lens]
    return Camera(matrix=matrix, width=1280, height=720, model=model, distortion=np.array(d))


def rays_in_view() -> np.ndarray:
    u, v = np.meshgrid(np.linspace(-0.6, 0.6, 25), np.linspace(-0.38, 0.38, 17))
    return np.stack([u, v], axis=-1)


@pytest.mark.parametrize("matrix", [K, SKEWED], ids=["fx != fy", "with skew"])
@pytest.mark.parametrize("lens", LENSES)
def test_undistort_undoes_project(lens, matrix):
    cam = camera(lens, matrix)
    rays = rays_in_view()
    xyz = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1) * 3.7
    back = undistort(project(xyz, cam), cam)
    assert back.shape == rays.shape
    np.testing.assert_allclose(back, rays, atol=1e-7)


@pytest.mark.parametrize("lens", ["plumb_bob 5", "rational 8", "rational 14, tilted sensor"])
def test_project_agrees_with_opencv(lens):
    cam = camera(lens)
    rng = np.random.default_rng(0)
    xyz = rng.uniform([-1, -0.6, 2], [1, 0.6, 4], (50, 3))
    want, _ = cv2.projectPoints(xyz, np.zeros(3), np.zeros(3), K, cam.distortion)
    np.testing.assert_allclose(project(xyz, cam), want.reshape(-1, 2), atol=1e-9)


@pytest.mark.parametrize("lens", ["plumb_bob 5", "rational 8", "plumb_bob pincushion"])
def test_a_strong_lens_is_undone_far_from_the_axis(lens):
    cam = camera(lens)
    rays = np.stack([np.linspace(-0.9, 0.9, 19), np.full(19, 0.3)], axis=-1)
    back = undistort(project(np.concatenate([rays, np.ones((19, 1))], axis=1), cam), cam)
    np.testing.assert_allclose(back, rays, atol=1e-8)


@pytest.mark.skipif(not hasattr(cv2, "fisheye"), reason="this OpenCV has no fisheye module")
def test_equidistant_agrees_with_opencv_fisheye():
    cam = camera("equidistant")
    rng = np.random.default_rng(1)
    xyz = rng.uniform([-3, -2, 1], [3, 2, 2], (1, 50, 3))
    want, _ = cv2.fisheye.projectPoints(xyz, np.zeros(3), np.zeros(3), K, cam.distortion)
    np.testing.assert_allclose(project(xyz[0], cam), want.reshape(-1, 2), atol=1e-8)


def test_a_fisheye_reaches_rays_far_from_the_axis():
    cam = Camera(
        matrix=np.array([[300.0, 0, 640], [0, 300.0, 360], [0, 0, 1]]),
        width=1280, height=720, model="equidistant",
        distortion=np.array([-0.01, 0.003, -0.002, 0.0]),
    )  # fmt: skip
    angle = np.deg2rad([10, 45, 85])
    rays = np.stack([np.tan(angle), np.zeros(3)], axis=-1)
    back = undistort(project(np.concatenate([rays, np.ones((3, 1))], axis=1), cam), cam)
    np.testing.assert_allclose(back, rays, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("lens", LENSES)
def test_pixels_that_no_ray_reaches_stay_finite(lens):
    cam = camera(lens)
    far = np.array([[-1e5, -1e5], [1e5, 20.0], [3000.0, 3000.0], [640.0, -9000.0], [640.0, 360.0]])
    out = undistort(far, cam)
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out[-1], 0.0, atol=5e-3)


def test_beyond_the_fold_the_ray_keeps_its_direction():
    cam = camera("plumb_bob 4")
    out = undistort(np.array([[640.0 + 3000, 360.0]]), cam)[0]
    inside = undistort(np.array([[640.0 + 500, 360.0]]), cam)[0]
    assert out[0] > inside[0] > 0
    assert abs(out[1]) < 0.1 * out[0]


def test_shapes_are_kept_down_to_nobody():
    cam = camera("plumb_bob 5")
    assert undistort(np.zeros((0, 17, 2)), cam).shape == (0, 17, 2)
    assert undistort([640.0, 360.0], cam).shape == (2,)
    assert project(np.zeros((0, 17, 3)), cam).shape == (0, 17, 2)


def test_points_behind_the_camera_have_no_pixel():
    out = project(np.array([[0, 0, 2.0], [0, 0, -2.0], [0, 0, 0.0], [np.nan, 0, 1]]), camera("none"))
    assert np.isfinite(out[0]).all()
    assert np.isnan(out[1:]).all()


@pytest.mark.parametrize(
    ("pixels", "text"),
    [
        (np.zeros((4, 3)), r"expected shape \(..., 2\), got \(4, 3\)"),
        (np.array([[np.nan, 1.0]]), "got NaN or infinity"),
        (np.array([[np.inf, 1.0]]), "got NaN or infinity"),
    ],
)
def test_bad_pixels_are_refused(pixels, text):
    with pytest.raises(InputError, match=text):
        undistort(pixels, camera("none"))


def test_bad_points_are_refused():
    with pytest.raises(InputError, match=r"expected shape \(..., 3\), got \(4, 2\)"):
        project(np.zeros((4, 2)), camera("none"))


def test_a_fisheye_without_coefficients_is_the_ideal_one():
    """The radius of a pixel is the ray's angle times the focal length."""
    cam = Camera(matrix=K, width=1280, height=720, model="equidistant", distortion=np.zeros(0))
    angle = np.deg2rad(40)
    pixel = project([np.sin(angle), 0.0, np.cos(angle)], cam)
    np.testing.assert_allclose(pixel, [640 + 900 * angle, 360.0], rtol=1e-12)
    np.testing.assert_allclose(undistort(pixel, cam), [np.tan(angle), 0.0], atol=1e-9)


def test_one_point_and_one_number():
    assert project([0.0, 0.0, 2.0], camera("none")).tolist() == [640.0, 360.0]
    with pytest.raises(InputError, match=r"expected shape \(..., 3\), got \(\)"):
        project(3.0, camera("none"))
    with pytest.raises(InputError, match=r"expected shape \(..., 2\), got \(\)"):
        undistort(3.0, camera("none"))
