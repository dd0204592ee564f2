"""Settings of the tracker."""

from __future__ import annotations

from dataclasses import dataclass

from diffpose_ros.core import ConfigError


@dataclass(frozen=True)
class TrackerConfig:
    """Settings of :class:`diffpose_ros.tracking.Tracker`.

    Attributes:
        max_occlusion_s: how long an unseen person is remembered, s.
        min_hits: consecutive frames with a person before it is published; 1 publishes at once,
            including false detections in single frames.
        high_score: lowest score that may start a track.
        low_score: lowest score that may continue a track; lower ones are ignored.
        min_similarity: lowest OKS (widened for motion) between prediction and detection.
        keypoint_score: keypoints with a lower score are not compared.
        include_occluded: also return people who are remembered but unseen, at their predicted
            position, with all scores 0 and the state OCCLUDED.

    Raises:
        ConfigError: a value is out of range, or ``low_score`` exceeds ``high_score``.
    """

    max_occlusion_s: float = 1.5
    min_hits: int = 3
    high_score: float = 0.3
    low_score: float = 0.15
    min_similarity: float = 0.15
    keypoint_score: float = 0.1
    include_occluded: bool = False

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "max_occlusion_s": (0.0, 60.0),
            "min_hits": (1, 100),
            "high_score": (0.0, 1.0),
            "low_score": (0.0, 1.0),
            "min_similarity": (0.01, 0.99),
            "keypoint_score": (0.0, 1.0),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            whole = isinstance(low, int)
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                kind = "a whole number" if whole else "a number"
                raise ConfigError(f"tracker {name}: expected {kind}, got {value!r}")
            if not low <= value <= high:  # also refuses NaN
                raise ConfigError(f"tracker {name}: expected {low:g} to {high:g}, got {value:g}")
        if not isinstance(self.include_occluded, bool):
            raise ConfigError(
                f"tracker include_occluded: expected true or false, got {self.include_occluded!r}"
            )
        if self.low_score > self.high_score:
            raise ConfigError(
                f"tracker low_score: expected at most high_score ({self.high_score:g}), "
                f"got {self.low_score:g}"
            )
