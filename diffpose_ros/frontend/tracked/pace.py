"""What a frame may cost: when to search, how many crops, and what to spare when time is short."""

from __future__ import annotations

import math
from dataclasses import dataclass

from diffpose_ros.frontend.tracked.config import TrackedConfig

EAGER_S, EAGER_EVERY_S = 1.0, 0.1
"""For this long after something new, searches may come this often."""

SMOOTHING_S = 0.3
"""Time constant of the mean of what a frame takes."""

SETTLE_S = 0.5
"""Time between two changes of what is spared. Counted in seconds, since a slow machine has few frames."""

LEAST_S = 1 / 30
"""A frame counts for this long at least, however quickly it was done with."""

ENOUGH = 0.5
"""Below this share of the budget, less is spared again."""


@dataclass(frozen=True)
class Level:
    """What is spared.

    Attributes:
        pixels: factor on the size of crops and of the whole image; rounded to a multiple of 32.
        pause: factor on the time between searches.
        share: of the people who are looked at in one frame; the others wait for their turn.
    """

    pixels: float
    pause: float
    share: float


LEVELS = (Level(1.0, 1.0, 1.0), Level(0.84, 2.0, 1.0), Level(0.67, 4.0, 0.5))


class Pace:
    """See the module. Times are those of the images, but for what a frame takes."""

    def __init__(self, config: TrackedConfig) -> None:
        self._config = config
        self._mean_s: float | None = None
        self._level = 0
        self._since_s = 0.0
        self.reset()

    def reset(self) -> None:
        """A new beginning: search at once and eagerly."""
        self._searched_ns: int | None = None
        self._news_ns: int | None = None

    @property
    def level(self) -> Level:
        """What is being spared."""
        return LEVELS[self._level]

    def due(self, stamp_ns: int) -> bool:
        """Whether it is time for a search."""
        if self._searched_ns is None:
            self._news_ns = stamp_ns
            return True
        eager = self._news_ns is not None and (stamp_ns - self._news_ns) * 1e-9 < EAGER_S
        pause = min(EAGER_EVERY_S, self._config.discovery_s) if eager else self._config.discovery_s
        return (stamp_ns - self._searched_ns) * 1e-9 >= pause * self.level.pause - 1e-6

    def searched(self, stamp_ns: int) -> None:
        """The whole image of this stamp is being looked at."""
        self._searched_ns = stamp_ns

    def news(self, stamp_ns: int) -> None:
        """Someone came or went."""
        self._news_ns = stamp_ns

    def frame(self, seconds: float) -> None:
        """A frame took this long; in step there is time for everything."""
        if self._config.in_step:
            return
        passed = max(seconds, LEAST_S)
        mean = seconds if self._mean_s is None else self._mean_s
        self._mean_s = mean + (1 - math.exp(-passed / SMOOTHING_S)) * (seconds - mean)
        self._since_s += passed
        if self._since_s < SETTLE_S:
            return
        if self._mean_s > self._config.budget_s and self._level < len(LEVELS) - 1:
            self._level, self._since_s = self._level + 1, 0.0
        elif self._mean_s < ENOUGH * self._config.budget_s and self._level > 0:
            self._level, self._since_s = self._level - 1, 0.0

    def pixels(self, size: int) -> int:
        """A network's input of at most ``size`` pixels, a multiple of 32 that is at least 128."""
        return max(min(128, size), round(size * self.level.pixels / 32) * 32)

    def crops(self, people: int) -> int:
        """How many of so many people are looked at in this frame."""
        return math.ceil(people * self.level.share)

    def values(self) -> dict[str, str]:
        """What is being spared, for diagnostics."""
        if not self._level:
            return {"short of time": "no"}
        c = self._config
        parts = [
            f"whole image at {self.pixels(c.input_size)} px",
            f"searches every {c.discovery_s * self.level.pause:g} s",
        ]
        if self.level.share < 1:
            parts.append("people in turns")
        return {"short of time": f"fewer pixels, {', '.join(parts)}"}
