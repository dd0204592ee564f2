"""Lifting on a Ray cluster: a task per video, whose output comes back to the machine that asked."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from diffpose_ros.cli._batch import TRIES, Outcome, Task
from diffpose_ros.core import InputError
from diffpose_ros.core.files import reason, write_bytes

KNOCK_S = 5.0
INSTALL = "--ray needs the Python package 'ray', which is not installed: pip install 'diffpose_ros[ray]'"


def lift_there(video: str, ending: str, words: list[str]) -> tuple[int, str, bytes]:
    """Lift a video where this runs: exit code, last line, and the bytes of the output.

    The video must be readable there under the same name.
    """
    import tempfile

    from diffpose_ros.cli._batch import Task, run_one

    with tempfile.TemporaryDirectory() as folder:
        task = Task(Path(video), Path(folder) / f"skeletons{ending}")
        outcome = run_one(task, words, lambda process: None)
        data = task.output.read_bytes() if outcome.well and task.output.is_file() else b""
        return outcome.code, outcome.said, data


def _reached(address: str) -> None:
    """Ask an address for its door: Ray itself waits minutes for one that is not there.

    Raises:
        InputError: nobody listens there.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host:
        return  # auto and the like name no host
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise InputError(f"--ray {address}: expected ray://HOST:PORT, HOST:PORT or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()
    except OSError as error:
        raise InputError(f"--ray {address}: no cluster answers there ({reason(error)})") from None


class RayWorkers:
    """Runs jobs on a cluster.

    Args:
        address: of the cluster, ``ray://HOST:10001``, ``HOST:6379`` or ``auto``.
        words: options of ``lift``.

    Raises:
        InputError: Ray is not installed, or no cluster answers there.
    """

    def __init__(self, address: str, words: Sequence[str]) -> None:
        try:
            import ray
        except ImportError:
            raise InputError(INSTALL) from None
        self._ray: Any = ray
        self._words = list(words)
        _reached(address)
        try:
            ray.init(address=address, log_to_driver=False, configure_logging=False)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            text = " ".join(str(error).split())[:200]
            raise InputError(f"--ray {address}: no cluster answers there ({text})") from None

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """The outcome of each task as it ends; Ray begins anew what a dead worker was at."""
        ray = self._ray
        remote = ray.remote(num_cpus=1, max_retries=TRIES)(lift_there)
        try:
            waiting = {
                remote.remote(str(task.video), task.output.suffix, self._words): task for task in tasks
            }
            while waiting:
                (ended, *_), _ = ray.wait(list(waiting), num_returns=1)
                yield self._outcome(waiting.pop(ended), ended)
        finally:
            with contextlib.suppress(Exception):
                ray.shutdown()

    def _outcome(self, task: Task, ended: Any) -> Outcome:
        try:
            code, said, data = self._ray.get(ended)
        except self._ray.exceptions.RayError as error:
            return Outcome(task, 1, " ".join(str(error).split())[:300])
        if data:
            try:
                task.output.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(task.output, data)
            except (InputError, OSError) as error:
                return Outcome(task, 1, str(error))
        return Outcome(task, code, said)
