"""Short motions: poses over time, compared by dynamic time warping within a band.

A motion is a window of pose vectors at a fixed rate. Two are compared along the cheapest path that
matches each frame with one at most a fraction of the window earlier or later (Sakoe and Chiba 1978), so
that the same wave, a little faster, is the same wave.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError
from diffpose_ros.search.vectors import distance

Array = NDArray[np.float64]

RATE_HZ = 10.0
"""Of a window's frames: limbs move no faster than this can follow."""
BAND = 0.2
"""How far the times of two frames that match may differ, as a share of the window."""
LONGEST_GAP_S = 0.5
"""A person who was unseen for longer has no window across the gap."""
LONGEST_S = 10.0
LIVELY = (0.6, 1.7)
"""How much a motion may move, compared with the example: one that is held is not one that is done."""


def frames_of(seconds: float) -> int:
    """Frames of a window.

    Raises:
        InputError: it is too short to move in, or longer than :data:`LONGEST_S`.
    """
    count = round(seconds * RATE_HZ) + 1 if np.isfinite(seconds) else 0
    if not 3 <= count <= round(LONGEST_S * RATE_HZ) + 1:
        raise InputError(f"motion: expected 0.2 to {LONGEST_S:g} s, got {seconds:g}")
    return count


def window(stamps_s: Array, vectors: Array, end_s: float, seconds: float) -> Array | None:
    """The poses of the last seconds, at :data:`RATE_HZ`, between those that were seen.

    Args:
        stamps_s: (T,) seconds, rising.
        vectors: (T, 17, 3) metres.
        end_s: of the window.
        seconds: its length.

    Returns:
        (N, 17, 3), or ``None`` where the person was not seen for so long, or with a gap.
    """
    count = frames_of(seconds)
    times = end_s + (np.arange(count) - count + 1) / RATE_HZ
    first = int(np.searchsorted(stamps_s, times[0] + 1e-6, side="right")) - 1
    if first < 0:
        if not len(stamps_s) or stamps_s[0] - times[0] > 0.5 / RATE_HZ:
            return None
        first = 0
    seen = stamps_s[first:]
    if end_s - seen[-1] > LONGEST_GAP_S or (np.diff(seen) > LONGEST_GAP_S).any():
        return None
    after = np.clip(np.searchsorted(seen, times), 1, max(len(seen) - 1, 1))
    if len(seen) == 1:
        return None
    before = after - 1
    share = np.clip((times - seen[before]) / np.maximum(seen[after] - seen[before], 1e-9), 0.0, 1.0)
    part = vectors[first:]
    return np.asarray(part[before] + share[:, None, None] * (part[after] - part[before]))


def movement(windows: Array) -> Array:
    """(...) how far joints stray from their means, metres (root mean square), of windows (..., N, C, 3)."""
    off = windows - windows.mean(axis=-3, keepdims=True)
    return np.asarray(np.sqrt(np.square(off).sum(axis=-1).mean(axis=(-1, -2))))


def warped(query: Array, examples: Array) -> Array:
    """Distances of motions of one length.

    Args:
        query: (N, C, 3) metres.
        examples: (E, N, C, 3).

    Returns:
        (E,) metres: the mean along the cheapest path of the distances of its poses.
    """
    count = len(query)
    band = max(1, round(BAND * count))
    cost = distance(query[None, :, None], examples[:, None])
    total = np.full((len(examples), count + 1, count + 1), np.inf)
    total[:, 0, 0] = 0.0
    for both in range(2 * count - 1):  # cells of one anti-diagonal do not need each other
        i = np.arange(max(0, both - count + 1), min(both, count - 1) + 1)
        i = i[np.abs(2 * i - both) <= band]
        j = both - i
        here = cost[:, i, j]
        aslant = total[:, i, j] + 2 * here
        total[:, i + 1, j + 1] = np.minimum(aslant, np.minimum(total[:, i, j + 1], total[:, i + 1, j]) + here)
    return np.asarray(total[:, -1, -1] / (2 * count))
