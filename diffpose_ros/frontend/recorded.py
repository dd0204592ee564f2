"""Keypoints that another program has found, in place of a detector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import People2D, TrackState
from diffpose_ros.frontend.protocol import FrontEndReport
from diffpose_ros.tracking import Tracker


class Recorded:
    """Gives each image the people of its turn; see :class:`diffpose_ros.frontend.FrontEnd`.

    Args:
        people_of: the people of the first, second, ... image, from 0 on.
        tracker: gives identities; ``None``: the people have theirs.
        name: what found them.
    """

    joint_set = "coco17"

    def __init__(
        self, people_of: Callable[[int], People2D], tracker: Tracker | None, name: str = "keypoints"
    ) -> None:
        self._people_of, self.tracker = people_of, tracker
        self.name, self.reason = name, "a recording"
        self._turn = 0
        self._first_ns: dict[int, int] = {}

    @property
    def report(self) -> FrontEndReport:
        """What it did in the last frame."""
        return FrontEndReport(values={"keypoints from": self.reason})

    def see(self, rgb: NDArray[np.uint8], stamp_ns: int) -> People2D:
        """The people of the next image; see :meth:`diffpose_ros.frontend.FrontEnd.see`."""
        people = self._people_of(self._turn)
        self._turn += 1
        if self.tracker is not None:
            return self.tracker.update(people, stamp_ns)
        ids = people.track_id.tolist()  # type: ignore[union-attr]
        new = [i not in self._first_ns for i in ids]
        first = [self._first_ns.setdefault(i, stamp_ns) for i in ids]
        return replace(
            people,
            age_s=np.array([(stamp_ns - since) * 1e-9 for since in first]),
            state=np.array([TrackState.NEW if n else TrackState.TRACKED for n in new], dtype=np.int64),
        )

    def reset(self) -> None:
        """Forget everyone; whose turn it is stays."""
        self._first_ns.clear()
        if self.tracker is not None:
            self.tracker.reset()

    def close(self) -> None:
        """Nothing to let go of."""
