"""From the heads of MoveNet SinglePose to keypoints and their covariance.

The network answers for a grid of cells. `center` says where the person is; from there `regress`
points at every joint, roughly; the joint's `heatmap`, weighed by nearness to that place, says which
cell; `offset` says where in the cell (Google's model card of MoveNet SinglePose).

Letters for shapes: N crops, J = 17 joints, h x w cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEARNESS_CELLS = 1.8
"""The heatmap is weighed by 1 / (distance to the regressed place + this), in cells: MoveNet's."""


@dataclass(frozen=True)
class Decoded:
    """Keypoints of one person per crop.

    Attributes:
        at: (N, J, 2) x, y in the unit square of the crop.
        score: (N, J) in [0, 1], the heatmap at the keypoint; 0 where it is not a number.
        spread: (N, J, 2, 2) second moments of the weighed heatmap around the keypoint, in the
            crop's unit: its peak's width and, where there is one, its second peak.
    """

    at: NDArray[np.float64]
    score: NDArray[np.float64]
    spread: NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """Where a track expects the keypoints.

    Attributes:
        at: (N, J, 2) in the unit square of the crop.
        known: (N, J) joints of which something is expected.
        width: (N,) standard deviation, in the crop's unit; infinite where nothing is expected.
    """

    at: NDArray[np.float64]
    known: NDArray[np.bool_]
    width: NDArray[np.float64]


def decode(
    heatmap: NDArray[np.float32],
    center: NDArray[np.float32],
    regress: NDArray[np.float32],
    offset: NDArray[np.float32],
    center_weight: NDArray[np.float32],
    prior: Prior | None = None,
) -> Decoded:
    """Keypoints from the heads.

    Args:
        heatmap: (N, J, h, w) in [0, 1].
        center: (N, 1, h, w) in [0, 1].
        regress: (N, 2 J, h, w) y, x of every joint relative to the cell, in cells.
        offset: (N, 2 J, h, w) y, x of the joint relative to the cell, in cells.
        center_weight: (h, w) favours a person in the middle of the crop.
        prior: where the joints are expected; a second weight of the heatmaps.
    """
    n, j, h, w = heatmap.shape
    heads = (heatmap, center, regress, offset)
    bad = np.array([not all(np.isfinite(head[i]).all() for head in heads) for i in range(n)])
    if bad.any():
        zero = (~bad)[:, None, None, None]
        heatmap, center, regress, offset = (
            np.where(zero, np.nan_to_num(head, posinf=0, neginf=0), 0)
            for head in heads
        )
    rows, people = np.arange(n)[:, None], np.arange(n)
    flat = (center[:, 0] * center_weight).reshape(n, -1).argmax(axis=1)
    cy, cx = np.divmod(flat, w)
    rough = regress.reshape(n, j, 2, h, w)[people, :, :, cy, cx]  # (N, J, 2) y, x
    y, x = (rough + np.stack([cy, cx], -1)[:, None]).astype(np.float32).transpose(2, 0, 1)
    weighed = heatmap / (_distance(y, x, h, w) + NEARNESS_CELLS)
    if prior is not None:
        py, px = prior.at[..., 1] * h - 0.5, prior.at[..., 0] * w - 0.5
        width = np.maximum(prior.width, 1e-3)[:, None] * w
        far = _distance(py, px, h, w) / width[..., None, None]
        # heavy-tailed: what moves faster than expected is doubted, not forbidden
        near = 1 / (1 + far**2)
        weighed = np.where(prior.known[..., None, None], weighed * near, weighed)
    flat = weighed.reshape(n, j, -1).argmax(axis=2)
    ky, kx = np.divmod(flat, w)
    fine = offset.reshape(n, j, 2, h, w)[rows, np.arange(j), :, ky, kx]  # (N, J, 2) y, x
    at = np.stack([(kx + fine[..., 1]) / w, (ky + fine[..., 0]) / h], -1).astype(np.float64)
    score = heatmap[rows, np.arange(j), ky, kx].astype(np.float64)
    spread = _moments(weighed, at, h, w)
    at[bad], score[bad] = 0.5, 0.0
    spread[bad] = np.eye(2)
    return Decoded(at, np.clip(score, 0.0, 1.0), spread)


def _distance(y: NDArray, x: NDArray, h: int, w: int) -> NDArray:
    """(N, J, h, w) distance in cells of every cell to the places y, x (N, J)."""
    dy = (np.arange(h, dtype=np.float32) - y[..., None].astype(np.float32)) ** 2
    dx = (np.arange(w, dtype=np.float32) - x[..., None].astype(np.float32)) ** 2
    return np.sqrt(dy[..., :, None] + dx[..., None, :])


def _moments(
    weighed: NDArray[np.floating], at: NDArray[np.float64], h: int, w: int
) -> NDArray[np.float64]:
    """(N, J, 2, 2) second moments around ``at``, the weight being the square of the heatmap.

    The square keeps the wide, low floor of a heatmap from counting as doubt.
    """
    mass = np.nan_to_num(weighed.astype(np.float32)) ** 2
    total = np.maximum(mass.sum(axis=(2, 3)), 1e-30)
    dx = (np.arange(w, dtype=np.float32) / w) - at[..., 0, None].astype(np.float32)  # (N, J, w)
    dy = (np.arange(h, dtype=np.float32) / h) - at[..., 1, None].astype(np.float32)
    along_x, along_y = mass.sum(axis=2), mass.sum(axis=3)
    xx = (along_x * dx**2).sum(-1) / total
    yy = (along_y * dy**2).sum(-1) / total
    xy = (np.einsum("njhw,njh->njw", mass, dy) * dx).sum(-1) / total
    return np.stack([np.stack([xx, xy], -1), np.stack([xy, yy], -1)], -2).astype(np.float64)
