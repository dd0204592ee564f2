"""Makes `.venv`: ROS 2 from its wheels, the package's dependencies, the package built with colcon.

Each step leaves a stamp of what it was made from and is skipped while that has not changed, so
running this again takes about a second. Several runs at once wait for each other.

    python3 tools/setup_env.py            what running the package needs
    python3 tools/setup_env.py dev        and what the tests need
    python3 tools/setup_env.py training   and what training needs
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
ROS = VENV / "ros"
LOG = VENV / "log" / "setup.log"
DISTRO = "kilted"
REQUIREMENTS = ROOT / "requirements"
LOCKS = REQUIREMENTS / "lock"
GROUPS = {
    "": ["build", "run", "openvino"],
    "training": ["training"],
    "dev": ["training", "dev"],
}
"""Group -> the locks of requirements/lock that it installs."""
SOURCES = {
    "build": ["setuptools", "wheel"],
    "run": ["ros.txt", "runtime.txt", "demo.txt"],
    "openvino": ["openvino.txt"],
    "training": ["training.txt"],
    "dev": ["dev.txt"],
}
"""Lock -> files of requirements/, or packages, that tools/lock.py makes it from."""
OPTIONAL = {"openvino": "the detector then runs on ONNX Runtime"}
"""Locks that setup does without where they cannot be installed, and what follows."""
UNHASHED = "torch"
"""What the locks leave out: its builds (CPU, CUDA) differ from machine to machine. Its version is pinned."""
UNLOCKED = "LOCKS=no"
"""In the environment of setup: versions that requirements/ allows, no hashes."""
BUILT_FROM = ("CMakeLists.txt", "package.xml", "msg", "srv", "scripts")
LISTED = ("diffpose_ros", "config", "launch")


class SetupError(Exception):
    """Something that the user must install or repair; the text says what."""


def main(arguments: Sequence[str]) -> int:
    """Bring `.venv` up to date; return the exit code."""
    groups = ["", *arguments]
    unknown = set(groups) - set(GROUPS)
    if unknown:
        print(f"setup: unknown group '{unknown.pop()}', expected: dev, training", file=sys.stderr)
        return 2
    began = time.monotonic()
    try:
        check_machine()
        VENV.mkdir(exist_ok=True)
        with lock(VENV / "setup.lock"):
            worked = step("python", interpreter_key(), "make .venv", make_venv)
            worked |= install([name for group in groups for name in GROUPS[group]])
            worked |= step("build", build_key(), "build messages and package (colcon)", build)
            worked |= step("links", links_key(), "link files that are new", link)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run it again to go on", file=sys.stderr)
        return 130
    if worked:
        print(f"setup: ready in {time.monotonic() - began:.0f} s; enter with '. .venv/env.sh'")
    return 0


def use(venv: Path, distro: str) -> None:
    """Work in another folder, with another ROS 2 than Kilted."""
    places = {"PYTHON": venv / "bin" / "python", "ROS": venv / "ros", "LOG": venv / "log" / "setup.log"}
    globals().update(places, VENV=venv, DISTRO=distro)


def check_machine() -> None:
    """Raise SetupError for anything missing that pip cannot install."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
        raise SetupError(
            f"the ROS 2 wheels exist for Linux on x86_64, this is {sys.platform} on "
            f"{platform.machine()}; install ROS 2 (Jazzy or Kilted) and build with colcon instead"
        )
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    missing = []
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        missing.append((f"the venv module of {sys.executable}", f"{version}-venv"))
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").is_file():
        missing.append((f"the C headers of {sys.executable} (Python.h)", f"{version}-dev"))
    for tool, package in (("gcc", "gcc"), ("g++", "g++"), ("make", "make"), ("cmake", "cmake")):
        if shutil.which(tool) is None:
            missing.append((tool, package))
    if missing:
        what = ", ".join(name for name, _ in missing)
        packages = " ".join(package for _, package in missing)
        raise SetupError(f"missing: {what}; on Debian or Ubuntu: sudo apt install {packages}")
    if shutil.disk_usage(ROOT).free < 2e9:
        raise SetupError(f"less than 2 GB free at {ROOT}; make room")


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a file lock; say so once when somebody else has it."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("setup: waiting for another setup in this folder ...", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def step(name: str, key: str, what: str, work: Callable[[], None]) -> bool:
    """Do ``work`` unless its stamp says that it was done from the same ``key``."""
    stamp = VENV / "stamps" / name
    if stamp.is_file() and stamp.read_text() == key:
        return False
    print(f"setup: {what} ...", flush=True)
    began = time.monotonic()
    stamp.unlink(missing_ok=True)
    work()
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(key)
    print(f"setup: {what}: {time.monotonic() - began:.0f} s", flush=True)
    return True


def run(
    command: Sequence[str | Path], advice: str, env: dict[str, str] | None = None, cwd: Path | None = None
) -> None:
    """Run a command into the log; on failure show the log's end and raise SetupError."""
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("w") as log:
        code = subprocess.call(
            [str(part) for part in command], stdout=log, stderr=log, env=env, cwd=cwd or ROOT
        )
    if code:
        lines = LOG.read_text(errors="replace").splitlines()[-25:]
        print("\n".join(f"  | {line}" for line in lines), file=sys.stderr)
        shown = Path(command[0]).name
        raise SetupError(f"{shown} failed with exit code {code}, see {LOG}. {advice}")


def interpreter_key() -> str:
    """What the virtual environment is made from."""
    return f"{os.path.realpath(sys.executable)} {sys.version}\n"


def make_venv() -> None:
    """Create `.venv` anew; everything in it depends on the interpreter."""
    for entry in VENV.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != "setup.lock":
            entry.unlink()
    run([sys.executable, "-m", "venv", VENV], "Install the venv module of this Python.")


def install(names: Sequence[str]) -> bool:
    """Install locks that have changed: exact versions, and only files whose hash is known."""
    locks = [name for name in SOURCES if name in names]
    why_not = unlockable()
    if why_not:
        print(f"setup: {why_not}; installing what requirements/ allows, without hashes", flush=True)
    files = [file for name in locks for file in (sources(name) if why_not else [LOCKS / f"{name}.txt"])]
    key = digest(files)
    stamp = VENV / "stamps" / "requirements"
    done = stamp.read_text().split() if stamp.is_file() else []
    if key in done:
        return False
    step("pip", key, f"install {', '.join(locks)}", lambda: fetch(locks, hashed=not why_not))
    # A smaller set is contained in a larger one that was installed from the same files.
    stamp.write_text("\n".join(digest(files[: i + 1]) for i in range(len(files))))
    return True


def fetch(locks: Sequence[str], *, hashed: bool) -> None:
    """Install everything that ``locks`` name."""
    pip: list[str | Path] = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    advice = "Check the network and the package index; see requirements/."
    needed = [name for name in locks if name not in OPTIONAL and name != "build"]
    optional = [name for name in locks if name in OPTIONAL]
    if not hashed:
        given = [part for name in needed for file in sources(name) for part in ("-r", file)]
        run([*pip, "--prefer-binary", *given], advice)
        for name in optional:  # together with what is needed, so that it changes no version of that
            more = [part for file in sources(name) for part in ("-r", file)]
            perhaps(name, [*pip, "--only-binary=:all:", *given, *more], advice)
    else:
        # A lock is complete, so nothing is left to be resolved, and nothing else is downloaded.
        pip += ["--no-compile"]
        exact = [*pip, "--require-hashes", "--no-deps", "--no-build-isolation"]
        advice += f" Where an index has other versions: {UNLOCKED} make setup."
        run([*exact, "-r", LOCKS / "build.txt"], advice)  # with what the others are built
        run([*exact, *(part for name in needed for part in ("-r", LOCKS / f"{name}.txt"))], advice)
        for name in optional:
            perhaps(name, [*exact, "--only-binary=:all:", "-r", LOCKS / f"{name}.txt"], advice)
        if "training" in locks:
            lines = meaning(REQUIREMENTS / "training.txt")
            run([*pip, "--prefer-binary", *(line for line in lines if line.startswith(UNHASHED))], advice)
    repair_exports()


def perhaps(name: str, command: Sequence[str | Path], advice: str) -> None:
    """Install what is optional, or say what follows."""
    try:
        run(command, advice)
    except SetupError as error:
        print(f"setup: going on without {name}, {OPTIONAL[name]}: {error}", file=sys.stderr)


def unlockable() -> str:
    """Why the locks cannot be used; empty where they can."""
    if os.environ.get("LOCKS") == "no":
        return UNLOCKED
    missing = [name for name in SOURCES if not (LOCKS / f"{name}.txt").is_file()]
    if missing:
        return f"requirements/lock/{missing[0]}.txt is missing (python3 tools/lock.py writes it)"
    with (LOCKS / "run.txt").open() as file:
        if f"({requirements_digest()})" not in file.readline():
            return "requirements/ changed after the locks were made (python3 tools/lock.py makes them anew)"
    return ""


def sources(name: str) -> list[Path]:
    """The requirement files that a lock is made from."""
    return [REQUIREMENTS / source for source in SOURCES[name] if source.endswith(".txt")]


def meaning(file: Path) -> list[str]:
    """The lines of a requirement file, without comments."""
    lines = (line.partition("#")[0].strip() for line in file.read_text().splitlines())
    return [line for line in lines if line]


def requirements_digest() -> str:
    """Of what the locks are made from."""
    files = [file for name in SOURCES for file in sources(name)]
    text = "".join("\n".join([file.name, *meaning(file), ""]) for file in files)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def repair_exports() -> None:
    """Point the CMake files of the ROS wheels at this Python, not at the wheels' build machine."""
    code = "import numpy, sysconfig; print(sysconfig.get_paths()['include']); print(numpy.get_include())"
    output = subprocess.check_output([PYTHON, "-c", code], text=True)
    python_include, numpy_include = output.split("\n")[:2]
    for file in (VENV / "share").glob("*/cmake/*Export.cmake"):
        before = file.read_text()
        after = before
        for word in set(before.replace('"', ";").replace("\n", ";").split(";")):
            if word.startswith("/opt/python/"):
                after = after.replace(word, numpy_include if "numpy" in word else python_include)
        if after != before:
            file.write_text(after)


def build_key() -> str:
    """What colcon builds from: contents of what is compiled."""
    files = [path for name in BUILT_FROM for path in walk(ROOT / name)]
    stamp = VENV / "stamps" / "requirements"
    packages = (REQUIREMENTS / "ros.txt").read_text() if stamp.is_file() else ""
    return hashlib.sha256("\n".join([digest(files), packages]).encode()).hexdigest()


def links_key() -> str:
    """Names of the files that the installed package links to, and the build that they belong to."""
    listed = sorted(str(path.relative_to(ROOT)) for name in LISTED for path in walk(ROOT / name))
    return hashlib.sha256("\n".join([build_key(), *listed]).encode()).hexdigest()


def link() -> None:
    """Install again without compiling: links for new files, none for files that are gone."""
    drop_dead_links(ROS)
    advice = "Remove .venv/stamps/build to build everything anew."
    built = VENV / "build" / "diffpose_ros"
    # CMake leaves a list of the links where it runs: not in the source tree.
    run(["cmake", "--install", built], advice, build_environment(), cwd=built)


def build_environment() -> dict[str, str]:
    """Environment variables for CMake: this environment's packages and no others."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "COLCON_PREFIX_PATH")}
    return env | {
        "PATH": f"{VENV / 'bin'}:{env['PATH']}",
        "VIRTUAL_ENV": str(VENV),
        "CMAKE_PREFIX_PATH": str(VENV),
        "AMENT_PREFIX_PATH": str(VENV),
    }


def build() -> None:
    """`colcon build` into `.venv/ros`, linked to the source tree, so that edits count at once."""
    # CMake refuses include folders below the source folder, and numpy's is (in .venv): so it is
    # given the source by another name.
    source = VENV / "src" / "diffpose_ros"
    source.parent.mkdir(exist_ok=True)
    if not source.is_symlink():
        source.symlink_to(Path("..", ".."))
    drop_dead_links(ROS)
    command: list[str | Path] = [
        *(VENV / "bin" / "colcon", "--log-base", VENV / "log", "build", "--paths", source),
        *("--build-base", VENV / "build", "--install-base", ROS),
        *("--merge-install", "--symlink-install", "--event-handlers", "console_direct+"),
        *("--cmake-args", f"-DPython3_EXECUTABLE={PYTHON}", "-DBUILD_TESTING=OFF"),
        *("-DCMAKE_UNITY_BUILD=ON", f"-DCMAKE_PROJECT_INCLUDE={ROOT / 'tools' / 'unity.cmake'}"),
    ]
    advice = "If a compiler or CMake is at fault, install g++ and cmake 3.20 or newer."
    run(command, advice, build_environment())
    write_entry_points()


def drop_dead_links(folder: Path) -> None:
    """Remove links to source files that are gone: colcon leaves them."""
    for path in folder.rglob("*") if folder.is_dir() else ():
        if path.is_symlink() and not path.exists():
            path.unlink()


def write_entry_points() -> None:
    """`.venv/env.sh`, to be sourced, and `.venv/bin/diffpose_ros`, which needs no sourcing."""
    site = next((ROS / "lib").glob("python3*/site-packages"))
    env = {
        "VIRTUAL_ENV": f"{VENV}",
        "PATH": f"{VENV / 'bin'}:{ROS / 'lib' / 'diffpose_ros'}:$PATH",
        "PYTHONPATH": f"{site}",
        "LD_LIBRARY_PATH": f"{ROS / 'lib'}:{VENV / 'lib'}",
        "AMENT_PREFIX_PATH": f"{ROS}:{VENV}",
        "CMAKE_PREFIX_PATH": f"{ROS}:{VENV}",
        "ROS_DISTRO": DISTRO,
        "ROS_VERSION": "2",
        "ROS_PYTHON_VERSION": "3",
        "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp",
    }
    lines = [f'export {name}="{value}"' for name, value in env.items()]
    # A Python of this environment leaves this mark to its children, whose library path is set anew
    # here: without the mark they look for the ROS libraries themselves.
    lines.append("unset _ROS_WHEELS_BOOTSTRAP_COMPLETE")
    (VENV / "env.sh").write_text("# Source this: . .venv/env.sh\n" + "\n".join(lines) + "\n")
    command = VENV / "bin" / "diffpose_ros"
    start = f'"{PYTHON}" -m diffpose_ros.cli.main "$@"'
    # Ctrl-C waits until Python can end without a traceback, where `env` can make it wait.
    wait = "env --block-signal=INT"
    command.write_text(
        f'#!/bin/sh\n. "{VENV}/env.sh"\n{wait} true 2>/dev/null && exec {wait} {start}\nexec {start}\n'
    )
    command.chmod(0o755)


def walk(path: Path) -> list[Path]:
    """Files at or below ``path``, sorted, without caches."""
    found = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return [p for p in found if "__pycache__" not in p.parts]


def digest(files: Sequence[Path]) -> str:
    """SHA-256 over the names and contents of files."""
    sha = hashlib.sha256()
    for file in files:
        sha.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes() + b"\0")
    return sha.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
