"""The interface of a front end, which turns a camera's images into people in 2D."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import People2D


@dataclass(frozen=True)
class FrontEndReport:
    """What a front end did in its last frame, and since its creation.

    Attributes:
        counts: number of events since creation, by name, e.g. ``{"left/right exchanges undone": 2}``.
        values: current mode of operation, by name, e.g. ``{"keypoints from": "2 crops of 192 px"}``.
        stages_s: duration of each stage of the last frame, seconds, by name.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    stages_s: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class FrontEnd(Protocol):
    """Finds people in the images of one camera and keeps their ids.

    It has a memory: use one object per camera, and pass its images in order.

    Attributes:
        name: name of its detector, as in the messages.
        joint_set: name of the joint set of its keypoints.
        reason: runtime of its networks, and why it was chosen.
        report: report on the last frame.
    """

    name: str
    joint_set: str
    reason: str

    @property
    def report(self) -> FrontEndReport:
        """What it did in the last frame."""
        ...

    def see(self, rgb: NDArray[np.uint8], stamp_ns: int) -> People2D:
        """Find the confirmed people in an image.

        Args:
            rgb: (H, W, 3) uint8 RGB. If the size changes, all tracks restart.
            stamp_ns: time of exposure, nanoseconds. If it is before the last one, all tracks restart.

        Returns:
            People sorted by id, with keypoints in pixels of the image.

        Raises:
            InputError: the image has another type or shape.
            BackendError: a network failed, or the front end was closed.
        """
        ...

    def reset(self) -> None:
        """Forget everyone; the next people get new ids."""
        ...

    def close(self) -> None:
        """Free the networks; ``see`` must not be called afterwards."""
        ...
