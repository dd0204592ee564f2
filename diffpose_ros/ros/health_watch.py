"""What a node measures for its health, and the log lines about it: one when trouble begins or changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from diffpose_ros.ros.health import ERROR, ClockStatus, Trouble
from diffpose_ros.ros.throttle import Throttle

AGAIN_S = 30.0
"""Trouble that comes and goes is logged once in this time, seconds."""


class HealthWatch:
    """Watches a node's clock and logs what is wrong.

    Args:
        node: the rclpy node.
        clock: monotonic seconds.
    """

    def __init__(self, node: Any, clock: Callable[[], float]) -> None:
        self._node, self._monotonic = node, clock
        self._throttle = Throttle(AGAIN_S)
        self._told: dict[str, str] = {}
        self._now_ns: int | None = None
        self._moved_s = clock()

    def clock(self) -> ClockStatus:
        """How the node's clock is doing."""
        now_s, clock = self._monotonic(), self._node.get_clock()
        now_ns = clock.now().nanoseconds
        if now_ns != self._now_ns:
            # a clock that starts at zero has not moved yet
            if self._now_ns is not None or now_ns:
                self._moved_s = now_s
            self._now_ns = now_ns
        if not clock.ros_time_is_active:
            return ClockStatus()
        still_s = now_s - self._moved_s
        publishers: tuple[str, ...] = ()
        if still_s > 0.5:
            found = self._node.get_publishers_info_by_topic("/clock")
            publishers = tuple(f"{p.node_namespace.rstrip('/')}/{p.node_name}" for p in found)
        return ClockStatus(simulated=True, still_s=still_s, publishers=publishers)

    def tell(self, troubles: Mapping[str, Trouble]) -> None:
        """Log what is new: trouble that began or became another, and that it is over."""
        logger = self._node.get_logger()
        for about, trouble in troubles.items():
            if self._told.get(about) == trouble.kind:
                continue
            if self._throttle(f"{about}: {trouble.kind}", self._monotonic()) is None:
                continue
            self._told[about] = trouble.kind
            (logger.error if trouble.level == ERROR else logger.warning)(trouble.text)
        for about in set(self._told) - set(troubles):
            del self._told[about]
            if self._throttle(f"{about}: over", self._monotonic()) is not None:
                logger.info(f"{about}: all right now")
