"""What to do with a message by its stamp: take it, drop it, or start anew."""

from __future__ import annotations

from enum import Enum


class Verdict(Enum):
    """Verdict on a stamp."""

    TAKE = "take"
    REPEATED = "repeated"
    OUT_OF_ORDER = "out of order"
    JUMPED_BACK = "jumped back"


class StampGate:
    """Keeps a stream's stamps strictly increasing.

    A stamp a little older than the last one is a late message and is dropped; one much older means
    that the clock jumped or a bag began again, and the stream starts anew from there.

    Args:
        jump_s: steps back of at least this many seconds are jumps.
    """

    def __init__(self, jump_s: float = 1.0) -> None:
        self._jump_ns = int(jump_s * 1e9)
        self._last: int | None = None

    def __call__(self, stamp_ns: int) -> Verdict:
        """Judge a stamp and remember it unless it is to be dropped.

        Args:
            stamp_ns: the message's stamp, nanoseconds.
        """
        last = self._last
        if last is not None and stamp_ns <= last:
            if stamp_ns == last:
                return Verdict.REPEATED
            if last - stamp_ns < self._jump_ns:
                return Verdict.OUT_OF_ORDER
            self._last = stamp_ns
            return Verdict.JUMPED_BACK
        self._last = stamp_ns
        return Verdict.TAKE

    def reset(self) -> None:
        """Forget the last stamp."""
        self._last = None
