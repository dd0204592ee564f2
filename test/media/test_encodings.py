"""Every ROS encoding gives the RGB that cv_bridge gives; anything else is refused with a reason."""

import array

import cv2
import numpy as np
import pytest

from diffpose_ros.core import InputError
from diffpose_ros.media.encodings import ENCODINGS, to_rgb

W, H = 32, 20

# encoding -> (bytes per pixel, what cv_bridge calls in OpenCV for "rgb8")
REFERENCE = {
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "8UC3": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "8UC1": (1, cv2.COLOR_GRAY2RGB),
    "8UC4": (4, cv2.COLOR_BGRA2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2RGB),
}
WIDE = {
    "mono16": (1, cv2.COLOR_GRAY2RGB),
    "rgb16": (3, None),
    "bgr16": (3, cv2.COLOR_BGR2RGB),
    "rgba16": (4, cv2.COLOR_RGBA2RGB),
    "bgra16": (4, cv2.COLOR_BGRA2RGB),
    "16UC3": (3, cv2.COLOR_BGR2RGB),
    "16UC4": (4, cv2.COLOR_BGRA2RGB),
    "bayer_rggb16": (1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr16": (1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg16": (1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg16": (1, cv2.COLOR_BayerGB2RGB),
}
PLANES = {"nv12": "UV", "nv21": "VU"}
BYTES = {
    "rgb8": 3,
    **{name: 2 * n for name, (n, _) in WIDE.items()},
    **{name: n for name, (n, _) in REFERENCE.items()},
}


def pixels(channels: int) -> np.ndarray:
    return np.random.default_rng(channels).integers(0, 256, (H, W, channels), dtype=np.uint8)


def test_every_encoding_is_covered_here():
    assert {*BYTES, *PLANES} == set(ENCODINGS)


@pytest.mark.parametrize(("encoding", "order"), PLANES.items())
def test_brightness_and_colour_in_planes_of_their_own(encoding, order):
    value = {"Y": 81, "U": 90, "V": 240}  # BT.601 red
    rows = [[value["Y"]] * W] * H + [[value[c] for c in order * (W // 2)]] * (H // 2)
    padded = np.pad(np.array(rows, np.uint8), ((0, 0), (0, 6)))
    out = to_rgb(padded.tobytes(), encoding, W, H, W + 6)
    assert out.shape == (H, W, 3)
    np.testing.assert_allclose(out, np.full((H, W, 3), [255, 0, 0]), atol=3)
    with pytest.raises(InputError, match="expected 600 bytes"):
        to_rgb(bytes(599), encoding, 20, 20, 20)
    with pytest.raises(InputError, match="height: expected an even number"):
        to_rgb(bytes(1000), encoding, 20, 19, 20)


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_depth_is_no_picture(encoding):
    with pytest.raises(InputError, match=f"{encoding} holds depth, expected a picture: take the colour"):
        to_rgb(bytes(4 * W * H), encoding, W, H, 4 * W)


@pytest.mark.parametrize("encoding", REFERENCE)
def test_same_as_opencv(encoding):
    channels, code = REFERENCE[encoding]
    image = pixels(channels)
    out = to_rgb(image.tobytes(), encoding, W, H, W * channels)
    np.testing.assert_array_equal(out, cv2.cvtColor(image, code))
    assert out.shape == (H, W, 3)
    assert out.dtype == np.uint8


def test_rgb8_is_taken_as_it_is():
    image = pixels(3)
    np.testing.assert_array_equal(to_rgb(image.tobytes(), "rgb8", W, H, W * 3), image)


@pytest.mark.parametrize(
    ("encoding", "first_row", "second_row"),
    [("bayer_rggb8", "RG", "GB"), ("bayer_bggr8", "BG", "GR"),
     ("bayer_gbrg8", "GB", "RG"), ("bayer_grbg8", "GR", "BG")],
)  # fmt: skip
def test_bayer_patterns_start_where_their_name_says(encoding, first_row, second_row):
    colour = {"R": 200, "G": 90, "B": 30}
    tile = np.array([[colour[c] for c in first_row], [colour[c] for c in second_row]], np.uint8)
    mosaic = np.tile(tile, (H // 2, W // 2))
    out = to_rgb(mosaic.tobytes(), encoding, W, H, W)
    np.testing.assert_array_equal(out[4, 4], [200, 90, 30])


@pytest.mark.parametrize(("encoding", "order"), [("yuv422", "UYVY"), ("yuv422_yuy2", "YUYV")])
def test_yuv_byte_order(encoding, order):
    value = {"Y": 81, "U": 90, "V": 240}  # BT.601 red
    seen = iter("UV" * (W // 2))
    row = [value["Y"] if c == "Y" else value[next(seen)] for c in order * (W // 2)]
    out = to_rgb(bytes(row) * H, encoding, W, H, W * 2)
    np.testing.assert_allclose(out[3, 3], [255, 0, 0], atol=3)


@pytest.mark.parametrize("big", [False, True], ids=["little-endian", "big-endian"])
@pytest.mark.parametrize("encoding", WIDE)
def test_16_bits_are_scaled_as_cv_bridge_scales(encoding, big):
    channels, code = WIDE[encoding]
    wide = np.random.default_rng(2).integers(0, 65536, (H, W, channels), dtype=np.uint16)
    data = wide.astype(">u2" if big else "<u2").tobytes()
    out = to_rgb(data, encoding, W, H, 2 * W * channels, is_bigendian=big)
    colour = wide if code is None else cv2.cvtColor(wide, code)
    np.testing.assert_array_equal(out, cv2.convertScaleAbs(colour, alpha=255.0 / 65535.0))


@pytest.mark.parametrize("big", [False, True], ids=["little-endian", "big-endian"])
def test_mono16_is_scaled_as_cv_bridge_scales(big):
    wide = np.random.default_rng(0).integers(0, 65536, (H, W), dtype=np.uint16)
    wide[0, :4] = 0, 128, 129, 65535
    data = wide.astype(">u2" if big else "<u2").tobytes()
    out = to_rgb(data, "mono16", W, H, W * 2, is_bigendian=big)
    want = cv2.convertScaleAbs(cv2.cvtColor(wide, cv2.COLOR_GRAY2RGB), alpha=255.0 / 65535.0)
    np.testing.assert_array_equal(out, want)
    assert out[0, :4, 0].tolist() == [0, 0, 1, 255]


def test_byte_order_does_not_matter_for_bytes():
    image = pixels(3)
    np.testing.assert_array_equal(
        to_rgb(image.tobytes(), "bgr8", W, H, W * 3, is_bigendian=True),
        to_rgb(image.tobytes(), "bgr8", W, H, W * 3),
    )


@pytest.mark.parametrize("encoding", BYTES)
def test_padded_rows(encoding):
    row = W * BYTES[encoding]
    flat = np.random.default_rng(1).integers(0, 256, (H, row), dtype=np.uint8)
    padded = np.full((H, row + 13), 77, np.uint8)
    padded[:, :row] = flat
    np.testing.assert_array_equal(
        to_rgb(padded.tobytes(), encoding, W, H, row + 13),
        to_rgb(flat.tobytes(), encoding, W, H, row),
    )


@pytest.mark.parametrize(
    "wrap",
    [bytes, bytearray, lambda b: memoryview(b), lambda b: array.array("B", b),
     lambda b: np.frombuffer(b, np.uint8)],
    ids=["bytes", "bytearray", "memoryview", "array.array", "ndarray"],
)  # fmt: skip
def test_every_kind_of_buffer(wrap):
    image = pixels(3)
    np.testing.assert_array_equal(to_rgb(wrap(image.tobytes()), "rgb8", W, H, W * 3), image)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8"])
def test_the_result_outlives_the_message(encoding):
    data = bytearray(W * H * BYTES[encoding])
    out = to_rgb(data, encoding, W, H, W * BYTES[encoding])
    data[:] = b"\xff" * len(data)
    assert not out.any()


def test_bytes_after_the_image_are_ignored():
    image = pixels(3)
    np.testing.assert_array_equal(to_rgb(image.tobytes() + b"xyz", "rgb8", W, H, W * 3), image)


@pytest.mark.parametrize(
    ("encoding", "w", "h", "step", "size", "text"),
    [
        ("jpeg", 4, 4, 12, 48, "image encoding: expected one of rgb8, .* got 'jpeg'"),
        ("", 4, 4, 12, 48, "got ''"),
        ("rgb8", 0, 4, 12, 48, "image size: expected positive, got 0x4"),
        ("rgb8", 4, 0, 12, 48, "image size: expected positive, got 4x0"),
        ("rgb8", 4, 4, 11, 48, "at least 12 bytes for 4 pixels of rgb8, got 11"),
        ("mono16", 4, 4, 7, 48, "at least 8 bytes for 4 pixels of mono16, got 7"),
        ("rgb8", 4, 4, 12, 47, r"expected 48 bytes \(step 12 x 4 rows\), got 47"),
        ("rgb8", 4, 4, 12, 0, "expected 48 bytes .* got 0"),
        ("yuv422", 5, 4, 10, 40, "even number for yuv422, got 5"),
        ("bayer_rggb8", 2, 2, 2, 4, "at least 3x3 for bayer_rggb8, got 2x2"),
    ],
)
def test_what_is_not_an_image_is_refused(encoding, w, h, step, size, text):
    with pytest.raises(InputError, match=text):
        to_rgb(bytes(size), encoding, w, h, step)


def test_a_buffer_of_something_else_is_refused():
    with pytest.raises(InputError, match="image data: expected bytes, got str"):
        to_rgb("not bytes", "rgb8", 4, 4, 12)
