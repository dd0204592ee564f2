"""A pretended detector: made or learnt errors, and parts that it cannot see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.data.virtual import learnt_noise
from diffpose_ros.data.virtual.camera import Views
from diffpose_ros.data.virtual.detector_noise import NoiseConfig, detect, thinned
from diffpose_ros.data.virtual.missing import MissingConfig, draw_missing
from diffpose_ros.data.virtual.occlusion import hidden_by_self

_NEAREST_M = 0.2


def observed(
    coco: Views,
    body: NDArray[np.float32],
    times_s: NDArray[np.float64],
    rng: np.random.Generator,
    noise: NoiseConfig,
    missing: MissingConfig,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a detector reports of people.

    Args:
        coco: their true COCO-17 keypoints before the cameras.
        body: (B, T, 21, 3) metres, optical frame.
        times_s: (T,) seconds.
        rng: source of randomness.
        noise: its errors.
        missing: which parts are hidden.

    Returns:
        Keypoints (B, T, 17, 2) as tangents and scores (B, T, 17) in [0, 1]; 0 means not reported.
    """
    gone = None
    if missing.whole > 0 or missing.episodes_per_s > 0:
        gone = draw_missing(len(body), times_s, rng, missing)
    if noise.kind == "learnt" and rng.random() >= noise.made_share:
        return _learnt(coco, body, gone, times_s, rng, noise)
    xy, score = detect(coco.tangents, coco.visible, times_s, rng, noise)
    return (xy, score) if gone is None else _without(xy, score, gone, times_s, rng, missing)


def _learnt(
    coco: Views, body: NDArray[np.float32], gone: NDArray[np.bool_] | None, times_s: NDArray[np.float64],
    rng: np.random.Generator, noise: NoiseConfig,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:  # fmt: skip
    b = len(body)
    condition = np.where(hidden_by_self(body, coco.xyz), learnt_noise.SELF, learnt_noise.SEEN)
    if gone is not None:
        condition = np.where(gone, learnt_noise.OTHERS, condition)
    condition = np.where(coco.visible, condition, learnt_noise.OUTSIDE)
    width, strength = (
        np.exp(rng.uniform(np.log(low), np.log(high), b)) for low, high in (noise.image_px, noise.strength)
    )
    surer = rng.uniform(noise.surer[0], noise.surer[1], b)
    model = learnt_noise.load_model(noise.model or None)
    size_px = learnt_noise.apparent_size(coco.tangents) * (coco.focal * width)[:, None]
    xy, score = learnt_noise.corrupt(
        coco.tangents, body[:, :, :17], condition, size_px, times_s, rng, model, strength, surer
    )
    # What lies behind the camera has no place in the image.
    score = np.where(coco.xyz[..., 2] > _NEAREST_M, score, 0.0)
    return thinned(xy, score, times_s, rng, noise)


def _without(
    xy: NDArray[np.float32], score: NDArray[np.float32], gone: NDArray[np.bool_],
    times_s: NDArray[np.float64], rng: np.random.Generator, missing: MissingConfig,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:  # fmt: skip
    """Made errors of parts that are hidden: not reported, or guessed somewhere near with a low score."""
    b, t = score.shape[:2]
    guessed = gone & (rng.random((b, 1, 17)) < missing.guessed)
    size = learnt_noise.apparent_size(xy)[..., None, None]
    wander = learnt_noise.ornstein((b, t, 17, 2), times_s, 0.5, rng)
    guess = xy + 0.25 * size * wander
    low = np.minimum(score, rng.uniform(0.1, 0.4, (b, t, 17)))
    xy = np.where(guessed[..., None], guess, xy).astype(np.float32)
    score = np.where(gone, np.where(guessed, low, 0.0), score).astype(np.float32)
    return np.where(score[..., None] > 0, xy, np.float32(0.0)), score
