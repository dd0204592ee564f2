"""What an IMU or a transform would tell a lifter of gravity: not always, and not quite right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core.typed_config import at_least, share
from diffpose_ros.data.virtual.augment import rotation_from_vector


@dataclass(frozen=True)
class GravityConfig:
    """What the lifter is told of gravity.

    Attributes:
        known: share of the segments that are told at all; 0 draws nothing.
        error_deg: spread of a segment's constant error about each axis, degrees.
        shake_deg: spread of what changes within a second, degrees.
        late: share of the segments told in which it becomes known, or is lost, on the way.
    """

    known: float = 0.0
    error_deg: float = 1.5
    shake_deg: float = 0.4
    late: float = 0.1

    def __post_init__(self) -> None:
        share("known", self.known)
        share("late", self.late)
        for name in ("error_deg", "shake_deg"):
            at_least(name, getattr(self, name), 0.0)


def told_gravity(
    up: NDArray[np.float32], times_s: NDArray[np.float64], rng: np.random.Generator, config: GravityConfig
) -> NDArray[np.float64] | None:
    """What is told of gravity.

    Args:
        up: (B, T, 3) the truth, unit vectors.
        times_s: (T,) seconds.
        rng: source of randomness.
        config: how much is told, and how well.

    Returns:
        (B, T, 3) unit vectors, zeros where nothing is told; ``None`` where nothing ever is.
    """
    if config.known <= 0:
        return None
    b, t = up.shape[:2]
    constant = rng.normal(0, config.error_deg, (b, 1, 3))
    rate, phase = rng.uniform(1.0, 6.0, (b, 1, 3)), rng.uniform(0, 2 * np.pi, (b, 1, 3))
    shake = np.sqrt(2) * config.shake_deg * np.sin(rate * times_s[None, :, None] + phase)
    error = np.deg2rad(constant + shake).astype(np.float32)
    told = (rotation_from_vector(error) @ up[..., None])[..., 0].astype(np.float64)
    known = np.repeat(rng.random((b, 1)) < config.known, t, axis=1)
    turning = rng.random((b, 1)) < config.late
    after = np.arange(t) >= rng.integers(1, t, (b, 1))
    known &= ~turning | (after == (rng.random((b, 1)) < 0.5))
    return np.where(known[..., None], told, 0.0)
