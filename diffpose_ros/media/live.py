"""Live sources: the newest image wins, however slow its reader is."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def newest(items: Iterator[T]) -> Iterator[T]:
    """Run ``items`` on a thread of its own and give the newest one each time, so none queue up.

    What ``items`` raises is raised here, after the last item was given. Ending this iterator ends
    the other one at its next item.
    """
    changed = threading.Condition()
    waiting: list[T] = []
    ended: list[BaseException | None] = []
    stop = threading.Event()

    def pump() -> None:
        failure: BaseException | None = None
        try:
            for item in items:
                with changed:
                    waiting[:] = [item]
                    changed.notify()
                if stop.is_set():
                    return
        except BaseException as error:
            failure = error
        finally:
            with contextlib.suppress(Exception):
                items.close()  # type: ignore[attr-defined]
            with changed:
                ended.append(failure)
                changed.notify()

    threading.Thread(target=pump, name="live source", daemon=True).start()
    try:
        while True:
            with changed:
                changed.wait_for(lambda: waiting or ended)
                if waiting:
                    item = waiting.pop()
                elif ended[0] is not None:
                    raise ended[0]
                else:
                    return
            yield item
    finally:
        stop.set()
