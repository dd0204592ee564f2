"""The keypoints' covariance on its way: through the lens, to the lifter's points, into the place."""

import numpy as np
import pytest

from diffpose_ros.core import COCO17, Camera, InputError
from diffpose_ros.geometry._root_told import HUBER
from diffpose_ros.geometry.mapping import points_covariance
from diffpose_ros.geometry.root import root_translation
from diffpose_ros.geometry.undistort import undistort, undistort_with_covariance

MATRIX = np.array([[500.0, 0, 320], [0, 400, 240], [0, 0, 1]])


def test_through_a_pinhole_pixels_become_tangents():
    camera = Camera(matrix=MATRIX, width=640, height=480)
    pixels = np.array([[100.0, 50.0], [500.0, 400.0]])
    rays, covariance = undistort_with_covariance(pixels, np.tile(np.diag([25.0, 4.0]), (2, 1, 1)), camera)
    np.testing.assert_allclose(rays, undistort(pixels, camera))
    np.testing.assert_allclose(covariance, np.tile(np.diag([25 / 500**2, 4 / 400**2]), (2, 1, 1)), rtol=1e-6)


def test_through_a_lens_it_is_what_samples_say():
    camera = Camera(
        matrix=MATRIX, width=640, height=480, model="plumb_bob", distortion=np.array([-0.3, 0.1, 0.01, 0, 0])
    )
    at, covariance = np.array([560.0, 90.0]), np.array([[9.0, 3.0], [3.0, 4.0]])
    samples = np.random.default_rng(0).multivariate_normal(at, covariance, 20_000)
    _, told = undistort_with_covariance(at[None], covariance[None], camera)
    np.testing.assert_allclose(told[0], np.cov(undistort(samples, camera).T), rtol=0.05, atol=2e-7)


def test_means_of_keypoints_are_surer_than_each():
    covariance = np.tile(np.diag([4.0, 1.0]), (1, 17, 1, 1))
    points = points_covariance(covariance)[0]
    np.testing.assert_allclose(points[1], np.diag([4.0, 1.0]))  # right hip
    np.testing.assert_allclose(points[0], np.diag([2.0, 0.5]))  # between two hips
    np.testing.assert_allclose(points[7], np.diag([1.0, 0.25]))  # between hips and shoulders
    covariance[0, COCO17.index("left_knee")] = np.diag([100.0, 9.0])
    np.testing.assert_allclose(points_covariance(covariance)[0, 5], np.diag([100.0, 9.0]))


def scene(seed=0, people=1):
    rng = np.random.default_rng(seed)
    pose = rng.uniform([-0.4, -0.9, -0.2], [0.4, 0.9, 0.2], (people, 17, 3))
    place = rng.uniform([-1.0, -0.3, 3.0], [1.0, 0.3, 6.0], (people, 3))
    body = pose + place[:, None]
    return rng, pose, place, body[..., :2] / body[..., 2:]


def test_the_place_follows_what_is_sure():
    """All rays are off to the right; those that say they may be, along x, do not move the person."""
    _, pose, place, rays = scene()
    wrong = rays.copy()
    wrong[0, ::2, 0] += 0.05
    told = np.tile(np.eye(2) * 0.002**2, (1, 17, 1, 1))
    told[0, ::2, 0, 0] = 0.05**2
    ones = np.ones((1, 17))
    plain, _ = root_translation(pose, wrong, ones)
    better, _ = root_translation(pose, wrong, ones, ray_covariance=told)
    across = told[..., ::-1, ::-1]
    worse, _ = root_translation(pose, wrong, ones, ray_covariance=across)
    error = [float(np.abs(t[0] - place[0]).max()) for t in (better, plain, worse)]
    assert error[0] < 0.03
    assert error[0] < 0.3 * error[1]
    assert error[2] > 3 * error[0]


def test_its_covariance_is_honest():
    """Rays as noisy as they say: the mean squared Mahalanobis distance of the place is 3."""
    rng, pose, place, rays = scene(seed=1, people=400)
    spread = rng.uniform(0.002, 0.03, (400, 17, 2))
    rays = rays + spread * rng.standard_normal(spread.shape)
    told = spread[..., None] ** 2 * np.eye(2)
    at, covariance = root_translation(pose, rays, np.ones((400, 17)), ray_covariance=told, tangent_noise=1e-4)
    off = at - place
    distance = np.einsum("pi,pi->p", off, np.linalg.solve(covariance, off[..., None])[..., 0])
    assert np.isfinite(distance).all()
    assert 2.0 < distance.mean() < 4.0


def test_it_is_better_than_without():
    rng, pose, place, rays = scene(seed=2, people=200)
    spread = np.where(rng.random((200, 17, 1)) < 0.3, 0.04, 0.002) * np.array([1.0, 0.2])
    rays = rays + spread * rng.standard_normal(rays.shape)
    told = spread[..., None] ** 2 * np.eye(2)
    ones = np.ones((200, 17))
    plain, with_it = (
        np.linalg.norm(root_translation(pose, rays, ones, ray_covariance=c)[0] - place, axis=1).mean()
        for c in (None, told)
    )
    assert with_it < 0.8 * plain


def test_a_ray_that_is_surely_wrong_pulls_no_harder_than_one_at_the_limit():
    """Twice as far off moves the person no farther."""
    _, pose, place, rays = scene(seed=3)
    told = np.tile(np.eye(2) * 0.004**2, (1, 17, 1, 1))
    moved = []
    for off in (0.1, 0.2):
        wrong = rays.copy()
        wrong[0, 10, 0] += off
        at, _ = root_translation(pose, wrong, np.ones((1, 17)), ray_covariance=told)
        moved.append(float(np.linalg.norm(at[0] - place[0])))
    assert moved[1] == pytest.approx(moved[0], rel=0.05)
    assert moved[1] < 0.02


def test_rays_that_contradict_each_other_more_than_they_say_are_doubted():
    """The covariance is that of the weighted fit, times what the residuals say, cut at the limit."""
    rng, pose, _, rays = scene(seed=4)
    seen = np.zeros((1, 17))
    seen[0, [1, 4, 11, 14, 9]] = 1.0
    rays = rays + 0.02 * rng.standard_normal(rays.shape)
    told, noise = np.tile(np.eye(2) * 0.002**2, (1, 17, 1, 1)), 0.001
    at, covariance = root_translation(pose, rays, seen, ray_covariance=told, tangent_noise=noise)
    body, variance = (pose + at[:, None])[0, seen[0] > 0], 0.002**2 + noise**2
    near = body[:, :2] / body[:, 2:]
    off = np.linalg.norm(rays[0, seen[0] > 0] - near, axis=1) / np.sqrt(variance)
    slope = np.concatenate([np.tile(np.eye(2), (5, 1, 1)), -near[..., None]], axis=2) / body[:, 2, None, None]
    trust = np.minimum(1.0, HUBER / off)
    normal = (trust[:, None, None] * slope.swapaxes(1, 2) @ slope).sum(axis=0) / variance
    doubt = (np.minimum(off, HUBER) ** 2).sum() / (2 * 5 - 3)
    assert doubt > 1.2
    np.testing.assert_allclose(covariance[0], doubt * np.linalg.inv(normal), rtol=0.02)


@pytest.mark.parametrize("shape", [(1, 17, 2), (2, 17, 2, 2), (1, 16, 2, 2)])
def test_covariances_of_another_shape_are_refused(shape):
    _, pose, _, rays = scene()
    with pytest.raises(InputError, match=r"expected covariances \(1, 17, 2, 2\)"):
        root_translation(pose, rays, np.ones((1, 17)), ray_covariance=np.zeros(shape))


def test_people_without_an_answer_stay_without_one():
    _, pose, _, rays = scene(people=3)
    weight = np.ones((3, 17))
    weight[1, 2:] = 0
    told = np.tile(np.eye(2) * 1e-4, (3, 17, 1, 1))
    told[1] = np.nan
    at, covariance = root_translation(pose, rays, weight, ray_covariance=told)
    assert np.isfinite(at[[0, 2]]).all()
    assert np.isnan(at[1]).all()
    assert np.isnan(covariance[1]).all()
