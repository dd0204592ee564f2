"""Serialised messages in a temporary file: a long recording costs disk, not memory."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator

Entry = tuple[str, int, bytes]
"""Topic, time of sending in nanoseconds, CDR bytes."""


class Spool:
    """A list of messages that only grows. The file has no name and goes with the process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="diffpose_ros_")  # noqa: SIM115
        self._moved = False
        self._names: list[str] = []
        self._topic, self._time, self._start = array("q"), array("q"), array("q", [0])

    def append(self, entry: Entry) -> None:
        """Add a message.

        Raises:
            OSError: the disk of temporary files is full.
        """
        topic, time_ns, data = entry
        if topic not in self._names:
            self._names.append(topic)
        if self._moved:  # a seek writes the buffer out, so not each time
            self._file.seek(self._start[-1])
            self._moved = False
        self._file.write(data)
        self._start.append(self._start[-1] + len(data))
        self._topic.append(self._names.index(topic))
        self._time.append(time_ns)

    def in_time(self) -> Iterator[Entry]:
        """All of them by time of sending."""
        return (self[i] for i in sorted(range(len(self)), key=self._time.__getitem__))

    def __len__(self) -> int:
        return len(self._time)

    def __getitem__(self, i: int) -> Entry:
        """The message ``i``, counted from 0 in the order of their coming."""
        if not 0 <= i < len(self):
            raise IndexError(i)
        self._file.seek(self._start[i])
        self._moved = True
        data = self._file.read(self._start[i + 1] - self._start[i])
        return self._names[self._topic[i]], self._time[i], data

    def __iter__(self) -> Iterator[Entry]:
        return (self[i] for i in range(len(self)))
