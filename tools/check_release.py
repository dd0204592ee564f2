"""Builds sdist and wheel, then lifts a picture from the wheel in clean environments, without ROS.

    python3 tools/check_release.py                  every Python from 3.10 to 3.13 that is on the path
    python3 tools/check_release.py 3.12             one of them
    python3 tools/check_release.py --keep dist      leave what was built in a folder

The wheel is built from the sdist, so a file that the sdist lacks is missing there, too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
PICTURE = ROOT / "test" / "frontend" / "people.jpg"
FRAMES = 8
"""A person is lifted from the third frame on."""

CHECK = """
import sys, numpy as np
import diffpose_ros
assert diffpose_ros.__version__ == sys.argv[2], diffpose_ros.__version__
for name in ("rclpy", "torch", "onnx"):
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(f"{name} is here: the environment is not clean")
lifted = np.load(sys.argv[1])
assert lifted["skeleton"].shape[1:] == (17, 3) and np.isfinite(lifted["skeleton"]).all()
print(len(set(lifted["track_id"].tolist())), "people,", len(lifted["frame"]), "skeletons")
"""


def main(arguments: Sequence[str]) -> int:
    """Build and try; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"of {', '.join(VERSIONS)}")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where to leave sdist and wheel")
    args = parser.parse_args(arguments)
    if unknown := set(args.versions) - set(VERSIONS):
        parser.error(f"expected versions of {', '.join(VERSIONS)}, got {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="diffpose_release_") as folder:
        work = Path(folder)
        try:
            wheel, version = build(work)
            pictures = work / "pictures"
            pictures.mkdir()
            for k in range(FRAMES):
                shutil.copy(PICTURE, pictures / f"{k:03}.jpg")
            tried = [one for one in args.versions or VERSIONS if try_out(one, wheel, version, pictures, work)]
        except subprocess.CalledProcessError as error:
            print(error.stdout, file=sys.stderr)
            print(f"release: failed: {' '.join(map(str, error.cmd))}", file=sys.stderr)
            return 1
        if args.keep is not None:
            shutil.copytree(work / "dist", args.keep, dirs_exist_ok=True)
    if not tried:
        print("release: none of these Pythons is here", file=sys.stderr)
        return 1
    print(f"release: {version} works on Python {', '.join(tried)}")
    return 0


def build(work: Path) -> tuple[Path, str]:
    """The wheel of this tree, by way of its sdist, and its version."""
    tool = work / "build"
    run(sys.executable, "-m", "venv", tool)
    python = tool / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "build")
    run(python, "-m", "build", "--outdir", work / "dist", ROOT)  # sdist, and the wheel from it
    (wheel,) = (work / "dist").glob("*.whl")
    (sdist,) = (work / "dist").glob("*.tar.gz")
    for file in (sdist, wheel):
        print(f"release: {file.name}, {file.stat().st_size / 1e6:.1f} MB", flush=True)
    inside = set(zipfile.ZipFile(wheel).namelist())
    sources = (p for p in (ROOT / "diffpose_ros").rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    missing = {p.relative_to(ROOT).as_posix() for p in sources} - inside
    configuration = {f"diffpose_ros/config/{p.name}" for p in (ROOT / "config").glob("*.yaml")}
    if lacking := sorted(missing | (configuration - inside)):
        raise SystemExit(f"release: the wheel lacks {', '.join(lacking[:5])}")
    return wheel, wheel.name.split("-")[1]


def try_out(python: str, wheel: Path, version: str, pictures: Path, work: Path) -> bool:
    """Whether that Python is here; lifts with it, in an environment that holds the wheel alone."""
    found = usable(python)
    if found is None:
        print(f"release: Python {python} is not here", flush=True)
        return False
    began = time.monotonic()
    env = work / f"python{python}"
    run(found, "-m", "venv", env)
    run(env / "bin" / "python", "-m", "pip", "install", "--quiet", wheel)
    out = work / f"{python}.npz"
    run(env / "bin" / "diffpose_ros", "lift", pictures, "--output", out)
    said = run(env / "bin" / "python", "-c", CHECK, out, version).strip()
    print(f"release: Python {python}: {said}, {time.monotonic() - began:.0f} s", flush=True)
    return True


def usable(version: str) -> Path | None:
    """That Python, where it runs: pyenv leaves names on the path whose Python is not chosen."""
    pyenv = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))
    on_path = shutil.which(f"python{version}")
    for one in (*([Path(on_path)] if on_path else []), *pyenv):
        if subprocess.run([one, "-c", ""], capture_output=True, check=False).returncode == 0:
            return one
    return None


def run(*command: object) -> str:
    """Run a command away from this tree and from any ROS; return what it says."""
    hidden = ("PYTHONPATH", "AMENT_PREFIX_PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONHOME")
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [str(part) for part in command], env=env, cwd=tempfile.gettempdir(), text=True, check=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
