"""What the demonstration's graph said, kept as it went over the wire, and what to make of it.

While the graph runs, only small serialised messages are kept, on disk; images are read again from the video
afterwards, so that recording does not take the cores it is there to measure.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import People2D, Skeleton
from diffpose_ros.demo.spool import Spool
from diffpose_ros.media.bag import BagWriter
from diffpose_ros.media.overlay import Overlay
from diffpose_ros.media.video import VideoWriter
from diffpose_ros.ros.conversions import (
    people_from_message,
    skeleton_from_message,
    stamp_to_ns,
)

NS = 1_000_000_000
HOLD_NS = 300_000_000
"""How long a picture keeps showing the last result when newer ones are missing."""


@dataclass
class Recording:
    """Serialised messages in the order they came.

    Attributes:
        types: topic -> message type.
        messages: (topic, time of sending in nanoseconds, CDR bytes), on disk.
        image_stamps: stamps of the images that were published, nanoseconds, in order.
        error: why messages are missing, or ``None``.
    """

    types: dict[str, str]
    messages: Spool = field(default_factory=Spool)
    image_stamps: list[int] = field(default_factory=list)
    error: OSError | None = None


@dataclass(frozen=True)
class Summary:
    """The demonstration in numbers.

    Attributes:
        frames_in: images published.
        frames_lifted: images that led to a skeleton message, empty ones included.
        skeletons: skeletons published.
        people: different identities.
        seconds: time between the first image's stamp and the last's.
        ages_ms: age of each skeleton message when it was published.
    """

    frames_in: int
    frames_lifted: int
    skeletons: int
    people: int
    seconds: float
    ages_ms: NDArray[np.float64]

    def rows(self) -> list[tuple[str, str]]:
        """Names and values for a table."""
        span = max(self.seconds, 1e-9)
        share = self.frames_lifted / max(self.frames_in, 1)
        rows = [
            ("frames in", f"{self.frames_in}"),
            ("frames lifted", f"{self.frames_lifted} ({100 * share:.0f} %)"),
            ("people", f"{self.people}"),
            ("skeletons", f"{self.skeletons}"),
            ("rate in", f"{(self.frames_in - 1) / span:.1f} Hz"),
            ("rate lifted", f"{max(self.frames_lifted - 1, 0) / span:.1f} Hz"),
        ]
        if self.ages_ms.size:
            p50, p99 = np.percentile(self.ages_ms, (50, 99))
            rows += [("age p50", f"{p50:.0f} ms"), ("age p99", f"{p99:.0f} ms")]
        return rows


class Results:
    """People and skeletons by the stamp of their image, decoded when they are asked for.

    Args:
        message: number of a message in the recording -> the message.
        people: stamp in nanoseconds -> number of the message with the people in 2D.
        skeletons: stamp in nanoseconds -> number of the message with the skeletons.
    """

    def __init__(
        self, message: Callable[[int], Any], people: dict[int, int], skeletons: dict[int, int]
    ) -> None:
        self._message = message
        self._people, self._skeletons = people, skeletons
        self._people_stamps, self._skeleton_stamps = sorted(people), sorted(skeletons)

    def at(self, stamp_ns: int) -> tuple[People2D, tuple[Skeleton, ...]]:
        """The newest of both that belong to this image or, lately, to one before it."""
        seen = _newest(self._people_stamps, stamp_ns)
        lifted = _newest(self._skeleton_stamps, stamp_ns)
        return (
            People2D.empty() if seen is None else people_from_message(self._message(self._people[seen])),
            () if lifted is None else _skeletons_of(self._message(self._skeletons[lifted])),
        )


def read(
    recording: Recording, keypoints: str, skeletons: str, deserialize: Callable[[bytes, str], Any]
) -> tuple[Results, Summary]:
    """Decode a recording.

    Args:
        recording: what was heard.
        keypoints: topic of the ``Person2DArray``.
        skeletons: topic of the ``Skeleton3DArray``.
        deserialize: CDR bytes and message type to a message.
    """
    people: dict[int, int] = {}
    lifted: dict[int, int] = {}
    identities: set[int] = set()
    count = 0
    ages = []

    def decoded(i: int) -> Any:
        topic, _, data = recording.messages[i]
        return deserialize(data, recording.types[topic])

    for i, (topic, _, _) in enumerate(recording.messages):
        if topic == keypoints:
            people[stamp_to_ns(decoded(i).header.stamp)] = i
        elif topic == skeletons:
            message = decoded(i)
            lifted[stamp_to_ns(message.header.stamp)] = i
            identities |= {s.track_id for s in message.skeletons}
            count += len(message.skeletons)
            ages.append(stamp_to_ns(message.latency) / 1e6)
    stamps = recording.image_stamps
    summary = Summary(
        frames_in=len(stamps),
        frames_lifted=len(lifted),
        skeletons=count,
        people=len(identities),
        seconds=(stamps[-1] - stamps[0]) / NS if len(stamps) > 1 else 0.0,
        ages_ms=np.array(ages),
    )
    return Results(decoded, people, lifted), summary


def write_video(
    path: Path,
    frames: Iterable[tuple[NDArray[np.uint8], int]],
    results: Results,
    overlay: Overlay,
    fps: float,
    advance: Callable[[], None],
) -> None:
    """The overlay beside the 3D view, one picture for each image that was published.

    Raises:
        InputError: the file cannot be written.
    """
    start = None
    with VideoWriter(path, fps, overlay.size) as writer:
        for image, stamp_ns in frames:
            start = stamp_ns if start is None else start
            people, skeletons = results.at(stamp_ns)
            picture = overlay.compose(image, people, skeletons, (stamp_ns - start) / NS)
            writer.write(picture, stamp_ns - start)
            advance()


def write_bag(
    path: Path,
    recording: Recording,
    frames: Iterable[tuple[NDArray[np.uint8], int]],
    image_topic: str,
    frame_id: str,
    advance: Callable[[], None],
) -> None:
    """A rosbag2 with the messages as they were heard, and the images as JPEG."""
    types = {**recording.types, image_topic: "sensor_msgs/msg/CompressedImage"}
    with BagWriter(path, types) as bag:
        messages = recording.messages.in_time()
        waiting = next(messages, None)
        for image, stamp_ns in frames:
            while waiting is not None and waiting[1] < stamp_ns:
                bag.write(*waiting)
                waiting = next(messages, None)
            bag.write_image(image_topic, stamp_ns, frame_id, image)
            advance()
        while waiting is not None:
            bag.write(*waiting)
            waiting = next(messages, None)


def _skeletons_of(message: Any) -> tuple[Skeleton, ...]:
    return tuple(map(skeleton_from_message, message.skeletons))


def _newest(stamps: list[int], stamp_ns: int) -> int | None:
    i = bisect.bisect_right(stamps, stamp_ns) - 1
    return stamps[i] if i >= 0 and stamp_ns - stamps[i] <= HOLD_NS else None
