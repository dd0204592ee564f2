"""``demo`` for real: the nodes, ROS topics, the bundled detector and lifter, on a photograph that
moves. Skips where ROS 2 or the weights are missing."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2's rclpy")
pytest.importorskip("rosbags", reason="needs the rosbags package")

from rosbags.rosbag2 import Reader

from diffpose_ros.media.video import open_source
from diffpose_ros.methods.catalog import model_names

if "starpose" not in model_names():
    pytest.skip("needs the weights of starpose", allow_module_level=True)

PHOTO = Path(__file__).parents[1] / "frontend" / "people.jpg"
FRAMES, FPS = 60, 20.0


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """A camera that glides over the photograph, through the whole command."""
    folder = tmp_path_factory.mktemp("demo")
    photo = cv2.imread(str(PHOTO))
    height, width = photo.shape[:2]
    size = (width - FRAMES // 2, height)
    video = cv2.VideoWriter(
        str(folder / "glide.avi"), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), FPS, size
    )
    for i in range(FRAMES):
        video.write(np.ascontiguousarray(photo[:, i // 2 : i // 2 + size[0]]))
    video.release()
    words = ["demo", "glide.avi", "--output", "out/demo"]
    done = subprocess.run(
        [sys.executable, "-m", "diffpose_ros", *words],
        cwd=folder, capture_output=True, text=True, timeout=420, check=False,
    )  # fmt: skip
    return done, folder


def test_it_ends_well_and_prints_the_table(outcome):
    done, _ = outcome
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    for text in ("frames in", "frames lifted", "age p50", "age p99"):
        assert text in done.stdout


def test_the_video_shows_every_image(outcome):
    _, folder = outcome
    with open_source(folder / "out" / "demo.mp4") as source:
        assert sum(1 for _ in source) == FRAMES


def test_the_bag_holds_what_went_over_the_topics(outcome):
    _, folder = outcome
    with Reader(folder / "out" / "demo") as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
    assert counts["/diffpose/image_raw/compressed"] == FRAMES
    assert counts["/diffpose/camera_info"] == FRAMES
    for topic in ("keypoints", "skeletons", "skeleton", "markers"):
        assert counts[f"/diffpose/{topic}"] > 0, topic


def test_skeletons_stand_in_front_of_the_camera(outcome, store):
    _, folder = outcome
    with Reader(folder / "out" / "demo") as reader:
        chosen = [c for c in reader.connections if c.topic == "/diffpose/skeletons"]
        arrays = [store.deserialize_cdr(data, c.msgtype) for c, _, data in reader.messages(chosen)]
    skeletons = [s for array in arrays for s in array.skeletons]
    assert skeletons
    assert all(0.3 < s.root.z < 30.0 for s in skeletons)
    assert all(len(s.joints) == 17 for s in skeletons)
