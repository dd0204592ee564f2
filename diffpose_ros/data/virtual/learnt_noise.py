"""What the package's own detector does to the truth, learnt from rendered people.

``detector_noise.json`` holds what :mod:`diffpose_ros.rendering.noise_fit` measured: bias and spread of
each keypoint by view and by what hides it, how errors hang together between joints and in time, how often
a keypoint is far off, lost, or exchanged with the other side's, and scores given errors. Errors are
measured in the trunk's frame in the image (x to the right of somebody upright, y down the trunk), in units
of the body's apparent size.

Letters: B segments, T frames, V views (front, side, back), C conditions (seen, hidden by oneself, hidden by
others or things, outside of the picture).
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import COCO17, InputError

Array = NDArray[np.float64]

FRONT, SIDE, BACK = range(3)
SEEN, SELF, OTHERS, OUTSIDE = range(4)
VIEWS, CONDITIONS = 3, 4

GROUPS: tuple[tuple[int, ...], ...] = ((7, 8, 9, 10), (11, 12, 13, 14, 15, 16), tuple(range(1, 17)))
"""Keypoints that change sides together: arms, legs, everything."""

FLIP = np.array(COCO17.flip)
FAR = 0.35
"""Errors above this, of the body's size, are no jitter: the keypoint is somewhere else."""

SCORE_EPS = 0.02
_FILE = "detector_noise.json"


@dataclass(frozen=True)
class DetectorModel:
    """Error statistics of one detector.

    Attributes:
        bias: (V, C, 17, 2) mean error, as a share of the body's size; side views look to the right.
        spread: (V, C, 17) standard deviation per axis of errors that are not far.
        correlation: (17, 17) correlation of errors between joints.
        shares: (3,) shares of the variance that change over seconds, within a second, from frame to frame.
        times_s: (2,) correlation times of the first two.
        uneven: standard deviation of the logarithm of a keypoint's spread in one track.
        pixels: apparent size, pixels, at which the pixel grid doubles the variance.
        far: (C, 17) probability of a far error; ``far_s``: its mean duration, s.
        far_size: mean and standard deviation of the logarithm of a far error, as a share of the body's
            size.
        opposite: (17,) share of far errors that are at the joint of the other side.
        lost: (C, 17) probability that a keypoint is not reported; ``lost_s``: the mean duration, s.
        exchanged: (V, 3) probability that a group of :data:`GROUPS` changes sides; ``exchanged_s``: the
            mean duration, s.
        score: (C, 17) logit of the score at an error of e^-3, less :data:`SCORE_EPS`.
        score_slope: (C,) change of that logit per unit of the error's logarithm.
        score_spread: (2,) standard deviations of the logit, within a track and from frame to frame.
    """

    bias: Array
    spread: Array
    correlation: Array
    shares: Array
    times_s: Array
    uneven: float
    pixels: float
    far: Array
    far_s: float
    far_size: Array
    opposite: Array
    lost: Array
    lost_s: float
    exchanged: Array
    exchanged_s: float
    score: Array
    score_slope: Array
    score_spread: Array

    def __post_init__(self) -> None:
        v, c = VIEWS, CONDITIONS
        shapes = {
            "bias": (v, c, 17, 2), "spread": (v, c, 17), "correlation": (17, 17), "shares": (3,),
            "times_s": (2,), "far": (c, 17), "far_size": (2,), "opposite": (17,), "lost": (c, 17),
            "exchanged": (v, len(GROUPS)), "score": (c, 17), "score_slope": (c,), "score_spread": (2,),
        }  # fmt: skip
        for name, shape in shapes.items():
            value = np.asarray(getattr(self, name), np.float64)
            if value.shape != shape or not np.isfinite(value).all():
                raise InputError(f"detector noise: {name}: expected finite {shape}, got {value.shape}")
            object.__setattr__(self, name, value)


def load_model(path: str | Path | None = None) -> DetectorModel:
    """Read a file of :mod:`~diffpose_ros.rendering.noise_fit`; the package's own when omitted.

    Raises:
        InputError: the file is missing or damaged.
    """
    return _load(str(path) if path else str(Path(__file__).with_name(_FILE)))


@functools.cache
def _load(path: str) -> DetectorModel:
    try:
        content = json.loads(Path(path).read_text())
        return DetectorModel(**{k: v for k, v in content.items() if k in DetectorModel.__dataclass_fields__})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: expected a detector's noise as `render --learn` writes it ({error})"
        ) from None


def trunk_axes(xy: NDArray[np.floating]) -> Array:
    """(..., 2, 2) whose columns are right of the trunk and down the trunk, of COCO-17 points (..., 17, 2)."""
    down = np.asarray(xy[..., 11:13, :].mean(-2) - xy[..., 5:7, :].mean(-2), np.float64)
    length = np.linalg.norm(down, axis=-1, keepdims=True)
    width = np.linalg.norm(xy[..., 5, :] - xy[..., 6, :], axis=-1, keepdims=True)
    # Seen along the trunk its direction in the image says nothing.
    down = np.where(length > 0.3 * width, down / np.maximum(length, 1e-9), [0.0, 1.0])
    right = np.stack([down[..., 1], -down[..., 0]], -1)
    return np.stack([right, down], axis=-1)


def facing(skeleton: NDArray[np.floating]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """From where bodies (..., 17, 3) in the optical frame are seen.

    Returns:
        The view (...,), and whether it is a side view of somebody who looks to the left, which is the mirror
        image of those that the model knows.
    """
    s = np.asarray(skeleton, np.float64)
    up = s[..., 8, :] - s[..., 0, :]
    left = s[..., 11, :] - s[..., 14, :] + s[..., 4, :] - s[..., 1, :]
    ahead = np.cross(left, up)
    to_camera = -s[..., 0, :]

    def part(axis: Array) -> Array:
        return (axis * to_camera).sum(-1) / np.maximum(np.linalg.norm(axis, axis=-1), 1e-9)

    angle = np.arctan2(part(left), part(ahead))
    view = np.where(np.abs(angle) < np.pi / 4, FRONT, np.where(np.abs(angle) > 3 * np.pi / 4, BACK, SIDE))
    return view, (view == SIDE) & (angle > 0)


def apparent_size(xy: NDArray[np.floating]) -> Array:
    """The longer of trunk and 1.2 shoulder widths (...,) of COCO-17 points (..., 17, 2)."""
    trunk = np.linalg.norm(xy[..., 5:7, :].mean(-2) - xy[..., 11:13, :].mean(-2), axis=-1)
    return np.maximum(trunk, 1.2 * np.linalg.norm(xy[..., 5, :] - xy[..., 6, :], axis=-1))


def corrupt(
    xy: NDArray[np.floating],
    skeleton: NDArray[np.floating],
    condition: NDArray[np.integer],
    size_px: NDArray[np.floating],
    times_s: Array,
    rng: np.random.Generator,
    model: DetectorModel,
    strength: NDArray[np.floating],
    surer: NDArray[np.floating] | float = 0.0,
) -> tuple[Array, Array]:
    """See COCO-17 keypoints as the detector would.

    Args:
        xy: (B, T, 17, 2) true keypoints, any unit.
        skeleton: (B, T, 17, 3) H36M-17 joints, optical frame: from where they are seen.
        condition: (B, T, 17) what hides each keypoint.
        size_px: (B, T) apparent size in pixels.
        times_s: (T,) seconds.
        rng: source of randomness.
        model: the detector.
        strength: (B,) factor of all errors.
        surer: (B,) added to the logits of all scores.

    Returns:
        Keypoints (B, T, 17, 2) and scores (B, T, 17); 0 where nothing is reported.
    """
    b = len(xy)
    truth = np.asarray(xy, np.float64)
    size = apparent_size(truth)
    view, mirrored = facing(skeleton)
    joint = np.where(mirrored[..., None], FLIP, np.arange(17))
    seen = np.minimum(condition, OTHERS)  # what is outside and reported errs as what is hidden
    bias = model.bias[view[..., None], seen, joint]
    bias = bias * np.where(mirrored[..., None], -1.0, 1.0)[..., None] ** [1, 0]
    grid = np.sqrt(1 + (model.pixels / np.maximum(size_px, 1.0)) ** 2)[..., None]
    spread = model.spread[view[..., None], seen, joint] * grid
    spread = spread * np.exp(model.uneven * rng.normal(size=(b, 1, 17)) - model.uneven**2)
    error = strength[:, None, None, None] * (bias + spread[..., None] * _errors(b, times_s, rng, model))
    axes = trunk_axes(truth)
    out = truth + size[..., None, None] * error @ np.swapaxes(axes, -1, -2)
    out, off = _far(out, truth, size, seen, times_s, rng, model, strength)
    out = _exchanged(out, view, times_s, rng, model)
    away = np.linalg.norm(out - truth, axis=-1) / np.maximum(size, 1e-9)[..., None]
    level = np.broadcast_to(np.asarray(surer, np.float64), (b,))[:, None, None]
    score = _scores(away / strength[:, None, None], level, condition, joint, times_s, rng, model)
    lost = chain(model.lost[condition, joint], model.lost_s, times_s, rng)
    score = np.where(lost & ~off, 0.0, score)
    return np.where(score[..., None] > 0, out, 0.0), score


def _errors(b: int, times_s: Array, rng: np.random.Generator, model: DetectorModel) -> Array:
    """Errors (B, T, 17, 2) of unit variance that hang together between joints and in time."""
    values, vectors = np.linalg.eigh(model.correlation)
    mix = vectors * np.sqrt(np.maximum(values, 0.0))
    shape = (b, len(times_s), 17, 2)
    parts = [ornstein(shape, times_s, tau, rng) for tau in model.times_s] + [rng.normal(size=shape)]
    independent = sum(np.sqrt(share) * part for share, part in zip(model.shares, parts, strict=True))
    return np.asarray(mix @ independent)


def _far(
    out: Array, truth: Array, size: Array, condition: NDArray[np.int64], times_s: Array,
    rng: np.random.Generator, model: DetectorModel, strength: NDArray[np.floating],
) -> tuple[Array, NDArray[np.bool_]]:  # fmt: skip
    b, t = size.shape
    shape = (b, t, 17, 2)
    off = chain(model.far[condition, np.arange(17)] * strength[:, None, None], model.far_s, times_s, rng)
    mean, deviation = model.far_size
    length = np.exp(mean + deviation * rng.normal(size=(b, 1, 17)))
    way = ornstein(shape, times_s, 0.5, rng)
    way = way / np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), 1e-9)
    elsewhere = truth + size[..., None, None] * length[..., None] * way
    across = rng.random((b, 1, 17)) < model.opposite
    other = out[:, :, FLIP]
    return np.where(off[..., None], np.where(across[..., None], other, elsewhere), out), off


def _exchanged(
    out: Array, view: NDArray[np.int64], times_s: Array, rng: np.random.Generator, model: DetectorModel
) -> Array:
    for g, joints in enumerate(GROUPS):
        on = chain(model.exchanged[view, g][..., None], model.exchanged_s, times_s, rng)[..., 0]
        index = list(joints)
        out[:, :, index] = np.where(on[..., None, None], out[:, :, FLIP[index]], out[:, :, index])
    return out


def _scores(
    away: Array, level: Array, condition: NDArray[np.integer], joint: NDArray[np.int64], times_s: Array,
    rng: np.random.Generator, model: DetectorModel,
) -> Array:  # fmt: skip
    b, t = away.shape[:2]
    logit = level + model.score[condition, joint]
    logit = logit + model.score_slope[condition] * (np.log(away + SCORE_EPS) + 3.0)
    track, frame = model.score_spread
    logit = logit + track * rng.normal(size=(b, 1, 17)) + frame * ornstein((b, t, 17), times_s, 0.1, rng)
    score = 1 / (1 + np.exp(-logit))
    return np.where(score >= 0.1, score, 0.0)


def chain(chance: Array, mean_s: float, times_s: Array, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Whether something is on, (B, T, N): ``mean_s`` long in the mean, as often as ``chance`` says."""
    chance = np.clip(chance, 0.0, 0.95)
    draw = rng.random(chance.shape)
    out = np.zeros(chance.shape, bool)
    out[:, 0] = draw[:, 0] < chance[:, 0]
    for i in range(1, chance.shape[1]):
        gap = 1 - np.exp(-(times_s[i] - times_s[i - 1]) / max(mean_s, 1e-3))
        p = chance[:, i]
        out[:, i] = np.where(out[:, i - 1], draw[:, i] < 1 - gap * (1 - p), draw[:, i] < gap * p)
    return out


def ornstein(shape: tuple[int, ...], times_s: Array, tau_s: float, rng: np.random.Generator) -> Array:
    """Ornstein-Uhlenbeck noise of unit variance along axis 1."""
    out = rng.normal(size=shape)
    for i in range(1, shape[1]):
        keep = np.exp(-(times_s[i] - times_s[i - 1]) / tau_s)
        out[:, i] = keep * out[:, i - 1] + np.sqrt(1 - keep**2) * out[:, i]
    return out
