"""What a user may set on the lifter."""

from __future__ import annotations

from dataclasses import dataclass

from diffpose_ros.core import ConfigError
from diffpose_ros.methods.settings import MethodSettings

MAX_RATE_HZ = 60.0
"""Frames per second that the models were made for, at most; of a faster stream some are left out."""


@dataclass(frozen=True, kw_only=True)
class LifterConfig(MethodSettings):
    """Settings of a :class:`~diffpose_ros.lifting.Lifter`, validated together.

    Attributes:
        max_tracks: people remembered at once; more are left out, best scores first.
        max_gap_s: a person unseen for longer starts anew, s.
        person_height: standing height of everyone in view, m; ``None`` = trust the body prior.
        person_height_stddev: how sure that height is, m, one sigma.
        estimate_gravity: where nothing tells which way is up, learn it from the people before a camera
            that does not move.
        deadline_s: time one frame may take, s; ``None`` = as long as it takes. A model's cheaper
            levels that need files of their own are loaded only when it is set.
        score_threshold: keypoints scored lower are ignored; ``None`` = the model's own.
        refine: move each pose towards the rays of its keypoints, as far as both are to be believed.
        min_keypoints: a person with fewer usable keypoints is not lifted in that frame.

    The other attributes are :class:`~diffpose_ros.methods.settings.MethodSettings`'.

    Raises:
        ConfigError: a value is out of range or two contradict each other.
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
