"""``bench --frontend``: every stage from the image to the skeleton, on images of as many people as asked."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from diffpose_ros.bench import frontend, frontend_report
from diffpose_ros.bench.scenes import cut_out, follow, side_by_side
from diffpose_ros.cli import frontend_bench
from diffpose_ros.core import InputError, People2D

PERIOD_NS = 33_333_333


def person(x, y, height, track):
    """Somebody whose keypoints span ``height`` pixels around (x, y)."""
    xy = np.tile([x, y], (17, 1)).astype(float)
    xy[0, 1], xy[1, 1] = y - height / 2, y + height / 2
    return xy, track


def people_of(*rows):
    if not rows:
        return People2D.empty()
    return People2D(
        xy=np.stack([xy for xy, _ in rows]), score=np.full((len(rows), 17), 0.9),
        track_id=np.array([track for _, track in rows]),
    )  # fmt: skip


class Seeing:
    """A front end that sees what it is told, a list per frame."""

    def __init__(self, frames):
        self.frames, self.at = frames, -1

    def see(self, rgb, stamp_ns):
        self.at += 1
        return self.frames[self.at]


def images(count):
    return [(np.full((90, 160, 3), i, np.uint8), i * PERIOD_NS) for i in range(count)]


def test_whoever_is_seen_longest_without_a_gap_is_followed():
    frames = [people_of(person(30, 40, 50, 1))] * 8 + [people_of(person(90, 50, 60, 2))] * 12
    frames += [people_of(person(30, 40, 50, 1))] * 8
    found, boxes = follow(images(28), Seeing(frames), 100)
    assert found == range(8, 20)
    np.testing.assert_allclose(boxes, np.tile([90, 50, 60], (12, 1)))


def test_no_more_images_than_asked_are_looked_at_and_too_few_are_refused():
    seeing = Seeing([people_of(person(30, 40, 50, 1))] * 30)
    found, _ = follow(images(30), seeing, 12)
    assert len(found) == 12
    assert seeing.at == 11
    with pytest.raises(InputError, match="expected somebody in 10 images in a row, got 9 images"):
        follow(images(30), Seeing([people_of(person(30, 40, 50, 1))] * 30), 9)
    with pytest.raises(InputError, match="got 0 images"):
        follow(images(30), Seeing([people_of()] * 30), 30)


def test_the_tiles_are_of_the_images_in_which_the_person_was_seen(monkeypatch):
    """The video is read twice, so that only the tiles stay in memory."""

    class Video:
        name = "a.mp4"
        reads = 0

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def __iter__(self):
            self.reads += 1
            return iter(images(28))

    class Front(Seeing):
        def close(self):
            pass

    seen = [people_of()] * 5 + [people_of(person(90, 50, 60, 2))] * 12 + [people_of()] * 11
    video = Video()
    monkeypatch.setattr(frontend_bench, "make_front_end", lambda name: Front(seen))
    monkeypatch.setattr(frontend_bench, "open_source", lambda name: video)
    tiles = frontend_bench._tiles("a.mp4", 20, 40)
    assert [int(tile[20, 10, 0]) for tile in tiles] == list(range(5, 17))
    assert video.reads == 2


def test_a_cut_out_has_the_person_in_its_middle_at_one_scale():
    rgb = np.zeros((200, 300, 3), np.uint8)
    rgb[95:106, 145:156] = 255
    boxes = np.array([[150, 100, 60.0], [150, 100, 80.0]])
    tiles = cut_out([rgb, rgb], boxes, 108, 216)  # twice as large: 216 / (1.35 * 80)
    assert [tile.shape for tile in tiles] == [(216, 108, 3)] * 2
    for tile in tiles:
        rows, columns = np.nonzero(tile[..., 0] > 127)
        assert rows.mean() == pytest.approx(108, abs=1)
        assert columns.mean() == pytest.approx(54, abs=1)
        assert np.ptp(rows) == pytest.approx(21, abs=2)


def test_people_stand_side_by_side_each_at_another_moment():
    tiles = [np.full((40, 20, 3), i, np.uint8) for i in range(5)]
    scene = side_by_side(tiles, 3, 2, 100)
    assert scene.shape == (40, 100, 3)
    # the moments of the first: 0 1 2 3 4 3 2 1 0 ...; the second is half a period ahead
    assert scene[0, 30:50].max() == scene[0, 30:50].min() == 3
    assert scene[0, 50:70].max() == scene[0, 50:70].min() == 1
    assert (scene[:, :30] == 114).all()
    assert (scene[:, 70:] == 114).all()
    assert side_by_side(tiles, 5, 1, 100)[0, 50, 0] == 3
    with pytest.raises(InputError, match="6 people of 20 pixels do not fit into 100"):
        side_by_side(tiles, 0, 6, 100)


@pytest.fixture
def clock(monkeypatch):
    """Time passes only as the fakes say."""
    now = [0.0]
    monkeypatch.setattr(frontend.time, "perf_counter", lambda: now[0])

    def spend(seconds):
        now[0] += seconds

    return spend


@pytest.fixture
def fakes(monkeypatch, clock):
    """A front end that needs 2 + 5 ms, and 1 s while it warms up, and a lifter that needs 4."""
    made = []

    class Front:
        reason = "test"

        def __init__(self, detector, *, front_end, **options):
            self.name, self.options, self.frames, self.closed = front_end, options, 0, False
            self.report = SimpleNamespace(stages_s={"look": 0.002, "track": 0.005})
            made.append(self)

        def see(self, rgb, stamp_ns):
            self.frames += 1
            clock(1.0 if self.frames <= frontend.WARM_UP_FRAMES else 0.007)
            return people_of(person(10, 10, 10, 1), person(30, 10, 10, 2))

        def close(self):
            self.closed = True

    class Lifts:
        def __init__(self, config):
            made.append(self)

        def lift(self, people, camera, stamp_ns):
            clock(0.004)
            return SimpleNamespace(skeletons=(), report=SimpleNamespace(hypotheses=1, steps=1))

        def close(self):
            self.closed = True

    monkeypatch.setattr(frontend, "make_front_end", Front)
    monkeypatch.setattr(frontend, "Lifter", Lifts)
    return made


class Wire:
    """Reading costs 1 ms, telling 3, publishing 6."""

    def __init__(self, clock):
        self.clock = clock

    def image(self, rgb, stamp_ns):
        self.clock(100.0)  # what the camera does is not ours
        return rgb

    def rgb(self, message):
        self.clock(0.001)
        return message

    def tell(self, people, stamp_ns):
        self.clock(0.003)

    def publish(self, result, stamp_ns):
        self.clock(0.006)


TILES = [np.full((40, 20, 3), i, np.uint8) for i in range(5)]


def test_every_stage_is_measured_and_the_warm_up_is_not(fakes, clock):
    found = frontend.measure(
        TILES, people=(1, 2), frames=5, model="starpose", width=100, wire=Wire(clock), input_size=256
    )
    assert set(found) == {"tracked", "whole_image"}
    assert found["tracked"]["reason"] == "test"
    one = found["tracked"]["people"]["2"]
    want = {"read": 1, "look": 2, "track": 5, "tell": 3, "lift": 4, "publish": 6, "total": 21}
    assert {s: v["p50_ms"] for s, v in one["stages"].items()} == pytest.approx(want)
    assert one["mean_ms"] == pytest.approx(21)
    assert one["seen"] == 2
    assert all(made.closed for made in fakes)
    assert fakes[0].options == {"input_size": 256}


def test_without_ros_messages_are_left_out(fakes):
    found = frontend.measure(TILES, people=(1,), frames=5, model="starpose", width=100)
    stages = found["whole_image"]["people"]["1"]["stages"]
    assert set(stages) == {"look", "track", "lift", "total"}
    assert stages["total"]["p50_ms"] == pytest.approx(11)


@pytest.fixture
def bench(call, fakes, monkeypatch, tmp_path):
    """The command with fakes; the outcome and the JSON."""
    monkeypatch.setattr(frontend_bench, "_tiles", lambda video, width, height: TILES)
    monkeypatch.setattr(frontend, "SIZE", (100, 40))

    def run(*more):
        out = tmp_path / "bench.json"
        outcome = call("bench", "--frontend", "--frames", "5", "--json", str(out), "--overwrite", *more)
        assert outcome.code == 0, outcome.err
        return outcome, json.loads(out.read_text())

    return run


def test_the_command_prints_writes_and_draws(bench, call, tmp_path):
    docs, picture = tmp_path / "performance.md", tmp_path / "bench.png"
    docs.write_text(f"before\n{frontend_report.BEGIN}\nold\n{frontend_report.END}\nafter\n")
    outcome, data = bench("--people", "1,3", "--write-docs", str(docs), "--plot", str(picture))
    assert "people seen, mean" in outcome.out
    assert data["size"] == [100, 40]
    assert data["detector_size"] == 384
    assert list(data["front_ends"]["tracked"]["people"]) == ["1", "3"]
    text = docs.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| lift | 4.00 / 4.00 | 4.00 / 4.00 |" in text
    assert "| people seen, mean | 2 | 2 |" in text
    assert picture.read_bytes().startswith(b"\x89PNG")
    again = call("bench", "--from", str(tmp_path / "bench.json"), "--write-docs", str(docs))
    assert again.code == 0, again.err
    assert docs.read_text() == text


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--frontend", "--backend", "onnxruntime"), "--backend: does not go with --frontend"),
        (("--frontend", "--no-ratios"), "--no-ratios: does not go with --frontend"),
        (("--video", "a.mp4"), "--video: goes only with --frontend"),
        (("--detector-size", "256"), "--detector-size: goes only with --frontend"),
        (("--frontend", "--video", "missing.mp4"), "missing.mp4"),
        (("--frontend", "--detector-size", "1280"), "--detector-size 1280: movenet takes 128 to 1024"),
        (("--frontend", "--video", "rtsp://10.0.0.1/a"), "takes a video file or a folder"),
        (("--frontend", "--people", "1,13"), "--people: at most 12 people stand side by side"),
        (("--frontend", "--model", "missing.onnx"), "missing.onnx"),
    ],
)
def test_what_does_not_go_together_is_one_line(call, options, told):
    outcome = call("bench", *options)
    assert outcome.code != 0
    assert told in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_numbers_that_lack_something_are_refused(call, tmp_path):
    path = tmp_path / "part.json"
    path.write_text(json.dumps({"front_ends": {}, "machine": {}}))
    outcome = call("bench", "--from", str(path))
    assert outcome.code != 0
    assert "it lacks ['model', 'size', 'detector_size', 'not_measured']" in outcome.err


WHOLE = {"machine": {}, "model": "starpose", "not_measured": {}}


@pytest.mark.parametrize(
    "data",
    [
        WHOLE | {"front_ends": {}, "size": [1, 2], "detector_size": 3},
        WHOLE | {"front_ends": 3, "size": [1, 2], "detector_size": 3},
        WHOLE | {"backend": 3, "ratios": {}},
        WHOLE | {"backend": {}, "ratios": {}},
    ],
)
def test_damaged_numbers_are_told_in_one_line(call, tmp_path, data):
    path = tmp_path / "damaged.json"
    path.write_text(json.dumps(data))
    outcome = call("bench", "--from", str(path), "--plot", str(tmp_path / "bench.png"))
    assert outcome.code == 1
    assert "damaged.json: expected the JSON that `bench --json` writes" in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_a_video_without_people_is_named(call, monkeypatch, tmp_path):
    cv2.imwrite(str(tmp_path / "empty.png"), np.zeros((90, 160, 3), np.uint8))
    seeing = Seeing([people_of()])
    seeing.close = lambda: None
    monkeypatch.setattr(frontend_bench, "make_front_end", lambda name: seeing)
    outcome = call("bench", "--frontend", "--video", str(tmp_path))
    assert outcome.code == 1
    assert f"{tmp_path}: expected somebody in 10 images in a row, got 0 images" in outcome.err
