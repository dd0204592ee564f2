"""``lift --into``: many videos, resumable; a worker that is killed loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from diffpose_ros.cli import _batch, main
from diffpose_ros.cli._batch import Task, tasks_of, words_of
from diffpose_ros.core import InputError

FAKE = """
import os, signal, sys, pathlib
video, output, log = map(pathlib.Path, sys.argv[1:4])
with log.open("a") as file:
    file.write(f"{video.name}\\n")
text = video.read_text()
if text == "killed once" and log.read_text().split().count(video.name) == 1:
    os.kill(os.getpid(), signal.SIGKILL)
if text == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if text == "bad":
    sys.exit(f"diffpose_ros lift: error: {video}: is no video")
output.write_text("done")
sys.exit(3 if text == "nobody" else 0)
"""


@pytest.fixture
def batch(tmp_path, monkeypatch):
    """Videos of these texts, lifted by a stand-in; ``run`` gives the exit code."""
    log = tmp_path / "log"
    log.touch()

    def command(task: Task, words):
        return [sys.executable, "-c", FAKE, str(task.video), str(task.output), str(log)]

    monkeypatch.setattr(_batch, "command_of", command)

    class Batch:
        folder, into = tmp_path / "in", tmp_path / "out"

        def write(self, **texts):
            for name, text in texts.items():
                path = self.folder / f"{name.replace('__', '/')}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)

        def run(self, *more):
            return main.main(["lift", str(self.folder), "--into", str(self.into), *more])

        def begun(self):
            return sorted(log.read_text().split())

        def made(self):
            return sorted(p.relative_to(self.into).as_posix() for p in self.into.rglob("*.npz"))

    return Batch()


def test_a_folder_is_lifted_once(batch, capsys) -> None:
    batch.write(a="x", b="x", sub__c="nobody")
    assert batch.run("--workers", "2") == 0
    assert batch.made() == ["a.npz", "b.npz", "sub/c.npz"]
    assert "3 videos lifted, 0 were done already, 0 failed" in capsys.readouterr().out
    assert batch.run() == 0
    assert "0 videos lifted, 3 were done already" in capsys.readouterr().out
    assert batch.begun() == ["a.mp4", "b.mp4", "c.mp4"]
    later = time.time() + 10
    os.utime(batch.folder / "a.mp4", (later, later))
    assert batch.run() == 0 and batch.begun().count("a.mp4") == 2
    assert batch.run("--overwrite") == 0 and batch.begun().count("b.mp4") == 2


def test_a_killed_worker_costs_its_video_one_more_try(batch, capsys) -> None:
    batch.write(a="x", b="killed once", c="x")
    assert batch.run("--workers", "2") == 0
    assert batch.begun() == ["a.mp4", "b.mp4", "b.mp4", "c.mp4"] and len(batch.made()) == 3


def test_what_fails_is_named_and_the_rest_is_done(batch, capsys) -> None:
    batch.write(a="bad", b="killed", c="x")
    assert batch.run() == 1
    said = capsys.readouterr()
    assert "a.mp4: is no video" in said.err and "its process was killed (signal 9)" in said.err
    assert "2 of 3 videos failed" in said.err and batch.made() == ["c.npz"]
    assert batch.begun().count("b.mp4") == _batch.TRIES
    batch.write(a="x", b="x")
    assert batch.run() == 0 and len(batch.made()) == 3 and batch.begun().count("c.mp4") == 1


def test_nobody_anywhere_is_told_by_the_exit_code(batch) -> None:
    batch.write(a="nobody")
    assert batch.run() == 3


def test_one_batch_at_a_time_works_on_a_folder(batch, capsys) -> None:
    batch.write(a="x")
    with _batch.alone(batch.into):
        assert batch.run() == 1
    assert "another `diffpose_ros lift --into` works on it" in capsys.readouterr().err
    assert batch.run() == 0


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (("--overlay", "o.mp4"), "--overlay is for one video"),
        (("--format", "trc"), "--into writes one file per video"),
        (("--ray", "auto", "--workers", "2"), "a Ray cluster has its own"),
        (("--camera-roll", "3"), "--camera-roll needs --camera-pitch"),
        (("--workers", "0"), "expected a whole number, 1 to 256"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_the_work(batch, capsys, more, text) -> None:
    batch.write(a="x")
    assert batch.run(*more) in (1, 2)
    assert text in capsys.readouterr().err and batch.begun() == []


def test_one_video_has_no_batch(capsys) -> None:
    assert main.main(["lift", "a.mp4", "b.mp4", "--output", "o.npz"]) == 1
    assert "expected one VIDEO with --output; --into DIR takes many" in capsys.readouterr().err
    assert main.main(["lift", "a.mp4", "--output", "o.npz", "--workers", "2"]) == 1
    assert "give --into DIR" in capsys.readouterr().err
    assert main.main(["lift", "a.mp4"]) == 2
    assert "one of the arguments --output --into is required" in capsys.readouterr().err


def test_outputs_keep_apart(tmp_path) -> None:
    for name in ("a.mp4", "a.avi", "b/a.mp4", "b/.hidden.mp4", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    made = {str(t.output) for t in tasks_of([str(tmp_path), str(tmp_path / "a.mp4")], Path("o"), ".npz")}
    assert made == {"o/a.mp4.npz", "o/a.avi.npz", "o/b/a.npz"}
    with pytest.raises(InputError, match="two videos of this name"):
        tasks_of([str(tmp_path / "a.mp4"), str(tmp_path / "b" / "a.mp4")], Path("o"), ".npz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no video is in this folder"):
        tasks_of([str(tmp_path / "empty")], Path("o"), ".npz")
    with pytest.raises(InputError, match="no such file or folder"):
        tasks_of([str(tmp_path / "none.mp4")], Path("o"), ".npz")


def test_a_job_gets_the_options_of_the_call() -> None:
    parser = main.build_parser("lift")
    call = [
        "lift",
        "a",
        "--into",
        "o",
        "--fov",
        "65",
        "--no-guidance",
        "--camera-pitch",
        "20",
        "--workers",
        "3",
        "--detector-model=-w.onnx",
    ]
    args = parser.parse_args(call)
    from diffpose_ros.cli._lift_many import OF_THE_BATCH

    words = words_of(args.lift_parser, args, OF_THE_BATCH)
    again = parser.parse_args(["lift", "a", "--output", "x.npz", *words])
    assert (again.fov, again.no_guidance, again.camera_pitch, again.workers) == (65.0, True, 20.0, 1)
    assert again.detector_model == "-w.onnx"
    command = _batch.command_of(Task(Path("/v/-a.mp4"), Path("-o/-a.npz")), words)
    there = parser.parse_args(command[command.index("lift") :])
    assert (there.output, there.detector_model) == ("-o/-a.npz", "-w.onnx")


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def guarded(path):
        if "locked" in os.fspath(path):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(InputError, match=r"locked: cannot be read \(Permission denied\)"):
        tasks_of([str(tmp_path)], Path("o"), ".npz")


def test_ctrl_c_keeps_what_is_done_and_leaves_nobody(tmp_path) -> None:
    code = f"""
import sys
from diffpose_ros.cli import _batch, main
_batch.command_of = lambda task, words: [
    sys.executable, "-c",
    "import sys, time, pathlib; name = sys.argv[1]; time.sleep(0 if name.startswith('a') else 60); "
    "pathlib.Path(sys.argv[2]).touch()", task.video.name, str(task.output)]
sys.exit(main.main(["lift", {str(tmp_path / "in")!r}, "--into", {str(tmp_path / "out")!r}]))
"""
    (tmp_path / "in").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "in" / name).touch()
    run = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, stdout=subprocess.PIPE
    )
    end = time.monotonic() + 60
    while not (tmp_path / "out" / "a.npz").exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=30)
    assert run.returncode == 130
    assert "interrupted; 1 of 2 videos are done, the same call goes on with the rest" in errors
    assert not (tmp_path / "out" / "b.npz").exists()


@pytest.mark.parametrize(
    ("address", "text"), [("127.0.0.1:9", "no cluster answers there"), ("host:port", "expected ray://HOST:PORT")]
)
def test_a_cluster_that_is_not_there_is_told_at_once(batch, capsys, address, text) -> None:
    pytest.importorskip("ray", reason="ray is not installed: pip install 'diffpose_ros[ray]'")
    batch.write(a="x")
    assert batch.run("--ray", address) == 1
    assert text in capsys.readouterr().err and batch.begun() == []


@pytest.mark.slow
def test_a_cluster_loses_nothing_when_a_worker_is_killed(batch, monkeypatch) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'diffpose_ros[ray]'")
    from diffpose_ros.cli import _ray

    batch.write(**dict.fromkeys("abcd", "x"))
    log = batch.folder.parent / "ran"

    def lift_there(video: str, ending: str, words: list[str]) -> tuple[int, str, bytes]:
        import os
        import signal
        import time

        with open(log, "a") as file:
            file.write(f"{os.path.basename(video)}\n")
        time.sleep(1.0)
        if video.endswith("b.mp4") and Path(log).read_text().split().count("b.mp4") == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0, "", b"done"

    monkeypatch.setattr(_ray, "lift_there", lift_there)
    init = ray.init
    monkeypatch.setattr(
        ray, "init", lambda address, **more: init("local", num_cpus=2, include_dashboard=False, **more)
    )
    assert batch.run("--ray", "auto") == 0
    assert batch.made() == ["a.npz", "b.npz", "c.npz", "d.npz"]
    ran = sorted(log.read_text().split())
    assert ran == ["a.mp4", "b.mp4", "b.mp4", "c.mp4", "d.mp4"]
    assert not ray.is_initialized()
