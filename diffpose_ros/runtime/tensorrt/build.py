"""ONNX graph -> TensorRT engine: one static profile per bucket of people.

Other sizes are fixed, but for those that the graph says may shrink (hypotheses, say: a lifter short
of time asks for fewer).
"""

from __future__ import annotations

import hashlib
import logging
import platform
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffpose_ros.core import BackendError, ConfigError
from diffpose_ros.runtime.graph_spec import GraphSpec
from diffpose_ros.runtime.protocol import BackendOptions
from diffpose_ros.runtime.tensorrt.api import Flavour, make_logger
from diffpose_ros.runtime.tensorrt.cache import EngineCache, EngineKey, write_atomically

log = logging.getLogger(__name__)

BUCKETS = (1, 2, 5, 10, 20, 50)
"""Numbers of people that get a profile of their own; others are padded up to the next."""

_DEEPEST = 2
"""Depth of the innermost phase that is shown; those below come by the hundred."""

Progress = Callable[[str, int, int], None]
"""Called with (phase, steps done, steps in all) while an engine is built."""


@dataclass(frozen=True)
class GpuInfo:
    """What an engine's key needs to know of the device.

    Attributes:
        name: e.g. ``NVIDIA GeForce RTX 4070``; ``none`` without a GPU.
        sm: compute capability, e.g. ``8.9``.
        cuda: CUDA version of the driver, e.g. ``13.0``.
    """

    name: str = "none"
    sm: str = "none"
    cuda: str = "none"


def buckets_for(max_people: int) -> tuple[int, ...]:
    """The buckets up to ``max_people``, which is always the last one."""
    if max_people < 1:
        raise ConfigError(f"max_people: expected at least 1, got {max_people}")
    return (*(b for b in BUCKETS if b < max_people), max_people)


@dataclass(frozen=True)
class Recipe:
    """One engine to be: a model and all that shapes it.

    Attributes:
        spec: the model.
        max_people: the largest bucket.
        sizes: of the graph, where they differ from what it was made for.
        precision: ``fp32`` or ``fp16``.
    """

    spec: GraphSpec
    max_people: int
    sizes: Mapping[str, int] = field(default_factory=dict)
    precision: str = "fp32"

    @classmethod
    def of(cls, spec: GraphSpec, options: BackendOptions) -> Recipe:
        return cls(spec, options.max_people, dict(options.sizes), options.precision)

    @property
    def buckets(self) -> tuple[int, ...]:
        return buckets_for(self.max_people)

    def shapes(self, people: int, sizes: Mapping[str, int] | None = None) -> dict[str, tuple[int, ...]]:
        """Input name -> shape for ``people`` rows; ``sizes`` gives those that are smaller in a run."""
        return self.spec.shapes(people, {**self.sizes, **(sizes or {})})

    def key(self, flavour: Flavour, gpu: GpuInfo) -> EngineKey:
        """The engine's place in the cache."""
        profiles = tuple(
            f"people={b} " + " ".join(f"{k}{list(s)}" for k, s in self.shapes(b).items())
            for b in self.buckets
        )
        return EngineKey(
            model_sha256=hashlib.sha256(self.spec.path.read_bytes()).hexdigest(),
            precision=self.precision,
            flavour=flavour.name,
            tensorrt=flavour.version,
            gpu=gpu.name,
            sm=gpu.sm,
            cuda=gpu.cuda,
            profiles=profiles,
            flags=flavour.build_flags(),
        )


def build_plan(
    recipe: Recipe,
    flavour: Flavour,
    *,
    progress: Progress | None = None,
    timing_cache: Path | None = None,
) -> bytes:
    """Build an engine; takes seconds (RTX) to minutes.

    Args:
        recipe: what to build.
        flavour: with which TensorRT.
        progress: told of every step.
        timing_cache: file with the builder's measurements, read if it fits and written again.

    Raises:
        ModelError: the model cannot be converted to FP16.
        BackendError: TensorRT does not take the graph, or building failed.
        KeyboardInterrupt: the user stopped it.
    """
    trt, logger = flavour.trt, make_logger(flavour.trt)
    graph = recipe.spec.path.read_bytes()
    if recipe.precision == "fp16":
        from diffpose_ros.onnxgraph.half_precision import to_half_blocks

        graph = to_half_blocks(graph).SerializeToString()
    try:
        builder = trt.Builder(logger)
    except (TypeError, RuntimeError) as error:  # its binding's way to say "none": no GPU, say
        reason = logger.last_error or error
        raise BackendError(f"{_name(flavour)} cannot start its builder: {reason}") from error
    network = builder.create_network(flavour.network_flags())
    _parse(flavour, network, logger, graph, recipe)
    config = builder.create_builder_config()
    for flag in flavour.build_flags():
        config.set_flag(getattr(trt.BuilderFlag, flag))
    for bucket in recipe.buckets:
        config.add_optimization_profile(_profile(builder, recipe, bucket))
    monitor = _monitor(trt, progress) if progress is not None else None
    if monitor is not None:
        config.progress_monitor = monitor
    # RTX measures nothing while it builds, so it has nothing to keep.
    timings = None if flavour.is_rtx else _read_timings(config, timing_cache)
    plan = builder.build_serialized_network(network, config)
    if monitor is not None and monitor.interrupted:
        raise KeyboardInterrupt
    if plan is None:
        raise BackendError(
            f"{_name(flavour)} cannot build {recipe.spec.path.name} as {recipe.precision}: {_why(logger)}"
        )
    if timings is not None and timing_cache is not None:
        _write_timings(config, timing_cache)
    return bytes(plan)


def cached_plan(
    recipe: Recipe,
    flavour: Flavour,
    gpu: GpuInfo,
    cache: EngineCache,
    *,
    progress: Progress | None = None,
    timing_cache: Path | None = None,
) -> tuple[bytes, Path | None, bool]:
    """The engine from the cache, else built and kept: (plan, its file or ``None``, built now)."""
    timings = timing_cache or cache.directory / timing_file_name(flavour, gpu)
    return cache.get_or_build(
        recipe.key(flavour, gpu),
        lambda: build_plan(recipe, flavour, progress=progress, timing_cache=timings),
    )


def timing_file_name(flavour: Flavour, gpu: GpuInfo) -> str:
    """Timings belong to one exact version on one kind of GPU."""
    device = re.sub(r"[^A-Za-z0-9.]+", "_", f"{gpu.name}-{gpu.sm}-{platform.machine()}")
    return f"timing-{flavour.name}-{flavour.version}-{device}.bin"


def _parse(flavour: Flavour, network: Any, logger: Any, graph: bytes, recipe: Recipe) -> None:
    parser = flavour.trt.OnnxParser(network, logger)
    if parser.parse(graph):
        return
    errors = [parser.get_error(i) for i in range(parser.num_errors)]
    first = errors[0].desc() if errors else _why(logger)
    node = f" (node {errors[0].node()}: {errors[0].node_name()})" if errors else ""
    raise BackendError(
        f"{_name(flavour)} does not take {recipe.spec.path.name}: {' '.join(first.split())}{node}"
    )


def _profile(builder: Any, recipe: Recipe, bucket: int) -> Any:
    """People fixed at the bucket; what may shrink may be smaller than the optimum."""
    profile = builder.create_optimization_profile()
    least = recipe.shapes(bucket, dict.fromkeys(recipe.spec.may_shrink, 1))
    most = recipe.shapes(bucket)
    for name in recipe.spec.inputs:
        profile.set_shape(name, least[name], most[name], most[name])
    return profile


def _monitor(trt: Any, progress: Progress) -> Any:
    """TensorRT's progress, forwarded; its outer phases only, the inner ones come and go."""

    class _Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.interrupted = False
            self._lock = threading.Lock()  # TensorRT calls from several threads
            self._phases: dict[str, tuple[int, int]] = {}  # name -> (depth, steps)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            with self._lock:
                depth = self._phases.get(parent_phase or "", (-1, 0))[0] + 1
                self._phases[phase_name] = (depth, num_steps)
                self._report(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            with self._lock:
                self._report(phase_name, step + 1)
            return not self.interrupted

        def phase_finish(self, phase_name: str) -> None:
            with self._lock:
                self._report(phase_name, self._phases.get(phase_name, (0, 0))[1])
                self._phases.pop(phase_name, None)

        def _report(self, phase: str, done: int) -> None:
            depth, total = self._phases.get(phase, (_DEEPEST + 1, 0))
            if depth > _DEEPEST:
                return
            try:
                progress(phase, done, total)
            except KeyboardInterrupt:  # must not travel through TensorRT's own frames
                self.interrupted = True

    return _Monitor()


def _read_timings(config: Any, path: Path | None) -> Any | None:
    """Give the builder its old measurements; ``None`` where this flavour has no timing cache."""
    if path is None:
        return None
    try:
        data = path.read_bytes()
    except OSError:
        data = b""
    for content in (data, b"") if data else (b"",):
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, False):
            return cache
        if content:
            log.warning("timing cache %s does not fit this TensorRT; starting a new one", path)
    return None


def _write_timings(config: Any, path: Path) -> None:
    timings = config.get_timing_cache()
    if timings is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, bytes(timings.serialize()))
    except OSError as error:
        log.warning("cannot keep the timing cache %s: %s", path, error.strerror or error)


def _name(flavour: Flavour) -> str:
    return f"{'TensorRT-RTX' if flavour.is_rtx else 'TensorRT'} {flavour.version}"


def _why(logger: Any) -> str:
    return logger.last_error or "it gives no reason"
