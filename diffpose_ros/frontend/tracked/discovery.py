"""Finding people in the whole image, beside the frames or in step with them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Protocol

from diffpose_ros.core import People2D
from diffpose_ros.frontend.pyramid import Pyramid


@dataclass(frozen=True)
class Sighting:
    """People found in one whole image, without identities."""

    stamp_ns: int
    people: People2D


class Finder(Protocol):
    """Finds people in a whole image."""

    def find(self, pyramid: Pyramid, *, input_size: int | None = None) -> People2D:
        """People, keypoints in pixels of the image; looked at with so many pixels."""
        ...


class InStep:
    """Discovery that answers at once: the same images give the same people on any machine."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._sighting: Sighting | None = None

    def offer(self, pyramid: Pyramid, stamp_ns: int, input_size: int | None = None) -> None:
        """Look at an image with so many pixels."""
        self._sighting = Sighting(stamp_ns, self._finder.find(pyramid, input_size=input_size))

    def poll(self) -> Sighting | None:
        """The people of the last image offered, once."""
        sighting, self._sighting = self._sighting, None
        return sighting

    def clear(self) -> None:
        """Forget what was seen."""
        self._sighting = None

    def close(self, timeout_s: float = 1.5) -> bool:
        """Nothing to wait for."""
        return True


class Beside:
    """Discovery in a thread of its own; one image at a time, others offered meanwhile are ignored.

    What goes wrong in the thread is raised by :meth:`poll`.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._ready = threading.Condition()
        self._job: tuple[Pyramid, int, int | None, int] | None = None
        self._sighting: Sighting | None = None
        self._error: Exception | None = None
        self._era = 0
        self._busy = self._closed = False
        # a daemon, so that a call stuck in a library cannot keep the process alive
        self._thread = threading.Thread(target=self._run, name="discovery", daemon=True)
        self._thread.start()

    def offer(self, pyramid: Pyramid, stamp_ns: int, input_size: int | None = None) -> None:
        """Have an image looked at unless one is being looked at. It must not be written to."""
        with self._ready:
            if self._closed or self._busy or self._job is not None:
                return
            self._job = (pyramid, stamp_ns, input_size, self._era)
            self._ready.notify()

    def poll(self) -> Sighting | None:
        """What was found since the last call.

        Raises:
            Exception: what the finder raised.
        """
        with self._ready:
            error, self._error = self._error, None
            sighting, self._sighting = self._sighting, None
        if error is not None:
            raise error
        return sighting

    def clear(self) -> None:
        """Forget what was seen; what is being looked at will be ignored."""
        with self._ready:
            self._era += 1
            self._job = self._sighting = self._error = None

    def close(self, timeout_s: float = 1.5) -> bool:
        """End the thread. False when it did not end in time."""
        with self._ready:
            self._closed = True
            self._job = None
            self._ready.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._ready:
                while self._job is None and not self._closed:
                    self._ready.wait()
                if self._closed or self._job is None:
                    return
                (pyramid, stamp_ns, input_size, era), self._job = self._job, None
                self._busy = True
            result: Any = None
            error: Exception | None = None
            try:
                result = Sighting(stamp_ns, self._finder.find(pyramid, input_size=input_size))
            except Exception as problem:
                error = problem
            with self._ready:
                self._busy = False
                if era == self._era:
                    self._sighting, self._error = result, error
            del pyramid, result
