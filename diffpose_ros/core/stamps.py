"""The one judge of stamps: which frames are taken, which dropped, and when a stream starts anew.

The keypoints node and the lifter both ask a :class:`StampJudge`, so a stream recovers everywhere by the
same rule.
"""

from __future__ import annotations

from enum import Enum

JUMP_NS = 1_000_000_000
"""A step back of this much is no late message: the clock was set back or a recording began again."""

SLACK = 0.4
"""How much of its period a frame may come early before :class:`Thinner` leaves it out."""


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
    """Keeps a stream's stamps rising, and notices when the stream itself went back.

    - A stamp newer than the last one is taken, however far ahead it is.
    - A stamp that is older by :data:`JUMP_NS` or more begins the stream again at once.
    - One that is a little older is dropped, as a late message. When the next one is behind as well and
      newer than the dropped one, the stream did go back: a short recording in a loop, or a single stamp
      that ran ahead. It begins again there, so two honest frames are enough to recover.
    - A zero after other stamps is one that nobody filled in. It is dropped like a late one.
    """

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._behind_ns: int | None = None

    @property
    def last_ns(self) -> int | None:
        """Stamp of the last frame that was taken, nanoseconds."""
        return self._last_ns

    def __call__(self, stamp_ns: int) -> Verdict:
        """Judge a stamp; one that is dropped leaves :attr:`last_ns` where it was.

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
    """Leaves out frames of a stream that is faster than a given rate; the rest keep that rate.

    The generic cell rate algorithm: each frame taken moves a due time on by one period, and a frame that
    comes before it by more than :data:`SLACK` of a period is left out. Jitter of a stream that is slow
    enough costs nothing; of 120 Hz every second frame is left out, of 90 Hz every third.

    Args:
        rate_hz: frames per second to keep at most.
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
