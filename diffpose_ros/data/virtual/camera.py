"""Random cameras around a moving body: where a robot's or a room's camera could be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core.typed_config import at_least, share, span
from diffpose_ros.data.virtual.augment import rotation_from_vector


@dataclass(frozen=True)
class CameraConfig:
    """Ranges from which cameras are drawn.

    Attributes:
        distance: metres from the body, drawn log-uniformly.
        height: metres above the floor.
        focal: focal length over image width, log-uniform.
        roll_std: radians.
        off_centre: how far from the image centre the body may stand, as a fraction of half the
            image; beyond 1 the border cuts through it.
        moving: share of clips whose camera turns and travels.
    """

    distance: tuple[float, float] = (1.6, 12.0)
    height: tuple[float, float] = (0.3, 3.0)
    focal: tuple[float, float] = (0.45, 1.5)
    roll_std: float = 0.05
    off_centre: float = 0.8
    moving: float = 0.3

    def __post_init__(self) -> None:
        span("distance", self.distance)
        span("focal", self.focal)
        span("height", self.height, above=-100.0)
        at_least("roll_std", self.roll_std, 0.0)
        at_least("off_centre", self.off_centre, 0.0)
        share("moving", self.moving)


@dataclass(frozen=True)
class Views:
    """Bodies seen by cameras.

    Attributes:
        xyz: (B, T, 21, 3) metres, camera optical frame.
        tangents: (B, T, 21, 2) x/z, y/z.
        focal: (B,) focal length over image width.
        aspect: (B,) image height over width.
        visible: (B, T, 21) inside the image and in front of the camera.
    """

    xyz: NDArray[np.float32]
    tangents: NDArray[np.float32]
    focal: NDArray[np.float32]
    aspect: NDArray[np.float32]
    visible: NDArray[np.bool_]


def look_at(forward: NDArray[np.float64]) -> NDArray[np.float64]:
    """World (Y up) to optical rotation (..., 3, 3) for unit view directions (..., 3)."""
    up = np.broadcast_to(np.array([0.0, 1.0, 0.0]), forward.shape)
    right = np.cross(forward, up)
    right /= np.maximum(np.linalg.norm(right, axis=-1, keepdims=True), 1e-9)
    down = np.cross(forward, right)
    return np.stack([right, down, forward], axis=-2)


def view(
    body: NDArray[np.float32],
    times_s: NDArray[np.float64],
    rng: np.random.Generator,
    config: CameraConfig,
) -> Views:
    """Put a random camera before each segment.

    Args:
        body: (B, T, 21, 3) metres, world, Y up, floor near y = 0.
        times_s: (T,) seconds.
        rng: source of randomness.
        config: ranges.
    """
    b, t = body.shape[:2]
    middle = body[:, :, 0].mean(1)
    floor = np.quantile(body[..., 1].reshape(b, -1), 0.02, axis=1)
    azimuth = rng.uniform(-np.pi, np.pi, b)
    near, far = np.log(config.distance)
    distance = np.exp(rng.uniform(near, far, b))
    height = floor + rng.uniform(*config.height, b)
    rise = np.clip(height - middle[:, 1], -0.9 * distance, 0.9 * distance)
    ground = np.sqrt(np.maximum(distance**2 - rise**2, 0.25))
    position = np.stack(
        [
            middle[:, 0] + ground * np.sin(azimuth),
            middle[:, 1] + rise,
            middle[:, 2] + ground * np.cos(azimuth),
        ],
        axis=-1,
    )
    wide, tele = np.log(config.focal)
    focal = np.exp(rng.uniform(wide, tele, b))
    aspect = rng.choice([9 / 16, 3 / 4, 1.0, 16 / 9], size=b, p=[0.55, 0.3, 0.05, 0.1])
    forward = middle - position
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    rotation = look_at(forward)
    # Turn the camera off the body: yaw, pitch within the field of view, a little roll.
    reach = config.off_centre * np.minimum(np.abs(rng.normal(0, 0.5, (b, 2))), 1.1)
    side = rng.choice([-1.0, 1.0], (b, 2))
    off = side * reach * np.arctan(np.stack([0.5 / focal, 0.5 * aspect / focal], -1))
    roll = rng.normal(0, config.roll_std, b)
    off3 = np.stack([off[:, 1], off[:, 0], roll], -1).astype(np.float32)
    rotation = rotation_from_vector(off3) @ rotation
    rotation = np.repeat(rotation[:, None], t, 1)
    position = np.repeat(position[:, None], t, 1)
    moving = np.asarray(rng.random(b) < config.moving)[:, None, None]
    clock = (times_s - times_s[0])[None, :, None]
    rate = rng.uniform(0.2, 2.0, (b, 1, 1))
    phase = rng.uniform(0, 2 * np.pi, (b, 1, 3))
    sway = np.sin(rate * clock + phase) - np.sin(phase)
    turn = np.where(moving, sway * rng.normal(0, 0.08, (b, 1, 3)), 0.0).astype(np.float32)
    rotation = rotation_from_vector(turn) @ rotation
    position = position + np.where(moving, sway * rng.normal(0, 0.25, (b, 1, 3)), 0.0)
    xyz = np.einsum("btij,btnj->btni", rotation, body - position[:, :, None])
    depth = xyz[..., 2]
    tangents = xyz[..., :2] / np.maximum(depth, 0.1)[..., None]
    f = focal[:, None, None]
    inside = (np.abs(tangents[..., 0]) * f < 0.5) & (
        np.abs(tangents[..., 1]) * f < 0.5 * aspect[:, None, None]
    )
    return Views(
        xyz=xyz.astype(np.float32),
        tangents=tangents.astype(np.float32),
        focal=focal.astype(np.float32),
        aspect=aspect.astype(np.float32),
        visible=inside & (depth > 0.2),
    )
