"""The keypoints of a recording, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError, People2D

MOST_FRAMES_APART = 100_000_000
NO_PIXELS = 1.0
"""Where no keypoint lies beyond this, they were written as shares of the image."""


@dataclass
class Person:
    """One person in one frame.

    Attributes:
        table: (17, 3) x, y, score of COCO's joints; scores of 0 for those not seen.
        score: of the person, ``None`` where the file has none.
        identity: from 0 on, ``None`` where the file has none.
    """

    table: NDArray[np.float64]
    score: float | None = None
    identity: int | None = None


@dataclass
class RecordedKeypoints:
    """What a file or a folder says.

    Attributes:
        name: the path.
        layout: e.g. ``OpenPose, BODY_25``.
        frames: number of the frame -> its people; frames without people may be missing.
        size: width and height of the images, where the file says them.
    """

    name: str
    layout: str
    frames: dict[int, list[Person]] = field(default_factory=dict)
    size: tuple[int, int] | None = None

    @property
    def numbers(self) -> Sequence[int]:
        """Of the frames, rising."""
        return sorted(self.frames)

    @property
    def identified(self) -> bool:
        """Whether everyone in every frame has an identity, nobody's twice in a frame."""
        for people in self.frames.values():
            ids = [person.identity for person in people]
            if None in ids or len(set(ids)) < len(ids):
                return False
        return True

    def people(self, number: int) -> People2D:
        """Those of a frame, with their identities where everyone has one; nobody where it has none."""
        found = [p for p in self.frames.get(number, ()) if (p.table[:, 2] > 0).any()]
        if not found:
            return People2D.empty()
        table = np.stack([p.table for p in found])
        score = np.minimum(table[..., 2], 1.0)
        mean = score.sum(axis=1) / np.maximum((score > 0).sum(axis=1), 1)
        person = [m if p.score is None else p.score for p, m in zip(found, mean.tolist(), strict=True)]
        ids = [-1 if p.identity is None else p.identity for p in found]
        return People2D(
            xy=table[..., :2], score=score, person_score=np.clip(person, 0.0, 1.0), track_id=np.array(ids)
        )

    def check(self) -> None:
        """Raise InputError unless these can be the keypoints of one camera's images."""
        if not self.frames:
            raise InputError(f"{self.name}: holds no frame")
        numbers = self.numbers
        if numbers[-1] - numbers[0] > MOST_FRAMES_APART:
            raise InputError(f"{self.name}: frame numbers reach from {numbers[0]} to {numbers[-1]}")
        tables = [person.table for people in self.frames.values() for person in people]
        seen = [table[table[:, 2] > 0, :2] for table in tables]
        seen = [xy for xy in seen if len(xy)]
        if seen and max(float(np.abs(xy).max()) for xy in seen) <= NO_PIXELS:
            raise InputError(
                f"{self.name}: expected pixels, got keypoints between -1 and 1 "
                "(with OpenPose, --keypoint_scale 0 writes pixels)"
            )
