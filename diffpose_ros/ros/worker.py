"""One slot, one thread: the newest item wins and the executor never waits for inference."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class NewestWorker(Generic[T]):
    """Runs ``work(item)`` on its own thread, always on the newest item offered.

    Args:
        work: called with one item at a time.
        on_error: called with what ``work`` raised; the thread goes on.
        name: of the thread.
    """

    def __init__(
        self,
        work: Callable[[T], None],
        *,
        on_error: Callable[[Exception], None],
        name: str = "worker",
    ) -> None:
        self._work = work
        self._on_error = on_error
        self._ready = threading.Condition()
        self._item: T | None = None
        self._closed = False
        self._began: float | None = None
        # a daemon, so that a call stuck in a driver cannot keep the process alive
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def offer(self, item: T) -> bool:
        """Put ``item`` into the slot. True when it replaced one that nobody had taken."""
        with self._ready:
            if self._closed:
                return False
            replaced = self._item is not None
            self._item = item
            self._ready.notify()
            return replaced

    @property
    def busy_s(self) -> float:
        """For how long it has been at its present item, seconds; 0 when it waits for one."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def close(self, timeout_s: float = 1.5) -> bool:
        """Stop taking items. False when the item at work did not end in time."""
        with self._ready:
            self._closed = True
            self._item = None
            self._ready.notify()
        if threading.current_thread() is self._thread:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._ready:
                while self._item is None and not self._closed:
                    self._ready.wait()
                if self._closed:
                    return
                item, self._item = self._item, None
            self._began = time.monotonic()
            try:
                self._work(item)  # type: ignore[arg-type]
            except Exception as error:
                self._on_error(error)
            self._began = item = None
