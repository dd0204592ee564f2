"""Images become RGB alike with and without cv_bridge."""

from __future__ import annotations

import array
import itertools

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from sensor_msgs.msg import Image

from diffpose_ros.core import InputError
from diffpose_ros.media.encodings import ENCODINGS, to_rgb
from diffpose_ros.ros import images

W, H = 32, 20
BYTES = {
    "rgb8": 3, "8UC3": 3, "8UC4": 4, "8UC1": 1, "16UC3": 6, "16UC4": 8, "uyvy": 2, "yuyv": 2,
    "nv12": 1, "nv21": 1,
    **images.BRIDGED,
}  # fmt: skip


def message(encoding, *, padding=0, big=False, width=W):
    size = BYTES.get(encoding, 2 if encoding.endswith("16") else 1)
    lines = H * 3 // 2 if encoding.startswith("nv") else H  # the colours follow below
    rows = np.random.default_rng(4).integers(0, 256, (lines, width * size + padding), dtype=np.uint8)
    data = array.array("B", rows.tobytes())
    return Image(
        width=width, height=H, encoding=encoding, step=rows.shape[1], data=data, is_bigendian=int(big)
    )


@pytest.fixture(params=["own", "cv_bridge"])
def converter(request, monkeypatch):
    if request.param == "own":
        monkeypatch.setattr(images, "load_bridge", lambda: None)
    elif images.load_bridge() is None:
        pytest.skip("cv_bridge is not installed")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_gives_the_same_picture(converter, encoding):
    for padding, big in itertools.product((0, 8, 13), (False, True)):
        given = message(encoding, padding=padding, big=big)
        got = images.image_to_rgb(given)
        want = to_rgb(given.data, encoding, W, H, given.step, big)
        np.testing.assert_array_equal(got, want, f"{padding} bytes of padding, big-endian: {big}")
        assert (got.shape, got.dtype, got.flags.c_contiguous) == ((H, W, 3), np.uint8, True)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"encoding": "jpeg"}, "got 'jpeg'"),
        ({"encoding": "32FC1"}, "32FC1 holds depth, expected a picture"),
        ({"width": 0}, "expected a positive size, got 0x20"),
        ({"step": 5}, "at least 96 bytes for 32 pixels of bgr8, got 5"),
        ({"data": array.array("B", bytes(10))}, "expected step x height = 1920 bytes, got 10"),
    ],
    ids=["unknown", "depth image", "no width", "step", "data"],
)
def test_what_is_no_image_is_refused(converter, changes, text):
    given = message("bgr8")
    for name, value in changes.items():
        setattr(given, name, value)
    with pytest.raises(InputError, match=text):
        images.image_to_rgb(given)


def test_an_odd_width_of_yuv_is_refused(converter):
    with pytest.raises(InputError, match="expected an even number for yuv422, got 31"):
        images.image_to_rgb(message("yuv422", width=31))


class Broken:
    def imgmsg_to_cv2(self, message, encoding):
        raise RuntimeError("no such conversion")


def test_what_cv_bridge_cannot_convert_is_one_line(monkeypatch):
    monkeypatch.setattr(images, "load_bridge", Broken)
    with pytest.raises(InputError, match="cv_bridge cannot convert bgr8: no such conversion"):
        images.image_to_rgb(message("bgr8"))
