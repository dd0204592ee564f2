"""A pytest session that collects once, then forks a child for each change and runs there what reaches it.

Nothing is imported or collected again, so a change costs as much as the tests that notice it.
"""

from __future__ import annotations

import importlib
import os
import pickle
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import patch
import pytest
from _pytest.runner import runtestprotocol
from changes import Change

KILLED, ALIVE, UNREACHED, UNSURE = "killed", "alive", "unreached", "unsure"
PATIENCE_S = 20.0  # of processor time, beyond ten times what the tests took unchanged


MAY_FAIL = 5
"""Tests that may fail as they are, since tracing slows them down; with more, something is broken."""


@dataclass
class Seen:
    """What the unchanged tests ran."""

    tests_of_line: dict[tuple[str, int], set[int]] = field(default_factory=lambda: defaultdict(set))
    seconds: dict[int, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    paths: dict[int, str] = field(default_factory=dict)

    def tests_of(self, change: Change, users: Iterable[str]) -> list[int]:
        """Indices of tests, the quickest first. What changes at import reaches all users of the file."""
        if change.at_import:
            files = {str(change.file), *users}
            found = {i for (file, _), tests in self.tests_of_line.items() if file in files for i in tests}
            found |= {i for i, path in self.paths.items() if path in files}
        else:
            lines = range(change.first, change.last + 1)
            found = {i for line in lines for i in self.tests_of_line.get((str(change.file), line), ())}
        return sorted(found, key=lambda i: self.seconds[i])


class Server:
    """A pytest plugin in place of pytest's own loop over the tests."""

    def __init__(
        self, root: Path, files: list[Path], changes: list[Change], jobs: int, slow_s: float,
        report: Callable[[Change, str, list[str]], None],
    ) -> None:  # fmt: skip
        self.root, self.files, self.changes = root, files, changes
        self.jobs, self.slow_s, self.report = jobs, slow_s, report
        self.scratch = Path(tempfile.mkdtemp(prefix="mutation"))
        self.problem = ""

    def pytest_configure(self) -> None:
        """Hypothesis tries the same examples each time, and does not simplify what fails."""
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile(
            "mutation", deadline=None, derandomize=True, database=None, phases=phases
        )
        hypothesis.settings.load_profile("mutation")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = [i for i in session.items if not i.get_closest_marker("soak")]
        self.config = session.config
        for file in self.files:
            importlib.import_module(".".join(file.with_suffix("").parts))
        loaded = list(sys.modules.values())
        self.modules = {f: m for m in loaded for f in self.files if _is_of(m, f, self.root)}
        seen = self._watch()
        if len(seen.failed) > max(MAY_FAIL, 0.05 * len(self.items)):
            self.problem = "these tests fail without any change: " + ", ".join(seen.failed[:5])
        else:
            self._run_all(seen)
        shutil.rmtree(self.scratch, ignore_errors=True)
        return True

    def _watch(self) -> Seen:
        """Runs everything once, in a child: the lines and the time of each test."""
        answer = self.scratch / "seen"
        pid = os.fork()
        if pid == 0:
            seen = Seen()
            names = {str(m.__file__): str(f) for f, m in self.modules.items()}
            start = time.monotonic()
            for i, item in enumerate(self.items):
                lines: set[tuple[str, int]] = set()
                began = time.process_time()
                with _limit(self.slow_s) as slow:
                    ok = _traced(partial(self._passes, [item]), names, lines)
                seen.seconds[i] = time.process_time() - began
                if slow or not ok:
                    why = "too slow" if slow else "fails without any change"
                    print(f"left out, {why}: {item.nodeid}", flush=True)
                    seen.failed += [] if slow else [item.nodeid]
                    continue
                seen.paths[i] = str(item.path)
                for line in lines:
                    seen.tests_of_line[line].add(i)
            print(f"{len(self.items)} tests in {time.monotonic() - start:.0f} s", flush=True)
            answer.write_bytes(pickle.dumps(seen))
            os._exit(0)
        os.waitpid(pid, 0)
        return pickle.loads(answer.read_bytes())

    def _run_all(self, seen: Seen) -> None:
        running: dict[int, tuple[Change, list[int], Path]] = {}
        living = {f: patch.functions_of(str(m.__file__)) for f, m in self.modules.items()}
        users = {f: self._users_of(f) for f in self.files}
        for change in self.changes:
            tests = seen.tests_of(change, users[change.file])
            if not tests or change.file not in self.modules:
                self.report(change, UNREACHED, [])
                continue
            while len(running) >= self.jobs:
                self._reap(running)
            folder = Path(tempfile.mkdtemp(dir=self.scratch))
            pid = os.fork()
            if pid == 0:
                self._child(change, tests, living[change.file], sum(seen.seconds[i] for i in tests), folder)
            running[pid] = (change, tests, folder)
        while running:
            self._reap(running)

    def _users_of(self, file: Path) -> list[str]:
        name = self.modules[file].__name__ if file in self.modules else ""
        parent, _, own = name.rpartition(".")
        words = (f"from {name} import", f"from {parent} import {own}", f"import {name}")
        tests = {item.path for item in self.items}
        return [str(f) for f in (*self.files, *tests) if any(w in f.read_text() for w in words)]

    def _reap(self, running: dict[int, tuple[Change, list[int], Path]]) -> None:
        pid, status = os.wait()
        if pid not in running:
            return
        change, tests, folder = running.pop(pid)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
        verdict = {0: ALIVE, 3: UNSURE}.get(os.waitstatus_to_exitcode(status), KILLED)
        self.report(change, verdict, [self.items[i].nodeid for i in tests])

    def _child(self, change: Change, tests: list[int], living: Any, usual_s: float, folder: Path) -> None:
        code = 1
        try:
            os.setpgid(0, 0)
            limit = int(10 * usual_s + PATIENCE_S)
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
            signal.alarm(20 * limit)  # for who waits without working
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            self.config._tmp_path_factory._basetemp = folder.resolve()  # type: ignore[attr-defined]
            source = change.file.read_bytes()
            module = self.modules[change.file]
            name = str(module.__file__)
            try:
                if change.at_import:
                    patch.patch_values(module, change.apply(source), name)
                else:
                    patch.patch_functions(living, source.decode(), change.apply(source), name)
            except patch.CannotPatchError:
                os._exit(3)
            code = 0 if self._passes([self.items[i] for i in tests]) else 1
            if code == 0 and change.at_import:
                code = 3  # what other files made of the value when they were imported is as it was
        finally:
            os._exit(code)

    def _passes(self, items: list[pytest.Item]) -> bool:
        for item, following in zip(items, [*items[1:], None], strict=True):
            for report in runtestprotocol(item, nextitem=following, log=False):
                if report.failed:
                    return False
        return True


class _TooSlowError(Exception):
    """A test has used up its time."""


@contextmanager
def _limit(seconds: float) -> Iterator[list[bool]]:
    """Fails what runs longer, in processor time; the list is not empty then."""
    hit: list[bool] = []

    def stop(*_: Any) -> None:
        hit.append(True)
        raise _TooSlowError

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield hit
    except _TooSlowError:
        hit.append(True)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _is_of(module: Any, file: Path, root: Path) -> bool:
    """Whether a loaded module came from this file; installed packages may be links."""
    name = getattr(module, "__file__", None) or ""
    return name.endswith(str(file)) and Path(name).resolve() == (root / file).resolve()


def _traced(run: Callable[[], bool], names: dict[str, str], lines: set[tuple[str, int]]) -> bool:
    def each_line(frame: Any, event: str, _: Any) -> Any:
        if event == "line":
            lines.add((names[frame.f_code.co_filename], frame.f_lineno))
        return each_line

    def each_call(frame: Any, _event: str, _: Any) -> Any:
        return each_line if frame.f_code.co_filename in names else None

    threading.settrace(each_call)
    sys.settrace(each_call)
    try:
        return run()
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
