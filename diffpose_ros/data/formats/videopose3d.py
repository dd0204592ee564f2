"""The nested dictionaries that VideoPose3D made the field's custom, read and checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import COCO17, H36M17, InputError
from diffpose_ros.data.formats.archive import read_arrays

JOINTS_OF_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""Which of the recorded 32 joints are the 17 of H36M-17; the rest repeat others or never move."""


def read_takes(path: str | Path, subjects: Iterable[str]) -> Iterator[tuple[str, str, NDArray[np.float32]]]:
    """Subject, take and (T, 17, 3) metres of every take of the subjects, in the file's order.

    Raises:
        InputError: the file is not of that layout, or lacks a subject.
    """
    path = Path(path)
    data = dictionary(path, "positions_3d", read_arrays(path, ("positions_3d",))["positions_3d"])
    for subject in subjects:
        if subject not in data:
            raise InputError(
                f"{path}: positions_3d: no subject '{subject}', it has {', '.join(map(str, data))}"
            )
        for take, value in dictionary(path, subject, data[subject]).items():
            yield subject, str(take), _positions(f"{path}: {subject} '{take}'", value)


def _positions(where: str, value: Any) -> NDArray[np.float32]:
    if not (isinstance(value, np.ndarray) and value.ndim == 3 and value.dtype.kind == "f"):
        raise InputError(f"{where}: expected an array (frames, 32 or 17, 3) of metres")
    if value.shape[1:] == (32, 3):
        value = value[:, list(JOINTS_OF_32)]
    if value.shape[1:] != (17, 3) or not len(value):
        raise InputError(f"{where}: expected shape (frames, 32 or 17, 3), got {value.shape}")
    if not np.isfinite(value).all():
        raise InputError(f"{where}: expected finite numbers, got NaN or infinity")
    size = float(np.abs(value - value[:, :1]).max())
    if not 0.2 < size < 5.0:
        raise InputError(
            f"{where}: expected metres, but joints lie up to {size:g} from the hip; "
            "divide millimetres by 1000"
        )
    return value.astype(np.float32)


def check_keypoints(where: str, value: Any, frames: int) -> NDArray[np.float32]:
    """One camera's keypoints as (frames, 17, 3): x, y and score, 1 where the file has none.

    Raises:
        InputError: the shape is wrong, there are fewer frames, or a number is not finite.
    """
    value = np.asarray(value)
    if value.dtype.kind != "f" or value.ndim != 3 or value.shape[1:] not in ((17, 2), (17, 3)):
        raise InputError(f"{where}: expected shape (frames, 17, 2), got {value.dtype} {value.shape}")
    if len(value) < frames:
        raise InputError(
            f"{where}: expected at least the {frames} frames of the motion capture, got {len(value)}"
        )
    value = value[:frames].astype(np.float32)
    if not np.isfinite(value).all():
        raise InputError(f"{where}: expected finite numbers, got NaN or infinity")
    if value.shape[2] == 3:
        return np.concatenate([value[..., :2], value[..., 2:].clip(0, 1)], axis=-1)
    return np.concatenate([value, np.ones_like(value[..., :1])], axis=-1)


def layout_of(path: Path, metadata: Any) -> str:
    """Which 17 joints the keypoints are, told by which of them are left and right.

    Raises:
        InputError: they are neither Human3.6M's nor COCO's.
    """
    sides = dictionary(path, "metadata", metadata).get("keypoints_symmetry")
    pairs = [sorted(int(j) for j in side) for side in sides] if sides is not None else []
    for joints in (H36M17, COCO17):
        if pairs == [sorted(joints.left), sorted(joints.right)]:
            return joints.name
    raise InputError(
        f"{path}: metadata: expected the 17 joints of Human3.6M or COCO, got left and right "
        f"joints {pairs}; other detectors' layouts are not read"
    )


def dictionary(path: Path, name: str, value: Any) -> dict[Any, Any]:
    """``value``, if it is a dictionary.

    Raises:
        InputError: it is not; ``name`` says which.
    """
    if not isinstance(value, dict):
        kind = "nothing" if value is None else type(value).__name__
        raise InputError(f"{path}: {name}: expected a dictionary, got {kind}")
    return value
