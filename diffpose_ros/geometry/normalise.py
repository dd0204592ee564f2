"""From viewing rays to what the network sees: a person-centred virtual camera.

The image plane of the real camera is turned so that its axis points at the person, and the
keypoints are divided by the person's apparent size. One network then serves every calibrated
camera and every place in the image; what the turn takes away (where the person stood, how large
it looked) is handed over in ``view``. Centre and size follow the person through a low-pass filter
in time, so that a jittering detector does not shake the frame of reference.

Where gravity is known the virtual camera is also rolled until up is up in its image. A rolled camera
then sees what a level one sees. What is left of gravity, how far the camera looks down, stands in ``view``.

Letters: ``...`` any leading shape (people, or clips), 21 points as in :mod:`mapping`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VIEW_SIZE = 9
"""Entries of ``view``: ray x, ray y (tangents), log apparent size, dt, is-first flag, tracking age, and the
unit vector against gravity in the virtual camera (zeros where it is unknown)."""

VIEW_WITHOUT_GRAVITY = 6
"""Entries that networks read which know no gravity: the same, but for the last three."""

LOG_SCALE_OFFSET = 2.0
"""Added to the logarithm of the apparent size in ``view``, so that it lies around zero."""

MIRRORED_VIEW = (-1.0, 1.0, 1.0, 1.0, 1.0, 1.0, -1.0, 1.0, 1.0)
"""Signs (9,) of ``view`` when the image is mirrored: the person then stands on the other side."""

TORSO = (1, 4, 11, 14)
TIME_CONSTANT_S = 0.25
MIN_SCALE = 1e-3
MAX_DT_S = 0.5
STEEP = (0.1, 0.3)
"""Length of the part of up that lies in the image plane: below the first a virtual camera looks straight
down or up and is not rolled, above the second it is rolled all the way."""


@dataclass(frozen=True)
class ViewState:
    """The filtered centre and size of each person.

    Attributes:
        centre: (..., 2) ray to the person as tangents (x/z, y/z) in the real camera.
        log_scale: (...,) logarithm of the apparent size (tangent units).
        up: (..., 3) unit vectors against gravity in the real camera, zeros where unknown; or ``None``.
    """

    centre: NDArray[np.float64]
    log_scale: NDArray[np.float64]
    up: NDArray[np.float64] | None = None

    @property
    def scale(self) -> NDArray[np.float64]:
        """(...,) apparent size in tangent units; ``points * scale`` undoes the division."""
        return np.exp(self.log_scale)

    @property
    def rotation(self) -> NDArray[np.float64]:
        """(..., 3, 3) R with ``virtual = R @ real``: the shortest turn of the ray onto +z, and the roll
        that puts up at the top of the image."""
        turn = rotation_to_axis(self.centre)
        return turn if self.up is None else upright(turn, self.up)


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


def upright(turn: NDArray[np.float64], up: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotations that are rolled about their optical axis until gravity points down in the image.

    Args:
        turn: (..., 3, 3) real to virtual camera.
        up: (..., 3) unit vectors against gravity in the real camera, zeros where unknown.

    Returns:
        (..., 3, 3): ``turn`` as it was where up is unknown or along the axis, see :data:`STEEP`.
    """
    x, y = np.moveaxis((turn @ up[..., None])[..., :2, 0], -1, 0)
    share = np.clip((np.hypot(x, y) - STEEP[0]) / (STEEP[1] - STEEP[0]), 0.0, 1.0)
    roll = share * np.arctan2(-x, -y)
    cos, sin, zero = np.cos(roll), np.sin(roll), np.zeros_like(roll)
    rows = np.stack([cos, -sin, zero, sin, cos, zero, zero, zero, zero + 1.0], axis=-1)
    return rows.reshape(*roll.shape, 3, 3) @ turn


def observe(
    xy: NDArray[np.float64],
    score: NDArray[np.float64],
    dt_s: NDArray[np.float64],
    previous: ViewState | None,
    first: NDArray[np.bool_],
    age_s: NDArray[np.float64],
    up: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], ViewState]:
    """Turn one frame of each person into the network's inputs.

    Args:
        xy: (..., 21, 2) undistorted tangents (x/z, y/z) in the real camera.
        score: (..., 21) scores; 0: ignored.
        dt_s: (...,) seconds since that person's previous frame; ignored where ``first``.
        previous: state after the previous frame; ``None`` if everyone is new.
        first: (...,) whether this is a person's first frame.
        age_s: (...,) seconds since the person's first frame.
        up: (..., 3) or (3,) unit vectors against gravity in the real camera; zeros: unknown; ``None``:
            unknown for everyone.

    Returns:
        ``points`` (..., 21, 3) float32: x, y, score; ``view`` (..., 9) float32; the new state.
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
        up=None if up is None else np.broadcast_to(up, (*seen.shape, 3)),
    )
    rotation = state.rotation
    homogeneous = np.concatenate([xy, np.ones_like(xy[..., :1])], axis=-1)
    turned = np.einsum("...ij,...nj->...ni", rotation, homogeneous)
    tangents = turned[..., :2] / np.maximum(turned[..., 2:], 1e-2)
    scaled = np.clip(tangents / state.scale[..., None, None], -10.0, 10.0)
    points = np.concatenate([scaled, weight[..., None]], axis=-1)
    points = np.where(weight[..., None] > 0, points, 0.0).astype(np.float32)
    own = np.stack(
        [
            state.centre[..., 0],
            state.centre[..., 1],
            state.log_scale + LOG_SCALE_OFFSET,
            np.where(first, 0.0, np.clip(dt_s, 0.0, MAX_DT_S)) * 10.0,
            first.astype(np.float64),
            np.tanh(age_s),
        ],
        axis=-1,
    )
    above = np.zeros((*seen.shape, 3)) if state.up is None else (rotation @ state.up[..., None])[..., 0]
    view = np.concatenate([own, above], axis=-1).astype(np.float32)
    return points, view, state


def _scatter_torso(torso: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.zeros((*torso.shape[:-1], 21))
    out[..., TORSO] = torso
    return out
