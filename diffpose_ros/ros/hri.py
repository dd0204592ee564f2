"""Messages of ``hri_msgs`` (REP-155): the one place that knows the package."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import COCO17, People2D
from diffpose_ros.ros.boxes import Box

INSTALL = "install hri_msgs (ros-jazzy-hri-msgs), or build it (ros4hri/hri_msgs) in the workspace"
SKELETON2D = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
    "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "left_eye", "right_eye", "left_ear", "right_ear",
)  # fmt: skip
"""Keypoints in the order of hri_msgs/Skeleton2D; the neck is the middle of the shoulders."""

_ORDER = [COCO17.index(name) if name != "neck" else -1 for name in SKELETON2D]
_SHOULDERS = [COCO17.index("left_shoulder"), COCO17.index("right_shoulder")]


class HriMessages:
    """Makes messages where ``hri_msgs`` is installed; ``missing`` says what to do where it is not."""

    def __init__(self) -> None:
        self.missing = ""
        try:
            from hri_msgs import msg
        except ImportError:
            self.missing = f"tracked, roi and skeleton2d are not published: {INSTALL}"
            return
        self.IdsList, self.Roi, self.Skeleton2D = (
            msg.IdsList, msg.NormalizedRegionOfInterest2D, msg.Skeleton2D,
        )  # fmt: skip
        self._point = msg.NormalizedPointOfInterest2D

    def ids(self, header: Any, ids: list[str]) -> Any:
        """Who is tracked."""
        return self.IdsList(header=header, ids=ids)

    def roi(self, header: Any, box: Box, size: tuple[int, int]) -> Any:
        """Where a body is in the image, in shares of its width and height."""
        w, h = size
        return self.Roi(
            header=header, xmin=box.left / w, ymin=box.top / h, xmax=box.right / w, ymax=box.bottom / h,
            c=box.score,
        )  # fmt: skip

    def skeleton2d(self, header: Any, people: People2D, person: int, size: tuple[int, int]) -> Any:
        """One person's keypoints in shares of the image; those outside are not seen."""
        xy, score = with_neck(people.xy[person], people.score[person])
        share = xy / np.array(size, dtype=np.float64)
        seen = (score > 0) & ((share >= 0) & (share <= 1)).all(axis=1)
        values = np.where(seen[:, None], np.column_stack([share, score]), 0.0).tolist()
        return self.Skeleton2D(header=header, skeleton=[self._point(x=x, y=y, c=c) for x, y, c in values])


def with_neck(
    xy: NDArray[np.float64], score: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(18, 2) pixels and (18,) scores in the order of :data:`SKELETON2D`, from COCO-17's."""
    neck = xy[_SHOULDERS].mean(axis=0)
    surely = score[_SHOULDERS].min()
    return np.vstack([xy, neck])[_ORDER], np.append(score, surely)[_ORDER]
