"""The video source: files and folders at their own pace, with a camera."""

from __future__ import annotations

import threading
from functools import partial

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("diffpose_ros.msg", reason="the package's messages are not built")

from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from diffpose_ros.core import Camera, InputError
from diffpose_ros.media.camera_yaml import write_camera
from diffpose_ros.media.source import VideoSource
from diffpose_ros.nodes import video_source
from diffpose_ros.nodes.video_source import VideoSourceNode
from diffpose_ros.ros.conversions import camera_from_info, stamp_to_ns
from diffpose_ros.ros.images import compressed_to_rgb, image_to_rgb

FRAMES = 6


@pytest.fixture
def folder(tmp_path):
    """Six images of 64 x 48, image ``i`` of brightness ``30 i``."""
    path = tmp_path / "images"
    path.mkdir()
    for i in range(FRAMES):
        cv2.imwrite(str(path / f"{i}.png"), np.full((48, 64, 3), 30 * i, np.uint8))
    return path


def play(bench, node):
    """Activate once the peer listens."""
    assert node.trigger_configure().name == "SUCCESS"
    bench.spin(timeout_s=0.3)
    assert node.trigger_activate().name == "SUCCESS"


def test_a_folder_is_played_once_in_order_with_a_camera_for_each_image(bench, folder):
    node = bench.add(VideoSourceNode, start=False, source=str(folder), fps=20.0, loop=False, frame_id="eye")
    images = bench.listen(Image, "/diffpose/image_raw")
    infos = bench.listen(CameraInfo, "/diffpose/camera_info")
    play(bench, node)
    assert bench.spin(node.finished.is_set)
    assert bench.spin(lambda: len(images) == FRAMES and len(infos) == FRAMES)
    assert [int(image_to_rgb(m)[0, 0, 0]) for m in images] == [30 * i for i in range(FRAMES)]
    assert [m.header.stamp for m in images] == [m.header.stamp for m in infos]
    assert {m.header.frame_id for m in (*images, *infos)} == {"eye"}
    stamps = np.array([stamp_to_ns(m.header.stamp) for m in images]) / 1e9
    assert np.diff(stamps).mean() == pytest.approx(0.05, rel=0.3)
    assert camera_from_info(infos[0]).width == 64


def test_rate_scale_plays_faster(bench, folder):
    node = bench.add(VideoSourceNode, start=False, source=str(folder), fps=2.0, loop=False, rate_scale=20.0)
    play(bench, node)
    assert bench.spin(node.finished.is_set, timeout_s=2.0)  # 2.5 s at its own rate
    assert node.published_frames == FRAMES


def test_a_loop_begins_again_until_deactivated(bench, folder):
    node = bench.add(VideoSourceNode, source=str(folder), fps=100.0, loop=True)
    assert bench.spin(lambda: node.published_frames > 2 * FRAMES)
    assert not node.finished.is_set()
    node.trigger_deactivate()
    at = node.published_frames
    bench.spin(timeout_s=0.2)
    assert node.published_frames == at
    assert not node.stuck


def test_without_a_calibration_the_guess_is_said(bench, folder):
    node = bench.add(VideoSourceNode, source=str(folder), diagonal_fov_deg=60.0)
    assert bench.logged("no camera_file: camera_info is a guess of 60 degrees")
    assert "camera guess" in node.monitor.status().problems


def test_a_calibration_is_published(bench, folder, tmp_path):
    path = tmp_path / "camera.yaml"
    k = np.array([[70.0, 0, 31], [0, 71.0, 23], [0, 0, 1]])
    camera = Camera(matrix=k, width=64, height=48, distortion=[0.1, 0, 0, 0, 0], model="plumb_bob")
    write_camera(path, camera)
    node = bench.add(VideoSourceNode, start=False, source=str(folder), camera_file=str(path), loop=False)
    infos = bench.listen(CameraInfo, "/diffpose/camera_info")
    play(bench, node)
    assert bench.spin(lambda: infos)
    got = camera_from_info(infos[0])
    assert got.matrix == pytest.approx(k)
    assert (got.model, got.distortion[0]) == ("plumb_bob", 0.1)
    assert "camera guess" not in node.monitor.status().problems


def test_compressed_images_are_published_where_asked_for(bench, folder):
    node = bench.add(VideoSourceNode, start=False, source=str(folder), raw=False, compressed=True, loop=False)
    images = bench.listen(CompressedImage, "/diffpose/image_raw/compressed")
    play(bench, node)
    assert bench.spin(lambda: len(images) == FRAMES)
    assert compressed_to_rgb(images[3])[0, 0] == pytest.approx([90, 90, 90], abs=2)


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({}, "parameter 'source': expected a video file"),
        ({"source": "/nowhere/x.mp4"}, "/nowhere/x.mp4: no such file or folder"),
        ({"camera_file": "/nowhere/camera.yaml"}, "/nowhere/camera.yaml"),
    ],
    ids=["none", "missing", "no calibration"],
)
def test_a_wrong_source_fails_configure(bench, folder, parameters, text):
    if "camera_file" in parameters:
        parameters = {"source": str(folder), **parameters}
    node = bench.add(VideoSourceNode, start=False, **parameters)
    assert node.autostart() is False
    assert bench.logged(text)


def test_a_calibration_of_another_size_fails_configure(bench, folder, tmp_path):
    path = tmp_path / "camera.yaml"
    write_camera(path, Camera.from_fov(640, 480))
    node = bench.add(VideoSourceNode, start=False, source=str(folder), camera_file=str(path))
    assert node.autostart() is False
    assert bench.logged("calibrates 640x480")


def test_an_image_that_cannot_be_read_ends_the_stream_with_a_line(bench, folder):
    (folder / "3.png").write_bytes(b"no image")
    node = bench.add(VideoSourceNode, source=str(folder), fps=100.0)
    assert bench.logged("3.png")
    assert bench.spin(node.finished.is_set)
    assert node.published_frames == 3


class HeldSource:
    """A webcam whose read hangs; notices when it is closed under it."""

    name, fps, width, height, pictures, reopens = "held", 30.0, 64, 48, False, False

    def __init__(self):
        self.free, self.inside, self.closed = threading.Event(), threading.Event(), threading.Event()
        self.closed_inside = False

    def __iter__(self):
        self.inside.set()
        self.free.wait(20.0)
        self.closed_inside = self.closed.is_set()
        self.inside.clear()
        yield np.zeros((48, 64, 3), np.uint8), 0

    def close(self):
        self.closed.set()


def test_a_capture_is_not_closed_under_a_thread_that_is_inside_a_read(bench):
    held = HeldSource()
    node = bench.add(partial(VideoSourceNode, open_source=lambda *args, **kwargs: held), source="0")
    assert held.inside.wait(5.0)
    assert node.trigger_deactivate().name == "SUCCESS"
    assert node.trigger_activate().name == "FAILURE"  # the same capture cannot be read twice
    assert node.trigger_cleanup().name == "SUCCESS"
    assert not held.closed.is_set()
    held.free.set()
    assert held.closed.wait(5.0)
    assert not held.closed_inside
    assert node.published_frames == 0


class BreakingStream(VideoSource):
    """A stream that breaks off, cannot be reached, then ends; each connection shows another grey."""

    reopens = True

    def __init__(self):
        super().__init__("rtsp://camera/1", 100.0, (64, 48), None)
        self.connections = 0

    def __iter__(self):
        self.connections += 1
        if self.connections == 2:
            raise InputError("rtsp://camera/1: cannot be opened (refused)")
        yield np.full((48, 64, 3), self.connections, np.uint8), 0
        if self.connections == 1:
            raise InputError("rtsp://camera/1: the stream broke off (reset)")


def test_a_stream_that_breaks_off_is_connected_to_again(bench, monkeypatch):
    monkeypatch.setattr(video_source, "RECONNECT_S", 0.01)
    stream = BreakingStream()
    opened = partial(VideoSourceNode, open_source=lambda *args, **kwargs: stream)
    node = bench.add(opened, source="rtsp://camera/1", loop=True)
    assert bench.spin(lambda: node.published_frames >= 3)
    assert bench.logged("rtsp://camera/1: the stream broke off (reset); connecting again")
    assert not node.finished.is_set()
    assert node.trigger_deactivate().name == "SUCCESS"


def test_a_stream_is_followed_once_where_that_is_asked_for(bench):
    stream = BreakingStream()
    node = bench.add(
        partial(VideoSourceNode, open_source=lambda *args, **kwargs: stream),
        source="rtsp://camera/1",
        loop=False,
    )
    assert bench.spin(node.finished.is_set)
    assert stream.connections == 1
    assert bench.logged("the stream broke off")
