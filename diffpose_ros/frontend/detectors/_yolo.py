"""What YOLO-pose networks answer, with and without suppression in the graph.

Layouts as ultralytics exports them: a column (v8, v11) or a row per candidate with box centre and
size, score, keypoints; or, with suppression (``nms=True``, and v26 always), rows of box corners, score,
class, keypoints. Numbers are pixels of the network's input.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import COCO17

JOINTS = len(COCO17)
RAW, FINAL = 5 + 3 * JOINTS, 6 + 3 * JOINTS


@dataclass(frozen=True)
class Rows:
    """Candidates in pixels of the network's input: keypoints, their scores, the person's score."""

    xy: NDArray[np.float64]
    score: NDArray[np.float64]
    person: NDArray[np.float64]


def read(output: NDArray[np.floating]) -> Rows | None:
    """The candidates of one image's output (1, ., .), ``None`` where the shape is no YOLO-pose."""
    if output.ndim != 3 or output.shape[0] != 1:
        return None
    table = output[0].astype(np.float64)
    if table.shape[1] == FINAL:
        person, keypoints = table[:, 4], table[:, 6:]
    elif RAW in table.shape:
        rows = table.T if table.shape[0] == RAW else table
        person, keypoints = rows[:, 4], rows[:, 5:]
    else:
        return None
    good = np.isfinite(person) & np.isfinite(keypoints).all(axis=1)
    points = keypoints[good].reshape(-1, JOINTS, 3)
    return Rows(points[..., :2], np.clip(points[..., 2], 0, 1), np.clip(person[good], 0, 1))


def fits(shape: list[object]) -> bool:
    """Whether an output of this shape, sizes not fixed being no numbers, may be YOLO-pose."""
    return len(shape) == 3 and (shape[1] in (RAW,) or shape[2] in (RAW, FINAL))
