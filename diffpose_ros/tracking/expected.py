"""Where a tracker expects people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Expected:
    """Everyone whom a tracker remembers, as expected at one time. T tracks, J joints.

    Attributes:
        key: (T,) tells tracks apart, unconfirmed ones too.
        track_id: (T,) identity, -1 where not yet confirmed.
        xy: (T, J, 2) keypoints, pixels.
        visible: (T, J) joints whose place is known.
        size: (T,) apparent size, pixels, see :func:`diffpose_ros.core.oks.extent`.
        unseen_s: (T,) seconds since the last sight.
        age_s: (T,) seconds since the first sight.
    """

    key: NDArray[np.int64]
    track_id: NDArray[np.int64]
    xy: NDArray[np.float64]
    visible: NDArray[np.bool_]
    size: NDArray[np.float64]
    unseen_s: NDArray[np.float64]
    age_s: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.key)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Expected:
        """The tracks of these rows."""
        return Expected(
            self.key[rows], self.track_id[rows], self.xy[rows], self.visible[rows],
            self.size[rows], self.unseen_s[rows], self.age_s[rows],
        )  # fmt: skip
