"""A lesson: a name and an example, from whatever shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError
from diffpose_ros.search import parts
from diffpose_ros.search.gallery import Example, Gallery, Taught, default_radius
from diffpose_ros.search.recorded import Recorded

Array = NDArray[np.float64]

STEADY_S = 0.3
"""A pose is the mean of so many seconds, where they were seen."""


@dataclass(frozen=True)
class Lesson:
    """What is taught.

    Attributes:
        name: what it is called.
        part: joints that count; empty: the whole body, or as the name was taught.
        group: of names in one group at most one is active.
        seconds: length of a motion; 0: a pose.
        radius: distance up to which it counts, metres; 0: as the name was taught, or by the part.
    """

    name: str
    part: str = ""
    group: str = ""
    seconds: float = 0.0
    radius: float = 0.0

    def learned(self, gallery: Gallery, vectors: Array, source: str) -> Gallery:
        """The gallery with this example.

        Args:
            gallery: what was taught before.
            vectors: (17, 3) of a pose, or (N, 17, 3) of a motion's window.
            source: where it is from.

        Raises:
            InputError, ConfigError: something of the lesson is out of its range, or does not fit the name.
        """
        known = {one.name: one for one in gallery.taught}.get(" ".join(self.name.split()))
        part = self.part or (known.part if known is not None else parts.WHOLE)
        radius = self.radius
        if not radius:
            radius = known.radius if known is not None else default_radius(part)
        example = Example(vectors if vectors.ndim == 3 else vectors[None], source)
        new = Taught(self.name, (example,), part=part, group=self.group, seconds=self.seconds, radius=radius)
        return gallery.with_example(new)


def one_of(track_ids: Sequence[int], wanted: int) -> int:
    """Who shows it.

    Args:
        track_ids: of the people in view.
        wanted: one of them, or -1: the one who is there.

    Raises:
        InputError: nobody is in view, or several and none was named, or not that one.
    """
    there = sorted(track_ids)
    if not there:
        raise InputError("nobody is in view: somebody has to show it")
    if wanted == -1 and len(there) > 1:
        ids = ", ".join(map(str, there[:20]))
        raise InputError(f"{len(there)} people are in view (track ids {ids}): say which by track_id")
    if wanted != -1 and wanted not in there:
        raise InputError(f"no person {wanted} is in view, but {', '.join(map(str, there[:20]))}")
    return there[0] if wanted == -1 else wanted


def from_recording(
    recording: Recorded, lesson: Lesson, *, track_id: int = -1, start: float = 0.0, end: float = 0.0
) -> tuple[Array, str]:
    """What a span of a recording shows.

    A motion is the end of the span; without an end, and for a pose, the middle of it counts.

    Args:
        recording: skeletons.
        lesson: what is taught.
        track_id: who shows it; -1: the one who is there.
        start: of the span, seconds from the recording's first.
        end: of it; 0: the last.

    Returns:
        The vectors, and where they are from.

    Raises:
        InputError: the span is none, nobody or several people are in it, or it is too short.
    """
    if not (np.isfinite(start) and np.isfinite(end) and start >= 0 and (end == 0 or end >= start)):
        raise InputError(f"span: expected 0 <= start <= end, got {start:g} to {end:g} s")
    span = recording.between(start, end).only(track_id)
    source = f"{recording.source} at {float(span.stamp_s[-1] - recording.stamp_s.min()):.2f} s"
    if lesson.seconds:
        return span.window(lesson.seconds), source
    vectors, rows = span.vectors()
    if not len(rows):
        raise InputError(f"{recording.source}: no pose of the span has a trunk and sides")
    middle = len(rows) // 2
    time = float(span.stamp_s[rows[middle]] - recording.stamp_s.min())
    return steady(span.stamp_s[rows], vectors, float(span.stamp_s[rows[middle]])), (
        f"{recording.source} at {time:.2f} s"
    )


def steady(stamps_s: Array, vectors: Array, at_s: float) -> Array:
    """(17, 3) the mean pose around a time."""
    near = np.abs(stamps_s - at_s) <= STEADY_S / 2 + 1e-9
    return np.asarray(vectors[near].mean(axis=0))
