"""Skeletons for tests: written-down poses, turned and placed as cameras see them."""

from __future__ import annotations

import numpy as np

from diffpose_ros.search.written import Written, both, leaning, pair

OPTICAL = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
"""Body axes (x forward, y left, z up) to an optical frame of a level camera that looks the same way."""


def heading(degrees: float) -> np.ndarray:
    """(3, 3) a turn about the vertical."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def seen(pose: Written, *, turn: float = 0.0, size: float = 1.0, at=(0.3, 0.2, 4.0)) -> np.ndarray:
    """(17, 3) a pose whose trunk is upright, in a level camera's optical frame."""
    return size * pose.joints() @ heading(turn).T @ OPTICAL.T + np.array(at)


def stand() -> Written:
    return Written()


def sit() -> Written:
    return Written(legs=both((85.0, 12.0), (0.0, 0.0)))


def raise_left() -> Written:
    return Written(arms={"left": ((165.0, 60.0), (172.0, 60.0))})


def bend(degrees: float) -> Written:
    """Legs of somebody whose trunk is bent forward."""
    return Written(legs=leaning(both((3.0, 90.0), pair(-3.0)), degrees))


def wave(seconds: float, hz: float = 1.0, rate: float = 30.0, phase: float = 0.0) -> np.ndarray:
    """(T, 17, 3) the right forearm swings above the shoulder."""
    times = np.arange(round(seconds * rate) + 1) / rate
    swing = 35.0 * np.sin(2 * np.pi * (hz * times + phase))
    return np.stack([
        seen(Written(arms={"right": ((80.0, 85.0), (150.0 + s, 90.0))})) for s in swing
    ])  # fmt: skip
