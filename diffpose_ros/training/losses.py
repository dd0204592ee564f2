"""Losses on pose sequences, in the camera's frame.

All take the error ``e`` (..., T, J, 3) already turned back into the real camera, so that a moving
virtual camera does not count as motion.
"""

from __future__ import annotations

import torch
from torch import Tensor

JOINT_WEIGHTS = (1, 1, 2.5, 2.5, 1, 2.5, 2.5, 1, 1, 1, 1.5, 1.5, 4, 4, 1.5, 4, 4)
"""Weights of the joints in MixSTE's loss: limb ends count more than the trunk."""

FRAME_S = 1.0 / 30.0

_POSE = {"pose": 1.0, "velocity": 2.0, "acceleration": 0.5, "bone": 0.3}
_DIFFUSION = {**_POSE, "residual": 0.02, "symmetry": 0.0}
TERMS: dict[str, dict[str, float]] = {
    "context": {**_POSE, "nll": 0.01}, "diffpose": _DIFFUSION, "starpose": _DIFFUSION
}  # fmt: skip
"""Task -> the terms of its loss and their weights. ``pose`` is :func:`weighted_mpjpe`, ``bone``
:func:`bone_length`, ``nll`` :func:`gaussian_nll`; ``residual`` is the squared error of the clean residual
that the denoiser answers, ``symmetry`` StarPose's STPG-T: left bones as long as right ones."""


def weighted_mpjpe(error: Tensor) -> Tensor:
    """Mean over joints of weight times distance, metres."""
    weight = error.new_tensor(JOINT_WEIGHTS)
    return (error.norm(dim=-1) * (weight / weight.mean())).mean()


def velocity(error: Tensor, times_s: Tensor) -> Tensor:
    """Mean distance between true and predicted velocity, metres per 1/30 s.

    Args:
        error: (B, T, J, 3).
        times_s: (T,).
    """
    step = (times_s[1:] - times_s[:-1]).clamp(min=1e-3) / FRAME_S
    return (error.diff(dim=1) / step[:, None, None]).norm(dim=-1).mean()


def acceleration(error: Tensor, times_s: Tensor) -> Tensor:
    """Mean distance between true and predicted acceleration, metres per (1/30 s)^2."""
    step = (times_s[1:] - times_s[:-1]).clamp(min=1e-3) / FRAME_S
    speed = error.diff(dim=1) / step[:, None, None]
    mid = 0.5 * (step[1:] + step[:-1])
    return (speed.diff(dim=1) / mid[:, None, None]).norm(dim=-1).mean()


def gaussian_nll(error: Tensor, log_sigma: Tensor) -> Tensor:
    """Negative log likelihood of ``error`` under a diagonal Gaussian, per coordinate."""
    return (0.5 * (error * torch.exp(-log_sigma)).square() + log_sigma).mean()


def bone_length(pose: Tensor, truth: Tensor, bones: tuple[tuple[int, int], ...]) -> Tensor:
    """Mean absolute error of the bones' lengths, metres."""
    parent, child = [b[0] for b in bones], [b[1] for b in bones]
    length = (pose[..., child, :] - pose[..., parent, :]).norm(dim=-1)
    true = (truth[..., child, :] - truth[..., parent, :]).norm(dim=-1)
    return (length - true).abs().mean()
