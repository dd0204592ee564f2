"""What one call of the lifter hands back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import Hypotheses, Skeleton


@dataclass(frozen=True)
class LiftReport:
    """How one frame went.

    Attributes:
        stage_s: seconds spent in ``undistort``, ``window``, ``graph``, ``root`` and ``total``.
        backend: name of the backend that ran.
        hypotheses: N used.
        steps: denoising steps used.
        people: people that came in.
        lifted: skeletons that go out.
        waiting: track ids whose turn did not come in this frame.
        unseen: track ids with too few usable keypoints.
        failed: track ids dropped because the network's output was not finite; they start anew.
        unplaced: track ids whose rays allow no position in front of the camera.
        floor_refused: track ids for whom the given floor is not used, because it does not fit how they
            stand: gravity or the camera's height seem to be wrong.
        place: what the people tell of the camera's place, where the lifter is to learn it, as a text.
        up: (3,) unit vector against gravity, camera optical frame, where the lifter has learnt it.
        left_out: people beyond ``max_tracks``.
        refused: why the whole frame was not taken, or ``None``.
        thinned: the frame was left out because frames come faster than the model was made for.
        degraded: what the deadline took away in this frame; empty when nothing.
        messages: events worth a log line: resets, changes of camera, changes of backend.
    """

    stage_s: dict[str, float] = field(default_factory=dict)
    backend: str = ""
    hypotheses: int = 0
    steps: int = 0
    people: int = 0
    lifted: int = 0
    waiting: tuple[int, ...] = ()
    unseen: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    unplaced: tuple[int, ...] = ()
    floor_refused: tuple[int, ...] = ()
    place: str = ""
    up: NDArray[np.float64] | None = None
    left_out: int = 0
    refused: str | None = None
    thinned: bool = False
    degraded: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()


@dataclass(frozen=True)
class LiftResult:
    """Skeletons of one frame, in the order of its people.

    Attributes:
        skeletons: absolute, in the camera's optical frame.
        report: how it went.
        hypotheses: one for each skeleton, root-relative, in the camera's optical frame; ``None``
            unless ``keep_hypotheses`` is set.
        embeddings: (L, D) of the skeletons' poses, for search; ``None`` from a method that has none.
    """

    skeletons: tuple[Skeleton, ...]
    report: LiftReport
    hypotheses: tuple[Hypotheses, ...] | None = None
    embeddings: NDArray[np.float64] | None = None
