"""Parts of people that a camera does not see, for seconds or all along: behind tables, posts, doors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ConfigError
from diffpose_ros.core.typed_config import at_least, share

PARTS: dict[str, tuple[int, ...]] = {
    "legs": (13, 14, 15, 16),
    "below the hips": (11, 12, 13, 14, 15, 16),
    "feet": (15, 16),
    "left arm": (7, 9),
    "right arm": (8, 10),
    "left side": (5, 7, 9, 11, 13, 15),
    "right side": (6, 8, 10, 12, 14, 16),
    "all but head and shoulders": (7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
    "head": (0, 1, 2, 3, 4),
    "upper body": (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
}
"""COCO-17 keypoints that go missing together."""

_OFTEN = np.array([4, 3, 2, 1.5, 1.5, 1, 1, 2, 1, 1])


@dataclass(frozen=True)
class MissingConfig:
    """How often parts are missing.

    Attributes:
        whole: share of segments in which a part is missing all along.
        episodes_per_s: rate at which a part goes missing for a while.
        episode_s: mean length of that, seconds.
        guessed: share of missing parts that the detector nevertheless reports, with low scores.
    """

    whole: float = 0.0
    episodes_per_s: float = 0.0
    episode_s: float = 2.0
    guessed: float = 0.4

    def __post_init__(self) -> None:
        share("whole", self.whole)
        share("guessed", self.guessed)
        at_least("episodes_per_s", self.episodes_per_s, 0.0)
        if not self.episode_s > 0:
            raise ConfigError(f"episode_s: expected above 0, got {self.episode_s:g}")


def draw_missing(
    count: int, times_s: NDArray[np.float64], rng: np.random.Generator, config: MissingConfig
) -> NDArray[np.bool_]:
    """Which keypoints something hides (B, T, 17).

    Args:
        count: segments, B.
        times_s: (T,) seconds.
        rng: source of randomness.
        config: how often.
    """
    out = np.zeros((count, len(times_s), 17), bool)
    parts = list(PARTS.values())
    chances = _OFTEN / _OFTEN.sum()
    for i in np.flatnonzero(rng.random(count) < config.whole):
        out[i, :, parts[rng.choice(len(parts), p=chances)]] = True
    start, end = times_s[0], times_s[-1]
    mean = config.episode_s
    for s in range(count):
        for _ in range(rng.poisson(config.episodes_per_s * (end - start + mean))):
            first = rng.uniform(start - mean, end)
            a, b = np.searchsorted(times_s, [first, first + rng.exponential(mean)])
            if b > a:
                out[s, a:b, list(parts[rng.choice(len(parts), p=chances)])] = True
    return out
