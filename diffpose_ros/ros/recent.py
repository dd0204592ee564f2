"""The last messages of a topic, to be found by their stamps."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """Keeps a few messages. Safe to use from any thread: images come in their publisher's.

    Args:
        most: how many.
    """

    def __init__(self, most: int = 10) -> None:
        self._kept: deque[T] = deque(maxlen=most)
        self._lock = threading.Lock()

    def add(self, message: T) -> None:
        """Keep a message; the oldest goes."""
        with self._lock:
            self._kept.append(message)

    def at(self, stamp: Any) -> T | None:
        """The message of exactly this stamp, or ``None``."""
        with self._lock:
            kept = list(self._kept)
        return next((m for m in reversed(kept) if m.header.stamp == stamp), None)  # type: ignore[attr-defined]
