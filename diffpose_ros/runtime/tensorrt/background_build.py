"""Builds an engine in another process, at low priority, while this one keeps serving.

A process of its own because building takes every core it finds and can crash in native code;
neither must touch the frames.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading

from diffpose_ros.core import BackendError
from diffpose_ros.runtime.graph_spec import GraphSpec
from diffpose_ros.runtime.protocol import BackendOptions
from diffpose_ros.runtime.tensorrt.api import find_flavour
from diffpose_ros.runtime.tensorrt.build import GpuInfo, Recipe
from diffpose_ros.runtime.tensorrt.cache import EngineCache
from diffpose_ros.runtime.tensorrt.driver import Cuda

log = logging.getLogger(__name__)

_POLL_S = 0.2

_ONE_AT_A_TIME = threading.Lock()
"""A lifter with a deadline has engines for several numbers of steps; their builds take turns."""


def build_aside(spec: GraphSpec, options: BackendOptions, cancelled: threading.Event) -> None:
    """Make sure that the cache holds the engine; does nothing if it cannot be written.

    Args:
        spec: the model.
        options: as for the backend.
        cancelled: set to stop the build.

    Raises:
        BackendError: no GPU, no TensorRT, the build failed or was cancelled.
    """
    cache = EngineCache(options.cache_dir)
    cuda = Cuda()
    try:
        flavour, gpu = find_flavour(cuda.sm), GpuInfo(cuda.name, cuda.sm, cuda.version)
    finally:
        cuda.close()
    key = Recipe.of(spec, options).key(flavour, gpu)
    if cache.load(key) is not None:
        return
    if not cache.is_writable():
        return  # the backend builds in memory then, and says so
    log.info("building a TensorRT engine for %s in the background", spec.path.name)
    run_aside(command(spec, options, cache), cancelled)


def command(spec: GraphSpec, options: BackendOptions, cache: EngineCache) -> list[str]:
    """The command line that builds exactly the engine these options ask for."""
    words = [sys.executable, "-m", "diffpose_ros", "build-engine", str(spec.path)]
    words += ["--max-people", str(options.max_people)]
    words += ["--cache-dir", str(cache.directory), "--quiet"]
    for size, number in sorted(options.sizes.items()):
        words += ["--size", f"{size}={number}"]
    return [*words, "--fp16"] if options.precision == "fp16" else words


def run_aside(words: list[str], cancelled: threading.Event) -> None:
    """Run a command at low priority until it ends or is cancelled; several take turns.

    Raises:
        BackendError: it failed (with its last line) or was cancelled.
    """
    while not _ONE_AT_A_TIME.acquire(timeout=_POLL_S):
        if cancelled.is_set():
            raise BackendError("the build was cancelled")
    try:
        _run(words, cancelled)
    finally:
        _ONE_AT_A_TIME.release()


def _run(words: list[str], cancelled: threading.Event) -> None:
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        os.setpriority(os.PRIO_PROCESS, process.pid, 10)
    except OSError as error:
        log.debug("cannot lower the priority of the build: %s", error)
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stderr or ()), daemon=True)
    reader.start()  # a full pipe would stop the build
    try:
        while process.poll() is None:
            if cancelled.wait(_POLL_S):
                raise BackendError("the build was cancelled")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    reader.join(timeout=1.0)
    if process.returncode != 0:
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no message")
        raise BackendError(f"building the engine failed (exit code {process.returncode}): {last}")
