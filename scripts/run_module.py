"""Runs the main function of a module; signals during its imports end the process quietly."""

import os
import signal
import sys
import time
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def leave(number: int, frame: "FrameType | None") -> None:
    """End the process, a moment later: ros2 launch signals its processes, too, and it reports one that
    ends just before as dead."""
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    time.sleep(0.3)
    os._exit(0)


for number in SIGNALS:
    signal.signal(number, leave)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

from importlib import import_module  # noqa: E402

module = sys.argv.pop(1)
sys.exit(import_module(module).main())
