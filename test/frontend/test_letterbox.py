"""Fitting an image into the network's input and back loses no place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffpose_ros.frontend.detectors import Letterbox

SIZES = st.integers(16, 4000)


@given(width=SIZES, height=SIZES, longer=st.sampled_from([256, 384, 512]))
def test_round_trip(width, height, longer):
    box = Letterbox.fit(width, height, longer)
    xy = np.random.default_rng(0).uniform(0, 1, (17, 2)) * (width, height)
    np.testing.assert_allclose(box.to_image(box.to_input(xy)), xy, atol=1e-6)


@given(width=SIZES, height=SIZES, longer=st.sampled_from([256, 384, 512]))
def test_the_image_fits_and_is_hardly_bent(width, height, longer):
    box = Letterbox.fit(width, height, longer)
    assert (box.width % 32, box.height % 32) == (0, 0)
    assert max(box.width, box.height) == longer
    for side, scale, padded in (
        (width, box.scale_x, box.width), (height, box.scale_y, box.height),
    ):  # fmt: skip
        assert round(side * scale) <= padded < round(side * scale) + 32
        assert abs(side * scale - side * longer / max(width, height)) <= 1


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (1920, 1080), (100, 60), (33, 1999)])
def test_a_mark_in_the_image_lands_where_to_input_says(size):
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    x, y = int(width * 0.6), int(height * 0.7)
    radius = max(1, max(size) // 60)
    image[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1] = 255
    seen = np.argwhere(image[..., 0] > 0)[:, ::-1].mean(0)
    box = Letterbox.fit(width, height, 384)
    padded = box.apply(image)
    assert padded.shape == (box.height, box.width, 3)
    weight = padded[..., 0].astype(float)
    ys, xs = np.mgrid[: box.height, : box.width]
    found = np.array([(weight * xs).sum(), (weight * ys).sum()]) / weight.sum()
    np.testing.assert_allclose(found, box.to_input(seen), atol=0.51)


def test_padding_is_black_and_at_the_right_and_bottom():
    box = Letterbox.fit(1920, 1080, 384)
    padded = box.apply(np.full((1080, 1920, 3), 255, np.uint8))
    assert (padded[:216, :384] == 255).all()
    assert not padded[216:].any()
