"""``demo`` with a graph that is only acted: what it asks of the nodes, writes, and says."""

import sys
import types

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs the rosbags package")

from rosbags.rosbag2 import Reader

from diffpose_ros.cli import demo
from diffpose_ros.core import ConfigError
from diffpose_ros.demo import clip
from diffpose_ros.demo.recording import Recording
from diffpose_ros.media.video import open_source

KEYPOINTS, SKELETONS = "/diffpose/keypoints", "/diffpose/skeletons"
START, STEP, FRAMES = 1_700_000_000 * 10**9, 40_000_000, 6


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "walk.avi"
    out = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
    for _ in range(FRAMES):
        out.write(np.full((48, 64, 3), 120, np.uint8))
    out.release()
    return path


@pytest.fixture
def stage(monkeypatch, wire):
    """Acts the graph; ``stage.people`` are the ids it sees, ``stage.error`` is raised instead."""
    state = types.SimpleNamespace(people=[1, 2], error=None, parameters=None, stamps=FRAMES)

    class Acted:
        finished = True
        frames_in = frames_lifted = FRAMES

        def __init__(self, parameters):
            state.parameters = parameters
            if state.error is not None:
                raise state.error
            self.recording = Recording(
                {
                    KEYPOINTS: "diffpose_ros/msg/Person2DArray",
                    SKELETONS: "diffpose_ros/msg/Skeleton3DArray",
                }
            )
            for i in range(state.stamps):
                stamp = START + i * STEP
                self.recording.image_stamps.append(stamp)
                for topic, message in (
                    (KEYPOINTS, wire.keypoints(stamp, state.people)),
                    (SKELETONS, wire.skeletons(stamp, state.people, 30_000_000)),
                ):
                    data = wire.pack(message)
                    self.recording.messages.append((topic, stamp + 30_000_000, data))

        def __enter__(self):
            return self

        def __exit__(self, *error):
            state.closed = True

    module = types.ModuleType("diffpose_ros.demo.graph")
    module.Demonstration, module.KEYPOINTS, module.SKELETONS = Acted, KEYPOINTS, SKELETONS
    module.IMAGES, module.FRAME_ID = "/diffpose/image_raw/compressed", "cam"
    monkeypatch.setitem(sys.modules, "diffpose_ros.demo.graph", module)
    import diffpose_ros.demo as package

    monkeypatch.setattr(package, "graph", module, raising=False)
    monkeypatch.setattr(demo, "SETTLE_S", 0.0)
    return state


def test_it_leaves_a_video_a_bag_and_a_table(call, video, stage, tmp_path):
    outcome = call("demo", video, "--output", tmp_path / "out" / "demo")
    assert outcome.code == 0, outcome.err
    with open_source(tmp_path / "out" / "demo.mp4") as source:
        assert sum(1 for _ in source) == FRAMES
    with Reader(tmp_path / "out" / "demo") as reader:
        topics = {c.topic: c.msgcount for c in reader.connections}
    assert topics == {KEYPOINTS: 6, SKELETONS: 6, "/diffpose/image_raw/compressed": 6}
    for text in ("frames in", "frames lifted", "people", "rate lifted", "age p50", "age p99"):
        assert text in outcome.out
    assert stage.closed


def test_the_nodes_get_what_was_asked_for_and_nothing_else(call, video, stage, tmp_path):
    (tmp_path / "camera.yaml").write_text("")
    outcome = call(
        "demo", video, "--output", tmp_path / "o", "--camera", tmp_path / "camera.yaml",
        "--speed", 2, "--model", "diffpose", "--detector-size", 512,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert stage.parameters == {
        "video_source": {
            "source": str(video), "loop": False, "rate_scale": 2.0,
            "camera_file": str(tmp_path / "camera.yaml"),
        },
        "keypoints": {"input_size": 512},
        "lifter": {"model": "diffpose"},
    }  # fmt: skip


def test_without_a_video_the_clip_and_its_camera_are_taken(call, video, stage, tmp_path, monkeypatch):
    monkeypatch.setattr(clip, "demo_clip", lambda: video)
    outcome = call("demo", "--output", tmp_path / "o")
    assert outcome.code == 0, outcome.err
    assert "Sports2D" in outcome.out
    assert stage.parameters["video_source"]["camera_file"] == str(video.with_suffix(".yaml"))


def test_either_output_can_be_left_out(call, video, stage, tmp_path):
    out = tmp_path / "o"
    assert call("demo", video, "--output", out, "--no-bag", "--no-overlay").code == 0
    assert not out.exists()
    assert not out.with_suffix(".mp4").exists()


def test_lost_stamps_do_not_shift_the_pictures(video):
    with open_source(video) as source:
        stamps = [START + i * STEP for i in (0, 1, 3, 5)]
        pairs = list(demo._paired(source, stamps, 1.0))
    assert [s for _, s in pairs] == stamps


def test_a_video_with_nobody_in_it_is_said_to_be_one(call, video, stage, tmp_path):
    stage.people = []
    outcome = call("demo", video, "--output", tmp_path / "o")
    assert outcome.code == 3
    assert "nobody found in" in outcome.err
    assert outcome.err.count("\n") == 1
    assert (tmp_path / "o.mp4").exists()


def test_a_node_that_does_not_start_is_one_line(call, video, stage, tmp_path):
    stage.error = ConfigError("lifter: model 'unicorn' not found")
    outcome = call("demo", video, "--output", tmp_path / "o", "--model", "unicorn")
    assert outcome.code == 1
    assert outcome.err == "diffpose_ros demo: error: lifter: model 'unicorn' not found\n"


def test_a_folder_that_is_no_bag_is_found_before_the_nodes_start(call, video, stage, tmp_path):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "thesis.txt").write_text("dear")
    outcome = call("demo", video, "--output", tmp_path / "o")
    assert outcome.code == 1
    assert "exists and is not a bag" in outcome.err
    assert stage.parameters is None


def test_a_webcam_is_sent_to_the_launch_file(call, stage, tmp_path):
    outcome = call("demo", "0", "--output", tmp_path / "o")
    assert outcome.code == 1
    assert "lift.launch.py video:=0" in outcome.err


def test_a_missing_video_is_found_before_the_nodes_start(call, stage, tmp_path):
    outcome = call("demo", tmp_path / "none.mp4", "--output", tmp_path / "o")
    assert outcome.code == 1
    assert "none.mp4: no such file" in outcome.err
    assert stage.parameters is None


def test_without_ros_it_says_what_to_do(call, video, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "rclpy", None)
    for name in [n for n in sys.modules if n.startswith(("rclpy.", "diffpose_ros.nodes"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "diffpose_ros.demo.graph", raising=False)
    outcome = call("demo", video, "--output", tmp_path / "o")
    assert outcome.code == 1
    assert "needs the Python package 'rclpy'" in outcome.err
    assert "make setup" in outcome.err


def test_what_lies_at_the_output_needs_overwrite(call, video, stage, tmp_path):
    out = tmp_path / "o"
    assert call("demo", video, "--output", out).code == 0
    outcome = call("demo", video, "--output", out)
    assert outcome.code == 1
    assert "o.mp4: exists already" in outcome.err
    assert call("demo", video, "--output", out, "--overwrite").code == 0


def test_its_own_default_folder_is_replaced(call, video, stage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("demo", video).code == 0
    assert call("demo", video).code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["demo", "demo.mp4"]


def test_the_bag_of_somebody_else_is_never_replaced(call, video, stage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    theirs = tmp_path / "out" / "demo"
    theirs.mkdir(parents=True)
    (theirs / "demo.mcap").write_bytes(b"a week of driving")
    (theirs / "metadata.yaml").write_text("rosbag2_bagfile_information:\n  version: 9\n")
    for words in ([], ["--overwrite"]):
        outcome = call("demo", video, *words)
        assert outcome.code == 1
        assert "is not a bag of diffpose_ros's" in outcome.err
    assert (theirs / "demo.mcap").read_bytes() == b"a week of driving"


def test_a_slash_at_the_end_of_the_output_hides_no_file(call, video, stage, tmp_path):
    assert call("demo", video, "--output", f"{tmp_path}/dm/zz/").code == 0
    assert sorted(p.name for p in (tmp_path / "dm").iterdir()) == ["zz", "zz.mp4"]


@pytest.mark.parametrize("output", ["/", "..", ".", "x" * 300], ids=["root", "up", "here", "long"])
def test_an_output_without_a_name_is_refused(call, video, stage, output):
    outcome = call("demo", video, "--output", output)
    assert outcome.code == 1
    assert "expected a name" in outcome.err


def test_the_video_that_is_played_is_no_output(call, stage, tmp_path, video):
    film = tmp_path / "film.mp4"
    film.write_bytes(video.read_bytes())
    outcome = call("demo", film, "--output", tmp_path / "film", "--overwrite")
    assert outcome.code == 1
    assert "is the file that is read" in outcome.err
    assert film.read_bytes() == video.read_bytes()


def test_a_signal_keeps_what_was_played(call, video, stage, tmp_path, monkeypatch):
    import os
    import signal

    monkeypatch.setattr(demo, "SETTLE_S", 1000.0)
    monkeypatch.setattr(demo.time, "sleep", lambda s: os.kill(os.getpid(), signal.SIGTERM))
    outcome = call("demo", video, "--output", tmp_path / "o")
    assert outcome.code == 143
    assert "o.partial.mp4" in outcome.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o.partial", "o.partial.mp4", "walk.avi"]
    with Reader(tmp_path / "o.partial") as reader:
        assert reader.message_count > 0


@pytest.mark.parametrize(("writer", "kept"), [("write_video", "o"), ("write_bag", "o.partial")])
def test_a_signal_while_it_writes_keeps_what_was_played(
    call, video, stage, tmp_path, monkeypatch, writer, kept
):
    import os
    import signal

    from diffpose_ros.demo import recording

    write = getattr(recording, writer)

    def until_signal(*args):
        *others, _ = args
        return write(*others, lambda: os.kill(os.getpid(), signal.SIGTERM))

    monkeypatch.setattr(recording, writer, until_signal)
    outcome = call("demo", video, "--output", tmp_path / "o")
    assert outcome.code == 143
    assert outcome.err.endswith(f"; what was played is in {tmp_path / kept}\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == [kept, "walk.avi"]
    with Reader(tmp_path / kept) as reader:
        assert reader.message_count > 0


def test_images_that_come_no_more_end_it_with_what_was_played(call, video, stage, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "SETTLE_S", 1000.0)
    monkeypatch.setattr(demo, "STALL_S", 0.1)
    outcome = call("demo", video, "--output", tmp_path / "o")
    assert outcome.code == 1
    assert "no new image for 0.1 s; what was played is in" in outcome.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o.partial", "o.partial.mp4", "walk.avi"]


def test_the_cameras_place_goes_to_the_lifter(call, video, stage, tmp_path):
    place = ("--camera-pitch", 0, "--camera-height", 2.5)
    assert call("demo", video, "--output", tmp_path / "o", *place).code == 0
    assert stage.parameters["lifter"] == {
        "gravity": "angles", "camera_pitch_deg": 0.0, "camera_height": 2.5,
    }  # fmt: skip
