"""Calling the command in this process, and what it printed."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import diffpose_ros.frontend
from diffpose_ros.cli import lift
from diffpose_ros.cli.main import main
from diffpose_ros.core import Camera, People2D, Skeleton
from diffpose_ros.frontend import WholeImage
from diffpose_ros.media.camera_yaml import write_camera

FRAMES = 5


@dataclass
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def mocap(tmp_path):
    """A motion capture file of two seconds of somebody who walks there and back."""
    with np.load(Path(__file__).parents[1] / "data" / "cmu_excerpt.npz") as file:
        there = file["h36m17"][: file["offsets"][1]]
    clip = np.concatenate([there, there[::-1]])[:60]
    np.savez(tmp_path / "mocap.npz", h36m17=clip, coco17=clip, offsets=np.array([0, 60]), fps=30.0)
    return tmp_path / "mocap.npz"


@pytest.fixture
def call(capsys):
    def run(*words: object) -> Outcome:
        code = main([str(w) for w in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "walk.avi"
    out = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (640, 480))
    for _ in range(FRAMES):
        out.write(np.full((480, 640, 3), 120, np.uint8))
    out.release()
    return path


@pytest.fixture
def camera(tmp_path):
    matrix = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    write_camera(tmp_path / "camera.yaml", Camera(matrix=matrix, width=640, height=480))
    return tmp_path / "camera.yaml"


class Eyes:
    """Sees two people apart from each other; nobody in the first frame."""

    name, joint_set, reason = "eyes", "coco17", "nothing"

    def __init__(self):
        self.images = []

    def detect(self, rgb):
        self.images.append(rgb)
        if len(self.images) == 1:
            return People2D.empty()
        k = np.arange(17)
        body = np.stack([10.0 * (k % 4), 8.0 * k], axis=-1)
        return People2D(
            xy=np.stack([body + np.array([100, 100]), body + np.array([400, 150])]),
            score=np.ones((2, 17)),
        )


class Lifter:
    """Puts person i at i metres to the right; remembers cameras and stamps."""

    def __init__(self):
        self.cameras, self.stamps = [], []
        self.around = None

    def lift(self, people, camera, stamp_ns, *, around):
        self.around = around
        self.cameras.append(camera)
        self.stamps.append(stamp_ns)
        skeletons = [
            Skeleton(
                xyz=np.tile([float(t), 0, 4], (17, 1)), covariance=np.zeros((17, 3, 3)),
                score=np.ones(17), root=np.array([float(t), 0, 4]), root_is_metric=False,
                track_id=int(t),
            )
            for t in people.track_id
        ]  # fmt: skip
        return SimpleNamespace(skeletons=skeletons, report=None)


@pytest.fixture
def actors(monkeypatch):
    eyes, lifter = Eyes(), Lifter()
    asked = {}

    def make(name, tracker=None, **options):
        asked.update(options, name=name)
        return WholeImage(eyes, tracker)

    monkeypatch.setattr(diffpose_ros.frontend, "make_front_end", make)
    monkeypatch.setattr(lift, "make_lifter", lambda args: lifter)
    return SimpleNamespace(eyes=eyes, lifter=lifter, asked=asked)
