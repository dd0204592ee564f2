"""``lift`` loses nothing, says when it found nobody, and lifts single pictures."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from diffpose_ros.cli import lift
from diffpose_ros.cli._lifting import Job, Pace
from diffpose_ros.core import People2D, Skeleton
from diffpose_ros.media.video import open_source

PHOTO = Path(__file__).parents[1] / "frontend" / "people.jpg"


def rows(path):
    with np.load(path) as data:
        return {name: data[name] for name in data.files}


def folder_of(tmp_path, images):
    folder = tmp_path / "images"
    folder.mkdir()
    for i, image in enumerate(images):
        cv2.imwrite(str(folder / f"{i}.jpg"), image)
    return folder


def gray(height=480, width=640):
    return np.full((height, width, 3), 120, np.uint8)


@pytest.mark.parametrize("name", ["same", "link", "hard"])
def test_the_source_survives_as_overlay(call, video, camera, actors, tmp_path, name):
    source = video.rename(tmp_path / "walk.mp4")
    before = source.read_bytes()
    target = source
    if name == "link":
        target = tmp_path / "l.mp4"
        target.symlink_to(source)
    elif name == "hard":
        target = tmp_path / "h.mp4"
        os.link(source, target)
    outcome = call("lift", source, "--output", tmp_path / "w.npz", "--overlay", target, "--overwrite")
    assert outcome.code == 1
    assert "is the file that is read" in outcome.err
    assert source.read_bytes() == before


def test_the_images_of_a_folder_survive_as_outputs(call, actors, tmp_path):
    folder = folder_of(tmp_path, [gray()] * 3)
    before = (folder / "1.jpg").read_bytes()
    outcome = call("lift", folder, "--output", folder / "1.jpg", "--format", "npz", "--overwrite")
    assert outcome.code == 1
    assert "1.jpg: is one of the files that are read" in outcome.err
    assert (folder / "1.jpg").read_bytes() == before


def test_what_exists_needs_overwrite(call, video, camera, actors, tmp_path):
    out = tmp_path / "w.npz"
    out.write_bytes(b"a week of work")
    words = ["lift", video, "--camera", camera, "--output", out]
    outcome = call(*words)
    assert outcome.code == 1
    assert "exists already; name another, or give --overwrite" in outcome.err
    assert out.read_bytes() == b"a week of work"
    assert actors.eyes.images == []
    assert call(*words, "--overwrite").code == 0
    assert len(rows(out)["stamps"]) == 5


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--output", "w.mp4"], "ending in one of .npz"),
        (["--output", "w.npz", "--overlay", "w.npz"], "ending in .mp4"),
        (["--output", "w.npz", "--overlay", "w.avi"], "ending in .mp4"),
        (["--output", "walk.avi/w.npz"], "a file lies where a folder is needed"),
        (["--output", "x" * 300 + ".npz"], "longer than 255 bytes"),
    ],
)
def test_wrong_outputs_are_refused_before_the_work(call, video, actors, monkeypatch, words, text):
    monkeypatch.chdir(video.parent)
    outcome = call("lift", video, *words)
    assert outcome.code == 1
    assert text in outcome.err
    assert outcome.err.count("\n") == 1
    assert actors.eyes.images == []


def test_a_truncated_image_late_in_a_folder_costs_that_image_alone(call, camera, actors, tmp_path):
    folder = folder_of(tmp_path, [gray()] * 5)
    data = (folder / "4.jpg").read_bytes()
    (folder / "4.jpg").write_bytes(data[: len(data) // 2])
    outcome = call("lift", folder, "--camera", camera, "--output", tmp_path / "w.npz",
                   "--overlay", tmp_path / "w.mp4")  # fmt: skip
    assert outcome.code == 1
    assert "4.jpg: not an image that can be read, or truncated" in outcome.err
    assert "w.partial.npz" in outcome.err
    assert "w.partial.mp4" in outcome.err
    assert outcome.err.count("\n") == 1
    assert len(rows(tmp_path / "w.partial.npz")["stamps"]) == 4
    with open_source(tmp_path / "w.partial.mp4") as source:
        assert sum(1 for _ in source) == 4
    assert not (tmp_path / "w.npz").exists()


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_keeps_what_is_done(call, video, camera, actors, tmp_path, monkeypatch, signum, code):
    detect = actors.eyes.detect

    def until_signal(rgb):
        if len(actors.eyes.images) == 3:
            os.kill(os.getpid(), signum)
        return detect(rgb)

    monkeypatch.setattr(actors.eyes, "detect", until_signal)
    outcome = call("lift", video, "--camera", camera, "--output", tmp_path / "w.npz")
    assert outcome.code == code
    assert "w.partial.npz" in outcome.err
    assert outcome.err.count("\n") == 1
    assert len(rows(tmp_path / "w.partial.npz")["stamps"]) == 4  # the frame in work is finished
    assert not (tmp_path / "w.npz").exists()
    assert signal.getsignal(signum) in (signal.SIG_DFL, signal.default_int_handler)


def test_a_bug_keeps_what_is_done(call, video, camera, actors, tmp_path, monkeypatch):
    detect = actors.eyes.detect

    def until_bug(rgb):
        return 1 // 0 if len(actors.eyes.images) == 3 else detect(rgb)

    monkeypatch.setattr(actors.eyes, "detect", until_bug)
    outcome = call("lift", video, "--camera", camera, "--output", tmp_path / "w.npz")
    assert outcome.code == 1
    assert "unexpected ZeroDivisionError" in outcome.err
    assert len(rows(tmp_path / "w.partial.npz")["stamps"]) == 3


def test_a_full_overlay_disk_costs_the_overlay_alone(call, video, camera, actors, tmp_path, monkeypatch):
    from diffpose_ros.cli import _lifting

    write = _lifting.VideoWriter.write

    def full(self, rgb, stamp_ns=None):
        self._sink._file.error = OSError(28, "No space left on device")
        write(self, rgb, stamp_ns)

    monkeypatch.setattr(_lifting.VideoWriter, "write", full)
    outcome = call("lift", video, "--camera", camera, "--output", tmp_path / "w.npz",
                   "--overlay", tmp_path / "w.mp4")  # fmt: skip
    assert outcome.code == 1
    assert "w.mp4: cannot be written (No space left on device)" in outcome.err
    assert "the skeletons are complete in" in outcome.err
    assert len(rows(tmp_path / "w.npz")["stamps"]) == 5
    assert sorted(p.name for p in tmp_path.glob("*w*")) == ["w.npz", "walk.avi"]


def test_a_full_disk_sends_the_arrays_elsewhere(call, video, camera, actors, tmp_path, monkeypatch):
    from diffpose_ros.core import InputError

    spare = tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setattr(lift.tempfile, "gettempdir", lambda: str(spare))
    write = lift.write

    def full(arrays, path, *words, **options):
        if path.parent != spare:
            raise InputError(f"{path}: cannot be written (No space left on device)")
        return write(arrays, path, *words, **options)

    monkeypatch.setattr(lift, "write", full)
    outcome = call("lift", video, "--camera", camera, "--output", tmp_path / "w.npz")
    assert outcome.code == 1
    assert "what was lifted is in" in outcome.err
    assert len(rows(spare / "w.partial.npz")["stamps"]) == 5
    (spare / "w.npz").write_bytes(b"mine")
    outcome = call("lift", video, "--camera", camera, "--output", tmp_path / "w.csv")
    assert "w.partial-2.npz" in outcome.err
    assert (spare / "w.npz").read_bytes() == b"mine"


@pytest.mark.parametrize("of", ["source", "overlay"])
def test_persons_files_never_replace_the_source_or_the_overlay(
    call, video, camera, actors, tmp_path, monkeypatch, of
):
    """With two people ``walk.x`` becomes ``walk_<id>.x``, which may be the name of something else."""
    spare = tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setattr(lift.tempfile, "gettempdir", lambda: str(spare))
    call("lift", video, "--camera", camera, "--output", tmp_path / "probe.trc")
    last = max(path.stem.removeprefix("probe") for path in tmp_path.glob("probe_*.trc"))
    ending = {"source": ".avi", "overlay": ".mp4"}[of]
    taken = tmp_path / f"walk{last}{ending}"
    words = ["--output", tmp_path / f"walk{ending}", "--format", "trc", "--overwrite"]
    if of == "source":
        video = video.rename(taken)
    before = video.read_bytes()
    overlay = tmp_path / (taken.name if of == "overlay" else "o.mp4")
    outcome = call("lift", video, "--camera", camera, *words, "--overlay", overlay)
    assert outcome.code == 1
    assert f"{taken}: is the file that is read" in outcome.err
    assert video.read_bytes() == before
    assert len(rows(spare / "walk.partial.npz")["stamps"]) == 5


def test_nobody_has_a_code_of_its_own(call, video, camera, actors, tmp_path, monkeypatch):
    monkeypatch.setattr(actors.eyes, "detect", lambda rgb: People2D.empty())
    outcome = call("lift", video, "--camera", camera, "--output", tmp_path / "w.npz")
    assert outcome.code == 3
    assert "nobody found" in outcome.err
    assert "--detector-size 768" in outcome.err
    assert outcome.err.count("\n") == 1
    assert rows(tmp_path / "w.npz")["skeleton"].shape == (0, 17, 3)


def people_at(x, y):
    k = np.arange(17)
    return People2D(xy=np.stack([x + 10.0 * (k % 4), y + 8.0 * k], -1)[None], score=np.ones((1, 17)))


def test_one_picture_is_lifted(call, camera, actors, tmp_path, monkeypatch):
    monkeypatch.setattr(actors.eyes, "detect", lambda rgb: people_at(100, 100))
    picture = folder_of(tmp_path, [gray()]) / "0.jpg"
    outcome = call("lift", picture, "--camera", camera, "--output", tmp_path / "w.npz")
    assert outcome.code == 0, outcome.err
    assert rows(tmp_path / "w.npz")["frame"].tolist() == [0]


@pytest.mark.parametrize("frames", [1, 2])
def test_clips_of_one_or_two_frames_are_lifted(call, video, camera, actors, tmp_path, monkeypatch, frames):
    monkeypatch.setattr(actors.eyes, "detect", lambda rgb: people_at(100, 100))
    words = ["--camera", camera, "--output", tmp_path / "w.npz", "--frames", frames]
    assert call("lift", video, *words).code == 0
    assert rows(tmp_path / "w.npz")["frame"].tolist() == list(range(frames))


@pytest.mark.parametrize("said", [[], ["--pictures"]], ids=["found out", "said"])
def test_a_folder_of_different_people_is_lifted(call, camera, actors, tmp_path, monkeypatch, said):
    places = [(100, 100), (400, 300), (50, 250), (500, 60)]
    count = iter(range(100))
    monkeypatch.setattr(actors.eyes, "detect", lambda rgb: people_at(*places[next(count) % 4]))
    folder = folder_of(tmp_path, [gray()] * 4)
    outcome = call("lift", folder, "--camera", camera, "--output", tmp_path / "w.npz", *said)
    assert outcome.code == 0, outcome.err
    found = rows(tmp_path / "w.npz")
    assert found["frame"].tolist() == [0, 1, 2, 3]
    assert len(set(found["track_id"])) == 4
    assert np.diff(found["stamps"]) == pytest.approx(1 / 30)


def test_pictures_of_different_sizes_have_a_camera_each(call, camera, actors, tmp_path, monkeypatch):
    monkeypatch.setattr(actors.eyes, "detect", lambda rgb: people_at(100, 100))
    folder = folder_of(tmp_path, [gray(), gray(600, 400)])
    words = ["lift", folder, "--output", tmp_path / "w.npz"]
    assert call(*words, "--overlay", tmp_path / "w.mp4").code == 0
    assert [(c.width, c.height) for c in actors.lifter.cameras] == [(640, 480), (400, 600)]
    outcome = call(*words, "--camera", camera, "--overwrite")
    assert outcome.code == 1
    assert "differ in size; leave out --camera" in outcome.err


@pytest.mark.parametrize("shape", [(1, 4000), (20, 20000), (1, 1), (4000, 1)], ids=str)
def test_absurd_shapes_cost_little(call, actors, tmp_path, monkeypatch, shape):
    monkeypatch.setattr(actors.eyes, "detect", lambda rgb: People2D.empty())
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((*shape, 3), np.uint8))
    words = ["--output", tmp_path / "w.npz", "--overlay", tmp_path / "w.mp4"]
    assert call("lift", tmp_path / "a.png", *words).code in (1, 3)
    if (tmp_path / "w.mp4").exists():
        with open_source(tmp_path / "w.mp4") as source:
            assert max(source.width, source.height) < 3000


def test_a_reader_who_leaves_does_not_cost_the_arrays(tmp_path):
    """``lift ... | true``: everything that is printed meets a closed pipe."""
    out = tmp_path / "w.npz"
    command = f"'{sys.executable}' -m diffpose_ros lift '{PHOTO}' --output '{out}' | true"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 0
    assert len(rows(out)["frame"]) > 0


@pytest.mark.parametrize("words", ["models", "--help"])
def test_a_reader_who_leaves_is_no_error(words):
    command = f"set -o pipefail; '{sys.executable}' -m diffpose_ros {words} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_name_that_is_not_utf8_is_lifted_or_named(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    with open(folder + b"/photo.jpg", "wb") as file:
        file.write(PHOTO.read_bytes())
    words = [sys.executable, "-m", "diffpose_ros", "lift", folder + b"/photo.jpg"]
    words += ["--output", folder + b"/w.npz", "--overlay", folder + b"/w.mp4"]
    done = subprocess.run(words, capture_output=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(folder)) == [b"photo.jpg", b"w.mp4", b"w.npz"]


def test_the_overlay_keeps_the_skeletons_over_frames_above_60_hz():
    """A frame that is left out shows those of the frame before, and adds none to the arrays."""
    drawn = []
    overlaid = SimpleNamespace(add=lambda image, people, skeletons, stamp_ns: drawn.append(skeletons))
    person = Skeleton(
        xyz=np.tile([0.0, 0, 4], (17, 1)), covariance=np.tile(np.eye(3), (17, 1, 1)), score=np.ones(17),
        root=np.array([0.0, 0, 4]), root_is_metric=False, track_id=1,
    )  # fmt: skip

    def lift_one(people, camera, stamp_ns, **around):
        thinned = stamp_ns % 2 == 1
        report = SimpleNamespace(thinned=thinned)
        return SimpleNamespace(skeletons=() if thinned else (person,), report=report)

    seen = People2D(xy=np.zeros((1, 17, 2)), score=np.ones((1, 17)), track_id=np.array([1]))
    front_end = SimpleNamespace(see=lambda image, stamp_ns: seen)
    job = Job(front_end, SimpleNamespace(lift=lift_one), None, Pace(), fov=70.0, overlaid=overlaid)
    for stamp_ns in range(4):
        job.step(gray(), stamp_ns)
    assert drawn == [(person,)] * 4
    assert (job.table.frames, len(job.table)) == (4, 2)
    assert job.thinned == 2


def test_frames_above_60_hz_are_told(call, actors, tmp_path, monkeypatch):
    """Every second one of 120 Hz is left out, which a user of a fast camera should know."""
    lifted = lift.make_lifter

    def thinning(args):
        lifter = lifted(args)

        def lift_one(people, camera, stamp_ns, **around):
            result = lifter.lift(people, camera, stamp_ns, **around)
            late = round(stamp_ns * 120 / 1e9) % 2 == 1
            return SimpleNamespace(skeletons=result.skeletons, report=SimpleNamespace(thinned=late))

        return SimpleNamespace(lift=lift_one)

    monkeypatch.setattr(lift, "make_lifter", thinning)
    folder = folder_of(tmp_path, [gray()] * 6)
    outcome = call("lift", folder, "--fps", "120", "--output", tmp_path / "w.npz")
    assert outcome.code == 0, outcome.err
    assert "3 frames were not lifted: the models are made for at most 60 frames a second" in outcome.out
    assert "were not lifted" not in call("lift", folder, "--output", tmp_path / "w.npz", "--overwrite",
                                         "--fps", "0.1", "--frames", "1").out  # fmt: skip
