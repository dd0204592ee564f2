"""The arrays that ``diffpose_ros lift`` writes: a row per person per frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffpose_ros.core import H36M17, UNKNOWN, People2D, Skeleton, Surroundings
from diffpose_ros.core.types import SIZE_SOURCES

SIZE_SOURCE_TYPE = f"U{max(map(len, SIZE_SOURCES))}"
"""Of as many letters as the longest, in an empty table too."""


class PoseTable:
    """Collects skeletons frame by frame.

    Attributes:
        frames: how many frames were added, those with nobody in them included.
    """

    def __init__(self) -> None:
        self._stamps: list[float] = []
        self._frame: list[int] = []
        self._id: list[int] = []
        self._keypoints: list[np.ndarray] = []
        self._skeleton: list[np.ndarray] = []
        self._covariance: list[np.ndarray] = []
        self._score: list[np.ndarray] = []
        self._velocity: list[np.ndarray] = []
        self._contact: list[np.ndarray] = []
        self._size_source: list[str] = []
        self._up: list[np.ndarray] = []
        self._camera_height: list[float] = []

    def __len__(self) -> int:
        return len(self._frame)

    @property
    def frames(self) -> int:
        """Frames added."""
        return len(self._stamps)

    @property
    def people(self) -> int:
        """Different identities met."""
        return len(set(self._id))

    def add(
        self, stamp_ns: int, people: People2D, skeletons: Sequence[Skeleton], around: Surroundings = UNKNOWN
    ) -> None:
        """Append one frame; each skeleton meets its keypoints by the track id."""
        row = {int(t): i for i, t in enumerate(people.track_id)}  # type: ignore[arg-type]
        skeletons = [s for s in skeletons if s.track_id in row]
        for s in skeletons:
            i = row[s.track_id]
            self._frame.append(self.frames)
            self._id.append(s.track_id)
            self._keypoints.append(np.concatenate([people.xy[i], people.score[i][:, None]], axis=-1))
            self._skeleton.append(s.xyz)
            self._covariance.append(s.covariance)
            self._score.append(s.score)
            self._velocity.append(s.velocity)
            self._contact.append(s.contact)
            self._size_source.append(s.size_source)
        self._stamps.append(stamp_ns / 1e9)
        self._up.append(np.full(3, np.nan) if around.up is None else around.up)
        self._camera_height.append(np.nan if around.camera_height is None else around.camera_height)

    def arrays(self) -> dict[str, np.ndarray]:
        """``stamps (F,)`` s, ``frame (R,)``, ``track_id (R,)``, ``keypoints (R, 17, 3)`` x, y in
        pixels and score, ``skeleton (R, 17, 3)`` m, ``covariance (R, 17, 3, 3)`` m^2,
        ``root_velocity (R, 3)`` m/s, ``contact (R, 2)`` probability that the right and the left foot
        stand, ``size_source (R,)`` what told the size, ``score (R, 17)``, ``joint_names (17,)``,
        ``up (F, 3)`` unit vector against gravity, ``camera_height (F,)`` m over the floor. Velocity, contact,
        up and height are NaN where they are not known."""
        return {
            "stamps": np.array(self._stamps, dtype=np.float64),
            "frame": np.array(self._frame, dtype=np.int64),
            "track_id": np.array(self._id, dtype=np.int64),
            "keypoints": np.array(self._keypoints, dtype=np.float32).reshape(-1, 17, 3),
            "skeleton": np.array(self._skeleton, dtype=np.float32).reshape(-1, 17, 3),
            "covariance": np.array(self._covariance, dtype=np.float32).reshape(-1, 17, 3, 3),
            "score": np.array(self._score, dtype=np.float32).reshape(-1, 17),
            "root_velocity": np.array(self._velocity, dtype=np.float32).reshape(-1, 3),
            "contact": np.array(self._contact, dtype=np.float32).reshape(-1, 2),
            "size_source": np.array(self._size_source, dtype=SIZE_SOURCE_TYPE),
            "joint_names": np.array(H36M17.joints),
            "up": np.array(self._up, dtype=np.float32).reshape(-1, 3),
            "camera_height": np.array(self._camera_height, dtype=np.float32),
        }
