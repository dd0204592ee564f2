"""Quality of service, in one place.

Inputs are read as their publishers offer them (``auto``), depth 1: the newest wins, nothing queues.
Images of reliable publishers have a depth of five, because large ones come in pieces, and with a depth of
one the pieces of the next have no place until the last was taken (Fast DDS); the worker still takes the
newest.
Reliable publishers get a reliable reader, because Fast DDS loses most large images on their way to a
best-effort one; best-effort publishers get a best-effort reader, because no other matches. What the
package makes goes out reliable (REP-2003: publishers are reliable, who listens chooses).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from diffpose_ros.core import ConfigError

ASKED = ("auto", "reliable", "best_effort")
"""What a reader's reliability can be set to."""

IMAGE_OUT = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
"""Images out: reliable, so that RViz and recorders match; depth 1, so that nothing piles up."""

RELIABLE_IMAGE_DEPTH = 5
"""Images that a reliable reader keeps until they are taken."""

RESULT = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=10,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
"""Keypoints, skeletons, markers, diagnostics."""


LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""What is said once and read by who comes later."""


class Offer(NamedTuple):
    """What of a publisher's quality of service decides whether and how a reader fits."""

    reliable: bool = False
    latched: bool = False

    def __str__(self) -> str:
        return ("reliable" if self.reliable else "best effort") + (", latched" if self.latched else "")


def offered(profile: QoSProfile) -> Offer:
    """The offer of a publisher's profile."""
    return Offer(
        reliable=profile.reliability == ReliabilityPolicy.RELIABLE,
        latched=profile.durability == DurabilityPolicy.TRANSIENT_LOCAL,
    )


def negotiate(offers: Sequence[Offer], asked: str = "auto") -> Offer:
    """How to read what is offered so that every publisher fits.

    Args:
        offers: of all publishers of the topic.
        asked: the reliability that the user wants; ``auto``: the strictest that all offer. While
            nobody publishes that is best effort, which fits everyone.
    """
    return Offer(
        reliable=bool(offers) and all(o.reliable for o in offers) if asked == "auto" else asked == "reliable",
        latched=bool(offers) and all(o.latched for o in offers),
    )


def reader(offer: Offer, depth: int = 1) -> QoSProfile:
    """The profile of a subscription."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if offer.reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if offer.latched else DurabilityPolicy.VOLATILE,
    )


POLICIES: Mapping[str, Any] = {
    "reliability": ReliabilityPolicy,
    "durability": DurabilityPolicy,
    "history": HistoryPolicy,
    "depth": None,
}
OPEN = {True: "auto", False: 0}
"""Values of overrides that leave it to the node: of policies with names, and of the depth."""


def overrides(node: Any, topic: str, entity: str = "subscription") -> dict[str, Any]:
    """What the user set by ``qos_overrides.<topic>.<entity>.<policy>``, as ROS 2 names it.

    What is not overridden stays negotiable: the parameter is ``auto`` then, the depth 0. A parameter
    without a value would make ``ros2 param dump`` return nothing at all.

    Args:
        node: the rclpy node.
        topic: full name.
        entity: ``subscription`` or ``publisher``.

    Raises:
        ConfigError: a value that is none of the policy's.
    """
    from rcl_interfaces.msg import ParameterDescriptor

    found = {}
    for policy, choices in POLICIES.items():
        name, left_open = f"qos_overrides.{topic}.{entity}.{policy}", OPEN[choices is not None]
        if not node.has_parameter(name):
            text = f"{policy} of the {entity} of {topic}; {left_open}: the node decides"
            node.declare_parameter(name, left_open, ParameterDescriptor(description=text, read_only=True))
        value = node.get_parameter(name).value
        if value == left_open:
            continue
        if choices is not None:
            names = [c.name.lower() for c in choices if c.name != "UNKNOWN"]
            if value.lower() not in names:
                raise ConfigError(
                    f"parameter '{name}': expected one of {', '.join(['auto', *names])}, got '{value}'"
                )
            value = choices[value.upper()]
        elif value < 0:
            raise ConfigError(f"parameter '{name}': expected 0 (the node decides) or more, got {value}")
        found[policy] = value
    return found


def overridden(profile: QoSProfile, changes: Mapping[str, Any]) -> QoSProfile:
    """A copy of ``profile`` with :func:`overrides` put into it."""
    out = copy.copy(profile)
    for policy, value in changes.items():
        setattr(out, policy, value)
    return out
