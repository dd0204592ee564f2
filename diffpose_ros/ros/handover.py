"""Images between nodes of one process: by reference instead of through the middleware.

A full-HD image that goes through the middleware is copied six times, most of them while no other Python
thread can run. Nodes that share a process, a ROS context and a topic hand the array over instead.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class NearImage:
    """An image in this process, in place of a ``sensor_msgs/Image``.

    Attributes:
        header: ``std_msgs/Header`` with stamp and optical frame.
        rgb: (H, W, 3) uint8, read-only.
    """

    header: Any
    rgb: NDArray[np.uint8]


class Readers:
    """Who in this process reads images, by context and topic. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # context -> topic -> a mark of each reader -> its callback
        self._found: weakref.WeakKeyDictionary[Any, dict[str, dict[object, Callable[[NearImage], None]]]]
        self._found = weakref.WeakKeyDictionary()

    def add(self, context: Any, topic: str, callback: Callable[[NearImage], None]) -> Callable[[], None]:
        """Call ``callback`` with the images of ``topic`` (its full name).

        Returns:
            What ends that. An image that is on its way may still come.
        """
        mark = object()
        with self._lock:
            readers = self._found.setdefault(context, {}).setdefault(topic, {})
            readers[mark] = callback

        def end() -> None:
            with self._lock:
                readers.pop(mark, None)

        return end

    def of(self, context: Any, topic: str) -> tuple[Callable[[NearImage], None], ...]:
        """The callbacks for a topic."""
        with self._lock:
            return tuple(self._found.get(context, {}).get(topic, {}).values())

    def hand_over(self, context: Any, topic: str, header: Any, rgb: NDArray[np.uint8], matched: int) -> bool:
        """Give an image to the readers in this process, if it has no other readers.

        Args:
            context: the publisher's.
            topic: full name.
            header: of the image.
            rgb: (H, W, 3) uint8; read-only from here on.
            matched: readers that the middleware knows, those of this process included.

        Returns:
            False when somebody else reads, too: then the image goes through the middleware, to everybody.
        """
        near = self.of(context, topic)
        if not near or matched > len(near):
            return False
        rgb.flags.writeable = False
        for callback in near:
            callback(NearImage(header, rgb))
        return True


READERS = Readers()
"""Of this process."""
