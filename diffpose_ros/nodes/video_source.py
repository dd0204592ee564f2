"""Publishes a video file, a folder of images or a webcam as ``image_raw`` and ``camera_info``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from diffpose_ros.core import Camera, InputError
from diffpose_ros.media.camera_yaml import read_camera
from diffpose_ros.media.video import VideoSource, open_source
from diffpose_ros.nodes.process import run_node
from diffpose_ros.ros import conversions, images, qos
from diffpose_ros.ros.handover import READERS
from diffpose_ros.ros.lifecycle import PipelineNode
from diffpose_ros.ros.parameters import Spec

SPECS = (
    Spec("source", str, "Video file, image folder, webcam (0, /dev/video0) or URL (rtsp://...).",
         fixed=True),
    Spec("camera_file", str, "Calibration file (ROS, Kalibr, OpenCV); empty: a guess from diagonal_fov_deg.",
         fixed=True),
    Spec("diagonal_fov_deg", float, "Diagonal field of view for that guess, degrees.",
         10.0, 170.0, fixed=True),
    Spec("frame_id", str, "Optical frame of the camera.", fixed=True),
    Spec("rate_scale", float, "Playback speed; 1: the source's own rate.", 0.01, 100.0),
    Spec("fps", float, "Frame rate of a folder or webcam, Hz; 0: the source's own.",
         0.0, 1000.0, fixed=True),
    Spec("loop", bool, "Restart at the end, and reconnect to a broken stream; otherwise stop."),
    Spec("raw", bool, "Publish image_raw.", fixed=True),
    Spec("compressed", bool, "Publish image_raw/compressed.", fixed=True),
    Spec("jpeg_quality", int, "JPEG quality of image_raw/compressed.", 1, 100),
)  # fmt: skip

RECONNECT_S = 1.0
"""From the end of a stream to the next attempt."""


class VideoSourceNode(PipelineNode):
    """The node.

    Attributes:
        finished: set when a source that does not loop has ended.
        published_frames: frames published since activation.
    """

    def __init__(self, *, open_source: Callable[..., VideoSource] = open_source, **node_kwargs: Any) -> None:
        super().__init__("video_source", SPECS, **node_kwargs)
        self._open = open_source
        self.finished = threading.Event()
        self.published_frames = 0
        self._halt = threading.Event()
        self._reader: threading.Thread | None = None
        self._closing = threading.Lock()
        self._reading = self._orphaned = False
        self._source: VideoSource | None = None
        self._calibration: Camera | None = None
        self._camera: Camera | None = None

    def setup(self) -> None:
        """Open the source and the calibration."""
        p = self.parameters
        if not p["source"]:
            raise InputError("parameter 'source': expected a video file, a folder or a webcam")
        source = self._open(p["source"], fps=p["fps"] or None)
        self._source = source
        if source.pictures:
            raise InputError(f"{source.name}: the images differ in size; a camera's are all of one")
        self.hardware_id = source.name
        if p["camera_file"]:
            camera = read_camera(p["camera_file"], frame_id=p["frame_id"])
            if (camera.width, camera.height) != (source.width, source.height):
                raise InputError(
                    f"{p['camera_file']}: calibrates {camera.width}x{camera.height}, "
                    f"the images of {source.name} are {source.width}x{source.height}"
                )
            self._calibration = camera
        else:
            self.trouble(
                "camera guess",
                f"no camera_file: camera_info is a guess of {p['diagonal_fov_deg']:g} degrees "
                "diagonal field of view, so distances are not metric",
                sticky=True,
            )
        self._images = self.publisher(Image, "image_raw", qos.IMAGE_OUT) if p["raw"] else None
        self._compressed = (
            self.publisher(CompressedImage, "image_raw/compressed", qos.IMAGE_OUT)
            if p["compressed"]
            else None
        )
        self._infos = self.publisher(CameraInfo, "camera_info", qos.RESULT)
        self.monitor.value("source", f"{source.name} {source.width}x{source.height}")

    def start(self) -> None:
        """Read and publish on a thread."""
        if self._reader is not None and self._reader.is_alive():
            raise InputError(f"{self.hardware_id}: still inside a read that was to stop; unplug it or wait")
        assert self._source is not None
        self._halt = threading.Event()
        self.finished.clear()
        self.published_frames = 0
        self._reading, self._orphaned = True, False
        self._reader = threading.Thread(
            target=self._run, args=(self._source, self._halt), name="video", daemon=True
        )
        self._reader.start()

    def stop(self) -> None:
        """Stop reading."""
        self._halt.set()
        if self._reader is not None:
            self._reader.join(1.5)
            if self._reader.is_alive():
                self.stuck = True
            else:
                self._reader = None

    def teardown(self) -> None:
        """Close the source; a thread that is inside a read closes it when that returns."""
        source, self._source = self._source, None
        self._calibration = self._camera = None
        if source is None:
            return
        with self._closing:
            self._orphaned = self._reading
        if not self._orphaned:
            source.close()

    def _run(self, source: VideoSource, halt: threading.Event) -> None:
        try:
            self._read(source, halt)
        finally:
            with self._closing:
                self._reading = False
                if self._orphaned:
                    source.close()

    def _read(self, source: VideoSource, halt: threading.Event) -> None:
        try:
            while not halt.is_set():
                before = self.published_frames
                if source.reopens and self.parameters["loop"]:
                    self._follow(source, halt)
                    continue
                self._play(source, halt)
                if halt.is_set() or not self.parameters["loop"]:
                    break
                if self.published_frames == before:
                    raise InputError(f"{source.name}: holds no frames")
        except Exception as error:
            self.failed(error)
        if not halt.is_set():
            self.monitor.value("source", f"{source.name}: ended")
            self.finished.set()

    def _follow(self, source: VideoSource, halt: threading.Event) -> None:
        """A stream until it ends or breaks off; then a moment's rest, so that it can be tried again."""
        try:
            self._play(source, halt)
            why = "the stream ended"
        except InputError as error:
            why = str(error)
        if not halt.is_set():
            self.trouble("stream", f"{source.name}: {why.removeprefix(f'{source.name}: ')}; connecting again")
            halt.wait(RECONNECT_S)

    def _play(self, source: VideoSource, halt: threading.Event) -> None:
        due = time.monotonic()
        last_ns: int | None = None
        for image, t_ns in source:
            if last_ns is not None:
                due += (t_ns - last_ns) / 1e9 / self.parameters["rate_scale"]
            last_ns = t_ns
            wait = due - time.monotonic()
            if wait > 0:
                halt.wait(wait)
            elif wait < -0.5:
                # too slow to catch up: play on from here instead of in a burst
                due = time.monotonic()
                self.monitor.count("late")
            if halt.is_set():
                return
            self._publish(image)

    def _publish(self, image: images.Image) -> None:
        camera = self._camera_for(image)
        header = Header(stamp=conversions.ns_to_stamp(self.now_ns()), frame_id=self.parameters["frame_id"])
        self._infos.publish(conversions.camera_to_info(camera, header))
        if self._images is not None and (matched := self._images.get_subscription_count()):
            topic = self._images.topic_name
            if not READERS.hand_over(self.context, topic, header, image, matched):
                self._images.publish(images.rgb_to_image(image, header))
        if self._compressed is not None and self._compressed.get_subscription_count():
            quality = self.parameters["jpeg_quality"]
            self._compressed.publish(images.rgb_to_compressed(image, header, quality=quality))
        self.published_frames += 1
        self.monitor.published(self.now_ns() / 1e9 - conversions.stamp_to_ns(header.stamp) / 1e9)

    def _camera_for(self, image: images.Image) -> Camera:
        if self._calibration is not None:
            return self._calibration
        height, width = image.shape[:2]
        if self._camera is None or (self._camera.width, self._camera.height) != (width, height):
            self._camera = Camera.from_fov(
                width,
                height,
                diagonal_fov_deg=self.parameters["diagonal_fov_deg"],
                frame_id=self.parameters["frame_id"],
            )
        return self._camera


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(VideoSourceNode, args)
