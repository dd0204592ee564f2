"""Many videos, each lifted by a process of its own: several at once, on this machine or a Ray cluster.

What is done is seen by its output, which a job writes whole or not at all. So a run that was cut off is
gone on with by calling it again, and a worker that dies costs the video it was at, which is begun anew.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import queue
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffpose_ros.cli._exit_codes import NOBODY
from diffpose_ros.core import InputError
from diffpose_ros.core.files import reason

VIDEOS = {
    *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts", ".mts", ".m2ts"),
    *(".ogv", ".3gp", ".flv", ".gif"),
}
"""Endings of files that a folder is searched for."""
TRIES = 3
"""How often a video is begun whose process was killed."""
LOCK = ".lift.lock"
ENDS_WITH_ITS_PARENT = """
import ctypes, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
from diffpose_ros.cli.main import main
sys.exit(main())
"""
"""A job's program: nobody would collect its result when who started it was killed."""


@dataclass(frozen=True)
class Task:
    """A video and where its skeletons go."""

    video: Path
    output: Path

    @property
    def done(self) -> bool:
        """Whether the output is there, and no older than the video."""
        return self.output.is_file() and self.output.stat().st_mtime_ns >= self.video.stat().st_mtime_ns


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        code: exit code; below 0: killed by that signal.
        said: its last line.
    """

    task: Task
    code: int
    said: str

    @property
    def well(self) -> bool:
        """Whether the output is there; that nobody was found is a result."""
        return self.code in (0, NOBODY)


def tasks_of(sources: Sequence[str], into: Path, ending: str) -> list[Task]:
    """Every video of files and folders, with the name of its output.

    Args:
        sources: files, and folders whose videos are taken, those of their folders, too.
        into: the folder of the outputs, which keep the places of their videos in the folder given.
        ending: of the outputs, with its dot.

    Raises:
        InputError: one is missing, or no video is in a folder.
    """
    found: dict[Path, Path] = {}
    for source in sources:
        path = Path(source)
        if path.is_dir():
            inside = sorted(_videos_in(path))
            if not inside:
                raise InputError(f"{source}: no video is in this folder")
            for p in inside:
                found.setdefault(p.resolve(), p.relative_to(path))
        elif path.is_file():
            found.setdefault(path.resolve(), Path(path.name))
        else:
            raise InputError(f"{source}: no such file or folder")
    stems = Counter(name.with_suffix("") for name in found.values())
    names = Counter(found.values())
    out = []
    for video, name in found.items():
        if names[name] > 1:
            raise InputError(f"{name}: two videos of this name; lift them into folders of their own")
        stem = name.with_suffix("")
        target = name.with_name(name.name + ending) if stems[stem] > 1 else stem.with_name(stem.name + ending)
        out.append(Task(video, into / target))
    return out


def _videos_in(folder: Path) -> Iterator[Path]:
    """The videos of a folder and of the folders in it.

    Raises:
        InputError: one of the folders cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read ({reason(error)})")

    for place, _, names in os.walk(folder, onerror=refuse):
        for path in (Path(place, name) for name in names if not name.startswith(".")):
            if path.suffix.lower() in VIDEOS and path.is_file():
                yield path


def words_of(parser: argparse.ArgumentParser, args: argparse.Namespace, leave_out: set[str]) -> list[str]:
    """The options of a call that differ from the defaults, as words of a command line."""
    words: list[str] = []
    for action in parser._actions:
        value = getattr(args, action.dest, None)
        if not action.option_strings or action.dest in leave_out or value == action.default:
            continue
        option = action.option_strings[-1]
        # in one word: a value may begin with a dash
        words.append(option if action.nargs == 0 else f"{option}={value}")
    return words


def command_of(task: Task, words: Sequence[str]) -> list[str]:
    """What lifts one video."""
    return [
        *(sys.executable, "-c", ENDS_WITH_ITS_PARENT, "lift", str(task.video)),
        *(f"--output={task.output}", "--overwrite", *words),
    ]


def run_one(task: Task, words: Sequence[str], started: Callable[[subprocess.Popen], None]) -> Outcome:
    """Lift one video in a process of its own.

    Args:
        task: which.
        words: options of ``lift``.
        started: told of the process.
    """
    task.output.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        command_of(task, words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        errors="backslashreplace", stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    started(process)
    _, errors = process.communicate()
    lines = [line for line in errors.splitlines() if line.strip()]
    return Outcome(task, process.returncode, lines[-1] if lines else "")


class LocalWorkers:
    """Runs jobs on this machine, several at once; leaving it ends those that run.

    Args:
        count: at once.
        words: options of ``lift``.
    """

    def __init__(self, count: int, words: Sequence[str]) -> None:
        self._count, self._words = count, words
        self._running: set[subprocess.Popen] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """The outcome of each task as it ends; one whose process was killed is begun again."""
        waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
        ended: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        for task in tasks:
            waiting.put(task)

        def work() -> None:
            while not self._stopped:
                try:
                    task = waiting.get_nowait()
                except queue.Empty:
                    return
                for _ in range(TRIES):
                    outcome = self._guarded(task)
                    if outcome.code >= 0 or self._stopped:
                        break
                ended.put(outcome)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(self._count, len(tasks)))]
        for thread in threads:
            thread.start()
        try:
            for _ in tasks:
                while True:
                    with contextlib.suppress(queue.Empty):
                        yield ended.get(timeout=0.2)
                        break
        finally:
            self._stop()

    def _guarded(self, task: Task) -> Outcome:
        try:
            return run_one(task, self._words, self._started)
        except OSError as error:
            return Outcome(task, 1, str(error))

    def _started(self, process: subprocess.Popen) -> None:
        with self._lock:
            self._running.add(process)
        if self._stopped:
            process.kill()

    def _stop(self) -> None:
        """End what runs: a video that is begun is begun anew the next time."""
        self._stopped = True
        with self._lock:
            for process in self._running:
                if process.poll() is None:
                    process.kill()


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One batch at a time works on a folder.

    Raises:
        InputError: another one does, or the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a+")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"{folder}: another `diffpose_ros lift --into` works on it; wait for it"
            ) from None
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.unlink(folder / LOCK)
