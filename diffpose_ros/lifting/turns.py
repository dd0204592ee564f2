"""Whose turn it is when more people are in view than one frame can lift."""

from __future__ import annotations


class Turns:
    """Walks through the rows of the people in view, frame after frame.

    Args:
        most: people lifted in one frame at most.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._next = 0

    def take(self, present: int, fit: int) -> slice:
        """The rows that are lifted now.

        Args:
            present: people in view; they stand in rows 0..present-1.
            fit: how many of them a deadline allows; at least one is lifted.
        """
        limit = min(max(fit, 1), self.most)
        if present <= limit:
            self._next = 0
            return slice(0, present)
        first = self._next if self._next < present else 0
        last = min(first + limit, present)
        self._next = last
        return slice(first, last)

    def reset(self) -> None:
        """Begin with the first row."""
        self._next = 0
