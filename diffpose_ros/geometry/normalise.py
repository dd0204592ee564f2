"""From viewing rays to what the network sees: a person-centred virtual camera.

The image plane of the real camera is turned so that its axis points at the person, and the
keypoints are divided by the person's apparent size. One network then serves every calibrated
camera and every place in the image; what the turn takes away (where the person stood, how large
it looked) is handed over in ``view``. Centre and size follow the person through a low-pass filter
in time, so that a jittering detector does not shake the frame of reference.

Letters: ``...`` any leading shape (people, or clips), 21 points as in :mod:`mapping`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VIEW_SIZE = 6
"""Entries of ``view``: ray x, ray y (tangents), log apparent size, dt, is-first flag, tracking age."""

LOG_SCALE_OFFSET = 2.0
"""Added to the logarithm of the apparent size in ``view``, so that it lies around zero."""

MIRRORED_VIEW = (-1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
"""Signs (6,) of ``view`` when the image is mirrored: the person then stands on the other side."""

TORSO = (1, 4, 11, 14)
TIME_CONSTANT_S = 0.25
MIN_SCALE = 1e-3
MAX_DT_S = 0.5


@dataclass(frozen=True)
class ViewState:
    """The filtered centre and size of each person.

    Attributes:
        centre: (..., 2) ray to the person as tangents (x/z, y/z) in the real camera.
        log_scale: (...,) logarithm of the apparent size (tangent units).
    """

    centre: NDArray[np.float64]
    log_scale: NDArray[np.float64]

    @property
    def scale(self) -> NDArray[np.float64]:
        """(...,) apparent size in tangent units; ``points * scale`` undoes the division."""
        return np.exp(self.log_scale)

    @property
    def rotation(self) -> NDArray[np.float64]:
        """(..., 3, 3) R with ``virtual = R @ real``: the shortest turn of the ray onto +z."""
        return rotation_to_axis(self.centre)


def rotation_to_axis(centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shortest rotation that takes each ray ``(x, y, 1)`` onto the optical axis.

    Args:
        centre: (..., 2) tangents.

    Returns:
        (..., 3, 3).
    """
    ray = np.concatenate([centre, np.ones_like(centre[..., :1])], axis=-1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    a, b, c = ray[..., 0], ray[..., 1], ray[..., 2]
    d = 1.0 / (1.0 + c)
    rows = np.stack([1 - a * a * d, -a * b * d, -a, -a * b * d, 1 - b * b * d, -b, a, b, c], axis=-1)
    return rows.reshape(*centre.shape[:-1], 3, 3)


def observe(
    xy: NDArray[np.float64],
    score: NDArray[np.float64],
    dt_s: NDArray[np.float64],
    previous: ViewState | None,
    first: NDArray[np.bool_],
    age_s: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.float32], ViewState]:
    """One frame of each person, as the network sees it.

    Args:
        xy: (..., 21, 2) undistorted tangents (x/z, y/z) in the real camera.
        score: (..., 21), 0 where masked.
        dt_s: (...,) seconds since that person's previous frame; ignored where ``first``.
        previous: the state after the previous frame; ``None`` when everyone is new.
        first: (...,) whether this is a person's first frame.
        age_s: (...,) seconds since the person's first frame.

    Returns:
        ``points`` (..., 21, 3) float32: x, y, score; ``view`` (..., 6) float32; the new state.
    """
    weight = np.where(score > 0, score, 0.0)
    torso = weight[..., TORSO]
    has_torso = (torso > 0).sum(-1) >= 2
    w = np.where(has_torso[..., None], _scatter_torso(torso), weight)
    total = w.sum(-1)
    seen = total > 0
    centre = (w[..., None] * xy).sum(-2) / np.maximum(total, 1e-9)[..., None]
    offset = np.where(weight[..., None] > 0, xy - centre[..., None, :], 0.0)
    mass = (weight > 0).sum(-1)
    size = np.sqrt((offset**2).sum((-1, -2)) / np.maximum(mass, 1))
    log_scale = np.log(np.maximum(size, MIN_SCALE))
    measurable = seen & (mass >= 4)
    if previous is None:
        old_centre, old_log = np.zeros_like(centre), np.full_like(log_scale, np.log(0.1))
    else:
        old_centre, old_log = previous.centre, previous.log_scale
    gain = 1.0 - np.exp(-np.maximum(dt_s, 0.0) / TIME_CONSTANT_S)
    gain = np.where(first, 1.0, gain)
    g_centre = np.where(seen, gain, 0.0)
    g_scale = np.where(measurable, gain, np.where(first & seen, 1.0, 0.0))
    state = ViewState(
        centre=old_centre + g_centre[..., None] * (centre - old_centre),
        log_scale=old_log + g_scale * (log_scale - old_log),
    )
    homogeneous = np.concatenate([xy, np.ones_like(xy[..., :1])], axis=-1)
    turned = np.einsum("...ij,...nj->...ni", state.rotation, homogeneous)
    tangents = turned[..., :2] / np.maximum(turned[..., 2:], 1e-2)
    scaled = np.clip(tangents / state.scale[..., None, None], -10.0, 10.0)
    points = np.concatenate([scaled, weight[..., None]], axis=-1)
    points = np.where(weight[..., None] > 0, points, 0.0).astype(np.float32)
    view = np.stack(
        [
            state.centre[..., 0],
            state.centre[..., 1],
            state.log_scale + LOG_SCALE_OFFSET,
            np.where(first, 0.0, np.clip(dt_s, 0.0, MAX_DT_S)) * 10.0,
            first.astype(np.float64),
            np.tanh(age_s),
        ],
        axis=-1,
    ).astype(np.float32)
    return points, view, state


def _scatter_torso(torso: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.zeros((*torso.shape[:-1], 21))
    out[..., TORSO] = torso
    return out
