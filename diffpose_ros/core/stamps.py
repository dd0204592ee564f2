"""Checks stamps: which frames are used, which are dropped, and when a stream restarts.

The keypoints node and the lifter both use :class:`StampJudge`, so a stream recovers by the same rule
everywhere.
"""

from __future__ import annotations

from enum import Enum

JUMP_NS = 1_000_000_000
"""A larger step back is no late message: the clock was set back, or a recording restarted."""

SLACK = 0.4
"""Share of its period by which a frame may be early before :class:`Thinner` skips it."""


class Verdict(Enum):
    """What a stamp means for the stream."""

    TAKE = "newer"
    REPEATED = "repeated"
    LATE = "out of order"
    UNSET = "zero"
    JUMPED_BACK = "jumped back"

    @property
    def dropped(self) -> bool:
        """Whether the frame is not to be used."""
        return self in (Verdict.REPEATED, Verdict.LATE, Verdict.UNSET)


class StampJudge:
    """Keeps the stamps of a stream increasing, and detects a stream that jumped back.

    - A stamp newer than the last one is accepted, however far ahead it is.
    - A stamp that is older by :data:`JUMP_NS` or more restarts the stream at once.
    - A stamp that is slightly older is dropped, as a late message. If the next one is older, too, but newer
      than the dropped one, the stream did jump back: a short recording in a loop, or a single stamp that
      was ahead. The stream restarts there, so two good frames are enough to recover.
    - A zero after other stamps was never filled in. It is dropped like a late one.
    """

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._behind_ns: int | None = None

    @property
    def last_ns(self) -> int | None:
        """Stamp of the last frame that was taken, nanoseconds."""
        return self._last_ns

    def __call__(self, stamp_ns: int) -> Verdict:
        """Check a stamp; a dropped one does not change :attr:`last_ns`.

        Args:
            stamp_ns: the frame's stamp, nanoseconds.
        """
        last, behind = self._last_ns, self._behind_ns
        if last is None or stamp_ns > last:
            return self._move_to(stamp_ns, Verdict.TAKE)
        if behind is not None and behind < stamp_ns < last:
            return self._move_to(stamp_ns, Verdict.JUMPED_BACK)
        if stamp_ns == last:
            return Verdict.REPEATED
        if stamp_ns != 0 and last - stamp_ns >= JUMP_NS:
            return self._move_to(stamp_ns, Verdict.JUMPED_BACK)
        self._behind_ns = stamp_ns
        return Verdict.LATE if stamp_ns else Verdict.UNSET

    def reset(self) -> None:
        """Forget the last stamp."""
        self._last_ns = self._behind_ns = None

    def _move_to(self, stamp_ns: int, verdict: Verdict) -> Verdict:
        self._last_ns, self._behind_ns = stamp_ns, None
        return verdict


class Thinner:
    """Reduces a faster stream to a given rate by skipping frames.

    The generic cell rate algorithm: each accepted frame advances a due time by one period, and a frame
    more than :data:`SLACK` of a period before the due time is skipped. A stream that is slow enough may
    jitter without loss. At 120 Hz every second frame is skipped, at 90 Hz every third.

    Args:
        rate_hz: highest rate to keep, Hz.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_ns = round(1e9 / rate_hz)
        self._slack_ns = round(SLACK * self._period_ns)
        self._due_ns: int | None = None

    def __call__(self, stamp_ns: int) -> bool:
        """Whether to use the frame of ``stamp_ns`` (nanoseconds, rising)."""
        due = stamp_ns if self._due_ns is None else self._due_ns
        if stamp_ns < due - self._slack_ns:
            return False
        self._due_ns = max(due, stamp_ns - self._slack_ns) + self._period_ns
        return True

    def reset(self) -> None:
        """Take the next frame, whatever its stamp."""
        self._due_ns = None
