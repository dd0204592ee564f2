"""Depth messages: units, padding, byte order, and which one goes with an image."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from diffpose_ros.core import Camera, InputError
from diffpose_ros.ros.depth import NS, DepthInput, info_topic, metres
from diffpose_ros.ros.target_frame import Rigid

CAMERA = Camera.from_fov(64, 48)
MM = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) + 1000


def message(values=MM, encoding="16UC1", *, stamp_ns=NS, frame="cam", padding=0, big=False, **changes):
    data = values.astype(values.dtype.newbyteorder(">" if big else "<"))
    rows = data.view(np.uint8).reshape(len(values), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    made = SimpleNamespace(
        height=len(values), width=values.shape[1], step=rows.shape[1], encoding=encoding, is_bigendian=big,
        data=rows.tobytes(),
        header=SimpleNamespace(
            frame_id=frame, stamp=SimpleNamespace(sec=stamp_ns // NS, nanosec=stamp_ns % NS)
        ),
    )  # fmt: skip
    made.__dict__.update(changes)
    return made


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("big", [False, True])
def test_millimetres_and_metres_are_metres(padding, big) -> None:
    assert metres(message(padding=padding, big=big)) == pytest.approx(MM / 1000, abs=1e-4)
    floats = (MM / 1000).astype(np.float32)
    floats[3, 4] = np.nan
    got = metres(message(floats, "32FC1", padding=padding * 2, big=big))
    assert np.isnan(got[3, 4])
    assert np.nan_to_num(got) == pytest.approx(np.nan_to_num(floats))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"encoding": "rgb8"}, "expected encoding 16UC1, mono16, 32FC1, got 'rgb8'"),
        ({"width": 0}, "expected 0x48 pixels"),
        ({"step": 100}, "in rows of 100"),
        ({"data": b"12"}, "got 2 bytes"),
    ],
)
def test_a_damaged_image_is_refused(changes, text) -> None:
    with pytest.raises(InputError, match=text):
        metres(message(**changes))


@pytest.mark.parametrize(
    ("depth", "given", "want"),
    [
        ("/cam/depth/image_rect_raw", "", "/cam/depth/camera_info"),
        ("depth", "", "camera_info"),
        ("/cam/depth/image", "/other/info", "/other/info"),
    ],
)
def test_the_calibration_lies_beside_the_image(depth, given, want) -> None:
    assert info_topic(depth, given) == want


class Lookup:
    def __init__(self, newest):
        self.newest = newest

    def latest(self, target, source):
        assert (target, source) == ("cam", "depth_cam")
        return self.newest


def test_the_nearest_in_time_is_taken() -> None:
    depth = DepthInput(None)
    assert depth.at(NS, "cam", CAMERA) == "no depth image has come yet"
    for k in range(4):
        depth.image_came(message(MM + k, stamp_ns=NS + k * NS // 10))
    found = depth.at(NS + NS // 10 + 5, "cam", CAMERA)
    assert (found.stamp_ns, found.camera, depth.said) == (NS + NS // 10, None, "used")
    assert found.z[0, 0] == pytest.approx(1.001)
    assert "within 100 ms" in depth.at(9 * NS, "cam", CAMERA)
    assert depth.said.startswith("not used")


def test_a_bad_image_says_why() -> None:
    depth = DepthInput(None)
    depth.image_came(message(MM.astype(np.float32), "32FC1"))
    assert "are these millimetres" in depth.at(NS, "cam", CAMERA)
    depth.image_came(message(MM * 0, stamp_ns=NS + 1))
    assert "all holes" in depth.at(NS + 1, "cam", CAMERA)


def test_an_unregistered_image_needs_its_camera_and_its_place() -> None:
    motion = Rigid(np.eye(3), np.array([0.05, 0.0, 0.0]))
    depth = DepthInput(Lookup((motion, 0)))
    depth.image_came(message(frame="depth_cam"))
    assert "no camera_info of the depth image yet" in depth.at(NS, "cam", CAMERA)
    depth._camera = Camera.from_fov(64, 48)
    found = depth.at(NS, "cam", CAMERA)
    assert found.translation.tolist() == [0.05, 0.0, 0.0]
    assert found.camera is depth._camera
    depth._lookup = Lookup("frame depth_cam does not exist")
    assert "the transform from depth_cam to cam is missing: frame" in depth.at(NS, "cam", CAMERA)
    depth._lookup = None
    assert "tf2_ros is not installed" in depth.at(NS, "cam", CAMERA)


def test_a_camera_of_another_size_than_its_image_is_said() -> None:
    depth = DepthInput(None)
    depth.image_came(message(MM[:24, :32]))
    depth._camera = CAMERA
    assert "its camera_info is for 64x48, it has 32x24" in depth.at(NS, "cam", CAMERA)
