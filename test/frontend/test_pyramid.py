"""Crops of an image at any scale stand where they should."""

import numpy as np
import pytest

from diffpose_ros.frontend.pyramid import Pyramid
from diffpose_ros.frontend.tracked.crops import SMALLEST_PX, Crops


def picture(width=403, height=301, at=(217.3, 150.8), sigma=12.0):
    """A bright spot on black."""
    y, x = np.indices((height, width))
    spot = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * sigma**2))
    return np.repeat((250 * spot).astype(np.uint8)[..., None], 3, axis=2)


def middle(image):
    weight = image[..., 0].astype(float)
    y, x = np.indices(weight.shape)
    return (x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()


@pytest.mark.parametrize("scale", [1.7, 1.0, 0.61, 0.5, 0.27, 0.12])
def test_a_spot_stands_where_the_scale_puts_it(scale):
    corner = np.array([117.3, 50.8])
    size = round(200 * scale)
    cut = Pyramid(picture()).cut(corner, scale, (size, size))
    want = (np.array([217.3, 150.8]) - corner) * scale - 0.5
    assert middle(cut) == pytest.approx(tuple(want), abs=0.12)


def test_the_whole_image_at_its_own_scale_is_itself():
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Pyramid(image).cut(np.full(2, -0.5), 1.0, (80, 60)), image)


def test_shrinking_does_not_alias():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    cut = Pyramid(stripes).cut(np.full(2, -0.5), 0.25, (64, 64))
    assert cut.std() < 2
    assert cut.mean() == pytest.approx(127.5, abs=2)


def test_noise_is_averaged_over_the_pixels_that_become_one():
    """At 1 / 3.9 at least over the four of a halving, so that half of it is left at most."""
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 1), dtype=np.uint8)
    image = np.repeat(noise, 3, axis=2)
    cut = Pyramid(image).cut(np.full(2, -0.5), 1 / 3.9, (100, 100))
    assert cut.std() < 0.5 * image.std()


def test_outside_of_the_image_is_black():
    white = np.full((50, 50, 3), 255, np.uint8)
    cut = Pyramid(white).cut(np.array([-50.5, -0.5]), 1.0, (100, 50))
    assert cut[:, :49].max() == 0
    assert cut[:, 52:].min() == 255


@pytest.mark.parametrize("shape", [(1, 1, 3), (20000, 20, 3), (20, 20000, 3), (3, 4, 3)])
def test_strange_sizes_can_be_cut(shape):
    image = np.full(shape, 7, np.uint8)
    side = max(shape)
    cut = Crops(np.array([[-0.5, -0.5]]), np.array([float(side)])).cut(Pyramid(image), 192)
    assert cut.shape == (1, 192, 192, 3)
    assert cut.max() <= 7


def test_not_contiguous_images_can_be_cut():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    flipped = image[..., ::-1]
    np.testing.assert_array_equal(
        Pyramid(flipped).cut(np.full(2, -0.5), 0.5, (32, 32)),
        Pyramid(np.ascontiguousarray(flipped)).cut(np.full(2, -0.5), 0.5, (32, 32)),
    )


def test_places_in_a_crop_and_in_the_image_agree():
    xy = np.random.default_rng(0).uniform(0, 300, (3, 17, 2))
    crops = Crops.around(xy, np.ones((3, 17), bool))
    np.testing.assert_allclose(crops.to_image(crops.to_unit(xy)), xy)
    unit = crops.to_unit(xy)
    assert unit.min() >= 0
    assert unit.max() <= 1


def test_a_body_of_one_point_still_gets_a_crop():
    crops = Crops.around(np.full((1, 17, 2), 50.0), np.eye(1, 17, dtype=bool))
    assert crops.side[0] == SMALLEST_PX
    np.testing.assert_allclose(crops.corner[0] + SMALLEST_PX / 2, 50)


def test_halving_an_odd_image_keeps_places():
    image = picture(401, 299)
    assert Pyramid(image).level(2).shape == (74, 100, 3)
    assert Pyramid(image).level(20).shape[0] == 1
