"""Which joints a row of keypoints lists, and what of them are COCO's 17.

Layouts by their number of joints: OpenPose's BODY_25 and COCO-18 (its output documentation), COCO's 17,
and those that begin with COCO's 17 (Halpe-26, COCO-WholeBody's 133, Halpe-136).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError

_FIRST = tuple(range(17))
LAYOUTS: dict[int, tuple[str, tuple[int, ...]]] = {
    17: ("COCO-17", _FIRST),
    18: ("COCO-18", (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)),
    25: ("BODY_25", (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11)),
    26: ("Halpe-26", _FIRST),
    133: ("COCO-WholeBody", _FIRST),
    136: ("Halpe-136", _FIRST),
}
"""Number of joints -> name, and where each of COCO's 17 stands."""

MAX_PIXELS = 1e6
MAX_SCORE = 10.0
"""Some networks' scores exceed 1 a little; percentages and logits do more."""


def coco17(values: Any, where: str) -> NDArray[np.float64]:
    """(17, 3) x, y, score of COCO's joints, as the file has them; zeros where a number is missing.

    Args:
        values: x, y and score of each joint, one after the other.
        where: begins the texts of errors.

    Raises:
        InputError: another number of joints, what is no number, pixels or scores out of range.
    """
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise InputError(f"{where}: expected a list of x, y, score, got {_short(values)}")
    joints, rest = divmod(len(values), 3)
    if rest or joints not in LAYOUTS:
        known = ", ".join(f"{3 * n} ({name})" for n, (name, _) in LAYOUTS.items())
        raise InputError(f"{where}: expected {known} numbers for a person, got {len(values)}")
    table = np.array([_number(v, where) for v in values]).reshape(joints, 3)[list(LAYOUTS[joints][1])]
    table[~np.isfinite(table).all(axis=1)] = 0.0
    if (far := np.abs(table[:, :2]).max()) > MAX_PIXELS:
        raise InputError(f"{where}: expected pixels, got a keypoint at {far:g}")
    if (high := table[:, 2].max()) > MAX_SCORE:
        raise InputError(f"{where}: expected scores from 0 to 1, got {high:g}")
    table[table[:, 2] <= 0] = 0.0
    return table


def layout_name(values: Sequence[Any]) -> str:
    """Name of the layout of a person's numbers."""
    return LAYOUTS[len(values) // 3][0]


def _number(value: Any, where: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{where}: expected a number, got {_short(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
