"""Runs the main function of a module; signals during its imports end the process quietly."""

import os
import signal
import sys

for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: os._exit(0))
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

from importlib import import_module  # noqa: E402

module = sys.argv.pop(1)
sys.exit(import_module(module).main())
