"""The services that every working node has: ``~/reset`` forgets, ``~/enable`` pauses."""

from __future__ import annotations

import threading
from typing import Any

from std_srvs.srv import SetBool, Trigger


class Switches:
    """``~/reset`` (``std_srvs/Trigger``) and ``~/enable`` (``std_srvs/SetBool``) of a node.

    Services run where the node is spun, the work on its own thread; so a reset is noted here and done by
    the worker before its next message (:meth:`take_reset`).

    Args:
        node: the lifecycle node.
        what: what a reset forgets, for the answer, e.g. ``"tracks and identities"``.
    """

    def __init__(self, node: Any, what: str) -> None:
        self._node, self._what = node, what
        self.enabled = True
        self._reset = threading.Event()
        self._services = [
            node.create_service(Trigger, "~/reset", self._on_reset),
            node.create_service(SetBool, "~/enable", self._on_enable),
        ]

    def take_reset(self) -> bool:
        """Whether a reset was asked for since the last call."""
        asked = self._reset.is_set()
        self._reset.clear()
        return asked

    def close(self) -> None:
        """Take the services down. Calling it twice does no harm."""
        services, self._services = self._services, []
        for service in services:
            self._node.destroy_service(service)

    def _on_reset(self, request: Any, response: Any) -> Any:
        self._reset.set()
        self._node.monitor.count("resets")
        self._node.get_logger().info(f"reset: {self._what} are forgotten before the next message")
        response.success, response.message = True, f"{self._what} are forgotten before the next message"
        return response

    def _on_enable(self, request: Any, response: Any) -> Any:
        self.enabled = bool(request.data)
        word = "enabled" if self.enabled else "disabled: messages are ignored"
        self._node.monitor.value("enabled", "true" if self.enabled else "false")
        self._node.get_logger().info(word)
        response.success, response.message = True, word
        return response
