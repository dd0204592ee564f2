"""A calibration is read as REP-145 means it: window, binning, rectification, projection, lens names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffpose_ros.core import Camera, InputError
from diffpose_ros.core.calibration import Calibration
from diffpose_ros.geometry import project, undistort

K = [900.0, 0, 640, 0, 900, 360, 0, 0, 1]
D = [-0.32, 0.11, 0.001, -0.0005, -0.02]
P = [820.0, 0, 650, 0, 0, 825, 350, 0, 0, 0, 1, 0]
BENT = Calibration(1280, 720, K, D, "plumb_bob", p=P)
TURN = np.array([[np.cos(0.03), 0, np.sin(0.03)], [0, 1, 0], [-np.sin(0.03), 0, np.cos(0.03)]])
POINTS = np.array([[0.4, -0.3, 4.0], [1.7, 0.2, 4.0], [-2.1, 0.9, 4.0]])


def rectified_pixels(xyz):
    """Where a rectifying node puts points of the optical frame: by P alone."""
    p = np.reshape(P, (3, 4))
    image = xyz @ p[:, :3].T
    return image[:, :2] / image[:, 2:]


@pytest.mark.parametrize("turn", [np.eye(3), TURN], ids=["one camera", "stereo"])
def test_raw_and_rectified_pixels_of_a_point_give_one_ray(turn):
    calibration = replace(BENT, r=turn.ravel())
    raw, flat = calibration.camera(), calibration.camera(rectified=True)
    want = POINTS[:, :2] / POINTS[:, 2:]
    assert undistort(project(POINTS, raw), raw) == pytest.approx(want, abs=1e-8)
    assert undistort(rectified_pixels(POINTS), flat) == pytest.approx(want, abs=1e-12)
    assert project(POINTS, flat) == pytest.approx(rectified_pixels(POINTS))


def test_a_rectified_pixel_is_not_undistorted_again():
    """Taken as raw, a rectified pixel at the image's rim lies decimetres off at 4 m."""
    same_focal = replace(BENT, p=K)
    pixel = np.array([[1200.0, 360.0]])
    flat, raw = (undistort(pixel, same_focal.camera(rectified=r)) for r in (True, False))
    assert 4 * flat[0, 0] == pytest.approx(4 * 560 / 900)
    assert 4 * raw[0, 0] - 4 * flat[0, 0] > 0.3


def test_r_turns_rays_into_the_optical_frame():
    raw = replace(BENT, d=[], model="", r=TURN.ravel()).camera()
    ray = undistort(np.array([[640.0, 360.0]]), raw)[0]
    assert ray == pytest.approx([np.tan(0.03), 0], abs=1e-9)


@pytest.mark.parametrize("bins", [(1, 1), (2, 2), (4, 1)], ids=str)
@pytest.mark.parametrize("roi", [(0, 0, 0, 0), (200, 100, 800, 400)], ids=["all", "window"])
@pytest.mark.parametrize("rectified", [False, True])
def test_windows_and_binning_keep_every_ray(bins, roi, rectified):
    full = BENT.camera(rectified=rectified)
    cut = replace(BENT, roi=roi, binning=bins).camera(rectified=rectified)
    width, height = (roi[2], roi[3]) if roi[2] else (1280, 720)
    assert (cut.width, cut.height) == (width // bins[0], height // bins[1])
    pixels = np.array([[300.0, 200.0], [900.0, 420.0]])
    moved = (pixels - roi[:2]) / bins
    assert undistort(moved, cut) == pytest.approx(undistort(pixels, full), abs=1e-9)


def test_a_window_beside_the_axis_is_a_camera():
    camera = replace(BENT, roi=(1000, 500, 100, 100)).camera()
    assert camera.matrix[:2, 2].tolist() == [-360, -140]


def test_a_window_that_leaves_the_image_is_refused():
    with pytest.raises(InputError, match="expected it inside 1280x720, got 800x400 at 600, 100"):
        replace(BENT, roi=(600, 100, 800, 400)).camera()


@pytest.mark.parametrize(
    ("model", "d", "name"),
    [
        ("", [], "none"),
        ("", [0.0] * 5, "none"),
        ("fisheye", [0.01, 0, 0, 0], "equidistant"),
        ("equidistant", [0.01, 0, 0, 0], "equidistant"),
        ("equi", [0.01, 0, 0, 0], "equidistant"),
        ("radtan", D[:4], "plumb_bob"),
        ("plumb_bob", D, "plumb_bob"),
        ("PLUMB_BOB", D, "plumb_bob"),
        ("plumb_bob", [*D, 0.1, 0, 0], "rational_polynomial"),
        ("rational_polynomial", [*D, 0.1, 0, 0], "rational_polynomial"),
    ],
)
def test_lens_models_go_by_the_names_that_drivers_use(model, d, name):
    assert replace(BENT, d=d, model=model).camera().model == name


def test_a_fisheye_without_coefficients_is_still_none_of_a_pinhole():
    camera = replace(BENT, d=[0, 0, 0, 0], model="fisheye").camera()
    angle = np.deg2rad(50)
    pixel = np.array([[640 + 900 * angle, 360]])
    assert undistort(pixel, camera)[0, 0] == pytest.approx(np.tan(angle))
    assert project([np.sin(angle), 0, np.cos(angle)], camera) == pytest.approx(pixel[0])


@pytest.mark.parametrize("p", [(), [0.0] * 12], ids=["none", "zeros"])
def test_without_p_only_a_plain_lens_is_its_own_rectified_camera(p):
    plain = Calibration(1280, 720, K, [0.0] * 5, "plumb_bob", p=p)
    assert plain.camera(rectified=True).matrix.ravel().tolist() == K
    with pytest.raises(InputError, match="projection matrix: missing, and the image is rectified"):
        replace(BENT, p=p).camera(rectified=True)


def test_a_rectified_image_needs_no_k():
    camera = replace(BENT, k=[0.0] * 9).camera(rectified=True)
    assert camera.focal == (820, 825)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"k": [0.0] * 9}, "camera matrix: all zeros, the camera is not calibrated"),
        ({"k": np.reshape(K, (3, 3)).T.ravel()}, "camera matrix: transposed"),
        ({"k": [True] * 9}, "expected numbers, got true and false"),
        ({"k": [900.0, 900, 640, 900, 900, 360, 0, 0, 1]}, "expected 0 below the diagonal"),
        ({"k": [1.0, 0, 640, 0, 1, 360, 0, 0, 1]}, "expected focal lengths of"),
        ({"k": [900.0, 0, 1e9, 0, 900, 360, 0, 0, 1]}, "expected a principal point near the image"),
        ({"k": [900.0, 0, 640, 0, 900, 5000, 0, 0, 1]}, "expected a principal point near the image"),
        ({"d": [1e8, 0, 0, 0, 0]}, "coefficient 1 is 1e.08, which no lens has"),
        ({"d": [0.1, np.nan, 0, 0, 0]}, "distortion: expected finite"),
        ({"r": [1.0, 1, 0, 0, 1, 0, 0, 0, 1]}, "rectification: expected a rotation"),
        ({"width": 0}, "image size: expected positive, got 0x720"),
        ({"model": ""}, "distortion coefficients without a distortion model"),
    ],
)
def test_what_no_camera_has_is_refused_with_a_reason(changes, text):
    with pytest.raises(InputError, match=text):
        replace(BENT, **changes).camera()


def test_a_telephoto_lens_may_have_large_coefficients():
    k = [12800.0, 0, 640, 0, 12800, 360, 0, 0, 1]
    camera = Calibration(1280, 720, k, [-0.5, 300.0, 0, 0, 1e5], "plumb_bob").camera()
    pixels = np.array([[10.0, 20.0], [640.0, 360.0]])
    rays = undistort(pixels, camera)
    points = np.concatenate([rays, np.ones((2, 1))], axis=1)
    assert project(points, camera) == pytest.approx(pixels, abs=1e-5)


@pytest.mark.parametrize("count", [4, 5, 8, 12, 14])
@pytest.mark.parametrize("wild", [1e30, -1e30, 1e300, 1e9])
def test_one_wild_pixel_costs_only_itself(count, wild):
    d = np.resize([-0.2, 0.05, 1e-3, 1e-3, 0.01, 0.05, 0.01, 0.0, 1e-3, -5e-4, 2e-3, 1e-4, 0.01, -0.02], 14)
    model = "plumb_bob" if count < 8 else "rational_polynomial"
    camera = Calibration(1280, 720, K, d[:count], model).camera()
    alone = undistort(np.array([[600.0, 300.0]]), camera)
    among = undistort(np.array([[wild, 300.0], [600.0, 300.0], [300.0, wild]]), camera)
    assert np.isfinite(among).all()
    assert np.array_equal(among[1], alone[0])


def test_cameras_that_differ_in_their_turn_differ():
    assert not BENT.camera().same_as(replace(BENT, r=TURN.ravel()).camera())
    assert BENT.camera().same_as(replace(BENT, p=()).camera())
    assert isinstance(BENT.camera(), Camera)


def test_cameras_that_differ_in_their_lens_differ():
    other = replace(BENT, d=[-0.3, *D[1:]])
    assert not BENT.camera().same_as(other.camera())


def test_a_field_of_view_is_that_of_the_diagonal():
    """90 degrees over 800 pixels of diagonal are a focal length of 400 pixels."""
    camera = Camera.from_fov(640, 480, diagonal_fov_deg=90.0)
    assert camera.focal == pytest.approx((400.0, 400.0))
    assert camera.matrix[:2, 2].tolist() == [319.5, 239.5]


def test_a_rectified_image_needs_no_lens_model_that_is_known():
    strange = replace(BENT, model="double_sphere", d=[0.1, 0.2])
    assert strange.camera(rectified=True).model == "none"
    with pytest.raises(InputError, match="distortion model"):
        strange.camera()
