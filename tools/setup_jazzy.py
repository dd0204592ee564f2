"""Makes `.venv-jazzy`: the package on ROS 2 Jazzy, and what the tests that meet ROS need.

    python3.12 tools/setup_jazzy.py       then: . .venv-jazzy/env.sh

`make test-jazzy` does both. The steps are those of setup_env.py, in another folder.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import setup_env as setup

REQUIREMENTS = setup.ROOT / "requirements"
FILES = [REQUIREMENTS / name for name in ("jazzy/ros.txt", "runtime.txt", "demo.txt", "jazzy/test.txt")]


def main() -> int:
    """Bring `.venv-jazzy` up to date; return the exit code."""
    setup.use(setup.ROOT / ".venv-jazzy", "jazzy")
    began = time.monotonic()
    try:
        setup.check_machine()
        setup.VENV.mkdir(exist_ok=True)
        with setup.lock(setup.VENV / "setup.lock"):
            worked = setup.step("python", setup.interpreter_key(), "make .venv-jazzy", setup.make_venv)
            worked |= setup.step("requirements", setup.digest(FILES), "install ROS 2 Jazzy", install)
            worked |= setup.step("build", build_key(), "build messages and package (colcon)", setup.build)
            links = f"{build_key()}\n{setup.links_key()}"
            worked |= setup.step("links", links, "link files that are new", setup.link)
    except setup.SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run it again to go on", file=sys.stderr)
        return 130
    if worked:
        print(f"setup: Jazzy is ready in {time.monotonic() - began:.0f} s")
    return 0


def install() -> None:
    """All requirement files in one resolution."""
    pip: list[str | Path] = [setup.PYTHON, "-m", "pip", "install", "--no-input"]
    needed: list[str | Path] = [part for file in FILES for part in ("-r", file)]
    advice = "Check the network and the package index; see requirements/jazzy."
    setup.run([*pip, "--prefer-binary", *needed], advice)
    setup.repair_exports()


def build_key() -> str:
    """What is compiled, and against which ROS."""
    return f"{setup.build_key()} {setup.digest(FILES)}"


if __name__ == "__main__":
    sys.exit(main())
