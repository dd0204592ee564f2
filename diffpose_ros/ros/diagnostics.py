"""What a node says about itself once a second: a status struct and a pure function of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

OK, WARN, ERROR = 0, 1, 2
"""The levels of ``diagnostic_msgs/DiagnosticStatus``."""

RECENT_S = 5.0
"""A problem colours the diagnostic for this long after it was last met."""


@dataclass(frozen=True)
class Problem:
    """A kind of trouble and when it was last met (monotonic seconds)."""

    level: int
    text: str
    last_s: float
    count: int
    sticky: bool = False


@dataclass(frozen=True)
class Status:
    """A node's state at one moment.

    Attributes:
        state: of the lifecycle, e.g. ``"active"``.
        counters: what was counted since the node was configured.
        values: other things worth showing, in order.
        problems: by kind.
        ages_s: ages of the last results when they were published, seconds.
        rate_hz: results per second, lately.
    """

    state: str
    counters: dict[str, int] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    problems: dict[str, Problem] = field(default_factory=dict)
    ages_s: tuple[float, ...] = ()
    rate_hz: float = 0.0


@dataclass(frozen=True)
class Report:
    """A diagnostic, before it is a message."""

    level: int
    message: str
    values: tuple[tuple[str, str], ...]


def report(status: Status, now_s: float) -> Report:
    """The diagnostic of a status.

    Args:
        status: the node's state.
        now_s: monotonic time, seconds.
    """
    recent = [p for p in status.problems.values() if p.sticky or now_s - p.last_s <= RECENT_S]
    # the worst first, then the newest
    recent.sort(key=lambda p: (-p.level, -p.last_s))
    level = recent[0].level if recent else OK
    message = recent[0].text if recent else status.state
    values = [("state", status.state), ("rate_hz", f"{status.rate_hz:.1f}")]
    if status.ages_s:
        p50, p99 = np.percentile(status.ages_s, (50, 99)) * 1e3
        values += [("age_p50_ms", f"{p50:.1f}"), ("age_p99_ms", f"{p99:.1f}")]
    values += [(name, str(count)) for name, count in sorted(status.counters.items())]
    values += list(status.values.items())
    values += [(f"problem: {key}", f"{p.count} x {p.text}") for key, p in status.problems.items()]
    return Report(level=level, message=message, values=tuple(values))


class Monitor:
    """Collects a node's :class:`Status`; safe to use from its worker threads.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._state = "unconfigured"
        self._counters: dict[str, int] = {}
        self._values: dict[str, str] = {}
        self._problems: dict[str, Problem] = {}
        self._ages: deque[float] = deque(maxlen=300)
        self._times: deque[float] = deque(maxlen=60)

    def set_state(self, state: str) -> None:
        """Name the lifecycle's state."""
        with self._lock:
            self._state = state

    def count(self, name: str, by: int = 1) -> None:
        """Count something."""
        with self._lock:
            self._counters[name] = self._counters.get(name, 0) + by

    def value(self, name: str, text: str) -> None:
        """Show something."""
        with self._lock:
            self._values[name] = text

    def published(self, age_s: float) -> None:
        """A result went out at this age (publication minus its image's stamp, seconds)."""
        with self._lock:
            self._ages.append(age_s)
            self._times.append(self._clock())
            self._counters["published"] = self._counters.get("published", 0) + 1

    def problem(self, key: str, text: str, *, level: int = WARN, sticky: bool = False) -> None:
        """Met trouble; ``sticky`` trouble stays until :meth:`clear`."""
        with self._lock:
            old = self._problems.get(key)
            count = 1 + (old.count if old else 0)
            self._problems[key] = Problem(level, text, self._clock(), count, sticky)

    def clear(self, key: str) -> None:
        """The trouble is over."""
        with self._lock:
            self._problems.pop(key, None)

    def reset(self) -> None:
        """Forget counts and measurements, as when a node is configured anew."""
        with self._lock:
            self._counters.clear()
            self._values.clear()
            self._problems.clear()
            self._ages.clear()
            self._times.clear()

    def status(self) -> Status:
        """A copy of the present state."""
        with self._lock:
            # the rate of the recent past only, so that it falls to zero when the stream stops
            since = self._clock() - 2.0
            recent = [t for t in self._times if t >= since]
            rate = (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0
            return Status(
                state=self._state,
                counters=dict(self._counters),
                values=dict(self._values),
                problems=dict(self._problems),
                ages_s=tuple(self._ages),
                rate_hz=rate,
            )


def to_message(result: Report, *, name: str, hardware_id: str, stamp: Any) -> Any:
    """A ``diagnostic_msgs/DiagnosticArray`` with this one diagnostic.

    Args:
        result: the diagnostic.
        name: who says it, e.g. ``"/diffpose/lifter"``.
        hardware_id: what it is about, e.g. the camera's frame.
        stamp: ``builtin_interfaces/Time``.
    """
    from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

    array = DiagnosticArray()
    array.header.stamp = stamp
    array.status.append(
        DiagnosticStatus(
            level=bytes([result.level]),
            name=name,
            message=result.message,
            hardware_id=hardware_id,
            values=[KeyValue(key=key, value=value) for key, value in result.values],
        )
    )
    return array
