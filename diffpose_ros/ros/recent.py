"""The last messages of a topic, to be found by their stamps."""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """Keeps a few messages.

    Args:
        most: how many.
    """

    def __init__(self, most: int = 10) -> None:
        self._kept: deque[T] = deque(maxlen=most)

    def add(self, message: T) -> None:
        """Keep a message; the oldest goes."""
        self._kept.append(message)

    def at(self, stamp: Any) -> T | None:
        """The message of exactly this stamp, or ``None``."""
        return next((m for m in reversed(self._kept) if m.header.stamp == stamp), None)  # type: ignore[attr-defined]
