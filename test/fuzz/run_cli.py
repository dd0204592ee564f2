"""Calls every command with bad inputs and looks at how it ends.

    python test/fuzz/run_cli.py --count 2000 --seed 1     exit code 0 when every call ended well
    python test/fuzz/run_cli.py --only 137 --seed 1       one call again, with its output

Calls run in this process, a hundred to a worker, so that imports are paid once and a crash costs its
worker alone. A call ends well with an exit code of the documented ones, one line on stderr when it failed,
at most one when it did not (`build-engine`, whose stdout is the engine's path, tells there how it goes), no
traceback, within two minutes and without gigabytes.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parent))
import cases

CODES = {0, 1, 2, 3, 129, 130, 143}
TALKS_ON_STDERR = {"build-engine"}
BATCH = 100
LIMIT_S = 120
MOST_KB = 2 << 20
"""By which a call may raise the most memory that its worker ever had, KiB."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--worker", action="store_true")
    args = parser.parse_args()
    if args.only is not None:
        print(json.dumps(call(args.seed, args.only), indent=2))
        return 0
    if args.worker:
        return work(args.seed, args.start, args.count)
    return supervise(args.seed, args.start, args.count)


def supervise(seed: int, start: int, count: int) -> int:
    """Run workers over all calls; a call that kills its worker is a finding, and the next ones go on."""
    at, end, bad = start, start + count, 0
    codes: dict[int, int] = {}
    began = time.monotonic()
    while at < end:
        size = min(BATCH, end - at)
        command = [sys.executable, __file__, "--worker", "--seed", str(seed), "--start", str(at)]
        done = subprocess.run(
            [*command, "--count", str(size)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
        outcomes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]
        finished = [o for o in outcomes if "code" in o]
        for outcome in finished:
            codes[outcome["code"]] = codes.get(outcome["code"], 0) + 1
            if outcome["wrong"]:
                bad += 1
                print(f"call {outcome['index']}: {outcome['wrong']}: {outcome['words']}")
                print(f"    {outcome['stderr'][-600:]}", flush=True)
        if len(finished) < size:
            bad += 1
            index = at + len(finished)
            print(f"call {index}: the process died with {done.returncode}", flush=True)
            at = index + 1
        else:
            at += size
    counts = ", ".join(f"{codes[code]} x {code}" for code in sorted(codes))
    print(f"{count} calls in {time.monotonic() - began:.0f} s, exit codes {counts}; {bad} ended badly")
    return int(bad > 0)


def work(seed: int, start: int, count: int) -> int:
    lines = os.fdopen(os.dup(1), "w")
    share()
    for index in range(start, start + count):
        print(json.dumps(call(seed, index)), file=lines, flush=True)
    return 0


def share() -> None:
    """Load torch and the shipped networks once: a call costs milliseconds then."""
    import torch  # noqa: F401

    from diffpose_ros import frontend
    from diffpose_ros.cli import lift

    made = functools.cache(frontend.make_front_end)
    make_lifter = lift.make_lifter

    def front_end(name: str, **options: object) -> object:
        options.pop("tracker", None)
        front = made(name, **options)  # type: ignore[arg-type]
        front.reset()
        return front

    lifters: dict[str, object] = {}

    def lifter(args: argparse.Namespace) -> object:
        if (args.model, args.backend) != ("starpose", "auto"):
            return make_lifter(args)
        args.backend = "onnxruntime"
        return lifters.setdefault("starpose", make_lifter(args))

    frontend.make_front_end = front_end  # type: ignore[assignment]
    lift.make_lifter = lifter  # type: ignore[assignment]


def call(seed: int, index: int) -> dict[str, object]:
    """One call and what is wrong with its end."""
    from diffpose_ros.cli.main import main as command

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = cases.make(seed, index, folder)
        before = os.getcwd()
        (folder / "cwd").mkdir()
        os.chdir(folder / "cwd")
        start, memory = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        code: int | str
        try:
            with captured(folder) as (out, err), alarm():
                code = command(words)
        except BaseException as error:
            code = f"{type(error).__name__} came out of main: {error}"
        finally:
            os.chdir(before)
        stderr = err.read_bytes().decode(errors="backslashreplace")
        del out
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
        problem = wrong(str(words[0]) if words else "", code, stderr)
        problem = problem or (f"took {memory >> 10} MiB" if memory > MOST_KB else "")
    return {
        "index": index, "code": code if isinstance(code, int) else -1,
        "words": repr(words)[:600], "stderr": stderr[-2000:],
        "seconds": round(time.monotonic() - start, 2), "wrong": problem,
    }  # fmt: skip


def wrong(command: str, code: int | str, stderr: str) -> str:
    """What is wrong with a call's end; empty when nothing is."""
    if isinstance(code, str):
        return code
    if code not in CODES:
        return f"exit code {code}"
    if "Traceback" in stderr or "error: unexpected " in stderr:
        return "an error that is not ours"
    lines = stderr.count("\n")
    if code == 0 and command in TALKS_ON_STDERR:
        return ""
    if lines > 1 or (code != 0 and lines != 1):
        return f"exit code {code} and {lines} lines on stderr"
    return ""


@contextlib.contextmanager
def captured(folder: Path) -> Iterator[tuple[Path, Path]]:
    """stdout and stderr into files, also what C libraries print."""
    out, err = folder / "stdout", folder / "stderr"
    saved = os.dup(1), os.dup(2)
    stdout, stderr = sys.stdout, sys.stderr
    with out.open("wb") as a, err.open("wb") as b:
        os.dup2(a.fileno(), 1)
        os.dup2(b.fileno(), 2)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    try:
        yield out, err
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.close()
        sys.stdout, sys.stderr = stdout, stderr
        for fd, old in zip((1, 2), saved, strict=True):
            os.dup2(old, fd)
            os.close(old)


class Late(BaseException):
    """No command catches it."""


@contextlib.contextmanager
def alarm() -> Iterator[None]:
    def late(signum: int, frame: FrameType | None) -> None:
        raise Late(f"no end after {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


if __name__ == "__main__":
    sys.exit(main())
