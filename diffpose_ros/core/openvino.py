"""OpenVINO's entry object, one for the whole process."""

from __future__ import annotations

import threading
from typing import Any

_lock = threading.Lock()
_core: Any = None


def openvino_core() -> Any:
    """This process's ``openvino.Core``, which lives until the process ends.

    Its CPU plugin replaces the signal stack of the thread that loads it, and frees that stack when
    the last user lets go of the plugin. If another thread does so, the next signal that Python
    handles in the first thread ends the process with SIGSEGV. A core that stays keeps the stack.
    Settings go to ``compile_model``, since all users share the core.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    global _core
    with _lock:
        if _core is None:
            import openvino

            _core = openvino.Core()
        return _core
