"""What becomes of stdout when nobody reads it any more, or the disk that it goes to is full."""

from __future__ import annotations

import contextlib
import os
import sys


class _State:
    lost: OSError | None = None


def drop(error: OSError | None = None) -> None:
    """Send what may still come to nowhere: Python would complain of it at its end.

    Args:
        error: why what was told is lost; ``None`` where nobody wanted it (``| head``).
    """
    _State.lost = _State.lost or error
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def taken_loss() -> OSError | None:
    """Why something of what was told is lost; once."""
    lost, _State.lost = _State.lost, None
    return lost


def is_stdout(path: str | None) -> bool:
    """Whether a name (``/dev/stdout``) is where this process tells how it goes."""
    try:
        return path is not None and os.path.samestat(os.stat(path), os.fstat(1))
    except (OSError, ValueError):
        return False


def keep_for_data() -> None:
    """Tell nothing more there: what is told would stand between the data."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
