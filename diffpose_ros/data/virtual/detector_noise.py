"""What a real 2D detector does to the truth.

Jitter that is partly correlated in time, joints placed by another convention than the motion
capture's, limbs lost or misplaced in bursts, left and right swapped for a moment, and scores that
tell some of this. Amounts are relative to the body's apparent size and drawn per segment over a
wide range, so that no single detector is fitted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ConfigError
from diffpose_ros.core.typed_config import at_least, share, span

# Relative difficulty of COCO keypoints: face sharp; hips, wrists and ankles loose.
_DIFFICULTY = np.array([0.5, 0.5, 0.5, 0.6, 0.6, 1.0, 1.0, 1.1, 1.1, 1.3, 1.3, 1.4, 1.4, 1.2, 1.2, 1.3, 1.3])
_LIMBS = ((7, 9), (8, 10), (9,), (10,), (13, 15), (14, 16), (15,), (16,), (11, 13, 15),
          (12, 14, 16), (0, 1, 2, 3, 4), (3,), (4,), (1, 3), (2, 4),
          (11, 12, 13, 14, 15, 16), (5, 7, 9), (6, 8, 10))  # fmt: skip
_SWAPS = (((7, 8), (9, 10)), ((11, 12), (13, 14), (15, 16)), ((13, 14), (15, 16)),
          tuple((i, i + 1) for i in range(1, 16, 2)))  # fmt: skip

KINDS = ("made", "learnt")


@dataclass(frozen=True)
class NoiseConfig:
    """How bad the detector is.

    Attributes:
        kind: ``made``, the errors that the amounts below say; or ``learnt``, those of the package's own
            detector, see :mod:`diffpose_ros.data.virtual.learnt_noise`.
        model: file of a detector's learnt errors, as `diffpose_ros render --learn` writes it; the package's
            own when empty.
        strength: range of the factor of learnt errors, log-uniform per segment: others err more or less.
        surer: range of what is added to the logit of learnt scores, uniform per segment: on real people this
            detector is surer than on rendered ones.
        made_share: share of the batches that have made errors nevertheless.
        image_px: range of the image's width, log-uniform per segment: how small people are to a learnt one.
        jitter: range of the jitter's standard deviation over the torso's length, log-uniform.
        correlation_s: range of the jitter's correlation time, seconds.
        bias: standard deviation of a joint's constant offset over the torso's length.
        bursts_per_s: rate at which a body loses a limb.
        burst_s: mean length of such a loss, seconds.
        swaps_per_s: rate of left/right swaps.
        masked: share of lost limbs that are reported as not seen at all.
        blackout: chance per segment that the whole person is unseen for a while.
    """

    jitter: tuple[float, float] = (0.006, 0.08)
    correlation_s: tuple[float, float] = (0.02, 0.25)
    bias: float = 0.03
    bursts_per_s: tuple[float, float] = (0.0, 1.2)
    burst_s: float = 0.35
    swaps_per_s: tuple[float, float] = (0.0, 0.25)
    masked: float = 0.4
    blackout: float = 0.08
    kind: str = "made"
    model: str = ""
    strength: tuple[float, float] = (0.8, 1.5)
    surer: tuple[float, float] = (0.0, 0.8)
    made_share: float = 0.2
    image_px: tuple[float, float] = (480.0, 1920.0)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"kind: expected one of {', '.join(KINDS)}, got '{self.kind}'")
        span("strength", self.strength)
        span("surer", self.surer, above=-10.0)
        span("image_px", self.image_px, above=31.0)
        share("made_share", self.made_share)
        span("jitter", self.jitter)
        span("correlation_s", self.correlation_s)
        span("bursts_per_s", self.bursts_per_s, equal=True)
        span("swaps_per_s", self.swaps_per_s, equal=True)
        at_least("bias", self.bias, 0.0)
        if not self.burst_s > 0:
            raise ConfigError(f"burst_s: expected above 0, got {self.burst_s:g}")
        share("masked", self.masked)
        share("blackout", self.blackout)


def detect(
    tangents: NDArray[np.float32],
    visible: NDArray[np.bool_],
    times_s: NDArray[np.float64],
    rng: np.random.Generator,
    config: NoiseConfig,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pretend to detect COCO-17 keypoints.

    Args:
        tangents: (B, T, 17, 2) true keypoints as x/z, y/z.
        visible: (B, T, 17) inside the image.
        times_s: (T,) seconds.
        rng: source of randomness.
        config: amounts.

    Returns:
        Keypoints (B, T, 17, 2) and scores (B, T, 17) in [0, 1]; 0 means not reported.
    """
    b, t = tangents.shape[:2]
    shoulders, hips = tangents[:, :, 5:7].mean(2), tangents[:, :, 11:13].mean(2)
    torso = np.linalg.norm(shoulders - hips, axis=-1)
    width = np.linalg.norm(tangents[:, :, 5] - tangents[:, :, 6], axis=-1)
    size = np.maximum(torso, 1.2 * width)[:, :, None, None]
    least, most = np.log(config.jitter)
    level = np.exp(rng.uniform(least, most, b))[:, None, None, None]
    dt = np.diff(times_s, prepend=times_s[0])
    spread = level * _DIFFICULTY[None, None, :, None]
    shortest, longest = config.correlation_s
    slow = _correlated(rng, (b, t, 17, 2), dt, np.asarray(rng.uniform(shortest, longest, b)))
    share = rng.uniform(0.2, 0.9, (b, 1, 1, 1))
    jitter = np.sqrt(share) * slow + np.sqrt(1 - share) * rng.normal(size=(b, t, 17, 2))
    lively = 1.0 + 0.8 * np.abs(_correlated(rng, (b, t, 17, 1), dt, np.full(b, 0.4)))
    offset = rng.normal(0, config.bias, (b, 1, 17, 2)) * _DIFFICULTY[None, None, :, None]
    xy = tangents + size * (spread * lively * jitter + offset)

    lost, strength = _bursts(rng, b, t, times_s, config)
    wander = _correlated(rng, (b, t, 17, 2), dt, np.full(b, 0.15))
    xy = xy + np.where(lost[..., None], size * 0.35 * strength[..., None] * wander, 0.0)
    xy, swapped = _swap(xy, rng, times_s, config)

    gain = rng.uniform(0.3, 1.5, (b, 1, 1))
    top = rng.uniform(0.7, 0.97, (b, 1, 1))
    wrong = np.linalg.norm(jitter, axis=-1) * (spread * lively)[..., 0]
    score = top - gain * wrong - 0.08 * np.abs(rng.normal(size=(b, t, 17)))
    low = rng.uniform(0.02, 0.6, (b, t, 17))
    score = np.where(lost & (rng.random((b, 1, 17)) < 0.85), np.minimum(score, low), score)
    score = np.where(swapped & (rng.random((b, 1, 1)) < 0.3), score * 0.6, score)
    border = ~visible
    guessed = rng.random((b, 1, 1)) < 0.5
    score = np.where(border, np.where(guessed, np.minimum(score, low * 0.5), 0.0), score)
    masked = lost & (strength > 1.0 - config.masked)
    score = np.where(masked, 0.0, np.clip(score, 0.01, 1.0) * (score > 0))
    return thinned(xy, score, times_s, rng, config)


def thinned(
    xy: NDArray[np.float64], score: NDArray[np.float64], times_s: NDArray[np.float64],
    rng: np.random.Generator, config: NoiseConfig,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:  # fmt: skip
    """Take out what a pipeline loses after its detector: whole people for a while, low scores."""
    b = len(xy)
    hidden = _blackout(rng, b, times_s, config)
    score = np.where(hidden[..., None], 0.0, score)
    # Many pipelines cut low scores off before lifting.
    floor = np.where(rng.random((b, 1, 1)) < 0.5, 0.0, rng.uniform(0.05, 0.35, (b, 1, 1)))
    score = np.where(score < floor, 0.0, score)
    xy = np.where(score[..., None] > 0, xy, 0.0)
    return xy.astype(np.float32), score.astype(np.float32)


def _correlated(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    dt: NDArray[np.float64],
    tau: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Unit-variance Ornstein-Uhlenbeck noise along axis 1 with correlation time ``tau`` (B,)."""
    white = rng.normal(size=shape)
    out = np.empty(shape)
    out[:, 0] = white[:, 0]
    keep = np.exp(-dt[None, :] / tau[:, None]).reshape(shape[0], shape[1], *[1] * (len(shape) - 2))
    for i in range(1, shape[1]):
        k = keep[:, i]
        out[:, i] = k * out[:, i - 1] + np.sqrt(1 - k * k) * white[:, i]
    return out


def _intervals(
    rng: np.random.Generator, times_s: NDArray[np.float64], rate: float, mean_s: float
) -> list[tuple[int, int]]:
    """Poisson events of exponential length as index ranges into ``times_s``."""
    start, end = times_s[0], times_s[-1]
    out = []
    for _ in range(rng.poisson(rate * (end - start + mean_s))):
        a = rng.uniform(start - mean_s, end)
        c = a + rng.exponential(mean_s)
        i, j = np.searchsorted(times_s, [a, c])
        if j > i:
            out.append((int(i), int(j)))
    return out


def _bursts(
    rng: np.random.Generator, b: int, t: int, times_s: NDArray[np.float64], config: NoiseConfig
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    lost = np.zeros((b, t, 17), dtype=bool)
    strength = np.zeros((b, t, 17))
    for s in range(b):
        rate = rng.uniform(*config.bursts_per_s)
        for i, j in _intervals(rng, times_s, rate, config.burst_s):
            joints = list(_LIMBS[rng.integers(len(_LIMBS))])
            lost[s, i:j, joints] = True
            strength[s, i:j, joints] = rng.uniform(0.1, 1.0)
    return lost, strength


def _swap(
    xy: NDArray[np.float64],
    rng: np.random.Generator,
    times_s: NDArray[np.float64],
    config: NoiseConfig,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    swapped = np.zeros(xy.shape[:3], dtype=bool)
    for s in range(len(xy)):
        rate = rng.uniform(*config.swaps_per_s)
        for i, j in _intervals(rng, times_s, rate, 0.12):
            for left, right in _SWAPS[rng.integers(len(_SWAPS))]:
                xy[s, i:j, [left, right]] = xy[s, i:j, [right, left]]
                swapped[s, i:j, [left, right]] = True
    return xy, swapped


def _blackout(
    rng: np.random.Generator, b: int, times_s: NDArray[np.float64], config: NoiseConfig
) -> NDArray[np.bool_]:
    hidden = np.zeros((b, len(times_s)), dtype=bool)
    for s in np.flatnonzero(rng.random(b) < config.blackout):
        start = rng.uniform(times_s[0], times_s[-1])
        hidden[s] = (times_s > start) & (times_s < start + rng.exponential(0.3))
    hidden[:, 0] = False
    return hidden
