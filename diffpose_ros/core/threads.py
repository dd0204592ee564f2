"""How often Python threads take turns."""

from __future__ import annotations

import sys

SWITCH_INTERVAL_S = 5e-4
"""How long a thread may keep the interpreter when another waits for it, seconds; Python's own is 5 ms."""


def switch_threads_often() -> None:
    """Let a worker go on soon after each call of a network, for the whole process.

    A worker gives the interpreter away during such a call and waits for it afterwards. There are some
    ten calls a frame, so 5 ms each would be longer than the calls.
    """
    sys.setswitchinterval(min(SWITCH_INTERVAL_S, sys.getswitchinterval()))
