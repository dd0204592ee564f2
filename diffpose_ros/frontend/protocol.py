"""What every front end looks like: one object that turns a camera's images into people in 2D."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import People2D


@dataclass(frozen=True)
class FrontEndReport:
    """What a front end did in its last frame, and since it was made.

    Attributes:
        counts: events since it was made, by name, e.g. ``{"left/right exchanges undone": 2}``.
        values: how it works at present, by name, e.g. ``{"keypoints from": "2 crops of 192 px"}``.
        stages_s: seconds that each stage of the last frame took, by name.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    stages_s: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class FrontEnd(Protocol):
    """Sees people in the images of one camera and keeps their identities.

    It remembers: one object serves one camera, and its images come in order.

    Attributes:
        name: of its detector, as messages carry it.
        joint_set: name of the joint set of its keypoints.
        reason: what its networks run on, and why that.
        report: of the last frame.
    """

    name: str
    joint_set: str
    reason: str

    @property
    def report(self) -> FrontEndReport:
        """What it did in the last frame."""
        ...

    def see(self, rgb: NDArray[np.uint8], stamp_ns: int) -> People2D:
        """The confirmed people of an image.

        Args:
            rgb: (H, W, 3) uint8 RGB. Another size than before starts all tracks anew.
            stamp_ns: time of exposure, nanoseconds. One before the last starts all tracks anew.

        Returns:
            People by rising identity, keypoints in pixels of the image.

        Raises:
            InputError: not such an image.
            BackendError: a network failed, or the front end was closed.
        """
        ...

    def reset(self) -> None:
        """Forget everyone; the next people get new identities."""
        ...

    def close(self) -> None:
        """Let go of the networks; ``see`` must not be called afterwards."""
        ...
