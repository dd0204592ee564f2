"""What `check_gpu.sh` runs: the TensorRT backend checked and measured on this machine's GPU."""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from diffpose_ros.core import DiffposeError
from diffpose_ros.methods.registry import graph_of
from diffpose_ros.runtime import onnxruntime as onnxruntime_backend
from diffpose_ros.runtime.graph_spec import GraphSpec
from diffpose_ros.runtime.protocol import (
    Backend,
    BackendOptions,
)
from diffpose_ros.runtime.tensorrt import backend as tensorrt_backend
from diffpose_ros.runtime.tensorrt.backend import TensorRTBackend
from diffpose_ros.runtime.tensorrt.build import buckets_for

ROOT = Path(__file__).resolve().parents[1]
NO_GPU = 3
HALF_LIMIT_MM = 1.0
FULL_LIMIT_MM = 0.5
"""TF32 products are on by default and hold ten bits, so FP32 is not bit-exact."""

SEEDS = 20


@dataclass
class Report:
    """Lines of the table, and what went wrong."""

    lines: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, line: str = "") -> None:
        print(line, flush=True)
        self.lines.append(line)

    def check(self, good: bool, text: str) -> None:
        self.add(f"- {'pass' if good else '**FAIL**'}: {text}")
        if not good:
            self.failures.append(text)


def main(argv: list[str] | None = None) -> int:
    """Check, measure, write the table.

    Returns:
        0 all well, 1 a check failed, 3 no GPU or no TensorRT here.
    """
    parser = argparse.ArgumentParser(description="Check and measure TensorRT on this machine.")
    parser.add_argument("--model", default="starpose", help="a shipped model or an .onnx file")
    parser.add_argument("--max-people", type=int, default=50)
    parser.add_argument("--frames", type=int, default=200, help="frames per latency")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "tensorrt_measured.md")
    args = parser.parse_args(argv)
    can = tensorrt_backend.probe(None)
    if not can.available:
        print(f"check_gpu: nothing checked: {can.reason}", file=sys.stderr)
        return NO_GPU
    try:
        spec = graph_of(args.model)
        with tempfile.TemporaryDirectory(prefix="diffpose_engines_") as folder:
            report = examine(spec, args.max_people, args.frames, Path(folder))
    except DiffposeError as error:
        print(f"check_gpu: error: {error}", file=sys.stderr)
        return 1
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text("\n".join(report.lines) + "\n")
    print(f"written to {args.output}", file=sys.stderr)
    return 1 if report.failures else 0


def examine(spec: GraphSpec, max_people: int, frames: int, cache: Path) -> Report:
    """All checks, in a fresh cache."""
    report = Report()
    report.add("# TensorRT, measured")
    report.add()
    report.add(f"{tensorrt_backend.probe(spec).reason}; {platform.platform()}; left by")
    report.add(
        f"`tools/check_gpu.sh`. Model `{spec.name}`, "
        + ", ".join(f"{n} {name}" for name, n in spec.sizes.items())
        + "."
    )
    base = BackendOptions(max_people=max_people)
    cpu = onnxruntime_backend.create(spec, base)
    engines: dict[str, Backend] = {}
    try:
        _builds(report, spec, base, cache, engines)
        _parity(report, spec, max_people, cpu, engines)
        _latency(report, spec, max_people, frames, cpu, engines)
        _switch(report, spec, max_people, cache / "switch")
    finally:
        for backend in (cpu, *engines.values()):
            backend.close()
    return report


def _options(base: BackendOptions, precision: str, cache: Path) -> BackendOptions:
    return BackendOptions(
        max_people=base.max_people,
        precision=precision,
        cache_dir=cache,
    )


def _builds(
    report: Report, spec: GraphSpec, base: BackendOptions, cache: Path, engines: dict[str, Backend]
) -> None:
    report.add("\n## Engines\n")
    report.add("| precision | build s | start from cache s | all buckets ready s | MB |")
    report.add("|---|---|---|---|---|")
    for precision in ("fp32", "fp16"):
        folder = cache / precision
        options = _options(base, precision, folder)
        build = _seconds(_build_once, spec, options)
        start = _seconds(_start, engines, precision, spec, options)
        ready = _seconds(engines[precision].warm_up, base.max_people)
        size = sum(f.stat().st_size for f in folder.glob("*.engine")) / 1e6
        report.add(f"| {precision} | {build:.1f} | {start:.2f} | {ready:.2f} | {size:.1f} |")
    engines["fp16, no CUDA graph"] = TensorRTBackend.start(
        spec, _options(base, "fp16", cache / "fp16"), use_graphs=False
    )


def _start(engines: dict[str, Backend], name: str, spec: GraphSpec, options: BackendOptions) -> None:
    engines[name] = TensorRTBackend.start(spec, options)


def _build_once(spec: GraphSpec, options: BackendOptions) -> None:
    TensorRTBackend.start(spec, options).close()


def _seconds(work: Callable[..., object], *arguments: object) -> float:
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started


def _parity(
    report: Report, spec: GraphSpec, max_people: int, cpu: Backend, engines: dict[str, Backend]
) -> None:
    report.add("\n## Agreement (mean skeleton, mean distance of joints)\n")
    moved: dict[str, list[float]] = {"full": [], "half": [], "graph": []}
    for seed in range(SEEDS):
        feeds = spec.example_feeds((1, min(3, max_people), max_people)[seed % 3], seed=seed)
        mean = {name: engine.run(feeds)["mean"] for name, engine in engines.items()}
        pairs = {
            "full": (mean["fp32"], cpu.run(feeds)["mean"]),
            "half": (mean["fp16"], mean["fp32"]),
            "graph": (mean["fp16"], mean["fp16, no CUDA graph"]),
        }
        for name, (a, b) in pairs.items():
            moved[name].append(1e3 * float(np.linalg.norm(a - b, axis=-1).mean()))
    full, half, graph = (max(moved[name]) for name in ("full", "half", "graph"))
    report.check(full < FULL_LIMIT_MM, f"FP32 against ONNX Runtime: {full:.4f} mm, at most {FULL_LIMIT_MM}")
    report.check(half < HALF_LIMIT_MM, f"FP16 against FP32: {half:.4f} mm, at most {HALF_LIMIT_MM}")
    report.check(graph < 1e-3, f"CUDA graph replay against plain calls: {graph:.6f} mm")


def _latency(
    report: Report,
    spec: GraphSpec,
    max_people: int,
    frames: int,
    cpu: Backend,
    engines: dict[str, Backend],
) -> None:
    report.add("\n## Latency of a run, ms (host to host; p50 / p99, interleaved)\n")
    names = [*engines, "onnxruntime, 1 thread"]
    report.add("| people | " + " | ".join(names) + " |")
    report.add("|---" * (len(names) + 1) + "|")
    backends = dict(zip(names, [*engines.values(), cpu], strict=True))
    for people in buckets_for(max_people):
        feeds = spec.example_feeds(people)
        times: dict[str, list[float]] = {name: [] for name in names}
        for backend in backends.values():
            for _ in range(3):
                backend.run(feeds)
        for frame in range(frames):
            for name, backend in backends.items():
                # The CPU is slow at many people; a tenth of the frames tells as much there.
                if backend is not cpu or frame % 10 == 0:
                    times[name].append(1e3 * _seconds(backend.run, feeds))
        cells = [f"{np.percentile(t, 50):.2f} / {np.percentile(t, 99):.2f}" for t in times.values()]
        report.add(f"| {people} | " + " | ".join(cells) + " |")


def _switch(report: Report, spec: GraphSpec, max_people: int, cache: Path) -> None:
    """From an empty cache: frames flow from the first moment, then the engine takes over."""
    report.add("\n## First start without an engine\n")

    def fallback() -> Backend:
        return onnxruntime_backend.create(spec, BackendOptions())

    options = BackendOptions(max_people=max_people, cache_dir=cache, fallback=fallback)
    feeds, times = spec.example_feeds(1), []
    started = time.perf_counter()
    backend = tensorrt_backend.create(spec, options)
    try:
        first = None
        while backend.name != "tensorrt" and time.perf_counter() - started < 300:
            times.append(1e3 * _seconds(backend.run, feeds))
            first = first or time.perf_counter() - started
            time.sleep(1 / 30)
        report.check(backend.name == "tensorrt", f"switched: {backend.reason}")
        report.add(
            f"- first skeleton after {first or 0:.2f} s, switched after "
            f"{time.perf_counter() - started:.1f} s and {len(times)} frames; frames meanwhile: "
            f"p50 {np.percentile(times, 50):.1f} ms, longest {max(times):.1f} ms"
        )
    finally:
        backend.close()


if __name__ == "__main__":
    sys.exit(main())
