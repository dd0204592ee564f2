"""Serve now, get faster later: a slower backend runs while a faster one gets ready.

The model's caches live with the caller and go in with every run, so changing the backend between
two frames needs no hand-over: the next frame simply runs elsewhere.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import BackendError, DiffposeError, InputError, ModelError
from diffpose_ros.runtime.protocol import Backend, Feeds

log = logging.getLogger(__name__)

FIRST_RETRY_S = 10.0
LAST_RETRY_S = 600.0


class DoesNotFitError(InputError):
    """A backend was not compiled for these numbers of hypotheses or slots; another may do."""


Prepare = Callable[[threading.Event], Backend]
"""Makes the fast backend, ready to run; told by the event that nobody waits for it any more."""


class FallbackBackend:
    """A backend that is two: ``serving`` now, and a faster one as soon and as long as it works.

    The fast one is prepared in a background thread. It takes over at the start of a run. When it
    fails, the same frame runs on the fallback, and another attempt follows after a pause that
    doubles each time, up to ten minutes. Every change is logged once and stands in `reason`. Frames
    of a shape that it was not compiled for run on the fallback, too.

    Attributes:
        spec: the model.
        name, device: of the backend that serves now.
    """

    def __init__(
        self,
        fallback: Backend,
        prepare: Prepare,
        *,
        name: str,
        clock: Callable[[], float] = time.monotonic,
        first_retry_s: float = FIRST_RETRY_S,
    ) -> None:
        """Start serving, and preparing.

        Args:
            fallback: serves from the first frame on; owned from here on.
            prepare: makes the fast backend; runs in another thread.
            name: what the fast backend is called in messages.
            clock: monotonic seconds.
            first_retry_s: pause before the first new attempt.
        """
        self.spec, self.name, self.device = fallback.spec, fallback.name, fallback.device
        self._fallback, self._prepare, self._name = fallback, prepare, name
        self._clock, self._first_retry_s = clock, first_retry_s
        self._lock = threading.Lock()  # guards _ready and _problem, shared with the thread
        self._ready: Backend | None = None
        self._problem: DiffposeError | None = None
        self._fast: Backend | None = None
        self._pause = first_retry_s
        self._next_try: float | None = None
        self._switched_at = 0.0
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None
        self._state = f"until {name} is ready"
        self._remark = ""
        self._told_misfit = False
        self._begin()

    @property
    def serving(self) -> Backend:
        """The backend that runs the next frame, unless the other one takes over first."""
        return self._fast or self._fallback

    @property
    def reason(self) -> str:
        """What serves and why."""
        serving = self._fast.reason if self._fast else f"{self._fallback.reason}; {self._state}"
        return serving + self._remark

    @reason.setter
    def reason(self, text: str) -> None:
        """Add a remark (``load_backend`` says why it chose this one); it outlives a switch."""
        self._remark = text.removeprefix(self.reason.removesuffix(self._remark))

    def rows(self, people: int) -> int:
        return self.serving.rows(people)

    def warm_up(self, people: int) -> None:
        """Warm the backend that serves; the other one comes warm."""
        self.serving.warm_up(people)

    def run(self, feeds: Feeds) -> dict[str, NDArray[np.float32]]:
        """Run one step on the fast backend if it works, else on the fallback.

        Raises:
            InputError: an input is wrong.
            BackendError: the fallback failed too.
        """
        self._take_over()
        if self._fast is not None:
            try:
                return self._fast.run(feeds)
            except DoesNotFitError as error:
                if not self._told_misfit:
                    self._told_misfit = True
                    log.warning("%s; %s runs such frames", error, self._fallback.name)
            except BackendError as error:
                self._give_up(error)
        return self._fallback.run(feeds)

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait for the attempt under way to end; True if the fast backend can take over."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        with self._lock:
            return self._ready is not None or self._fast is not None

    def close(self) -> None:
        """Stop preparing and close both; a second call does nothing."""
        self._cancelled.set()
        if self._thread is not None:
            # A build inside TensorRT cannot be stopped; its thread then closes what it made.
            self._thread.join(timeout=2.0)
            self._thread = None
        with self._lock:
            ready, self._ready = self._ready, None
        for backend in (ready, self._fast, self._fallback):
            if backend is not None:
                backend.close()
        self._fast = None
        self.name, self.device = self._fallback.name, self._fallback.device

    def _begin(self) -> None:
        self._next_try = None
        self._thread = threading.Thread(target=self._work, name=f"prepare-{self._name}", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        """In the background thread: one attempt."""
        try:
            backend = self._prepare(self._cancelled)
        except DiffposeError as error:
            problem = error
        except Exception as error:
            log.debug("preparing %s failed", self._name, exc_info=True)
            problem = BackendError(f"{type(error).__name__}: {error}")
        else:
            with self._lock:
                if not self._cancelled.is_set():
                    self._ready = backend
                    return
            backend.close()
            return
        with self._lock:
            self._problem = problem

    def _take_over(self) -> None:
        """At the start of a run: switch, note a failed attempt, or start a new one."""
        if self._fast is not None or self._cancelled.is_set():
            return
        with self._lock:
            ready, self._ready = self._ready, None
            problem, self._problem = self._problem, None
        if ready is not None:
            self._fast, self._switched_at = ready, self._clock()
            self.name, self.device = ready.name, ready.device
            log.info("switched from %s to %s", self._fallback.name, ready.reason)
        elif isinstance(problem, ModelError):
            self._state = f"{self._name} cannot run this model: {problem}"
            log.warning("%s; %s keeps serving", self._state, self._fallback.name)
        elif problem is not None:
            self._retry_later(f"{self._name} did not start: {problem}")
        elif self._next_try is not None and self._clock() >= self._next_try:
            self._state = f"until {self._name} is ready again"
            self._begin()

    def _give_up(self, error: BackendError) -> None:
        """The fast backend failed in the middle of a frame."""
        fast, self._fast = self._fast, None
        self.name, self.device = self._fallback.name, self._fallback.device
        if self._clock() - self._switched_at > LAST_RETRY_S:
            self._pause = self._first_retry_s  # it ran long enough for this to be a new story
        self._retry_later(f"{self._name} failed: {error}")
        if fast is not None:
            try:
                fast.close()
            except BackendError as second:
                log.debug("closing %s failed too: %s", self._name, second)

    def _retry_later(self, what: str) -> None:
        self._next_try = self._clock() + self._pause
        self._state = f"{what}; next attempt after {self._pause:.0f} s"
        log.warning("%s; %s serves, next attempt in %.0f s", what, self._fallback.name, self._pause)
        self._pause = min(2 * self._pause, LAST_RETRY_S)
