"""Pins and hashes everything that setup downloads: requirements/*.txt -> requirements/lock/*.txt.

    pip install uv && python3 tools/lock.py             newest versions that requirements/ allows
    python3 tools/lock.py --keep                        no newer ones than the locks have now

One resolution serves all groups and Python 3.10 to 3.13 on any machine, so that no group changes a
version of another. Each package stands in the first lock that needs it. torch is left out: which of
its builds is right (CPU or CUDA, an index of one's own) is the machine's choice, and each has other
bytes; setup installs the version that requirements/training.txt pins, without a hash.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence

from setup_env import LOCKS, REQUIREMENTS, SOURCES, UNHASHED, VENV, meaning, requirements_digest

TORCH_NEEDS = ("filelock", "fsspec", "jinja2", "networkx", "sympy", "typing-extensions")
"""What every build of torch needs, so that it comes with a hash."""
PLATFORM = ("--universal", "--python-version", "3.10", "--no-emit-index-url", "--no-header", "--no-annotate")


def main(arguments: Sequence[str]) -> int:
    """Write the locks; return the exit code."""
    sources = {group: _lines(names) for group, names in SOURCES.items()}
    sources["training"] += TORCH_NEEDS
    keep = _blocks("".join(path.read_text() for path in sorted(LOCKS.glob("*.txt"))))
    pins = [line.split(" \\")[0] for block in keep.values() for line in block if "==" in line]
    every = [line for lines in sources.values() for line in lines]
    try:
        blocks = _blocks(_compile(every, pins if "--keep" in arguments else []))
        versions = [line.split(" \\")[0] for block in blocks.values() for line in block if "==" in line]
        written: set[str] = set()
        for group, lines in sources.items():
            needed = _blocks(_compile(lines, versions))
            names = sorted(set(needed) - written)
            written |= set(names)
            _write(group, [line for name in names for line in blocks[name]])
    except FileNotFoundError:
        print("lock: needs uv: pip install uv", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"lock: no versions fit together:\n{error.stderr}", file=sys.stderr)
        return 1
    return 0


def _lines(names: Sequence[str]) -> list[str]:
    lines = []
    for name in names:
        found = meaning(REQUIREMENTS / name) if name.endswith(".txt") else [name]
        lines += [line for line in found if not line.startswith(UNHASHED)]
    return lines


def _compile(lines: Sequence[str], pins: Sequence[str]) -> str:
    """uv's resolution, with hashes."""
    scratch = VENV / "lock"
    scratch.mkdir(parents=True, exist_ok=True)
    (scratch / "wanted.in").write_text("\n".join(lines) + "\n")
    (scratch / "pins.txt").write_text("\n".join(pins) + "\n")
    command = ["uv", "pip", "compile", *PLATFORM, "--generate-hashes", "-c", "pins.txt", "wanted.in"]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=True)
    return done.stdout


def _blocks(text: str) -> dict[str, list[str]]:
    """Package -> its lines: versions (one per Python, where they differ) and their hashes."""
    blocks: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if found := re.match(r"([A-Za-z0-9._-]+)==", line):
            name = found[1]
        if name and line.strip() and not line.lstrip().startswith("#"):
            blocks.setdefault(name, []).append(line)
    return blocks


def _write(group: str, lines: Sequence[str]) -> None:
    head = f"# Written by tools/lock.py from requirements/*.txt ({requirements_digest()}). Do not edit.\n"
    LOCKS.mkdir(exist_ok=True)
    (LOCKS / f"{group}.txt").write_text(head + "".join(f"{line}\n" for line in lines))
    print(f"lock: {group}: {sum('==' in line for line in lines)} packages")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
