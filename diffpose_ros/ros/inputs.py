"""Subscriptions that fit their publishers and know how they are doing."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
from rclpy.qos import qos_policy_name_from_kind

from diffpose_ros.ros import qos
from diffpose_ros.ros.handover import READERS, NearImage
from diffpose_ros.ros.health import BEHIND_S, SILENT_S, InputStatus

RECENT_S = 5.0
"""What counts as lately, seconds."""

ALIKE_EVERY_S = 2.0
"""How often other topics are looked for while nobody publishes, seconds."""

OVERTAKEN_S = 1.0
"""How long after an image was handed over older ones may still come through the middleware, seconds."""


class Input:
    """A subscription, made anew when its publishers offer another quality of service.

    Args:
        node: the rclpy node.
        kind: message type.
        topic: name, before remapping.
        callback: called with each message.
        name: what comes in, for people.
        asked: reliability: ``auto`` (as the publishers offer), ``reliable`` or ``best_effort``.
        depth: messages that may wait.
        reliable_depth: the same of a reliable reader; ``None``: as ``depth``.
        behind_s: see :class:`InputStatus`.
        timeout_s: see :class:`InputStatus`.
        advice: what to do when nobody publishes.
        also: other types whose topics may be what the user looks for.
        single: see :class:`InputStatus`.
        near: images of a publisher in this process may come as :class:`~.handover.NearImage`.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        node: Any,
        kind: type,
        topic: str,
        callback: Callable[[Any], None],
        *,
        name: str,
        asked: str = "auto",
        depth: int = 1,
        reliable_depth: int | None = None,
        behind_s: float = BEHIND_S,
        timeout_s: float | None = SILENT_S,
        advice: str = "",
        also: Sequence[str] = (),
        single: bool = False,
        near: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._node, self._kind, self._callback = node, kind, callback
        self.name, self._advice, self._single = name, advice, single
        self._behind_s, self._timeout_s = behind_s, timeout_s
        self.topic = node.resolve_topic_name(topic)
        self._given = topic
        self._asked, self._clock = asked, clock
        self._depths = (depth, depth if reliable_depth is None else reliable_depth)
        self._kind_name = kind_name(kind)
        self._kinds_alike = {self._kind_name, *also}
        self._overrides = qos.overrides(node, self.topic)
        self._since = clock()
        self._last: float | None = None
        self._received = 0
        self._offset_s: float | None = None
        self._times: deque[float] = deque(maxlen=200)
        self._lost: deque[tuple[float, int]] = deque(maxlen=200)
        self._lost_total = 0
        self._incompatible = ""
        self._publishers: tuple[str, ...] = ()
        self._wrong: tuple[str, ...] = ()
        self._alike: tuple[str, ...] = ()
        self._alike_at = -ALIKE_EVERY_S
        self._subscription: Any = None
        self._closed = False
        # a node is configured in one thread and spun in another
        self._lock = threading.RLock()
        # images that are handed over come in their publisher's thread
        self._counting = threading.Lock()
        self._offer: qos.Offer | None = None
        self._near_s, self._near_ns = -OVERTAKEN_S, 0
        self._near, self._end_near = near, lambda: None
        self._listen_near()
        self.watch()

    def watch(self) -> bool:
        """Look at the publishers; subscribe anew where they want it. True when it did."""
        with self._lock:
            return not self._closed and self._watch()

    def _watch(self) -> bool:
        offers = self._look()
        wanted = qos.negotiate(offers, self._asked)
        if self._subscription is not None and (not offers or wanted == self._offer):
            return False
        if self._subscription is not None and self._overrides:
            return False  # the user decides, whatever the publishers do
        again = self._subscription is not None
        self._subscribe(wanted)
        if again:
            text = f"{self.topic} is read anew, {self._offer}, as it is offered"
            self._node.get_logger().info(text)
        return again

    def status(self) -> InputStatus:
        """How it is doing."""
        now = self._clock()
        since = now - RECENT_S
        with self._counting:
            came, lost = list(self._times), list(self._lost)
        times = [t for t in came if t >= since]
        gaps = [b - a for a, b in pairwise(came)]
        return InputStatus(
            name=self.name,
            topic=self.topic,
            kind=self._kind_name,
            silent_s=now - (self._since if self._last is None else self._last),
            received=self._received,
            period_s=median(gaps[-20:]) if len(gaps) >= 3 else None,
            behind_s=self._behind_s,
            timeout_s=self._timeout_s,
            publishers=self._publishers,
            single=self._single,
            wrong_kinds=self._wrong,
            incompatible=self._incompatible,
            qos=str(self._offer),
            recent=len(times),
            recent_lost=sum(count for t, count in lost if t >= since),
            lost=self._lost_total,
            offset_s=self._offset_s,
            alike=self._alike,
            advice=self._advice,
        )

    def close(self) -> None:
        """Stop listening. Calling it twice does no harm."""
        with self._lock:
            self._closed = True
            self._end_near()
            self._drop()

    def _drop(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            self._node.destroy_subscription(subscription)

    def _look(self) -> list[qos.Offer]:
        found = self._node.get_publishers_info_by_topic(self.topic)
        right = [p for p in found if p.topic_type == self._kind_name]
        if right and not self._publishers and self._last is None:
            self._since = self._clock()
        self._publishers = tuple(dict.fromkeys(_full_name(p) for p in right))
        self._wrong = tuple(sorted({p.topic_type for p in found} - {self._kind_name}))
        if not right and self._clock() - self._alike_at >= ALIKE_EVERY_S:
            self._alike_at = self._clock()
            own = {p.topic_name for p in self._node.publishers} | {self.topic}
            topics = self._node.get_topic_names_and_types()
            self._alike = tuple(n for n, k in topics if n not in own and self._kinds_alike & set(k))
        return [qos.offered(p.qos_profile) for p in right]

    def _subscribe(self, offer: qos.Offer) -> None:
        if self._subscription is not None:
            self._listen_near()
        self._drop()
        self._offer, self._incompatible = offer, ""
        profile = qos.overridden(qos.reader(offer, self._depths[offer.reliable]), self._overrides)
        self._offer = qos.offered(profile)
        events: dict[str, Any] = {
            "message_lost": self._lost_some,
            "incompatible_qos": self._does_not_fit,
            "matched": lambda event: self.watch(),
        }
        for callbacks in (events, {}):  # a middleware that does not tell of losses knows none
            try:
                self._subscription = self._node.create_subscription(
                    self._kind,
                    self._given,
                    self._came,
                    profile,
                    event_callbacks=SubscriptionEventCallbacks(**callbacks, use_default_callbacks=False),
                )
                return
            except UnsupportedEventTypeError:
                continue

    def _listen_near(self) -> None:
        self._end_near()
        if self._near:
            self._end_near = READERS.add(self._node.context, self.topic, self._near_came)

    def _near_came(self, image: NearImage) -> None:
        self._near_s, self._near_ns = self._clock(), _stamp_ns(image.header)
        self._came(image)

    def _came(self, message: Any) -> None:
        if self._overtaken(message):
            return
        with self._counting:
            self._last = self._clock()
            self._times.append(self._last)
            self._received += 1
        self._incompatible = ""
        header = getattr(message, "header", None)
        if header is not None:
            self._offset_s = (self._node.get_clock().now().nanoseconds - _stamp_ns(header)) / 1e9
        self._callback(message)

    def _overtaken(self, message: Any) -> bool:
        """Whether it was on its way through the middleware when a newer image was handed over."""
        if self._clock() - self._near_s >= OVERTAKEN_S or isinstance(message, NearImage):
            return False
        return _stamp_ns(message.header) < self._near_ns

    def _lost_some(self, event: Any) -> None:
        count = max(int(event.total_count_change), 0)
        self._lost_total += count
        self._lost.append((self._clock(), count))

    def _does_not_fit(self, event: Any) -> None:
        self._incompatible = qos_policy_name_from_kind(event.last_policy_kind)
        # a publisher that this reader does not fit counts it among none of its readers
        self._end_near()


def kind_name(kind: type) -> str:
    """A message type as ROS names it, e.g. ``sensor_msgs/msg/Image``."""
    package, group = kind.__module__.split(".")[:2]
    return f"{package}/{group}/{kind.__name__}"


def _stamp_ns(header: Any) -> int:
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


def _full_name(endpoint: Any) -> str:
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"
