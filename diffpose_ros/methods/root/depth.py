"""What a depth camera says of how far away people are.

Each site of the body that was measured gives a depth of the root: the surface's, plus how far the bone
lies behind it, less how much nearer or farther than the root the pose has it. Their median counts, because
arms and other people stand before some of them. Letters for shapes: P people, S sites.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.geometry.body_surface import TRUNK, at_sites, behind_limbs, bone_behind_surface

LEAST_SITES = 2
NOISE_M = 0.03
"""Standard deviation of the root's depth from one image: how thick bodies are and how the pose leans."""
SENSOR_NOISE = 0.004
"""What the sensor adds at each metre, as a share of depth, for what its patches do not average out."""
SPREAD_M = 0.25
"""Sites farther from the middle than this are of something else."""
GATE = 6.0
SIZES = (0.45, 1.45)
"""Depth over what the pose says of it, outside of which it was no depth of this person."""


def root_depth(
    surface: NDArray[np.float64], pose: NDArray[np.float64], rays: NDArray[np.float64],
    root_z: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Depth of the root as the depth image has it.

    Args:
        surface: (P, S) m, NaN where not measured.
        pose: (P, 17, 3) m relative to the root, of the size it is believed to have.
        rays: (P, 17, 2) tangents of the joints.
        root_z: (P,) m, as pose and rays have it.

    Returns:
        (P,) m, NaN where it is not known, and (P,) its variance, m^2.
    """
    surface = np.where(behind_limbs(pose, rays, root_z), np.nan, surface)
    bone = surface + bone_behind_surface(pose, at_sites(rays)) - at_sites(pose)[..., 2]
    with np.errstate(invalid="ignore"):
        ratio = bone / root_z[:, None]
        bone = np.where((ratio > SIZES[0]) & (ratio < SIZES[1]), bone, np.nan)
        trunk = bone[:, :TRUNK]
        enough = np.isfinite(trunk).sum(axis=1) >= LEAST_SITES
        middle = _median(np.where(enough[:, None], trunk, np.nan))
        middle = np.where(enough, middle, _median(bone))
        bone = np.where(np.abs(bone - middle[:, None]) < SPREAD_M, bone, np.nan)
    count = np.isfinite(bone).sum(axis=1)
    known = count >= LEAST_SITES
    variance = NOISE_M**2 + (SENSOR_NOISE * np.nan_to_num(middle)) ** 2
    return np.where(known, _median(bone), np.nan), variance


def _median(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P,) of the finite ones of (P, S); NaN where there are none."""
    ordered = np.sort(value, axis=1)  # NaN at the end
    count = np.isfinite(value).sum(axis=1)
    row = np.arange(len(value))
    middle = 0.5 * (ordered[row, np.maximum(count - 1, 0) // 2] + ordered[row, count // 2])
    return np.where(count > 0, middle, np.nan)
