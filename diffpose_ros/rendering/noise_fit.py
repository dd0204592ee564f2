"""A detector's noise, learnt from what it saw of rendered videos.

What the numbers mean: :mod:`diffpose_ros.data.virtual.learnt_noise`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError
from diffpose_ros.core.files import write_text
from diffpose_ros.data.virtual import learnt_noise as noise
from diffpose_ros.data.virtual.learnt_noise import FAR, FLIP, GROUPS, DetectorModel

Array = NDArray[np.float64]

SETTLE = 3
"""First frames of a scene that are no measure: the truth has told the detector where to look."""

LEAST_FRAMES = 300
_PRIOR = 30.0
"""Weight, in keypoints, of the mean over joints where a joint has few samples."""

_NEAR_OPPOSITE = 0.25
_APART = 0.2
_SLOW_S = 1.5
_LAGS = 12


def fit_noise(seen: dict[str, NDArray], rate_hz: float = 30.0) -> DetectorModel:
    """Learn the noise of the detector that saw these pictures.

    Args:
        seen: truth and detections, see :func:`diffpose_ros.rendering.detect.load_detected`.
        rate_hz: of the videos.

    Raises:
        InputError: there are too few pictures in which somebody was found.
    """
    data = _Measured(seen)
    if data.frames < LEAST_FRAMES:
        raise InputError(
            f"detections: expected {LEAST_FRAMES} frames of videos or more in which the person was found, "
            f"got {data.frames}; draw more scenes (`render --count`), with --frames of 10 or more"
        )
    exchanged, exchanged_s = _exchanges(data, rate_hz)
    bias, spread = _bias_and_spread(data)
    far = data.reported & ~data.swapped & (data.away > FAR)
    core = data.reported & ~data.swapped & ~far
    index = (data.view[:, None], data.condition, np.arange(17))
    unit = (data.error - bias[index]) / spread[index][..., None]
    pixels, gain = _pixel_grid(unit, core, data.size_px)
    spread = spread * gain
    unit = (
        np.where(core[..., None], unit / gain, 0.0) / np.sqrt(1 + (pixels / data.size_px) ** 2)[:, None, None]
    )
    shares, fast_s = _in_time(unit, core, data, rate_hz)
    score, slope, score_spread = _scores(data)
    opposite = data.reported & (data.across < _NEAR_OPPOSITE) & (data.apart > _APART)
    far_chance = _chances(far, data.reported & ~data.swapped, data.condition)
    lost_chance = _chances(~data.reported, np.ones_like(data.reported), data.condition)
    lengths = np.log(data.away[far & ~opposite]) if (far & ~opposite).sum() > 20 else np.log([0.5, 0.8])
    return DetectorModel(
        bias=bias, spread=spread, correlation=_correlation(unit, core), shares=shares,
        times_s=np.array([_SLOW_S, fast_s]), uneven=_uneven(unit, core, data), pixels=pixels, far=far_chance,
        far_s=_length(far, data, rate_hz), far_size=np.array([lengths.mean(), lengths.std()]),
        opposite=_share(far & opposite, far), lost=lost_chance, lost_s=_length(~data.reported, data, rate_hz),
        exchanged=exchanged, exchanged_s=exchanged_s, score=score, score_slope=slope,
        score_spread=score_spread,
    )  # fmt: skip


def save_noise(path: str | Path, model: DetectorModel, **about: Any) -> None:
    """Write a model with where it comes from.

    Raises:
        InputError: it cannot be written.
    """
    content = {**about}
    for name, value in asdict(model).items():
        content[name] = (
            np.round(value, 4).tolist() if isinstance(value, np.ndarray) else round(float(value), 4)
        )
    lines = (f" {json.dumps(name)}: {json.dumps(value)}" for name, value in content.items())
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


class _Measured:
    """Frames in which the person was found, in the trunk's frame, mirrored where that is the model's view."""

    def __init__(self, seen: dict[str, NDArray]) -> None:
        keep = seen["found"] & (seen["frame"] >= SETTLE) & (seen["coco"][..., 2].min(1) > 0.3)
        take = {name: value[keep] for name, value in seen.items()}
        truth, found = take["coco"][..., :2].astype(np.float64), take["keypoints"][..., :2].astype(np.float64)
        size = noise.apparent_size(truth)
        axes = noise.trunk_axes(truth)
        error = np.einsum("nik,nji->njk", axes, found - truth) / size[:, None, None]
        across = np.linalg.norm(found - truth[:, FLIP], axis=-1) / size[:, None]
        apart = np.linalg.norm(truth - truth[:, FLIP], axis=-1) / size[:, None]
        view, mirrored = noise.facing(take["h36m17"])
        hidden = take["hidden"].astype(np.int64)
        condition = np.array([noise.SEEN, noise.SELF, noise.OTHERS, noise.OTHERS, noise.OUTSIDE])[hidden]
        score = take["keypoints"][..., 2].astype(np.float64)
        # What was seen in a mirror happens as often: front and back views count twice.
        self.scene = take["scene"]
        self.frame = take["frame"]
        flip = mirrored
        self.error = np.where(flip[:, None, None], error[:, FLIP] * [-1, 1], error)
        self.across, self.apart = self._turned(across, flip), self._turned(apart, flip)
        self.condition = np.where(flip[:, None], condition[:, FLIP], condition)
        self.score = self._turned(score, flip)
        self.view, self.size_px, self.frames = view, size, int(keep.sum())
        both = view != noise.SIDE
        self.error = np.concatenate([self.error, self.error[both][:, FLIP] * [-1, 1]])
        for name in ("across", "apart", "condition", "score"):
            value = getattr(self, name)
            setattr(self, name, np.concatenate([value, value[both][:, FLIP]]))
        self.scene = np.concatenate([self.scene, -1 - self.scene[both]])
        for name in ("frame", "view", "size_px"):
            value = getattr(self, name)
            setattr(self, name, np.concatenate([value, value[both]]))
        order = np.lexsort((self.frame, self.scene))
        for name in ("error", "across", "apart", "condition", "score", "scene", "frame", "view", "size_px"):
            setattr(self, name, getattr(self, name)[order])
        self.reported = self.score > 0
        self.away = np.linalg.norm(self.error, axis=-1)
        self.follows = (np.diff(self.scene) == 0) & (np.diff(self.frame) == 1)
        self.swapped = self._swapped()

    @staticmethod
    def _turned(value: Array, flip: NDArray[np.bool_]) -> Array:
        return np.where(flip[:, None], value[:, FLIP], value)

    def _swapped(self) -> NDArray[np.bool_]:
        """(N, 17) joints that lie on the other side's place while that one lies on theirs."""
        over = (
            self.reported & (self.across < self.away) & (self.across < _NEAR_OPPOSITE) & (self.apart > _APART)
        )
        return over & over[:, FLIP]


def _bias_and_spread(data: _Measured) -> tuple[Array, Array]:
    core = data.reported & ~data.swapped & (data.away < FAR)
    bias = np.zeros((noise.VIEWS, noise.CONDITIONS, 17, 2))
    spread = np.zeros((noise.VIEWS, noise.CONDITIONS, 17))
    for c in (noise.SEEN, noise.SELF, noise.OTHERS):
        like = core & (data.condition == c if c != noise.OTHERS else data.condition >= noise.OTHERS)
        pooled_bias = _robust(data.error, like, np.zeros((17, 2)))
        for v in range(noise.VIEWS):
            mine = like & (data.view == v)[:, None]
            bias[v, c] = _robust(data.error, mine, pooled_bias)
            whole = _rms(data.error - bias[v, c], like)
            spread[v, c] = _rms(data.error - bias[v, c], mine, whole)
    bias[:, noise.OUTSIDE], spread[:, noise.OUTSIDE] = bias[:, noise.OTHERS], spread[:, noise.OTHERS]
    return bias, np.maximum(spread, 0.005)


def _robust(error: Array, mine: NDArray[np.bool_], prior: Array) -> Array:
    count = mine.sum(0)[:, None]
    total = np.where(mine[..., None], error, 0.0).sum(0)
    return (total + _PRIOR * prior) / (count + _PRIOR)


def _rms(error: Array, mine: NDArray[np.bool_], prior: Array | None = None) -> Array:
    square = np.where(mine, (error**2).mean(-1), 0.0)
    everywhere = square.sum() / max(int(mine.sum()), 1)
    before = np.full(17, everywhere) if prior is None else prior**2
    return np.sqrt((square.sum(0) + _PRIOR * before) / (mine.sum(0) + _PRIOR))


def _pixel_grid(unit: Array, core: NDArray[np.bool_], size_px: Array) -> tuple[float, float]:
    """At which size the variance has doubled, and the spread's factor for large bodies; least squares."""
    square = np.where(core, (unit**2).mean(-1), 0.0).sum(1) / np.maximum(core.sum(1), 1)
    use = core.sum(1) >= 5
    a = np.stack([np.ones(use.sum()), 1 / size_px[use] ** 2], 1)
    weight = np.minimum(1.0, (size_px[use] / 20.0) ** 2)
    base, extra = np.linalg.lstsq(a * weight[:, None], square[use] * weight, rcond=None)[0]
    if not (base > 0.1 and extra > 0):
        return 0.0, 1.0
    return float(np.clip(np.sqrt(extra / base), 0.0, 60.0)), float(np.sqrt(base))


def _in_time(unit: Array, core: NDArray[np.bool_], data: _Measured, rate_hz: float) -> tuple[Array, float]:
    """Shares of the variance by how fast it changes, and the time constant of the middle one."""
    lags = np.arange(1, _LAGS + 1)
    scale = (unit[core] ** 2).mean()
    rho = np.array([_lagged(unit, core, data, int(k)) for k in lags]) / scale
    best: tuple[float, Array, float] = (np.inf, np.array([0.3, 0.4, 0.3]), 0.15)
    for tau in np.linspace(0.04, 0.5, 24):
        basis = np.stack([np.exp(-lags / rate_hz / _SLOW_S), np.exp(-lags / rate_hz / tau)], axis=1)
        part = np.clip(np.linalg.lstsq(basis, rho, rcond=None)[0], 0.0, 1.0)
        part = part / max(1.0, part.sum())
        miss = float(((basis @ part - rho) ** 2).sum())
        if miss < best[0]:
            best = (miss, np.array([*part, 1 - part.sum()]), float(tau))
    return best[1], best[2]


def _lagged(unit: Array, core: NDArray[np.bool_], data: _Measured, lag: int) -> float:
    same = (data.scene[lag:] == data.scene[:-lag]) & (data.frame[lag:] - data.frame[:-lag] == lag)
    both = core[lag:] & core[:-lag] & same[:, None]
    return float((unit[lag:] * unit[:-lag]).mean(-1)[both].mean())


def _correlation(unit: Array, core: NDArray[np.bool_]) -> Array:
    """(17, 17), positive semi-definite, with ones on its diagonal."""
    product = np.einsum("njx,nkx->jk", unit, unit) / 2
    count = core.T.astype(float) @ core
    covariance = product / np.maximum(count, 1)
    scale = np.sqrt(np.maximum(np.diag(covariance), 1e-9))
    rho = covariance / scale[:, None] / scale * (count / (count + _PRIOR))
    values, vectors = np.linalg.eigh((rho + rho.T) / 2)
    rho = (vectors * np.maximum(values, 1e-3)) @ vectors.T
    scale = np.sqrt(np.diag(rho))
    return np.asarray(rho / scale[:, None] / scale)


def _uneven(unit: Array, core: NDArray[np.bool_], data: _Measured) -> float:
    """How much the spread of a keypoint differs from track to track, less what chance gives."""
    logs, chance = [], []
    for scene in np.unique(data.scene):
        mine = data.scene == scene
        count = core[mine].sum(0)
        power = np.where(core[mine], (unit[mine] ** 2).mean(-1), 0).sum(0) / np.maximum(count, 1)
        fine = (count >= 6) & (power > 0)
        logs.append(0.5 * np.log(power[fine]))
        chance.append(np.full(int(fine.sum()), 1.0))
    every = np.concatenate(logs) if logs else np.zeros(1)
    # A track is worth about four independent errors: the logarithm of their root mean square varies by 0.35.
    return float(np.sqrt(max(every.var() - 0.35**2, 0.0))) if len(every) > 20 else 0.3


def _chances(what: NDArray[np.bool_], of: NDArray[np.bool_], condition: NDArray[np.int64]) -> Array:
    out = np.zeros((noise.CONDITIONS, 17))
    for c in range(noise.CONDITIONS):
        mine = of & (condition == c)
        everywhere = (what & mine).sum() / max(int(mine.sum()), 1)
        out[c] = ((what & mine).sum(0) + _PRIOR * everywhere) / (mine.sum(0) + _PRIOR)
    return (out + out[:, FLIP]) / 2


def _share(what: NDArray[np.bool_], of: NDArray[np.bool_]) -> Array:
    everywhere = what.sum() / max(int(of.sum()), 1)
    out = (what.sum(0) + 10 * everywhere) / (of.sum(0) + 10)
    return np.asarray((out + out[FLIP]) / 2)


def _length(on: NDArray[np.bool_], data: _Measured, rate_hz: float) -> float:
    """Mean length of what is on, seconds, from how often it ends."""
    before, after = on[:-1][data.follows], on[1:][data.follows]
    going = max(int(before.sum()), 1)
    ends = max(int((before & ~after).sum()), 1)
    return float(np.clip(going / ends / rate_hz, 1 / rate_hz, 3.0))


def _exchanges(data: _Measured, rate_hz: float) -> tuple[Array, float]:
    chance = np.zeros((noise.VIEWS, len(GROUPS)))
    on = np.stack([data.swapped[:, list(g)].sum(1) >= 2 for g in GROUPS[:2]], axis=1)
    whole = np.asarray(np.logical_and(on[:, 0], on[:, 1]))
    on = np.concatenate([on & ~whole[:, None], whole[:, None]], axis=1)
    for v in range(noise.VIEWS):
        mine = data.view == v
        chance[v] = (on[mine].sum(0) + 5 * on.mean(0)) / (mine.sum() + 5)
    return chance, _length(on, data, rate_hz)


def _scores(data: _Measured) -> tuple[Array, Array, Array]:
    height = np.zeros((noise.CONDITIONS, 17))
    slope = np.zeros(noise.CONDITIONS)
    logit = np.log(np.clip(data.score, 0.01, 0.99) / (1 - np.clip(data.score, 0.01, 0.99)))
    x = np.log(data.away + noise.SCORE_EPS) + 3.0
    rest = np.zeros_like(logit)
    for c in range(noise.CONDITIONS):
        mine = data.reported & (data.condition == c)
        if mine.sum() < 50:
            height[c], slope[c] = height[noise.SELF] if c else 0.0, slope[noise.SELF]
            continue
        slope[c] = np.polyfit(x[mine], logit[mine], 1)[0]
        level = logit - slope[c] * x
        everywhere = level[mine].mean()
        height[c] = (np.where(mine, level, 0).sum(0) + _PRIOR * everywhere) / (mine.sum(0) + _PRIOR)
        height[c] = (height[c] + height[c][FLIP]) / 2
        rest = np.where(mine, level - height[c], rest)
    within, between = [], []
    for scene in np.unique(data.scene):
        mine = data.scene == scene
        count = data.reported[mine].sum(0)
        mean = np.where(data.reported[mine], rest[mine], 0).sum(0) / np.maximum(count, 1)
        between.append(mean[count >= 6])
        within.append((rest[mine] - mean)[data.reported[mine] & (count >= 6)])
    spread = [np.concatenate(part).std() for part in (between, within)]
    return height, slope, np.array(spread)
