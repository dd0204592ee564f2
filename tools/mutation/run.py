"""Breaks the numeric code in small ways, one at a time, and says which breaks no test notices.

See docs/testing.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).resolve().parent))

import confirm  # noqa: E402
import pytest  # noqa: E402
from changes import Change, changes_of  # noqa: E402
from equivalent import Equivalents  # noqa: E402
from server import ALIVE, KILLED, UNREACHED, UNSURE, Server  # noqa: E402

# The numeric code, and the folders of tests whose matter it is.
ROOMS = {
    "geometry": ["test/geometry"],
    "core.oks": ["test/tracking"],
    "history": ["test/history", "test/lifting", "test/methods"],
    "tracking": ["test/tracking"],
    "lifting": ["test/lifting"],
    "diffusion": ["test/diffusion", "test/methods"],
    "methods.root": ["test/methods", "test/geometry", "test/lifting"],
    "methods.streaming": ["test/methods", "test/lifting"],
    "methods.streaming_inputs": ["test/methods", "test/lifting"],
    "methods.virtual_camera": ["test/methods", "test/lifting"],
    "methods.protocol": ["test/methods", "test/lifting"],
    "methods.settings": ["test/methods", "test/lifting"],
    "methods.baseline.method": ["test/methods", "test/lifting"],
    "methods.diffusion.method": ["test/methods", "test/lifting"],
    "methods.diffusion.engine": ["test/methods", "test/lifting"],
    "methods.diffusion.contract": ["test/methods", "test/lifting"],
    "methods.diffusion.step_inputs": ["test/methods", "test/lifting"],
    "methods.diffusion.stpg": ["test/diffusion", "test/methods"],
    "methods.diffusion.initial_distribution": ["test/diffusion", "test/methods"],
    "methods.diffusion.mixture": ["test/diffusion", "test/methods"],
}


def files_of(name: str) -> list[Path]:
    """A module, or all of a room, relative to the repository."""
    base = Path("diffpose_ros", *name.split("."))
    if base.with_suffix(".py").is_file():
        return [base.with_suffix(".py")]
    found = sorted(f for f in base.rglob("*.py") if f.name != "__init__.py")
    if not found:
        sys.exit(f"{name}: no such module; expected one like geometry.normalise, or a room like geometry")
    return found


def room_of(file: Path) -> str | None:
    name = ".".join(file.with_suffix("").parts[1:])
    return next((room for room in ROOMS if name == room or name.startswith(f"{room}.")), None)


class Record:
    """What became of each change; kept, so that a run goes on where the last one stopped."""

    def __init__(self, path: Path, fresh: bool) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._known: dict[str, str] = {}
        if not fresh and path.exists():
            for line in path.read_text().splitlines():
                entry = json.loads(line)
                self._known[entry["change"]] = entry["verdict"]

    def killed(self, name: str) -> bool:
        return self._known.get(name) == KILLED

    def add(self, name: str, verdict: str) -> None:
        with self.path.open("a") as f:
            f.write(json.dumps({"change": name, "verdict": verdict}) + "\n")


def main() -> int:
    args = _parse()
    os.chdir(ROOT)
    files = [f for name in args.modules or ROOMS for f in files_of(name)]
    record, equivalents = Record(Path(args.record), args.fresh), Equivalents()
    counts: dict[str, Counter[str]] = {}
    survivors = 0
    for tests in {tuple(ROOMS.get(room_of(f) or "", ["test"])): None for f in files}:
        mine = [f for f in files if tuple(ROOMS.get(room_of(f) or "", ["test"])) == tests]
        survivors += _one_session(mine, list(tests), args, record, equivalents, counts)
    print(f"\n{'room':<40}{'changes':>9}{'killed':>9}{'equivalent':>12}{'survive':>9}")
    for room, c in counts.items():
        left = c[ALIVE] + c[UNREACHED]
        print(f"{room:<40}{sum(c.values()):>9}{c[KILLED]:>9}{c['equivalent']:>12}{left:>9}")
    return 1 if survivors else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("modules", nargs="*", help="like geometry.normalise or methods.root; all numeric code by default")
    add("-j", "--jobs", type=int, default=1, help="changes at a time (1)")
    add("--slow", type=float, default=3.0, metavar="S", help="leave out tests that take longer (3 s)")
    add("--record", default="out/mutation.jsonl", help="where to keep what was found (%(default)s)")
    add("--fresh", action="store_true", help="forget what an earlier run has found")
    add("--tests", nargs="+", help="these tests instead of the room's own")
    return parser.parse_args()


def _one_session(
    files: list[Path], tests: list[str], args: argparse.Namespace, record: Record, equivalents: Equivalents,
    counts: dict[str, Counter[str]],
) -> int:  # fmt: skip
    todo: list[Change] = []
    survivors = 0
    for file in files:
        count, source = counts.setdefault(room_of(file) or str(file), Counter()), file.read_bytes()
        for change in changes_of(file):
            if equivalents.hold(file, change.key(source)):
                count["equivalent"] += 1
            elif record.killed(_name(change, source)):
                count[KILLED] += 1
            else:
                todo.append(change)
    if not todo:
        return 0
    print(f"{', '.join(map(str, files))}: {len(todo)} changes", flush=True)
    began, done = time.monotonic(), 0

    def report(change: Change, verdict: str, nodes: list[str]) -> None:
        nonlocal survivors, done
        source = change.file.read_bytes()
        if verdict == UNSURE:
            verdict = ALIVE if confirm.passes(change.apply(source), change.file, nodes) else KILLED
        record.add(_name(change, source), verdict)
        counts[room_of(change.file) or str(change.file)][verdict] += 1
        done += 1
        if verdict != KILLED:
            survivors += 1
            print(f"{verdict.upper():<9} {change.file}:{change.line}  {change.key(source)}", flush=True)
        if done % 100 == 0:
            print(f"   {done} of {len(todo)}, {(time.monotonic() - began) / 60:.1f} min", flush=True)

    server = Server(ROOT, files, todo, args.jobs, args.slow, report)
    options = ["-q", "--no-header", "--durations=0", "-p", "no:terminalreporter"]
    code = pytest.main([*options, *(args.tests or tests)], plugins=[server])
    if server.problem or code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        sys.exit(server.problem or f"the tests of {', '.join(tests)} cannot be collected: run pytest on them")
    return survivors


def _name(change: Change, source: bytes) -> str:
    return f"{change.file} {change.key(source)}"


if __name__ == "__main__":
    sys.exit(main())
