"""The whole lifter over the CMU excerpt, and what it scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scenes import CAMERAS, FPS, FRAMES, scene, tilt

from diffpose_ros.core import Surroundings
from diffpose_ros.lifting import Lifter, LifterConfig

SECOND = 1_000_000_000
CHI2_3 = {"1 sigma": 3.527, "2 sigma": 8.025}
"""Squared Mahalanobis distances in space that 68.3 % and 95.4 % stay below."""


@dataclass(frozen=True)
class Answers:
    """What the lifter said, a row per person and frame, beside the truth; metres.

    Attributes:
        xyz: (R, 17, 3) absolute.
        true: (R, 17, 3).
        covariance: (R, 17, 3, 3).
        root: (R, 3).
        root_covariance: (R, 3, 3).
        missing: people and frames without an answer.
    """

    xyz: np.ndarray
    true: np.ndarray
    covariance: np.ndarray
    root: np.ndarray
    root_covariance: np.ndarray
    missing: int


def lift(cameras=tuple(CAMERAS), *, gravity: bool = False, **settings: Any) -> Answers:
    """Lift everyone before each of the cameras, each time from a lifter that remembers nothing.

    Args:
        cameras: their names.
        gravity: the lifter is told which way is up.
        **settings: of the lifter.
    """
    lifter = Lifter(LifterConfig(backend="onnxruntime", **settings))
    said, true, missing = [], [], 0
    for name in cameras:
        seen = scene(name, seed=1 + list(CAMERAS).index(name))
        lifter.reset()
        around = Surroundings(up=tilt(name) @ [0.0, 1.0, 0.0]) if gravity else Surroundings()
        for i in range(FRAMES):
            stamp_ns = SECOND + round(i * SECOND / FPS)
            result = lifter.lift(seen.people(i), seen.camera, stamp_ns, around=around)
            said += result.skeletons
            true += [seen.skeleton[i, s.track_id - 1] for s in result.skeletons]
            missing += len(seen.people(i)) - len(result.skeletons)
    lifter.close()
    return Answers(
        xyz=np.stack([s.xyz for s in said]),
        true=np.stack(true),
        covariance=np.stack([s.covariance for s in said]),
        root=np.stack([s.root for s in said]),
        root_covariance=np.stack([s.root_covariance for s in said]),
        missing=missing,
    )


def scores(a: Answers) -> dict[str, float]:
    """Errors in mm, and shares of truths inside the covariances.

    The formulas are written out here: a fault in the package's own metrics cannot hide itself.
    """
    pose, true = a.xyz - a.xyz[:, :1], a.true - a.true[:, :1]
    error = (pose - true)[:, 1:]
    root_error = a.root - a.true[:, 0]
    joints = _distance2(error, a.covariance[:, 1:])
    root = _distance2(root_error, a.root_covariance)
    return {
        "MPJPE": 1e3 * np.linalg.norm(pose - true, axis=-1).mean(),
        "P-MPJPE": 1e3 * np.linalg.norm(_aligned(pose, true) - true, axis=-1).mean(),
        "root": 1e3 * np.linalg.norm(root_error, axis=-1).mean(),
        "root, median": 1e3 * float(np.median(np.linalg.norm(root_error, axis=-1))),
        **{f"joints in {k}": float((joints < v).mean()) for k, v in CHI2_3.items()},
        **{f"root in {k}": float((root < v).mean()) for k, v in CHI2_3.items()},
        "missing": a.missing,
    }


def fingerprint(a: Answers) -> float:
    """One number that every coordinate and every covariance of the answers moves, metres.

    What a model is told beside the keypoints moves its errors too little for :func:`scores` to see.
    """
    numbers = np.concatenate([(a.xyz - a.xyz[:, :1]).ravel(), np.sqrt(np.abs(a.covariance)).ravel()])
    return float(numbers @ np.cos(np.arange(len(numbers)) * 0.7) / np.sqrt(len(numbers)))


def _distance2(error: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...i->...", error, np.linalg.solve(covariance, error[..., None])[..., 0])


def _aligned(pose: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Each pose moved, turned and scaled onto its truth (Umeyama, 1991)."""
    p, t = pose - pose.mean(1, keepdims=True), true - true.mean(1, keepdims=True)
    u, s, vt = np.linalg.svd(p.swapaxes(1, 2) @ t)
    flip = np.ones_like(s)
    flip[:, 2] = np.linalg.det(u @ vt)
    scale = (s * flip).sum(1) / (p * p).sum((1, 2))
    return scale[:, None, None] * (p @ ((u * flip[:, None]) @ vt)) + true.mean(1, keepdims=True)
