"""Whether a node gets what it needs: states of its inputs and clock, and what is wrong with them.

Pure functions of what was measured; no ROS in here. Each trouble names the topic, what is seen there
and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

OK, WARN, ERROR = 0, 1, 2
"""The levels of ``diagnostic_msgs/DiagnosticStatus``."""

NO_PUBLISHER_S = 1.0
"""Publishers are found within this time of subscribing, seconds."""

SILENT_S = 1.5
"""An input that is silent for longer starves, seconds; one slower than 2 Hz, after three periods."""

BEHIND_S, AHEAD_S = 1.0, 0.25
"""Stamps that differ by more than this from the node's clock on arrival are told of, seconds."""

RESULT_BEHIND_S = 5.0
"""The same for what other nodes worked on before, seconds; how late they are is in their own figures."""

LOST_SHARE, MOSTLY_LOST_SHARE = 0.05, 0.5
"""Shares of lost messages, lately, from which an input is in trouble or in great trouble."""

STILL_S = 1.0
"""A simulated clock that does not move for longer stands still, seconds."""

BUSY_S = 2.0
"""Work on one message that takes longer is told of, seconds."""

MAX_AGE_S = 60.0
"""A result that seems older than this has a stamp of another clock, seconds."""


class Trouble(NamedTuple):
    """What is wrong.

    Attributes:
        level: ``WARN`` or ``ERROR``.
        kind: a word or two, the same for the same trouble.
        text: one line: what was expected, what is seen, what to do.
    """

    level: int
    kind: str
    text: str


@dataclass(frozen=True)
class InputStatus:
    """What is known of one subscription.

    Attributes:
        name: what comes in, e.g. ``"images"``.
        topic: its full name.
        kind: its type, e.g. ``"sensor_msgs/msg/Image"``.
        silent_s: since the last message; where none has come, since a publisher is there, or since
            subscribing; seconds.
        received: messages since subscribing.
        period_s: usual time between two messages lately, seconds; ``None``: unknown.
        behind_s: how old its messages may be when they come, seconds.
        timeout_s: how long it may be silent, seconds; ``None``: for as long as it likes once it came.
        publishers: nodes that publish it.
        wrong_kinds: other types that are published under this name.
        incompatible: the QoS policy in which a publisher does not fit; empty: all fit.
        qos: how it is read, e.g. ``"reliable"``.
        recent: messages received in the last seconds.
        recent_lost: messages lost on the way in the same seconds.
        lost: messages lost on the way since subscribing.
        offset_s: the node's clock minus the stamp of the last message when it came, seconds;
            ``None``: not known.
        alike: topics of the same type, for the one who mistyped a name.
        advice: what to do when nobody publishes.
        single: it makes sense from one publisher alone.
    """

    name: str
    topic: str
    kind: str = ""
    silent_s: float = 0.0
    received: int = 0
    period_s: float | None = None
    behind_s: float = BEHIND_S
    timeout_s: float | None = SILENT_S
    publishers: tuple[str, ...] = ()
    wrong_kinds: tuple[str, ...] = ()
    incompatible: str = ""
    qos: str = ""
    recent: int = 0
    recent_lost: int = 0
    lost: int = 0
    offset_s: float | None = None
    alike: tuple[str, ...] = ()
    advice: str = ""
    single: bool = False


@dataclass(frozen=True)
class ClockStatus:
    """What is known of the node's clock.

    Attributes:
        simulated: it follows ``/clock`` (``use_sim_time``).
        still_s: for how long it has not moved, seconds.
        publishers: nodes that publish ``/clock``.
    """

    simulated: bool = False
    still_s: float = 0.0
    publishers: tuple[str, ...] = ()


def plausible_age(age_s: float) -> bool:
    """Whether an age can be one; with another clock's stamps it is any number at all."""
    return -1e-3 <= age_s <= MAX_AGE_S


def clock_trouble(clock: ClockStatus) -> Trouble | None:
    """What is wrong with the node's clock."""
    if not clock.simulated or clock.still_s <= STILL_S:
        return None
    if clock.publishers:
        return Trouble(
            WARN,
            "clock stands still",
            f"use_sim_time is set and /clock (from {_names(clock.publishers)}) has stood still for "
            f"{clock.still_s:.0f} s: let the simulation or the bag go on",
        )
    return Trouble(
        WARN,
        "no clock",
        "use_sim_time is set and nobody publishes /clock: start the simulation, play the bag with "
        "'--clock', or leave use_sim_time out",
    )


def input_trouble(seen: InputStatus) -> Trouble | None:
    """The worst that is wrong with an input."""
    for judge in (_nobody, _unreadable, _lost, _silent, _shifted, _shared):
        found = judge(seen)
        if found is not None:
            return found
    return None


def work_trouble(busy_s: float) -> Trouble | None:
    """What is wrong with a worker that has been at one message for ``busy_s`` seconds."""
    if busy_s <= BUSY_S:
        return None
    return Trouble(
        ERROR if busy_s > 5 * BUSY_S else WARN,
        "busy",
        f"at one message for {busy_s:.0f} s while newer ones wait: the machine is overloaded, or it hangs",
    )


def _nobody(seen: InputStatus) -> Trouble | None:
    if seen.publishers or seen.silent_s <= NO_PUBLISHER_S:
        return None
    if seen.timeout_s is None and seen.received:
        return None
    if seen.wrong_kinds:
        return Trouble(
            ERROR,
            "wrong type",
            f"{seen.topic} is published as {_names(seen.wrong_kinds)}, expected {seen.kind}: "
            f"{seen.advice or 'look at its publisher'}",
        )
    text = f"nobody publishes {seen.topic} ({seen.kind})"
    if seen.received:
        text += f" any more, the last of {seen.name} came {seen.silent_s:.1f} s ago"
    if seen.advice:
        text += f": {seen.advice}"
    if seen.alike:
        text += f"; topics that would fit: {_names(seen.alike, 5)}"
    return Trouble(WARN, "no publisher", text)


def _unreadable(seen: InputStatus) -> Trouble | None:
    if not seen.incompatible or seen.silent_s <= NO_PUBLISHER_S:
        return None
    return Trouble(
        ERROR,
        "incompatible QoS",
        f"{seen.topic}: {_names(seen.publishers)} and this node do not fit in the QoS policy "
        f"{seen.incompatible}, so nothing comes: read it as 'auto', or take the QoS overrides away",
    )


def _silent(seen: InputStatus) -> Trouble | None:
    limit = seen.timeout_s
    if limit is None:
        if seen.received:
            return None
        limit = SILENT_S
    if seen.period_s is not None:
        limit = max(limit, 3 * seen.period_s)
    if seen.silent_s <= limit:
        return None
    who = _names(seen.publishers)
    if not seen.received:
        return Trouble(
            WARN,
            "silent",
            f"no {seen.name} on {seen.topic} for {seen.silent_s:.1f} s, although {who} publishes it: "
            "look at that node's diagnostics"
            + (f"; read as {seen.qos}, large messages may be lost on the way" if seen.qos else ""),
        )
    usual = "" if seen.period_s is None else f", they came at {1 / seen.period_s:.3g} Hz"
    return Trouble(
        WARN,
        "silent",
        f"no {seen.name} on {seen.topic} for {seen.silent_s:.1f} s{usual}: look at {who}",
    )


def _lost(seen: InputStatus) -> Trouble | None:
    total = seen.recent + seen.recent_lost
    if not total or seen.recent_lost < 2:
        return None
    share = seen.recent_lost / total
    if share < LOST_SHARE:
        return None
    return Trouble(
        ERROR if share >= MOSTLY_LOST_SHARE else WARN,
        "lost",
        f"{seen.recent_lost} of the last {total} {seen.name} on {seen.topic} were lost on the way: "
        "start the publisher with FASTDDS_DEFAULT_PROFILES_FILE (FASTRTPS_DEFAULT_PROFILES_FILE on Jazzy) "
        "set to <share/diffpose_ros>/config/fastdds_large_images.xml, or let it publish reliably, "
        "or read compressed images",
    )


def _shifted(seen: InputStatus) -> Trouble | None:
    if seen.offset_s is None or -AHEAD_S <= seen.offset_s <= seen.behind_s:
        return None
    how = "behind" if seen.offset_s > 0 else "ahead of"
    return Trouble(
        WARN,
        "stamps",
        f"stamps of {seen.name} are {_duration(abs(seen.offset_s))} {how} this node's clock: play bags "
        "with '--clock' and use_sim_time:=true; else synchronise the clocks, or look at the camera's delay",
    )


def _shared(seen: InputStatus) -> Trouble | None:
    count = len(seen.publishers)
    if not seen.single or count < 2:
        return None
    return Trouble(
        WARN,
        "several publishers",
        f"{count} nodes publish {seen.topic}: {_names(seen.publishers)}; their {seen.name} are mixed up: "
        "stop all but one, or give each camera its own topic and nodes",
    )


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.2f} s"


def _names(names: tuple[str, ...], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
