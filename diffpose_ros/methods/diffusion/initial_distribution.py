"""Where the initial distribution H_K stands and how wide it is: the unit of the diffused residuals.

DiffPose (sec. 4.1) takes x and y from the detector's uncertainty and z from a context encoder or from
the training set's histogram. Poses are root-relative, in metres, in the person's virtual camera.
"""

from __future__ import annotations

import torch
from torch import Tensor

from diffpose_ros.geometry.normalise import LOG_SCALE_OFFSET

INITIAL = ("context", "detector", "histogram", "standard")
"""``context``: around the context encoder's answer, as wide as its own error, in x, y and z.
``detector``: x and y around the keypoint, as wide as its score says; z as ``context``.
``histogram``: x and y as ``detector``; z as the training set has it (the mixture is its histogram).
``standard``: one Gaussian around the hip, the same for all (the papers' comparison, Stand-Diff)."""

STANDARD_WIDTH_M = 0.3
BEST_RAY, WORST_RAY = 0.003, 0.04
"""Standard deviation of a ray at score 1 and 0, tangent units (3 and 40 px at f = 1000 px)."""
_NEAREST_M, _FARTHEST_M = 0.5, 30.0


def apparent_size(view: Tensor) -> Tensor:
    """(...,) the size that ``points`` were divided by, tangent units, from ``view`` (..., 6)."""
    return torch.exp(view[..., 2] - LOG_SCALE_OFFSET)


def ray_width(score: Tensor) -> Tensor:
    """Standard deviation of a keypoint's ray, tangent units, from its score (...,) in 0 to 1.

    For detectors without heatmaps: a Gaussian, wider as the score falls, geometrically.
    """
    return BEST_RAY * (WORST_RAY / BEST_RAY) ** (1.0 - score.clamp(0.0, 1.0))


def origin(
    initial: str, pose: Tensor, log_sigma: Tensor, points: Tensor, view: Tensor
) -> tuple[Tensor, Tensor]:
    """Centre and width of H_K before its mixture, each (..., 17, 3) m.

    Args:
        initial: one of :data:`INITIAL`.
        pose: the context encoder's answer (..., 17, 3) m.
        log_sigma: its own estimate of its error (..., 17, 3), logarithms of metres.
        points: what was seen (..., 21, 3): x, y over the apparent size, weight.
        view: (..., 6), see :func:`diffpose_ros.geometry.normalise.observe`.
    """
    if initial == "standard":
        return 0.0 * pose, 0.0 * pose + STANDARD_WIDTH_M
    sigma = log_sigma.exp()
    if initial == "context":
        return pose, sigma
    scale = apparent_size(view)[..., None, None]
    rays, weight = points[..., :17, :2] * scale, points[..., :17, 2:]
    depth = pose[..., 2:]
    at = root(pose, rays, weight)
    # Products, not zeros_like: the exporter would write the traced number of people into the graph.
    known = depth if initial == "detector" else 0.0 * depth
    flat = rays * (at[..., 2:] + known) - at[..., :2]
    flat = flat - flat[..., :1, :]
    seen = (weight > 0) & (weight[..., :1, :] > 0)
    near = at[..., 2:].clamp(_NEAREST_M, _FARTHEST_M)
    wide = ray_width(weight) * near
    z_width = sigma[..., 2:] if initial == "detector" else 0.0 * depth + STANDARD_WIDTH_M
    return (
        torch.cat([torch.where(seen, flat, pose[..., :2]), known], dim=-1),
        torch.cat([torch.where(seen, wide.expand_as(flat), sigma[..., :2]), z_width], dim=-1),
    )


def shares(weight: Tensor) -> Tensor:
    """Weights (..., 17, 1) that sum to 1 where anything is seen, and are 0 where nothing is."""
    return weight / weight.sum(-2, keepdim=True).clamp(min=1e-3)


def root(pose: Tensor, rays: Tensor, weight: Tensor) -> Tensor:
    """Translation that puts a pose onto its rays in the least squares sense (ZeDO eq. 6).

    Args:
        pose: (..., 17, 3) m.
        rays: (..., 17, 2) tangents.
        weight: (..., 17, 1), 0 where masked.

    Returns:
        (..., 1, 3) m.
    """
    share = shares(weight)
    middle = (share * rays).sum(-2, keepdim=True)
    lever = share * (rays - middle)
    spread = (lever * (rays - middle)).sum((-1, -2), keepdim=True) + 1e-9
    ab = pose[..., :2] - rays * pose[..., 2:]
    depth = (lever * ab).sum((-1, -2), keepdim=True) / spread
    return torch.cat([middle * depth - (share * ab).sum(-2, keepdim=True), depth], dim=-1)
