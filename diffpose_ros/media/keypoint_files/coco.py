"""COCO's keypoint JSON: annotations with their images, or a list of results as detectors write it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from diffpose_ros.core import InputError
from diffpose_ros.media.keypoint_files.layouts import coco17, layout_name
from diffpose_ros.media.keypoint_files.recorded import Person, RecordedKeypoints

_IDENTITIES = ("track_id", "instance_id", "idx")
_FRAME_NUMBERS = ("frame_id", "frame_index", "frame")


def fits(data: Any) -> bool:
    """Whether this is a file of annotations or a list of results."""
    if isinstance(data, dict):
        return isinstance(data.get("annotations"), list) and isinstance(data.get("images"), list)
    return isinstance(data, list) and (not data or (isinstance(data[0], dict) and "keypoints" in data[0]))


def read(data: Any, path: str) -> RecordedKeypoints:
    """Everyone in the file.

    Raises:
        InputError: the message names the entry.
    """
    recorded = RecordedKeypoints(path, "COCO")
    numbers: dict[Any, int] | None = None
    entries = data
    if isinstance(data, dict):
        entries = data["annotations"]
        numbers = _images(data["images"], recorded)
    for i, entry in enumerate(entries):
        where = f"{path}, entry {i}"
        if not isinstance(entry, dict):
            raise InputError(f"{where}: expected an object, got {type(entry).__name__}")
        if entry.get("iscrowd") == 1 or not entry.get("keypoints"):
            continue
        number = _frame(entry.get("image_id"), numbers, where)
        person = Person(coco17(entry["keypoints"], where), _score(entry.get("score")), _identity(entry))
        recorded.layout = f"COCO, {layout_name(entry['keypoints'])}"
        recorded.frames.setdefault(number, []).append(person)
    _flags_to_scores(recorded)
    return recorded


def _images(images: list[Any], recorded: RecordedKeypoints) -> dict[Any, int]:
    """Image id -> number of the frame, all of which are noted in ``recorded``."""
    path = recorded.name
    if not all(isinstance(image, dict) and isinstance(image.get("id"), (int, str)) for image in images):
        raise InputError(f"{path}: expected images with an id each")
    videos = {str(image.get("video_id")) for image in images}
    if len(videos) > 1:
        raise InputError(f"{path}: expected the images of one video, got {len(videos)}; split the file")
    sizes = {(image.get("width"), image.get("height")) for image in images} - {(None, None)}
    if len(sizes) > 1:
        raise InputError(f"{path}: expected images of one size, got {len(sizes)} sizes; split the file")
    for size in sizes:
        if not all(isinstance(n, int) and 0 < n <= 100_000 for n in size):
            raise InputError(f"{path}: expected a width and a height in pixels, got {size[0]} x {size[1]}")
        recorded.size = size
    numbers = _numbers(images)
    for number in numbers.values():
        recorded.frames[number] = []
    return numbers


def _numbers(images: list[dict[str, Any]]) -> dict[Any, int]:
    """By the frame's number where each image has its own, else by its file's name, else by its id."""
    choices: list[list[Any]] = [[image.get(key) for image in images] for key in _FRAME_NUMBERS]
    choices.append([_last_number(image.get("file_name")) for image in images])
    choices.append([image["id"] for image in images])
    for given in choices:
        whole = all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 10**18 for n in given)
        if whole and len(set(given)) == len(images):
            return {image["id"]: n for image, n in zip(images, given, strict=True)}
    return {image["id"]: i for i, image in enumerate(images)}


def _frame(image_id: Any, numbers: dict[Any, int] | None, where: str) -> int:
    if numbers is not None:
        if not isinstance(image_id, (int, str)) or image_id not in numbers:
            raise InputError(f"{where}: expected the image_id of one of the images, got {image_id!r}"[:200])
        return numbers[image_id]
    number = _last_number(image_id) if isinstance(image_id, str) else image_id
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 10**18:
        raise InputError(f"{where}: expected an image_id with a number, got {image_id!r}"[:200])
    return number


def _last_number(name: Any) -> int | None:
    found = re.findall(r"\d+", re.sub(r"\.\w+$", "", name)) if isinstance(name, str) else []
    return int(found[-1]) if found and len(found[-1]) <= 18 else None


def _score(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        return None
    return float(value)


def _identity(entry: dict[str, Any]) -> int | None:
    for key in _IDENTITIES:
        value = entry.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31:
            return value
    return None


def _flags_to_scores(recorded: RecordedKeypoints) -> None:
    """Annotations have flags instead of scores: 1 hidden, but placed; 2 seen."""
    tables = [person.table for people in recorded.frames.values() for person in people]
    thirds = np.concatenate([table[:, 2] for table in tables]) if tables else np.zeros(0)
    if set(np.unique(thirds)) <= {0.0, 1.0, 2.0} and (thirds == 2).any():
        for table in tables:
            table[:, 2] /= 2
