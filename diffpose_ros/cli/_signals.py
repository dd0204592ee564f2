"""Stopping a command: Ctrl-C, a closed terminal and ``kill`` all end it, with what was done kept.

A signal is an exception (:class:`Stopped`) in whatever runs, except under :func:`shield`: there it
waits until the frame or the file in work is whole.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from diffpose_ros.cli import _early_signals

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """A signal asked the command to end.

    Attributes:
        signum: which one; the exit code is 128 + it.
        kept: what was saved, for the message.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum
        self.kept = ""


class _State:
    depth = 0
    pending = 0
    came = 0


def exit_code(error: KeyboardInterrupt) -> int:
    """130 after SIGINT, 143 after SIGTERM, 129 after SIGHUP."""
    return 128 + getattr(error, "signum", int(signal.SIGINT))


def describe(error: KeyboardInterrupt) -> str:
    """What to say of it in the one line."""
    name = str(error) or "SIGINT"
    word = "interrupted" if name == "SIGINT" else f"ended by {name}"
    return word + getattr(error, "kept", "")


def swallowed() -> Stopped | None:
    """A stop that something caught: a library's start-up makes another error of what is raised in it."""
    return Stopped(_State.came) if _State.came else None


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Within it the signals raise :class:`Stopped`; those that are ignored (``nohup``) stay so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {}
    _State.depth = _State.pending = _State.came = 0
    for signum in SIGNALS:
        if signal.getsignal(signum) in (signal.SIG_DFL, signal.default_int_handler, _early_signals.end):
            before[signum] = signal.signal(signum, _stop)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


@contextlib.contextmanager
def shield() -> Iterator[None]:
    """Let what runs here end first; a signal that came meanwhile is raised at the end."""
    _State.depth += 1
    try:
        yield
    finally:
        _State.depth -= 1
    if _State.pending and not _State.depth:
        signum, _State.pending = _State.pending, 0
        raise Stopped(signum)


def _stop(signum: int, frame: FrameType | None) -> None:
    _State.came = _State.came or signum
    if _State.depth:
        _State.pending = _State.pending or signum
        return
    raise Stopped(signum)
