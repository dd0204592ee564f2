"""OpenPose's JSON: a file per frame, each with ``people`` and their ``pose_keypoints_2d``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from diffpose_ros.core import InputError
from diffpose_ros.media.keypoint_files.layouts import coco17, layout_name
from diffpose_ros.media.keypoint_files.recorded import Person, RecordedKeypoints

KEY = "pose_keypoints_2d"


def fits(data: Any) -> bool:
    """Whether this is a frame of OpenPose's."""
    return isinstance(data, dict) and isinstance(data.get("people"), list)


def numbered(names: Sequence[str]) -> list[tuple[int, str]]:
    """The frame's number of each file: the last one in its name; counted where a name has none."""
    found = [re.findall(r"\d+", re.sub(r"(_keypoints)?\.json$", "", name, flags=re.I)) for name in names]
    if all(found) and all(len(numbers[-1]) <= 18 for numbers in found):
        pairs = [(int(numbers[-1]), name) for numbers, name in zip(found, names, strict=True)]
        return sorted(pairs)
    return list(enumerate(names))


def add(recorded: RecordedKeypoints, number: int, data: dict[str, Any], path: str) -> None:
    """Add a frame.

    Raises:
        InputError: the message names the file and the person.
    """
    people = []
    for i, person in enumerate(data["people"]):
        where = f"{path}, person {i}"
        if not isinstance(person, dict) or KEY not in person:
            raise InputError(f"{where}: expected an object with {KEY}")
        if not person[KEY]:  # a face or hands without a body
            continue
        people.append(Person(coco17(person[KEY], where), identity=_identity(person.get("person_id"))))
        recorded.layout = f"OpenPose, {layout_name(person[KEY])}"
    recorded.frames[number] = people


def _identity(value: Any) -> int | None:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        return None
    return value
