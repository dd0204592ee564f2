"""What ``diffpose_ros lift`` does with each image, and with its overlay."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.cli._signals import shield
from diffpose_ros.cli._table import PoseTable
from diffpose_ros.core import UNKNOWN, Camera, InputError, People2D, Skeleton, Surroundings
from diffpose_ros.core.closing import Closing
from diffpose_ros.core.files import partial_name
from diffpose_ros.media.overlay import Overlay
from diffpose_ros.media.rerun_file import RerunFile
from diffpose_ros.media.video import VideoSource, VideoWriter

NS = 1_000_000_000
PICTURE_GAP_NS = 3600 * NS
"""Between pictures of their own: nobody is remembered from one to the next."""


@dataclass(frozen=True)
class Pace:
    """How images follow each other.

    Attributes:
        single: they do not: each is a picture of its own.
        min_hits: frames in a row before a person counts; ``None`` for the tracker's own number.
    """

    single: bool = False
    min_hits: int | None = None

    def __post_init__(self) -> None:
        if self.single:
            object.__setattr__(self, "min_hits", 1)

    @classmethod
    def of(cls, source: VideoSource, limit: int | None, *, pictures: bool) -> Pace:
        """Of pictures where that is said, or their sizes say so; a clip of one or two frames shows
        nobody three times."""
        if pictures or source.pictures or source.frames == 1:
            return cls(single=True)
        short = min(source.frames or 3, limit or 3) < 3
        return cls(min_hits=1 if short else None)


class Overlaid(Closing):
    """The overlay of a lifted video. One that cannot be written does not stop the lifting.

    Attributes:
        error: why it was given up, or ``None``.
    """

    def __init__(self, path: Path, source: VideoSource, model: str) -> None:
        self._path = path
        self._overlay = Overlay(source.width, source.height, title=f"diffpose_ros   {Path(model).stem}")
        self._writer = VideoWriter(path, source.fps, self._overlay.size)
        self.error: InputError | None = None

    def add(
        self, image: NDArray[np.uint8], people: People2D, skeletons: tuple[Skeleton, ...], stamp_ns: int
    ) -> None:
        """Draw one frame."""
        if self.error is not None:
            return
        picture = self._overlay.compose(image, people, skeletons, stamp_ns / NS)
        try:
            self._writer.write(picture, stamp_ns)
        except InputError as error:
            self.error = error
            self._writer.discard()

    def finish(self) -> None:
        """Give the file its name."""
        if self.error is None:
            try:
                self._writer.finish()
            except InputError as error:
                self.error = error

    def keep(self) -> Path | None:
        """Give what there is the name of a part; ``None`` where nothing is worth it."""
        if self.error is None and self._writer.frames:
            path = partial_name(self._path)
            with contextlib.suppress(InputError):
                self._writer.finish(path)
                return path
        return None

    def leave(self, well: bool) -> None:
        self._writer.discard()


class Job:
    """The skeletons of a source, image by image.

    Attributes:
        table: what was lifted.
        overlooked: images in which the detector saw people of whom none was confirmed.
        thinned: frames that were not lifted, since they come faster than the models were made for.
        settled: the table was written, or could not be; there is nothing more to keep.
        written: the files that hold the table.
        overlaid: the overlay, if one is drawn.
        place: what was learnt of the camera's place, if it was to be.
        floor_refused: in how many frames the floor was not used, for each person.
    """

    def __init__(
        self, front_end: Any, lifter: Any, camera: Camera | None, pace: Pace, *, fov: float,
        overlaid: Overlaid | None, around: Surroundings = UNKNOWN, view: RerunFile | None = None,
    ) -> None:  # fmt: skip
        self._front_end, self._lifter = front_end, lifter
        self._camera, self._pace, self._fov = camera, pace, fov
        self.overlaid, self._around, self._view = overlaid, around, view
        self.table = PoseTable()
        self.overlooked = self.thinned = 0
        self.settled = False
        self.floor_refused: Counter[int] = Counter()
        self.place = ""
        self.written: list[Path] = []
        self._shown: tuple[Skeleton, ...] = ()
        self._start = time.perf_counter()
        self._end = self._start

    @property
    def seconds(self) -> float:
        """From the first image to the last one's result."""
        return self._end - self._start

    def step(self, image: NDArray[np.uint8], stamp_ns: int) -> None:
        """Lift one image; whole, even when a signal comes meanwhile."""
        with shield():
            camera = self._camera or _guess(image, self._fov)
            when = stamp_ns + self.table.frames * PICTURE_GAP_NS if self._pace.single else stamp_ns
            if self._pace.single:
                self._front_end.reset()
            people = self._front_end.see(image, when)
            result = self._lifter.lift(people, camera, when, around=self._around)
            skeletons = tuple(result.skeletons)
            learnt = getattr(result.report, "up", None)
            around = self._around if learnt is None else replace(self._around, up=learnt)
            self.table.add(stamp_ns, people, skeletons, around)
            self.floor_refused.update(getattr(result.report, "floor_refused", ()))
            self.place = getattr(result.report, "place", "") or self.place
            if getattr(result.report, "thinned", False):
                self.thinned += 1
                skeletons = self._shown  # the picture keeps those of the frame before
            self._shown = skeletons
            if not len(people):
                self.overlooked += _anyone(self._front_end)
            if self.overlaid is not None:
                self.overlaid.add(image, people, skeletons, stamp_ns)
            if self._view is not None:
                self._view.add(image, people, skeletons, stamp_ns, camera, self._around)
            self._end = time.perf_counter()


def _guess(image: NDArray[np.uint8], fov: float) -> Camera:
    return Camera.from_fov(image.shape[1], image.shape[0], diagonal_fov_deg=fov)


def _anyone(front_end: Any) -> int:
    """1 when the detector saw somebody whom the tracker has not confirmed."""
    tracker = getattr(front_end, "tracker", None)
    return int(tracker is not None and tracker.candidates > 0)
