"""What a node says about itself once a second: a status struct and a pure function of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from diffpose_ros.ros.health import (
    ERROR,
    OK,
    WARN,
    ClockStatus,
    InputStatus,
    Trouble,
    clock_trouble,
    input_trouble,
    plausible_age,
    work_trouble,
)

__all__ = ["ERROR", "OK", "WARN", "Monitor", "Problem", "Report", "Status", "report", "to_message"]

RECENT_S = 5.0
"""A problem colours the diagnostic for this long after it was last met."""


@dataclass(frozen=True)
class Problem:
    """A kind of trouble and when it was last met (monotonic seconds).

    ``minor`` trouble leaves the results complete; it speaks where there is no other of its level.
    """

    level: int
    text: str
    last_s: float
    count: int
    sticky: bool = False
    minor: bool = False


@dataclass(frozen=True)
class Status:
    """A node's state at one moment.

    Attributes:
        state: of the lifecycle, e.g. ``"active"``.
        counters: what was counted since the node was configured.
        values: other things worth showing, in order.
        problems: by kind.
        ages_s: ages of the last results when they were published, seconds; those of stamps of
            another clock are no ages and are left out in the report.
        rate_hz: results per second, lately.
        inputs: of an active node.
        clock: the node's.
        busy_s: for how long its worker has been at one message, seconds.
    """

    state: str
    counters: dict[str, int] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    problems: dict[str, Problem] = field(default_factory=dict)
    ages_s: tuple[float, ...] = ()
    rate_hz: float = 0.0
    inputs: tuple[InputStatus, ...] = ()
    clock: ClockStatus = field(default_factory=ClockStatus)
    busy_s: float = 0.0


@dataclass(frozen=True)
class Report:
    """A diagnostic, before it is a message.

    Attributes:
        level: the worst.
        message: why, or the lifecycle's state.
        values: everything measured.
        troubles: with inputs, clock and worker, by what they are about.
    """

    level: int
    message: str
    values: tuple[tuple[str, str], ...]
    troubles: dict[str, Trouble] = field(default_factory=dict)


def report(status: Status, now_s: float) -> Report:
    """The diagnostic of a status.

    Args:
        status: the node's state.
        now_s: monotonic time, seconds.
    """
    recent = [p for p in status.problems.values() if p.sticky or now_s - p.last_s <= RECENT_S]
    # the worst first, then what costs results, then the newest
    recent.sort(key=lambda p: (-p.level, p.minor, -p.last_s))
    troubles = find_troubles(status)
    # the cause before what follows from it: a failed transition, then clock and inputs, then the rest
    said = [(p.level, p.text) for p in recent if p.sticky]
    said += [(t.level, t.text) for t in troubles.values()]
    said += [(p.level, p.text) for p in recent if not p.sticky]
    paused = status.values.get("enabled") == "false"
    state = f"{status.state}, disabled: ~/enable was called with false" if paused else status.state
    level, message = max(said, key=lambda pair: pair[0], default=(OK, state))
    values = [("state", status.state), ("rate_hz", f"{status.rate_hz:.1f}")]
    values += _ages(status.ages_s)
    values += [value for seen in status.inputs for value in _input_values(seen)]
    values += [(name, str(count)) for name, count in sorted(status.counters.items())]
    values += list(status.values.items())
    values += [(f"problem: {key}", f"{p.count} x {p.text}") for key, p in status.problems.items()]
    values += [(f"problem: {about}", trouble.text) for about, trouble in troubles.items()]
    return Report(level=level, message=message, values=tuple(values), troubles=troubles)


def find_troubles(status: Status) -> dict[str, Trouble]:
    """What is wrong with clock, inputs and worker, by what it is about."""
    found = {"clock": clock_trouble(status.clock), "work": work_trouble(status.busy_s)}
    found |= {seen.name: input_trouble(seen) for seen in status.inputs}
    return {about: trouble for about, trouble in found.items() if trouble is not None}


def _ages(ages_s: tuple[float, ...]) -> list[tuple[str, str]]:
    if not ages_s:
        return []
    plausible = [age for age in ages_s if plausible_age(age)]
    if not plausible:
        return [("age_p50_ms", "unknown"), ("age_p99_ms", "unknown")]
    # four times a second in each node: sorting a list costs a twentieth of numpy's percentile
    plausible.sort()
    return [(f"age_p{p}_ms", f"{1e3 * _percentile(plausible, p):.1f}") for p in (50, 99)]


def _percentile(ordered: list[float], percent: float) -> float:
    """Of values in order, linear between two of them."""
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _input_values(seen: InputStatus) -> list[tuple[str, str]]:
    values = [
        (f"{seen.name} topic", seen.topic),
        (f"{seen.name} from", ", ".join(seen.publishers) or "nobody"),
        (f"{seen.name} read as", seen.qos),
    ]
    if seen.period_s is not None:
        values.append((f"{seen.name} rate_hz", f"{1 / seen.period_s:.1f}"))
    if seen.lost:
        values.append((f"{seen.name} lost on the way", str(seen.lost)))
    return values


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

    def problem(
        self, key: str, text: str, *, level: int = WARN, sticky: bool = False, minor: bool = False
    ) -> None:
        """Met trouble; ``sticky`` trouble stays until :meth:`clear`."""
        with self._lock:
            old = self._problems.get(key)
            count = 1 + (old.count if old else 0)
            self._problems[key] = Problem(level, text, self._clock(), count, sticky, minor)

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
            spent = recent[-1] - recent[0] if recent else 0.0
            rate = (len(recent) - 1) / spent if spent > 0 else 0.0
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
