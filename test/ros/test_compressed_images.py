"""Compressed images as drivers send them: whole, cut off, turned, or lying of their size."""

import array
import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from diffpose_ros.core import InputError
from diffpose_ros.ros import images

HEADER = Header(frame_id="eye")


def test_compressed_images_survive_jpeg():
    rgb = np.full((48, 64, 3), (200, 100, 50), np.uint8)
    back = images.compressed_to_rgb(images.rgb_to_compressed(rgb, HEADER, quality=95))
    assert back[10, 10] == pytest.approx([200, 100, 50], abs=4)


def jpeg(**saved):
    """Noise of 64x48, so that there is much to cut off."""
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    PIL.Image.fromarray(noise).save(file, "JPEG", **saved)
    return file.getvalue()


def test_a_compressed_image_stays_as_the_sensor_gave_it():
    """camera_info is of the sensor's image, whatever way up the camera says that it hung."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    data = array.array("B", jpeg(exif=exif))
    assert images.compressed_to_rgb(CompressedImage(format="jpeg", data=data)).shape == (48, 64, 3)


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_jpeg_that_is_cut_off_is_refused_whatever_opencv_makes_of_it(share, monkeypatch):
    monkeypatch.setattr(images.cv2, "imdecode", lambda *a: np.zeros((48, 64, 3), np.uint8))
    whole = jpeg()
    images.compressed_to_rgb(CompressedImage(data=array.array("B", whole + bytes(100))))
    with pytest.raises(InputError, match="expected a whole JPEG"):
        images.compressed_to_rgb(CompressedImage(data=array.array("B", whole[: int(share * len(whole))])))


@pytest.mark.parametrize(
    ("side", "text"), [(60_000, "at most 134 megap"), (12_000, "at most 134 megap"), (300, "cannot be")]
)
def test_a_compressed_image_that_lies_of_its_size_costs_nothing(side, text, monkeypatch):
    file = io.BytesIO()
    PIL.Image.new("RGB", (8, 8)).save(file, "PNG")
    data = bytearray(file.getvalue())
    data[16:24] = struct.pack(">II", side, side)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    decoded = []
    imdecode = images.cv2.imdecode
    monkeypatch.setattr(images.cv2, "imdecode", lambda *a: decoded.append(a) or imdecode(*a))
    with pytest.raises(InputError, match=text):
        images.compressed_to_rgb(CompressedImage(data=array.array("B", data)))
    assert len(decoded) == (side < 1000)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"hello" * 100])
def test_what_is_no_jpeg_is_refused(data):
    with pytest.raises(InputError, match="expected JPEG or PNG"):
        images.compressed_to_rgb(CompressedImage(format="jpeg", data=array.array("B", data)))
