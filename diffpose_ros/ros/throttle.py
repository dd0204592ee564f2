"""A line per kind of trouble and period, however often the trouble comes."""

from __future__ import annotations

import threading

MAX_KEYS = 100
MAX_TEXT = 600
"""Characters of a line of trouble: what others send (an encoding, a frame) may be long."""


def one_line(text: str) -> str:
    """``text`` without breaks, and cut where it is too long for a log."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_TEXT else f"{line[:MAX_TEXT]}..."


class Throttle:
    """Lets a key through once a period and counts what it held back; safe in several threads.

    Args:
        period_s: seconds between two lines of one key.
    """

    def __init__(self, period_s: float = 5.0) -> None:
        self._period_s = period_s
        self._last: dict[str, float] = {}
        self._held: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, key: str, now_s: float) -> int | None:
        """How many were held back since the last line of ``key``, or ``None`` to hold this one.

        Args:
            key: kind of trouble; the oldest of very many are forgotten.
            now_s: monotonic time, seconds.
        """
        with self._lock:
            return self._ask(key, now_s)

    def _ask(self, key: str, now_s: float) -> int | None:
        last = self._last.get(key)
        if last is not None and now_s - last < self._period_s:
            self._held[key] = self._held.get(key, 0) + 1
            return None
        self._last.pop(key, None)
        self._last[key] = now_s
        if len(self._last) > MAX_KEYS:
            oldest = next(iter(self._last))
            del self._last[oldest]
            self._held.pop(oldest, None)
        return self._held.pop(key, 0)
