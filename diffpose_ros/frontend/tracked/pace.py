"""What a frame may cost: when to search, how many crops, and what to spare when time is short."""

from __future__ import annotations

from diffpose_ros.frontend.tracked.config import TrackedConfig

EAGER_S, EAGER_EVERY_S = 1.0, 0.1
"""For this long after something new, searches may come this often."""


class Pace:
    """See the module. Times are those of the images, but for what a frame takes."""

    def __init__(self, config: TrackedConfig) -> None:
        self._config = config
        self._frame_s = 0.0
        self.reset()

    def reset(self) -> None:
        """A new beginning: search at once and eagerly."""
        self._searched_ns: int | None = None
        self._news_ns: int | None = None

    def due(self, stamp_ns: int) -> bool:
        """Whether it is time for a search."""
        if self._searched_ns is None:
            self._news_ns = stamp_ns
            return True
        eager = self._news_ns is not None and (stamp_ns - self._news_ns) * 1e-9 < EAGER_S
        pause = min(EAGER_EVERY_S, self._config.discovery_s) if eager else self._config.discovery_s
        return (stamp_ns - self._searched_ns) * 1e-9 >= pause - 1e-6

    def searched(self, stamp_ns: int) -> None:
        """The whole image of this stamp is being looked at."""
        self._searched_ns = stamp_ns

    def news(self, stamp_ns: int) -> None:
        """Someone came or went."""
        self._news_ns = stamp_ns

    def frame(self, seconds: float) -> None:
        """A frame took this long."""
        self._frame_s += 0.1 * (seconds - self._frame_s)

    def crops_that_pay(self) -> int:
        """With more people than this the whole image is cheaper."""
        return self._config.max_crops

    def crops_beside(self) -> int:
        """How many crops a frame may cost beside the whole image."""
        return self._config.max_crops

    def values(self) -> dict[str, str]:
        """What is being spared, for diagnostics."""
        return {}
