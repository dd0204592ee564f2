"""Serving from a fallback while a faster backend gets ready, fails and comes back."""

import logging
import sys
import threading
import time

import numpy as np
import pytest

from diffpose_ros.core import BackendError, InputError, ModelError
from diffpose_ros.runtime.fallback import LAST_RETRY_S, DoesNotFitError, FallbackBackend
from diffpose_ros.runtime.protocol import Backend
from diffpose_ros.runtime.tensorrt.background_build import run_aside

FEEDS = {"points": np.zeros((2, 21, 3), np.float32)}


class Engine:
    """A backend that counts its frames and can be told to fail."""

    device = "here"

    def __init__(self, name: str) -> None:
        self.name, self.reason, self.spec = name, f"{name} works", None
        self.frames = self.closed = self.warmed = 0
        self.error: Exception | None = None

    def rows(self, people):
        return people + (3 if self.name == "fast" else 0)

    def run(self, feeds):
        if self.error is not None:
            raise self.error
        self.frames += 1
        return {"mean": np.full((2, 17, 3), self.frames, np.float32)}

    def warm_up(self, people):
        self.warmed += 1

    def close(self):
        self.closed += 1


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Workshop:
    """Makes fast backends, one after the other, when the test lets it."""

    def __init__(self) -> None:
        self.made: list[Engine] = []
        self.gate = threading.Event()
        self.problem: Exception | None = None
        self.attempts = 0

    def __call__(self, cancelled: threading.Event) -> Engine:
        self.attempts += 1
        while not self.gate.wait(0.01):
            if cancelled.is_set():
                raise BackendError("cancelled")
        if self.problem is not None:
            raise self.problem
        self.made.append(Engine("fast"))
        return self.made[-1]


@pytest.fixture
def shop():
    return Workshop()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def slow():
    return Engine("slow")


@pytest.fixture
def both(slow, shop, clock):
    backend = FallbackBackend(slow, shop, name="fast", clock=clock, first_retry_s=10.0)
    yield backend
    shop.gate.set()
    backend.close()


def switched(both, shop) -> Engine:
    """Let the fast backend be made and take over."""
    shop.gate.set()
    assert both.wait_ready(10.0)
    both.run(FEEDS)
    return shop.made[-1]


def test_it_is_a_backend(both):
    assert isinstance(both, Backend)


def test_it_serves_at_once_from_the_fallback(both, slow):
    both.run(FEEDS)
    assert (slow.frames, both.name, both.rows(1)) == (1, "slow", 1)
    assert both.reason == "slow works; until fast is ready"


def test_it_switches_between_two_frames(both, slow, shop, caplog):
    caplog.set_level(logging.INFO)
    both.run(FEEDS)
    fast = switched(both, shop)
    both.run(FEEDS)
    assert (slow.frames, fast.frames) == (1, 2)
    assert (both.name, both.reason, both.rows(1)) == ("fast", "fast works", 4)
    assert [r.message for r in caplog.records] == ["switched from slow to fast works"]


def test_a_failing_frame_runs_on_the_fallback(both, slow, shop, caplog):
    fast = switched(both, shop)
    shop.gate.clear()
    fast.error = BackendError("CUDA_ERROR_OUT_OF_MEMORY")
    result = both.run(FEEDS)
    assert result["mean"][0, 0, 0] == 1  # the fallback's first frame
    assert (slow.frames, fast.closed, both.name) == (1, 1, "slow")
    assert both.reason == ("slow works; fast failed: CUDA_ERROR_OUT_OF_MEMORY; next attempt after 10 s")
    both.run(FEEDS)
    assert len(caplog.records) == 1


def test_it_tries_again_later(both, slow, shop, clock):
    switched(both, shop).error = BackendError("lost")
    both.run(FEEDS)
    clock.now += 9.9
    both.run(FEEDS)
    assert shop.attempts == 1
    clock.now += 0.2
    both.run(FEEDS)  # starts the attempt
    assert both.wait_ready(10.0)
    both.run(FEEDS)
    assert (both.name, shop.attempts) == ("fast", 2)


def test_pauses_double_up_to_a_limit_while_nothing_helps(both, shop, clock):
    shop.problem = BackendError("no memory")
    shop.gate.set()
    pauses = []
    for _ in range(9):
        both.wait_ready(10.0)
        both.run(FEEDS)  # notes the failure
        start = clock.now
        attempts = shop.attempts
        while shop.attempts == attempts:
            clock.now += 5.0
            both.run(FEEDS)
            time.sleep(0.001)
        pauses.append(round(clock.now - start, -1))
    assert pauses[:4] == [10, 20, 40, 80]
    assert pauses[-1] == LAST_RETRY_S


def test_a_model_that_can_never_run_there_is_not_tried_again(both, slow, shop, clock):
    shop.problem = ModelError("no block to convert")
    shop.gate.set()
    both.wait_ready(10.0)
    both.run(FEEDS)
    clock.now += 1e6
    both.run(FEEDS)
    assert shop.attempts == 1
    assert "fast cannot run this model: no block to convert" in both.reason


def test_an_unforeseen_error_while_preparing_is_reported_not_lost(both, shop):
    shop.problem = ZeroDivisionError("division by zero")
    shop.gate.set()
    both.wait_ready(10.0)
    both.run(FEEDS)
    assert "fast did not start: ZeroDivisionError: division by zero" in both.reason


def test_wrong_inputs_are_the_callers_and_no_reason_to_fall_back(both, shop):
    fast = switched(both, shop)
    fast.error = InputError("points missing")
    with pytest.raises(InputError, match="points missing"):
        both.run(FEEDS)
    assert (both.name, fast.closed) == ("fast", 0)


def test_frames_the_fast_one_was_not_compiled_for_run_on_the_fallback(both, slow, shop, caplog):
    fast = switched(both, shop)
    fast.error = DoesNotFitError("built for 5 hypotheses, got 8")
    for _ in range(3):
        both.run(FEEDS)
    fast.error = None
    both.run(FEEDS)
    assert (slow.frames, fast.frames, both.name) == (3, 2, "fast")
    assert [r.message for r in caplog.records] == ["built for 5 hypotheses, got 8; slow runs such frames"]


def test_when_the_fallback_fails_too_the_caller_learns_it(both, slow):
    slow.error = BackendError("slow is broken")
    with pytest.raises(BackendError, match="slow is broken"):
        both.run(FEEDS)


def test_a_remark_on_the_choice_outlives_the_switch(both, shop):
    both.reason = f"{both.reason} (asked for)"
    assert both.reason == "slow works; until fast is ready (asked for)"
    switched(both, shop)
    assert both.reason == "fast works (asked for)"


def test_closing_while_preparing_ends_the_attempt(slow, shop):
    both = FallbackBackend(slow, shop, name="fast")
    started = time.monotonic()
    both.close()
    both.close()
    assert time.monotonic() - started < 1.5
    assert (slow.closed >= 1, shop.made) == (True, [])


def test_closing_closes_a_backend_that_was_ready_but_never_used(both, shop):
    shop.gate.set()
    assert both.wait_ready(10.0)
    both.close()
    assert shop.made[0].closed == 1


def test_warming_up_warms_what_serves(both, slow):
    both.warm_up(3)
    assert slow.warmed == 1


class TestBuildProcess:
    """The second process that builds an engine."""

    def test_success_is_silent(self):
        run_aside([sys.executable, "-c", "print('x' * 10)"], threading.Event())

    def test_failure_gives_its_last_line(self):
        code = "import sys; print('a\\nlast words\\n', file=sys.stderr); sys.exit(3)"
        with pytest.raises(BackendError, match=r"failed \(exit code 3\): last words"):
            run_aside([sys.executable, "-c", code], threading.Event())

    def test_it_can_say_more_than_a_pipe_holds(self):
        code = "import sys; sys.stderr.write('noise\\n' * 100_000)"
        run_aside([sys.executable, "-c", code], threading.Event())

    def test_cancelling_ends_it(self):
        cancelled = threading.Event()
        threading.Timer(0.3, cancelled.set).start()
        started = time.monotonic()
        with pytest.raises(BackendError, match="cancelled"):
            run_aside([sys.executable, "-c", "import time; time.sleep(60)"], cancelled)
        assert time.monotonic() - started < 10

    def test_builds_take_turns(self, tmp_path):
        code = (
            "import sys, time, pathlib; p = pathlib.Path(sys.argv[1]); p.mkdir();time.sleep(0.2); p.rmdir()"
        )
        words = [sys.executable, "-c", code, str(tmp_path / "busy")]
        errors = []

        def build():
            try:
                run_aside(words, threading.Event())
            except BackendError as error:
                errors.append(error)

        threads = [threading.Thread(target=build) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert errors == []

    def test_one_that_waits_for_its_turn_can_be_cancelled(self):
        first, second = threading.Event(), threading.Event()
        words = [sys.executable, "-c", "import time; time.sleep(60)"]

        def build():
            with pytest.raises(BackendError, match="cancelled"):
                run_aside(words, first)

        busy = threading.Thread(target=build)
        busy.start()
        second.set()
        with pytest.raises(BackendError, match="cancelled"):
            run_aside(words, second)
        first.set()
        busy.join(10)
        assert not busy.is_alive()
