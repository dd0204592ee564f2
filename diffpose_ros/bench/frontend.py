"""Latency from the image to the skeleton: every stage, for each front end and number of people.

The front ends see the same image in turn, so that a busy machine slows them alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.bench.latency import PERIOD_NS, percentiles
from diffpose_ros.bench.scenes import side_by_side
from diffpose_ros.core import Camera, InputError, People2D
from diffpose_ros.frontend import FrontEnd, make_front_end
from diffpose_ros.lifting import Lifter, LifterConfig, LiftResult

STAGES = {
    "read": "the image's message becomes an array",
    "discover": "the whole image, searched for new people; now and then",
    "look": "crops of those who are followed",
    "detect": "the whole image, every time",
    "track": "who is who",
    "tell": "the message with the keypoints",
    "lift": "keypoints to skeletons",
    "publish": "the message with the skeletons",
    "total": "all of it",
}
"""Each stage, and what it is."""
FRONT_ENDS = ("tracked", "whole_image")
SIZE = (1280, 720)
PEOPLE = (1, 2, 3, 6)
WARM_UP_FRAMES = 30
"""The first of them confirm who is there."""


class Wire(Protocol):
    """What the nodes do between the stages; see ``cli/wire.py``."""

    def image(self, rgb: NDArray[np.uint8], stamp_ns: int) -> Any:
        """A camera's message."""
        ...

    def rgb(self, message: Any) -> NDArray[np.uint8]:
        """What the keypoints node makes of it."""
        ...

    def tell(self, people: People2D, stamp_ns: int) -> None:
        """Publish the people."""
        ...

    def publish(self, result: LiftResult, stamp_ns: int) -> None:
        """Publish the skeletons."""
        ...


@dataclass
class Subject:
    """A front end with a lifter behind it.

    Attributes:
        front_end: finds people.
        lifter: lifts them.
        seconds: stage -> seconds of each frame.
        seen: people in each frame.
    """

    front_end: FrontEnd
    lifter: Lifter
    seconds: dict[str, list[float]] = field(default_factory=dict)
    seen: list[int] = field(default_factory=list)

    def run(self, scene: NDArray[np.uint8], stamp_ns: int, camera: Camera, wire: Wire | None) -> None:
        """One frame through all stages."""
        message = wire.image(scene, stamp_ns) if wire is not None else None
        took = {}
        clock = _Laps()
        rgb = scene
        if wire is not None:
            rgb = wire.rgb(message)
            took["read"] = clock()
        people = self.front_end.see(rgb, stamp_ns)
        clock()
        took |= self.front_end.report.stages_s
        if wire is not None:
            wire.tell(people, stamp_ns)
            took["tell"] = clock()
        result = self.lifter.lift(people, camera, stamp_ns)
        took["lift"] = clock()
        if wire is not None:
            wire.publish(result, stamp_ns)
            took["publish"] = clock()
        took["total"] = clock.all
        for stage, value in took.items():
            self.seconds.setdefault(stage, []).append(value)
        self.seen.append(len(people))

    def forget(self) -> None:
        """What was measured until now was warming up."""
        self.seconds, self.seen = {}, []

    def close(self) -> None:
        """Let go of the networks."""
        self.front_end.close()
        self.lifter.close()


class _Laps:
    """Seconds since the last call; ``all`` is the sum."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.all = 0.0

    def __call__(self) -> float:
        now = time.perf_counter()
        took, self._last = now - self._last, now
        self.all += took
        return took


def measure(
    tiles: Sequence[NDArray[np.uint8]],
    *,
    people: Sequence[int] = PEOPLE,
    frames: int,
    model: str,
    width: int = SIZE[0],
    front_ends: Sequence[str] = FRONT_ENDS,
    wire: Wire | None = None,
    progress: Callable[[str], None] = lambda text: None,
    **options: Any,
) -> dict[str, Any]:
    """Latencies of every front end and number of people, as the command's JSON has them.

    Args:
        tiles: cut-outs of one person, from :func:`~diffpose_ros.bench.scenes.cut_out`.
        people: how many of them stand side by side.
        frames: of each measurement, after the warm-up.
        model: of the lifter.
        width: of the image, pixels.
        front_ends: names, see :func:`~diffpose_ros.frontend.make_front_end`.
        wire: what is between the stages in the nodes; ``None``: left out.
        progress: told what is being measured.
        **options: of the detector.

    Returns:
        Front end -> ``reason`` and ``people``: number -> ``stages`` (p50 and p99), ``mean_ms`` and
        ``seen``, the mean number of people that it found.
    """
    if len(tiles) < 2:
        raise InputError(f"expected at least two cut-outs, got {len(tiles)}")
    out: dict[str, Any] = {name: {"people": {}} for name in front_ends}
    camera = Camera.from_fov(width, tiles[0].shape[0])
    for count in people:
        progress(f"{count} people, {frames} frames")
        subjects = {}
        try:
            for name in front_ends:
                front_end = make_front_end("movenet", front_end=name, **options)
                subjects[name] = Subject(front_end, Lifter(LifterConfig(model=model)))
            for frame in range(WARM_UP_FRAMES + frames):
                scene = side_by_side(tiles, frame, count, width)
                if frame == WARM_UP_FRAMES:
                    for subject in subjects.values():
                        subject.forget()
                for subject in subjects.values():
                    subject.run(scene, (frame + 1) * PERIOD_NS, camera, wire)
            for name, subject in subjects.items():
                out[name]["reason"] = subject.front_end.reason
                out[name]["people"][str(count)] = _summary(subject)
        finally:
            for subject in subjects.values():
                subject.close()
    return out


def _summary(subject: Subject) -> dict[str, Any]:
    return {
        "stages": {s: percentiles(subject.seconds[s]) for s in STAGES if s in subject.seconds},
        "mean_ms": round(1e3 * float(np.mean(subject.seconds["total"])), 3),
        "seen": round(float(np.mean(subject.seen)), 2),
    }
