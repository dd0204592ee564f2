"""Runs any detector on every whole image, then tracks."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import People2D
from diffpose_ros.frontend.detectors import Detector
from diffpose_ros.frontend.protocol import FrontEndReport
from diffpose_ros.tracking import Tracker


class WholeImage:
    """Detects in each whole image and tracks; see :class:`diffpose_ros.frontend.FrontEnd`.

    Args:
        detector: detector; closed with the front end.
        tracker: tracker that assigns ids; by default a new one.
    """

    def __init__(self, detector: Detector, tracker: Tracker | None = None) -> None:
        self.detector = detector
        self.tracker = Tracker() if tracker is None else tracker
        self.name, self.joint_set, self.reason = detector.name, detector.joint_set, detector.reason
        self._size: tuple[int, ...] | None = None
        self._report = FrontEndReport()

    @property
    def report(self) -> FrontEndReport:
        """What it did in the last frame."""
        return self._report

    def see(self, rgb: NDArray[np.uint8], stamp_ns: int) -> People2D:
        """See :meth:`diffpose_ros.frontend.FrontEnd.see`."""
        start = time.perf_counter()
        found = self.detector.detect(rgb)
        detected = time.perf_counter()
        if self._size not in (None, rgb.shape):
            self.reset()
        self._size = rgb.shape
        people = self.tracker.update(found, stamp_ns)
        self._report = FrontEndReport(
            values={"keypoints from": "the whole image"},
            stages_s={"detect": detected - start, "track": time.perf_counter() - detected},
        )
        return people

    def reset(self) -> None:
        """Forget everyone; the next people get new ids."""
        self.tracker.reset()

    def close(self) -> None:
        """Free the detector."""
        self.detector.close()
