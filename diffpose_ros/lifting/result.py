"""The result of one call of the lifter."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import Hypotheses, Skeleton


@dataclass(frozen=True)
class LiftReport:
    """Report on one frame.

    Attributes:
        stage_s: seconds spent in ``undistort``, ``window``, ``graph``, ``root`` and ``total``.
        backend: name of the backend that ran.
        hypotheses: hypotheses sampled per person.
        steps: denoising steps.
        people: number of people in the input.
        lifted: number of skeletons in the result.
        waiting: track ids that wait for their turn.
        unseen: track ids with too few usable keypoints.
        failed: track ids dropped because the network's output was not finite; they restart without history.
        unplaced: track ids whose rays fit no position in front of the camera.
        floor_refused: track ids for whom the given floor is not used, because it contradicts how they
            stand: gravity or the camera's height may be wrong.
        place: with ``estimate_gravity``, a text on what has been learnt of the camera's pose.
        up: (3,) unit vector against gravity, camera optical frame, if the lifter has learnt it.
        left_out: number of people beyond ``max_tracks``.
        refused: why the whole frame was refused, or ``None``.
        thinned: whether the frame was skipped, because frames arrive faster than the model allows.
        degraded: what was reduced to meet the deadline; empty: nothing.
        messages: events to log: resets, changes of camera or backend.
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
    """The skeletons of one frame, in the order of its people.

    Attributes:
        skeletons: skeletons in the camera optical frame, absolute.
        report: report on the frame.
        hypotheses: the hypotheses of each skeleton, relative to the root, camera optical frame; ``None``
            without ``keep_hypotheses``.
        embeddings: (L, D) embeddings of the poses, for search; ``None`` if the method has none.
    """

    skeletons: tuple[Skeleton, ...]
    report: LiftReport
    hypotheses: tuple[Hypotheses, ...] | None = None
    embeddings: NDArray[np.float64] | None = None
