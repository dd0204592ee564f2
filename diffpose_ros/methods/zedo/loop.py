"""What an iteration does with the rays: noise levels, projections, and the hypotheses' standing after it.

Letters for shapes: P people, N hypotheses, K iterations; 17 joints are H36M's, 51 their coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.diffusion.sde import SubVP
from diffpose_ros.methods.zedo import rays as on_rays

Array = NDArray[np.float64]

UNSEEN_M = 1e3
"""Standard deviation of a joint that no ray tells of."""

PAPER_ITERATIONS, PAPER_WARM_UP, PAPER_TIME = 1000, 200, 0.1
"""ZeDO, section 4.2."""


@dataclass(frozen=True)
class Iterations:
    """What K iterations are told, the graph's inputs but for the poses.

    Attributes:
        size: (P,) sum of the bones, m; 0 for any.
        noise_level: (P, K) m.
        denoise: (P, K).
        carry: (P, K).
        projection: (P, K, 51, 51).
        offset: (P, K, N, 51) m.
    """

    size: Array
    noise_level: Array
    denoise: Array
    carry: Array
    projection: Array
    offset: Array


def noise_levels(begin: Array, last: float, count: int) -> Array:
    """From ``begin`` (P,) down to ``last``, evenly in the logarithm: (P, K)."""
    part = np.linspace(0.0, 1.0, count) if count > 1 else np.array([1.0])
    return np.asarray(np.exp(np.log(begin)[:, None] * (1 - part) + np.log(last) * part))


def optimise(
    rays: Array, spread: Array, before: Array, motion: Array, noise_level: Array, *, trust: float, size: float
) -> Iterations:  # fmt: skip
    """Iterations in which each projection is the most likely pose, given what is known.

    A denoised pose is taken to be off by ``trust`` times its noise level, a keypoint by its spread beside
    the ray, and a joint to have moved by ``motion`` since the last frame. The pose that is most likely
    then, together with its translation, is linear in the denoised pose.

    Args:
        rays: (P, 17, 3) unit vectors.
        spread: (P, 17) standard deviation of each keypoint, m; infinite where there is none.
        before: (P, N, 17, 3) m, the last frame's poses.
        motion: (P,) m; infinite for people who have no last frame.
        noise_level: (P, K) m.
        trust: see :class:`~diffpose_ros.methods.zedo.contract.LoopConfig`.
        size: sum of the bones, m.
    """
    p, k = noise_level.shape
    believed = trust * noise_level
    precision = 1.0 / believed**2
    stay = 1.0 / (motion * motion)[:, None]
    share_before = stay / (stay + precision)
    variance = (1.0 / (stay + precision))[..., None]
    keypoint = np.minimum(spread, UNSEEN_M)[:, None] ** 2
    weight = 1.0 / (variance + keypoint)
    matrix = on_rays.projection(rays, weight / weight.max(-1, keepdims=True), variance * weight)
    kept = before.reshape(p, 1, -1, 51) @ matrix.swapaxes(2, 3)
    part = share_before[..., None, None]
    still = np.zeros((p, k))
    return Iterations(
        np.full(p, size), noise_level, np.ones((p, k)), still, (1.0 - part) * matrix, part * kept
    )


def as_printed(rays: Array, score: Array, place: Array, sde: SubVP, first: int, count: int) -> Iterations:
    """Iterations ``first`` to ``first + count`` of the paper's own thousand.

    Each joint goes all the way to its ray; the translation stays where it began for 200 iterations, and
    is then solved with the scores as weights (eq. 6). Denoising is one step of the reverse SDE without
    its noise, from t = 0.1 down, and the body may shrink or grow.

    Args:
        rays: (P, 17, 3) unit vectors.
        score: (P, 17); 0 where there is no keypoint.
        place: (P, N, 3) m, the translation of the start.
        sde: the prior's forward process.
        first: number of the first iteration.
        count: how many, K.
    """
    p, n = place.shape[:2]
    number = first + np.arange(count)
    t = PAPER_TIME * np.maximum(1.0 - number / PAPER_ITERATIONS, 1e-3)
    # A step of 1 / 1000 of the reverse drift beta x / 2 + g^2 score, with g^2 = beta (1 - exp(-2 B)) and
    # score = (alpha D - x) / sigma^2: what it goes of the way from x to the denoised pose D.
    rate = sde.beta(t) * -np.expm1(-2.0 * sde.integral(t))
    step = np.minimum(rate / sde.sigma(t) ** 2 / PAPER_ITERATIONS, 1.0)
    seen = (score > 0).astype(float)
    matrix = np.empty((p, count, 51, 51))
    offset = np.zeros((p, count, n, 51))
    beside = seen[..., None, None] * on_rays.beside(rays)
    waiting = number < PAPER_WARM_UP
    fixed = np.zeros((p, 17, 3, 17, 3))
    joint = np.arange(17)
    fixed[:, joint, :, joint, :] = (np.eye(3) - beside).transpose(1, 0, 2, 3)
    matrix[:, waiting] = fixed.reshape(p, 1, 51, 51)
    offset[:, waiting] = -np.einsum("pjab,pnb->pnja", beside, place).reshape(p, 1, n, 51)
    solved = on_rays.projection(rays, score[:, None], seen[:, None])
    matrix[:, ~waiting] = solved
    every = np.ones((p, 1))
    return Iterations(
        np.zeros(p), every * sde.noise_level(t), every * step, np.zeros((p, count)), matrix, offset
    )


def misfit(clean: Array, rays: Array, spread: Array, limit: float = 3.0) -> Array:
    """Half the sum of squared distances from the rays (P, N), each over its keypoint's spread.

    Args:
        clean: (P, N, 17, 3) m, denoised.
        rays: (P, 17, 3) unit vectors.
        spread: (P, 17) m; infinite where there is no keypoint.
        limit: distances count as no longer than so many spreads.
    """
    place = on_rays.translation(clean, rays, 1.0 / np.minimum(spread, UNSEEN_M) ** 2)
    off = on_rays.distance(clean, place, rays) / spread[:, None]
    return np.asarray(0.5 * np.minimum(off, limit).__pow__(2).sum(-1))


def moments(poses: Array, weight: Array) -> tuple[Array, Array]:
    """Mean (P, 17, 3) and covariance (P, 17, 3, 3) of weighted hypotheses.

    Args:
        poses: (P, N, 17, 3) m.
        weight: (P, N), of sum 1.
    """
    mean = np.einsum("pn,pnja->pja", weight, poses)
    off = poses - mean[:, None]
    return mean, np.einsum("pn,pnja,pnjb->pjab", weight, off, off)
