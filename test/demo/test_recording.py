"""What the demonstration makes of the messages it heard, without ROS."""

import tracemalloc

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs the rosbags package")

from rosbags.rosbag2 import Reader

from diffpose_ros.demo.recording import HOLD_NS, Recording, read, write_bag, write_video
from diffpose_ros.demo.spool import Spool
from diffpose_ros.media.overlay import Overlay
from diffpose_ros.media.video import open_source

KEYPOINTS, SKELETONS = "/diffpose/keypoints", "/diffpose/skeletons"
NS = 10**9
START = 1_700_000_000 * NS
STEP = 33_333_333


@pytest.fixture
def recording(store, wire):
    """Five images; the second and the fourth were not lifted; two people, one of them once."""
    out = Recording(
        {KEYPOINTS: "diffpose_ros/msg/Person2DArray", SKELETONS: "diffpose_ros/msg/Skeleton3DArray"}
    )
    for i in range(5):
        stamp = START + i * STEP
        out.image_stamps.append(stamp)
        if i % 2 == 0:
            ids = [1, 2] if i == 0 else [1]
            age = 10_000_000 * (i + 1)
            for topic, message in (
                (KEYPOINTS, wire.keypoints(stamp, ids)),
                (SKELETONS, wire.skeletons(stamp, ids, age)),
            ):
                out.messages.append((topic, stamp + age, wire.pack(message)))
    return out


@pytest.fixture
def decoded(recording, store):
    return read(recording, KEYPOINTS, SKELETONS, store.deserialize_cdr)


def test_the_summary_counts_what_happened(decoded):
    _, summary = decoded
    assert (summary.frames_in, summary.frames_lifted) == (5, 3)
    assert (summary.people, summary.skeletons) == (2, 4)
    assert summary.ages_ms.tolist() == [10.0, 30.0, 50.0]
    rows = dict(summary.rows())
    assert rows["rate in"] == "30.0 Hz"
    assert rows["frames lifted"] == "3 (60 %)"
    assert (rows["age p50"], rows["age p99"]) == ("30 ms", "50 ms")


def test_values_survive_the_wire(decoded):
    results, _ = decoded
    people, skeletons = results.at(START)
    assert people.track_id.tolist() == [1, 2]
    assert people.xy[0, 3].tolist() == [3.0, 6.0]
    assert people.age_s[0] == 0.5
    skeleton = skeletons[0]
    assert skeleton.xyz[2] == pytest.approx([1.0, 0.2, 4.0])
    assert skeleton.covariance[0, 1] == pytest.approx([3e-4, 4e-4, 5e-4])
    assert (skeleton.root_is_metric, int(skeleton.state)) == (True, 2)
    assert (skeleton.velocity.tolist(), skeleton.contact.tolist()) == ([0.5, 0.0, -1.0], [0.25, 1.0])
    assert skeleton.size_source == "person height"


def test_an_image_without_a_result_shows_the_last_one(decoded):
    results, _ = decoded
    _, skeletons = results.at(START + STEP)
    assert [s.track_id for s in skeletons] == [1, 2]


def test_a_result_is_not_held_for_ever(decoded):
    results, _ = decoded
    people, skeletons = results.at(START + 4 * STEP + HOLD_NS + 1)
    assert (len(people), skeletons) == (0, ())


def test_nothing_is_shown_before_it_was_known(decoded):
    results, _ = decoded
    assert results.at(START - 1)[1] == ()


def test_an_empty_run_has_a_summary(store):
    empty = Recording({})
    _, summary = read(empty, KEYPOINTS, SKELETONS, store.deserialize_cdr)
    assert dict(summary.rows())["frames lifted"] == "0 (0 %)"


def frames(recording):
    return [(np.full((48, 64, 3), 90, np.uint8), s) for s in recording.image_stamps]


def test_the_video_has_a_picture_for_each_image(tmp_path, recording, decoded):
    done = []
    overlay = Overlay(64, 48)
    write_video(tmp_path / "demo.mp4", frames(recording), decoded[0], overlay, 30.0, lambda: done.append(1))
    with open_source(tmp_path / "demo.mp4") as source:
        assert sum(1 for _ in source) == len(done) == 5
        assert (source.width, source.height) == overlay.size


def test_the_bag_holds_messages_and_images_in_the_order_of_time(tmp_path, recording):
    topic = "/camera/image_raw/compressed"
    write_bag(tmp_path / "demo", recording, frames(recording), topic, "cam", lambda: None)
    with Reader(tmp_path / "demo") as reader:
        rows = [(c.topic, t, bytes(d)) for c, t, d in reader.messages()]
    assert [t for _, t, _ in rows] == sorted(t for _, t, _ in rows)
    assert sum(1 for r in rows if r[0] == topic) == 5
    heard = [(n, t, d) for n, t, d in rows if n != topic]
    assert sorted(heard) == sorted(recording.messages)


def test_a_long_recording_lies_on_disk(tmp_path):
    spool = Spool()
    tracemalloc.start()
    for i in range(2000):
        spool.append((f"/t{i % 3}", START - i, bytes([i % 256]) * 10_000))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2_000_000
    assert len(spool) == 2000
    assert spool[7] == ("/t1", START - 7, bytes([7]) * 10_000)
    spool.append(("/t0", START + 1, b"last"))
    times = [time_ns for _, time_ns, _ in spool.in_time()]
    assert times == [*range(START - 1999, START + 1), START + 1]
    assert list(spool)[-1] == ("/t0", START + 1, b"last")


def test_a_recording_on_a_full_disk_says_so(monkeypatch):
    spool = Spool()
    with open("/dev/full", "w+b", buffering=0) as full:
        monkeypatch.setattr(spool, "_file", full)
        with pytest.raises(OSError, match="No space left"):
            spool.append(("/t", START, b"x"))
    assert len(spool) == 0
