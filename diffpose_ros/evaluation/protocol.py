"""The causal protocol: each frame is lifted from itself and its past, as on a robot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import UNKNOWN, Camera, People2D, Surroundings, TrackState
from diffpose_ros.data.benchmark import Sequence

NS = 1_000_000_000
GAP_NS = 60 * NS
"""Pause between two sequences on the clock, longer than any window."""


class LifterLike(Protocol):
    """What the protocol asks of a lifter; :class:`diffpose_ros.lifting.Lifter` is one."""

    def lift(self, people: People2D, camera: Camera, stamp_ns: int, *, around: Surroundings = UNKNOWN) -> Any:
        """Skeletons of the people in one frame, as ``.skeletons`` of the result; ``around`` is what is
        known of gravity and the floor."""

    def reset(self) -> None:
        """Forget everyone."""


@dataclass(frozen=True)
class Prediction:
    """What the lifter said about one sequence.

    Attributes:
        sequence: the truth.
        xyz: (F, 17, 3) m, absolute, camera optical frame.
        covariance: (F, 17, 3, 3) m^2, relative to the root.
        hypotheses: (F, N, 17, 3) m, relative to the root, or ``None`` when not asked for.
        unanswered: frames without a skeleton; the last one was held, and before the first one
            every joint counts as lying at the camera.
        root_covariance: (F, 3, 3) m^2 of the root's position, or ``None`` when not told.
        embedding: (F, D) of each frame, or ``None`` from a method that has none; held where a frame has no
            skeleton, 0 before the first.
    """

    sequence: Sequence
    xyz: NDArray[np.float64]
    covariance: NDArray[np.float64]
    hypotheses: NDArray[np.float64] | None
    unanswered: int
    root_covariance: NDArray[np.float64] | None = None
    embedding: NDArray[np.float64] | None = None


def run(
    lifter: LifterLike,
    sequences: Iterable[Sequence],
    *,
    progress: Callable[[int], None] = lambda frames: None,
) -> Iterator[Prediction]:
    """Lift every sequence in turn, each from a lifter that remembers nothing.

    Args:
        lifter: lifts one frame after the other; sees no frame before its time.
        sequences: what to lift.
        progress: called with the number of frames done since the last call.
    """
    start_ns = NS
    for number, sequence in enumerate(sequences):
        lifter.reset()
        yield lift_sequence(lifter, sequence, track_id=number + 1, start_ns=start_ns, progress=progress)
        start_ns += round(len(sequence) / sequence.fps * NS) + GAP_NS


def lift_sequence(
    lifter: LifterLike,
    sequence: Sequence,
    *,
    track_id: int,
    start_ns: int,
    progress: Callable[[int], None] = lambda frames: None,
) -> Prediction:
    """Lift one sequence frame by frame.

    Args:
        lifter: see :func:`run`.
        sequence: keypoints and truth; the truth is not shown to the lifter.
        track_id: identity given to the person.
        start_ns: stamp of the first frame.
        progress: see :func:`run`.
    """
    frames = len(sequence)
    xyz = np.empty((frames, 17, 3))
    covariance = np.zeros((frames, 17, 3, 3))
    root_covariance = np.zeros((frames, 3, 3))
    samples: list[NDArray[np.float64] | None] = []
    embeddings: list[NDArray[np.float64] | None] = []
    unanswered = 0
    for i in range(frames):
        age = i / sequence.fps
        people = People2D(
            xy=sequence.keypoints[None, i, :, :2],
            score=sequence.keypoints[None, i, :, 2],
            track_id=np.array([track_id]),
            age_s=np.array([age]),
            state=np.array([TrackState.TRACKED if i else TrackState.NEW]),
        )
        result = lifter.lift(people, sequence.camera, start_ns + round(age * NS), around=sequence.around)
        if result.skeletons:
            xyz[i] = result.skeletons[0].xyz
            covariance[i] = result.skeletons[0].covariance
            root_covariance[i] = result.skeletons[0].root_covariance
            kept = getattr(result, "hypotheses", None)
            samples.append(np.asarray(kept[0].xyz) if kept else None)
            found = getattr(result, "embeddings", None)
            embeddings.append(None if found is None else found[0])
        else:
            unanswered += 1
            xyz[i] = xyz[i - 1] if i else 0.0
            covariance[i] = covariance[i - 1] if i else 0.0
            root_covariance[i] = root_covariance[i - 1] if i else 0.0
            samples.append(samples[-1] if samples else None)
            embeddings.append(embeddings[-1] if embeddings else None)
        progress(1)
    return Prediction(
        sequence=sequence,
        xyz=xyz,
        covariance=covariance,
        root_covariance=root_covariance,
        hypotheses=stack_samples(samples, xyz),
        unanswered=unanswered,
        embedding=stack_embeddings(embeddings),
    )


def stack_embeddings(found: list[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    """(F, D), 0 where there is none yet; ``None`` where there never is one."""
    known = next((e for e in found if e is not None), None)
    return None if known is None else np.stack([np.zeros_like(known) if e is None else e for e in found])


def stack_samples(
    samples: list[NDArray[np.float64] | None], xyz: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """(F, N, 17, 3), each frame's samples repeated up to the largest N; where there are none, the
    frame's own pose."""
    most = max((len(s) for s in samples if s is not None), default=0)
    if not most:
        return None
    out = np.empty((len(samples), most, 17, 3))
    for i, s in enumerate(samples):
        out[i] = (xyz[i] - xyz[i, :1])[None] if s is None else s[np.arange(most) % len(s)]
    return out
