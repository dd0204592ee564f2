"""Ctrl-C before and after a command runs: during the imports there is nothing to lose and to tell."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

NAME = "diffpose_ros"


def handle() -> None:
    """From here on Ctrl-C ends the process with 130, where nothing else handles it.

    Who started it may have made the signal wait until here (``env --block-signal=INT``).
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def end(signum: int, frame: FrameType | None) -> None:
    """End without a word: a traceback would tell nobody anything."""
    os._exit(128 + signum)


def is_program() -> bool:
    """Whether this process is the command itself, as pip installs it, and no program that imports it."""
    path = getattr(sys.modules.get("__main__"), "__file__", None) or ""
    return os.path.basename(path) == NAME
