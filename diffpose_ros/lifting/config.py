"""Settings of the lifter."""

from __future__ import annotations

from dataclasses import dataclass

from diffpose_ros.core import ConfigError
from diffpose_ros.methods.settings import MethodSettings

MAX_RATE_HZ = 60.0
"""Highest frame rate that the models are made for; faster streams are thinned."""


@dataclass(frozen=True, kw_only=True)
class LifterConfig(MethodSettings):
    """Settings of a :class:`~diffpose_ros.lifting.Lifter`, checked together.

    Attributes:
        max_tracks: largest number of people remembered, best scores first; others are left out.
        max_gap_s: a person unseen for longer starts without history, s.
        person_height: standing height of everyone in view, m; ``None``: the body prior.
        person_height_stddev: standard deviation of that height, m.
        estimate_gravity: for a fixed camera: if the up direction is unknown, learn it from the people in
            view.
        deadline_s: time limit for one frame, s; ``None``: no limit. A model's cheaper levels with files
            of their own are loaded only if it is set.
        score_threshold: keypoints with a lower score are ignored; ``None``: the model's threshold.
        refine: move each pose towards the rays of its keypoints, weighted by the covariances of both.
        min_keypoints: a person with fewer usable keypoints is not lifted in that frame.

    The other attributes are those of :class:`~diffpose_ros.methods.settings.MethodSettings`.

    Raises:
        ConfigError: a value is out of range, or two values contradict each other.
    """

    max_tracks: int = 50
    max_gap_s: float = 1.0
    person_height: float | None = None
    person_height_stddev: float = 0.02
    estimate_gravity: bool = False
    deadline_s: float | None = None
    score_threshold: float | None = None
    min_keypoints: int = 4
    refine: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._whole("max_tracks", 1, 1000)
        self._whole("min_keypoints", 3, 17)
        self._number("max_gap_s", 0.05, 60.0)
        self._number("person_height", 0.4, 2.8)
        self._number("person_height_stddev", 0.001, 1.0)
        self._number("deadline_s", 1e-4, 60.0)
        self._number("score_threshold", 0.0, 1.0)
        if self.max_people > self.max_tracks:
            raise ConfigError(
                f"max_people: expected at most max_tracks ({self.max_tracks}), got {self.max_people}"
            )
