"""How far a ZeDO model's hypotheses are to be believed: their spread against their errors.

The poses themselves are zero-shot. Only the two numbers per joint and coordinate that turn the
hypotheses' spread into a covariance have looked through virtual cameras.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diffpose_ros.data import sequence as recorded
from diffpose_ros.data.clips import Clip
from diffpose_ros.data.virtual.benchmark import record
from diffpose_ros.evaluation.protocol_batched import GROUP, run_together
from diffpose_ros.lifting import Lifter, LifterConfig
from diffpose_ros.methods.zedo.anchors import facing
from diffpose_ros.methods.zedo.export import export_onnx
from diffpose_ros.methods.zedo.network import Zedo
from diffpose_ros.training.calibration import CALIBRATION_CAMERA, CALIBRATION_NOISE

FRAMES = 90
"""Of each view."""
FLOOR_SHARE = 0.6
"""What of the error stays where all hypotheses agree."""
MOST_SCALE = 10.0

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SpreadCalibration:
    """What calibration measured on held-out views.

    Attributes:
        mpjpe_mm: error of the poses.
        coverage_before: share of coordinates within the plain spread.
        coverage_after: the same with the calibrated one.
    """

    mpjpe_mm: float
    coverage_before: float
    coverage_after: float


def views(clips: Sequence[Clip], count: int, seed: int) -> list[recorded.Sequence]:
    """``count`` short views of clips through ordinary virtual cameras and a middling detector."""
    rng = np.random.default_rng(seed)
    pieces = []
    for _ in range(count):
        clip = clips[int(rng.integers(len(clips)))]
        first = int(rng.integers(max(1, len(clip) - FRAMES)))
        part = slice(first, first + FRAMES)
        pieces.append(
            replace(
                clip, h36m17=clip.h36m17[part], coco17=None if clip.coco17 is None else clip.coco17[part]
            )
        )
    return record(
        pieces, seed=seed, views=1, camera=replace(CALIBRATION_CAMERA, moving=0.0), noise=CALIBRATION_NOISE
    )


def calibrate_spread(
    network: Zedo, seen: Sequence[recorded.Sequence], folder: Path, *, target: float = 0.683
) -> SpreadCalibration:
    """Set the network's ``scale`` and ``floor`` so that ``target`` of the truth lies within one sigma.

    Args:
        network: calibrated in place.
        seen: views that nothing is judged by.
        folder: where its graph is written meanwhile.
        target: share wanted, of each joint and coordinate.
    """
    network.scale.fill_(1.0)
    network.floor.fill_(0.0)
    path = export_onnx(network, folder / "model.onnx", name="uncalibrated")
    lifter = Lifter(LifterConfig(model=path, backend="onnxruntime", max_people=GROUP))
    errors, variances = [], []
    for said in run_together(lifter, seen):
        answered = np.linalg.norm(said.xyz[:, 0], axis=-1) > 0  # not so before a person is first lifted
        xyz, truth = said.xyz[answered], said.sequence.skeleton[answered]
        root = xyz[:, :1]
        axes = facing(root / np.linalg.norm(root, axis=-1, keepdims=True), np.ones((len(root), 1)))
        error = xyz - root - (truth - truth[:, :1])
        errors.append(error @ axes.swapaxes(1, 2))
        inside = axes[:, None] @ said.covariance[answered] @ axes[:, None].swapaxes(-1, -2)
        variances.append(np.diagonal(inside, axis1=-2, axis2=-1))
    lifter.close()
    error, variance = np.concatenate(errors), np.maximum(np.concatenate(variances), 0.0)
    scale, floor = fit_spread(np.abs(error), np.sqrt(variance), target)
    network.scale.copy_(torch.from_numpy(scale))
    network.floor.copy_(torch.from_numpy(floor))
    after = np.sqrt(variance * scale**2 + floor**2)
    return SpreadCalibration(
        1000 * float(np.linalg.norm(error, axis=-1).mean()),
        *(float((np.abs(error) <= s)[:, 1:].mean()) for s in (np.sqrt(variance), after)),
    )


def fit_spread(error: Array, spread: Array, target: float) -> tuple[Array, Array]:
    """Scale and floor (17, 3): ``target`` of the errors lies within sqrt((scale spread)^2 + floor^2).

    Args:
        error: (F, 17, 3) m, at least 0.
        spread: (F, 17, 3) m.
        target: share.
    """
    whole = np.quantile(error, target, axis=0)
    floor = np.maximum(FLOOR_SHARE * whole, 1e-3)
    low, high = np.zeros_like(floor), np.full_like(floor, MOST_SCALE)
    for _ in range(30):
        middle = 0.5 * (low + high)
        short = (error <= np.hypot(middle * spread, floor)).mean(0) < target
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    # A spread that says nothing of the error: the floor says it all.
    mute = high > 0.99 * MOST_SCALE
    return np.where(mute, 0.0, high), np.where(mute, np.maximum(whole, 1e-3), floor)
