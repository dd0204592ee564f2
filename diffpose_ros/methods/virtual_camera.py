"""Each person's virtual camera: what a network sees of one frame, and the way back.

Letters for shapes: P people, N hypotheses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.geometry.normalise import ViewState, observe
from diffpose_ros.history import Field, Rows
from diffpose_ros.methods.protocol import Observed, Poses

FIELDS = {"centre": Field((2,), np.float64), "log_scale": Field((), np.float64)}
"""What is remembered of each person: where the camera looked, and how large it saw them."""


@dataclass(frozen=True)
class View:
    """The virtual cameras of one frame.

    Attributes:
        points: (P, 21, 3) x, y over the apparent size, and score.
        view: (P, 9), see :func:`diffpose_ros.geometry.normalise.observe`.
        rotation: (P, 3, 3) R with ``virtual = R @ real``.
        state: directions and sizes.
    """

    points: NDArray[np.float32]
    view: NDArray[np.float32]
    rotation: NDArray[np.float64]
    state: ViewState

    def keep(self, rows: Rows) -> None:
        """Note what the next frame needs."""
        rows.keep(centre=self.state.centre, log_scale=self.state.log_scale)


def look(seen: Observed, rows: Rows) -> View:
    """Turn everyone's camera at them, upright where gravity is known."""
    before = ViewState(rows["centre"], rows["log_scale"])
    points, view, after = observe(seen.rays, seen.score, rows.dt_s, before, rows.first, rows.age_s, seen.up)
    return View(points, view, after.rotation, after)


def to_real_camera(
    outputs: Mapping[str, NDArray[np.float32]],
    rotation: NDArray[np.float64],
    *,
    keep_hypotheses: bool,
    graph_s: float = 0.0,
) -> Poses:
    """Turn a network's answers back: x_real = R^T x_virtual, C_real = R^T C_virtual R.

    Args:
        outputs: ``mean``, ``covariance`` and, where they are wanted, ``hypotheses``; P rows or more.
        rotation: (P, 3, 3) R with ``virtual = R @ real``.
        keep_hypotheses: whether the hypotheses are wanted.
        graph_s: see :class:`Poses`.
    """
    p = len(rotation)
    mean = outputs["mean"][:p] @ rotation
    turn = rotation[:, None]
    covariance = turn.swapaxes(-1, -2) @ outputs["covariance"][:p] @ turn
    hypotheses = outputs["hypotheses"][:p] @ turn if keep_hypotheses else None
    return Poses(mean, covariance, hypotheses, graph_s=graph_s)
