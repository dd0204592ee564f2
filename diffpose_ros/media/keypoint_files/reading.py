"""Reading a file or a folder of keypoints, whichever of the known kinds it is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from diffpose_ros.core import InputError
from diffpose_ros.core.files import expanded, read_limited, reason
from diffpose_ros.media.keypoint_files import coco, openpose
from diffpose_ros.media.keypoint_files.recorded import RecordedKeypoints

MAX_BYTES = 200_000_000
MAX_FRAME_BYTES = 5_000_000
MAX_FILES = 1_000_000
EXPECTED = "expected OpenPose's JSON (a folder, or one frame) or COCO's (annotations, or a list of results)"


def read_keypoints(path: str | Path) -> RecordedKeypoints:
    """Keypoints of one camera's images.

    Args:
        path: a folder of OpenPose's JSON files, one a frame; one such file; or a COCO keypoint file,
            annotations or a list of results.

    Raises:
        InputError: what is there is none of them; the message names the file and what is wrong.
    """
    place = expanded(path)
    recorded = _folder(place) if place.is_dir() else _file(place)
    recorded.check()
    return recorded


def _file(path: Path) -> RecordedKeypoints:
    data = _load(path, MAX_BYTES)
    if openpose.fits(data):
        recorded = RecordedKeypoints(str(path), "OpenPose")
        openpose.add(recorded, 0, data, str(path))
        return recorded
    if coco.fits(data):
        return coco.read(data, str(path))
    raise InputError(f"{path}: {EXPECTED}, got {_what(data)}")


def _folder(folder: Path) -> RecordedKeypoints:
    try:
        names = sorted(
            entry.name for entry in os.scandir(folder)
            if entry.name.lower().endswith(".json") and not entry.name.startswith(".")
        )  # fmt: skip
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {reason(error)}") from None
    if not names:
        raise InputError(f"{folder}: expected a folder of OpenPose's JSON files, found no .json file")
    if len(names) > MAX_FILES:
        raise InputError(f"{folder}: expected at most {MAX_FILES} files, found {len(names)}")
    recorded = RecordedKeypoints(str(folder), "OpenPose")
    named: dict[int, str] = {}
    for number, name in openpose.numbered(names):
        if number in named:
            raise InputError(
                f"{folder}: two files are of frame {number}: {named[number]} and {name}; "
                "expected one camera's frames"
            )
        named[number] = name
        data = _load(folder / name, MAX_FRAME_BYTES)
        if not openpose.fits(data):
            raise InputError(f"{folder / name}: expected a frame of OpenPose's JSON, got {_what(data)}")
        openpose.add(recorded, number, data, str(folder / name))
    return recorded


def _load(path: Path, limit: int) -> Any:
    raw = read_limited(path, limit, "a JSON file")
    try:
        return json.loads(raw)
    except RecursionError:
        raise InputError(f"{path}: is nested too deeply for keypoints") from None
    except ValueError as error:  # of JSON, of UTF-8, of numbers with too many digits
        raise InputError(f"{path}: is no JSON: {str(error).splitlines()[0][:120]}") from None


def _what(data: Any) -> str:
    if isinstance(data, dict):
        return f"an object with {', '.join(sorted(map(str, data))[:6]) or 'nothing'}"[:120]
    if isinstance(data, list):
        return f"a list of {len(data)}"
    return type(data).__name__
