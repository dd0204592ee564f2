"""Per-frame latency of the lifter: each stage and the whole, for each backend and crowd.

Everything that is compared runs interleaved, one frame of each in turn, so that a busy machine
slows all of them alike and the ratios hold.
"""

from __future__ import annotations

import math
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from diffpose_ros.core import COCO17, BackendError, Camera, ModelError, People2D
from diffpose_ros.lifting import Lifter, LifterConfig, LiftResult
from diffpose_ros.methods.registry import graph_of
from diffpose_ros.runtime.load import BACKENDS, probe_backends

STAGES = (
    "undistort", "window", "encoder", "sampler", "graph", "root", "publish", "total", "total, 1 step",
)  # fmt: skip
PERIOD_NS = 33_333_333
WARM_UP_FRAMES = 5
MIN_FRAMES = 20

Publish = Callable[[LiftResult, int], None]

# Metres from the hip of a person who faces the camera, in COCO's order (x right, y down, z away).
_BODY = {
    "nose": (0, -0.60, -0.10), "left_eye": (0.03, -0.64, -0.09), "right_eye": (-0.03, -0.64, -0.09),
    "left_ear": (0.07, -0.62, 0), "right_ear": (-0.07, -0.62, 0),
    "left_shoulder": (0.17, -0.47, 0), "right_shoulder": (-0.17, -0.47, 0),
    "left_elbow": (0.22, -0.20, 0.03), "right_elbow": (-0.22, -0.20, 0.03),
    "left_wrist": (0.22, 0.03, -0.08), "right_wrist": (-0.22, 0.03, -0.08),
    "left_hip": (0.12, 0, 0), "right_hip": (-0.12, 0, 0),
    "left_knee": (0.12, 0.43, 0), "right_knee": (-0.12, 0.43, 0),
    "left_ankle": (0.12, 0.85, 0.05), "right_ankle": (-0.12, 0.85, 0.05),
}  # fmt: skip


def crowd(camera: Camera, people: int, frame: int) -> People2D:
    """People who walk on the spot, arms and legs swinging, each at another place."""
    body = np.array([_BODY[n] for n in COCO17.joints], dtype=float)
    index = np.arange(people)
    phase = 0.2 * frame + 1.7 * index
    xyz = np.broadcast_to(body, (people, 17, 3)).copy()
    for name, amount in (("wrist", 0.25), ("elbow", 0.12), ("knee", -0.15), ("ankle", -0.3)):
        for sign, side in ((1, "left"), (-1, "right")):
            xyz[:, COCO17.index(f"{side}_{name}"), 2] += sign * amount * np.sin(phase)
    columns = math.ceil(math.sqrt(people))
    depth = 4.0 + 1.5 * (index // columns)
    xyz += np.stack([(index % columns - (columns - 1) / 2) * 0.9, np.zeros(people), depth], -1)[:, None]
    image = xyz @ camera.matrix.T
    return People2D(xy=image[..., :2] / image[..., 2:], score=np.full((people, 17), 0.9), track_id=index + 1)


@dataclass
class Subject:
    """One backend with one crowd.

    Attributes:
        name: backend.
        people: size of the crowd.
        seconds: stage -> seconds of each frame.
    """

    name: str
    people: int
    lifter: Lifter
    publish: Publish | None
    camera: Camera
    seconds: dict[str, list[float]] = field(default_factory=dict)
    frame: int = 0

    def run(self, *, keep: bool = True) -> float:
        """Lift one frame; seconds of the whole."""
        self.frame += 1
        people = crowd(self.camera, self.people, self.frame)
        start = time.perf_counter()
        result = self.lifter.lift(people, self.camera, self.frame * PERIOD_NS)
        lifted = time.perf_counter()
        took = dict(result.report.stage_s)
        if self.publish is not None:
            self.publish(result, self.frame * PERIOD_NS)
            took["publish"] = time.perf_counter() - lifted
        took["total"] = time.perf_counter() - start
        if keep:
            for stage, value in took.items():
                self.seconds.setdefault(stage, []).append(value)
        return took["total"]


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50 and p99 in milliseconds."""
    p50, p99 = np.percentile(np.asarray(seconds) * 1e3, (50, 99))
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}


def available_backends(model: Path, wanted: Sequence[str] = ()) -> tuple[list[str], dict[str, str]]:
    """Backends that can run ``model`` here, and why the others cannot.

    Raises:
        BackendError: one that was asked for by name cannot.
    """
    probed = probe_backends(graph_of(model))
    here = [n for n in BACKENDS if probed[n].available and (not wanted or n in wanted)]
    absent = {n: c.reason for n, c in probed.items() if not c.available}
    for name in wanted:
        if name in absent:
            raise BackendError(f"backend {name}: {absent[name]}")
    return here, absent


def measure(
    model: Path,
    *,
    people: Sequence[int],
    backends: Sequence[str],
    frames: int,
    publish: Publish | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Latencies of every backend and crowd, as the command's JSON has them under ``backend``.

    Args:
        model: the ONNX file.
        people: sizes of the crowds.
        backends: names, all of which work here.
        frames: frames of each; large crowds get fewer, at least :data:`MIN_FRAMES`.
        publish: sends a result off; ``None`` where ROS is not here.
        progress: told what is being measured.
    """
    camera = Camera.from_fov(1920, 1080)
    out: dict[str, Any] = {n: {"people": {}} for n in backends}
    for size in people:
        rounds = max(MIN_FRAMES, frames // max(1, size // 5))
        progress(f"{size} people, {rounds} frames")
        subjects = [_subject(n, size, model, camera, publish) for n in backends]
        single = {s.name: _single_step(s) for s in subjects}
        for subject in (*subjects, *(s for s in single.values() if s)):
            for _ in range(WARM_UP_FRAMES):
                subject.run(keep=False)
        for _ in range(rounds):
            for subject in subjects:
                subject.run()
                one = single[subject.name]
                if one is not None:
                    one.run()
        for subject in subjects:
            out[subject.name]["reason"] = subject.lifter.backend.reason
            out[subject.name]["people"][str(size)] = _summary(subject, single[subject.name])
            subject.lifter.close()
            one = single[subject.name]
            if one is not None:
                one.lifter.close()
    return out


def _subject(name: str, size: int, model: Path, camera: Camera, publish: Publish | None) -> Subject:
    config = LifterConfig(model=model, backend=name, max_people=size, max_tracks=max(size, 50))
    return Subject(name, size, Lifter(config), publish, camera)


def _single_step(subject: Subject) -> Subject | None:
    """The same with the one-step variant of the model, where there is one: a sampler of its own, and it
    tells the encoder's share of the graph from the sampler's."""
    config = subject.lifter.config
    if subject.lifter.method.levels[0].steps == 1:
        return None
    try:
        lifter = Lifter(
            LifterConfig(
                model=config.model, backend=config.backend, steps=1,
                max_people=config.max_people, max_tracks=config.max_tracks,
            )
        )  # fmt: skip
    except ModelError:
        return None
    return Subject(subject.name, subject.people, lifter, subject.publish, subject.camera)


def _summary(subject: Subject, single: Subject | None) -> dict[str, dict[str, float]]:
    stages = dict(subject.seconds)
    if single is not None:
        graph, one = np.array(stages["graph"]), np.array(single.seconds["graph"])
        steps = subject.lifter.method.levels[0].steps
        sampler = np.maximum(graph - one, 0.0) * steps / (steps - 1)
        stages["sampler"] = list(np.minimum(sampler, graph))
        stages["encoder"] = list(graph - np.array(stages["sampler"]))
        stages["total, 1 step"] = single.seconds["total"]
    return {s: percentiles(stages[s]) for s in STAGES if s in stages}


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median over the rounds of theirs / ours."""
    return round(float(np.median(np.asarray(theirs) / np.asarray(ours))), 2)


def interleave(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    burst: Mapping[str, int] | None = None,
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Call each in turn, ``rounds`` times after one warm-up.

    Args:
        calls: what to time.
        rounds: how often.
        burst: calls in a row per round, whose median counts, for calls that are much shorter than
            the others: one of a millisecond would otherwise only be seen with the processor's
            caches as the long one left them.

    Returns:
        Seconds of every call, and seconds of processor time: the latter do not count what other
        processes took in between.
    """
    wall: dict[str, list[float]] = {name: [] for name in calls}
    busy: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            taken = [_time(call) for _ in range((burst or {}).get(name, 1))]
            if number:
                wall[name].append(float(np.median([t[0] for t in taken])))
                busy[name].append(float(np.median([t[1] for t in taken])))
    return wall, busy


def _time(call: Callable[[], object]) -> tuple[float, float]:
    start, start_busy = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start, time.process_time() - start_busy


def machine() -> dict[str, Any]:
    """What the numbers were taken on."""
    versions = {}
    for package in ("numpy", "onnxruntime", "openvino", "torch", "tensorrt"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": ".".join(map(str, sys.version_info[:3])),
        "packages": versions,
        "load_average": [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else [],
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor() or "unknown"
    return platform.processor() or "unknown"
