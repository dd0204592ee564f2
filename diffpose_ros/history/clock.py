"""Judges each frame's stamp against the last one."""

from __future__ import annotations

from enum import Enum


class ClockEvent(Enum):
    """What a stamp means for the history."""

    FORWARD = "forward"
    STALE = "stale"
    JUMPED_BACK = "jumped back"


class Clock:
    """Tells late frames from a clock that was set back (a bag's loop, a restarted simulation).

    Args:
        jump_s: a stamp at least this much older than the last one means that the clock jumped;
            a smaller step back is a late or repeated frame.
    """

    def __init__(self, jump_s: float) -> None:
        self._jump_ns = round(jump_s * 1e9)
        self._last_ns: int | None = None

    @property
    def last_ns(self) -> int | None:
        """Stamp of the last frame that was taken, nanoseconds."""
        return self._last_ns

    def tick(self, stamp_ns: int) -> ClockEvent:
        """Take a frame's stamp; a stale one leaves the clock where it was."""
        last = self._last_ns
        if last is not None and stamp_ns <= last and last - stamp_ns < self._jump_ns:
            return ClockEvent.STALE
        self._last_ns = stamp_ns
        if last is not None and stamp_ns < last:
            return ClockEvent.JUMPED_BACK
        return ClockEvent.FORWARD

    def reset(self) -> None:
        """Forget the last stamp."""
        self._last_ns = None
