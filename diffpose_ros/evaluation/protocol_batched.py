"""The causal protocol for many sequences at once, as if their people stood side by side.

The lifter is told that they share no floor, without which people do not influence each other: the answers
are those of :func:`protocol.run`. One call of the network for a dozen people costs less than a dozen calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import Camera, InputError, People2D, TrackState
from diffpose_ros.data import benchmark
from diffpose_ros.evaluation.protocol import (
    GAP_NS,
    NS,
    LifterLike,
    Prediction,
    stack_embeddings,
    stack_samples,
)

GROUP = 12
"""Sequences lifted at once: more would push the caches out of the processor's."""


def run_together(
    lifter: LifterLike,
    sequences: Sequence[benchmark.Sequence],
    *,
    group: int = GROUP,
    progress: Callable[[int], None] = lambda frames: None,
) -> list[Prediction]:
    """Lift all sequences, ``group`` at a time; predictions come in the order of ``sequences``.

    Args:
        lifter: room for ``group`` people; it is reset between groups.
        sequences: what to lift.
        group: sequences at once; those of one rate and about one length share a group.
        progress: called with the number of frames done since the last call.
    """
    out: list[Prediction | None] = [None] * len(sequences)
    order = sorted(range(len(sequences)), key=lambda i: (sequences[i].fps, len(sequences[i])))
    start_ns = NS
    for indices in _groups(order, sequences, group):
        lifter.reset()
        chosen = [sequences[i] for i in indices]
        for i, prediction in zip(indices, _lift(lifter, chosen, start_ns, progress), strict=True):
            out[i] = prediction
        start_ns += round(len(chosen[-1]) / chosen[-1].fps * NS) + GAP_NS
    return [p for p in out if p is not None]


def in_camera(sequence: benchmark.Sequence, camera: Camera) -> benchmark.Sequence:
    """The same rays as another camera without distortion sees them: keypoints move, poses stay."""
    if camera.distortion.any():
        raise InputError("camera: expected no lens distortion")
    change = camera.matrix @ np.linalg.inv(sequence.camera.matrix)
    keypoints = sequence.keypoints.copy()
    pixels = np.concatenate([keypoints[..., :2], np.ones_like(keypoints[..., :1])], axis=-1)
    keypoints[..., :2] = (pixels @ change.T)[..., :2]
    return replace(sequence, keypoints=keypoints, camera=camera)


def _groups(order: list[int], sequences: Sequence[benchmark.Sequence], size: int) -> Iterator[list[int]]:
    group: list[int] = []
    for i in order:
        if group and (len(group) == size or not _alike(sequences[i], sequences[group[0]])):
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def _alike(a: benchmark.Sequence, b: benchmark.Sequence) -> bool:
    """Whether two sequences may share frames: their rate and what is known around the camera."""
    same_up = (a.around.up is None) == (b.around.up is None) and (
        a.around.up is None or np.array_equal(a.around.up, b.around.up)  # type: ignore[arg-type]
    )
    return a.fps == b.fps and same_up and a.around.camera_height == b.around.camera_height


def _lift(
    lifter: LifterLike,
    sequences: list[benchmark.Sequence],
    start_ns: int,
    progress: Callable[[int], None],
) -> list[Prediction]:
    """One group; the last sequence is the longest."""
    camera = sequences[0].camera
    around = replace(sequences[0].around, common_floor=False)
    shared = [in_camera(s, camera) for s in sequences]
    lengths = np.array([len(s) for s in sequences])
    answers = [_Answers(len(s)) for s in sequences]
    for i in range(int(lengths.max())):
        there = np.flatnonzero(lengths > i)
        age = i / sequences[0].fps
        people = People2D(
            xy=np.stack([shared[s].keypoints[i, :, :2] for s in there]),
            score=np.stack([shared[s].keypoints[i, :, 2] for s in there]).clip(0, 1),
            track_id=there + 1,
            age_s=np.full(len(there), age),
            state=np.full(len(there), TrackState.TRACKED if i else TrackState.NEW),
        )
        result = lifter.lift(people, camera, start_ns + round(age * NS), around=around)
        kept = getattr(result, "hypotheses", None) or [None] * len(result.skeletons)
        embeddings = getattr(result, "embeddings", None)
        embeddings = [None] * len(result.skeletons) if embeddings is None else embeddings
        found = {
            s.track_id - 1: (s, h, e) for s, h, e in zip(result.skeletons, kept, embeddings, strict=True)
        }
        for s in there:
            answers[s].add(i, *found.get(int(s), (None, None, None)))
        progress(len(there))
    return [
        Prediction(
            sequence, a.xyz, a.covariance, a.hypotheses(), a.unanswered, a.root_covariance,
            stack_embeddings(a.embeddings),
        )
        for sequence, a in zip(sequences, answers, strict=True)
    ]  # fmt: skip


class _Answers:
    """One sequence's skeletons; a frame without one holds the last."""

    def __init__(self, frames: int) -> None:
        self.xyz = np.zeros((frames, 17, 3))
        self.covariance = np.zeros((frames, 17, 3, 3))
        self.root_covariance = np.zeros((frames, 3, 3))
        self.samples: list[NDArray[np.float64] | None] = []
        self.embeddings: list[NDArray[np.float64] | None] = []
        self.unanswered = 0

    def add(
        self, i: int, skeleton: object, hypotheses: object, embedding: NDArray[np.float64] | None
    ) -> None:
        if skeleton is None:
            self.unanswered += 1
            if i:
                self.xyz[i], self.covariance[i] = self.xyz[i - 1], self.covariance[i - 1]
                self.root_covariance[i] = self.root_covariance[i - 1]
            self.samples.append(self.samples[-1] if self.samples else None)
            self.embeddings.append(self.embeddings[-1] if self.embeddings else None)
            return
        self.xyz[i] = skeleton.xyz  # type: ignore[attr-defined]
        self.covariance[i] = skeleton.covariance  # type: ignore[attr-defined]
        self.root_covariance[i] = skeleton.root_covariance  # type: ignore[attr-defined]
        self.embeddings.append(embedding)
        self.samples.append(None if hypotheses is None else np.asarray(hypotheses.xyz))  # type: ignore[attr-defined]

    def hypotheses(self) -> NDArray[np.float64] | None:
        return stack_samples(self.samples, self.xyz)
