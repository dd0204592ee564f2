"""Motion at another frame rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError


def resample(values: NDArray, fps: float, target_fps: float) -> NDArray:
    """Linear interpolation in time; the first frame stays the first.

    At an integer ratio the result is every n-th frame, unchanged. Joint positions are what comes
    in, so no filter is needed: at 30 Hz and above a body's motion holds little beyond 10 Hz.

    Args:
        values: (T, ...) one row per frame.
        fps: rate of ``values``, Hz.
        target_fps: wanted rate, Hz.

    Returns:
        (floor((T - 1) * target_fps / fps) + 1, ...) in the type of ``values``.

    Raises:
        InputError: a rate is not positive.
    """
    for name, rate in (("fps", fps), ("target fps", target_fps)):
        if not (np.isfinite(rate) and rate > 0):
            raise InputError(f"{name}: expected above 0, got {rate:g}")
    values = np.asarray(values)
    if fps == target_fps or len(values) < 2:
        return values.copy()
    last = len(values) - 1
    step = fps / target_fps
    # A rate read from a text file (0.0083333 s) is off by a hair: keep whole frames whole.
    if abs(step - round(step)) < 1e-3 and round(step) > 0:
        step = float(round(step))
    at = np.minimum(np.arange(int(last / step + 1e-6) + 1) * step, last)
    low = np.minimum(at.astype(np.int64), last - 1)
    part = (at - low).reshape(-1, *([1] * (values.ndim - 1)))
    return (values[low] * (1 - part) + values[low + 1] * part).astype(values.dtype)
