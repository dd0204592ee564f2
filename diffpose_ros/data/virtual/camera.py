"""Random cameras around a moving body: where a robot's or a room's camera could be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ConfigError
from diffpose_ros.core.typed_config import at_least, share, span
from diffpose_ros.data.virtual.augment import rotation_from_vector
from diffpose_ros.data.virtual.vectors import turned


@dataclass(frozen=True)
class CameraConfig:
    """Ranges from which cameras are drawn.

    Attributes:
        distance: metres from the body, drawn log-uniformly.
        height: metres above the floor.
        focal: focal length over image width, log-uniform; 0.29 to 1.37 are lenses of 120 to 40 degrees.
        roll_std: radians.
        off_centre: how far from the image centre the body may stand, as a fraction of half the
            image; beyond 1 the border cuts through it.
        moving: share of clips whose camera turns and travels.
        pitched: share of clips whose camera stands where ``pitch_deg`` says, at whatever height.
        pitch_deg: how far it then looks up, degrees, uniform; negative: down. The floor bounds it.
        rolled: share of clips whose camera is rolled by up to ``roll_deg``, either way, uniform.
        roll_deg: degrees.
        upside_down: share of clips whose camera hangs upside down.
        travelling: share of clips whose camera drives past and keeps turning towards the body.
        travel_mps: its speed, metres per second, uniform.
    """

    distance: tuple[float, float] = (1.6, 12.0)
    height: tuple[float, float] = (0.3, 3.0)
    focal: tuple[float, float] = (0.45, 1.5)
    roll_std: float = 0.05
    off_centre: float = 0.8
    moving: float = 0.3
    pitched: float = 0.0
    pitch_deg: tuple[float, float] = (-75.0, 20.0)
    rolled: float = 0.0
    roll_deg: float = 45.0
    upside_down: float = 0.0
    travelling: float = 0.0
    travel_mps: tuple[float, float] = (0.1, 1.5)

    def __post_init__(self) -> None:
        span("distance", self.distance)
        span("focal", self.focal)
        span("height", self.height, above=-100.0)
        span("pitch_deg", self.pitch_deg, above=-85.0)
        span("travel_mps", self.travel_mps)
        if self.pitch_deg[1] > 85.0:
            raise ConfigError(f"pitch_deg: expected at most 85, got {self.pitch_deg[1]:g}")
        for name in ("roll_std", "off_centre", "roll_deg"):
            at_least(name, getattr(self, name), 0.0)
        for name in ("moving", "pitched", "rolled", "upside_down", "travelling"):
            share(name, getattr(self, name))


@dataclass(frozen=True)
class Cameras:
    """Where cameras stand and how they see.

    Attributes:
        rotation: (B, T, 3, 3) world to optical frame.
        position: (B, T, 3) metres, world.
        focal: (B,) focal length over image width.
        aspect: (B,) image height over width.
    """

    rotation: NDArray[np.float64]
    position: NDArray[np.float64]
    focal: NDArray[np.float64]
    aspect: NDArray[np.float64]

    @property
    def up(self) -> NDArray[np.float64]:
        """(B, T, 3) against gravity, in the optical frame."""
        return self.rotation[..., :, 1]


@dataclass(frozen=True)
class Views:
    """Bodies seen by cameras.

    Attributes:
        xyz: (B, T, N, 3) metres, camera optical frame; N is 21 for bodies.
        tangents: (B, T, N, 2) x/z, y/z.
        focal: (B,) focal length over image width.
        aspect: (B,) image height over width.
        visible: (B, T, N) inside the image and in front of the camera.
        up: (B, T, 3) against gravity, in the optical frame.
    """

    xyz: NDArray[np.float32]
    tangents: NDArray[np.float32]
    focal: NDArray[np.float32]
    aspect: NDArray[np.float32]
    visible: NDArray[np.bool_]
    up: NDArray[np.float32]


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
    return project(place(body, times_s, rng, config), body)


def project(cameras: Cameras, points: NDArray[np.float32]) -> Views:
    """What cameras see of points (B, T, N, 3) of the world."""
    xyz = turned(cameras.rotation, points - cameras.position[:, :, None])
    depth = xyz[..., 2]
    tangents = xyz[..., :2] / np.maximum(depth, 0.1)[..., None]
    f = cameras.focal[:, None, None]
    inside = (np.abs(tangents[..., 0]) * f < 0.5) & (
        np.abs(tangents[..., 1]) * f < 0.5 * cameras.aspect[:, None, None]
    )
    return Views(
        xyz=xyz.astype(np.float32),
        tangents=tangents.astype(np.float32),
        focal=cameras.focal.astype(np.float32),
        aspect=cameras.aspect.astype(np.float32),
        visible=inside & (depth > 0.2),
        up=cameras.up.astype(np.float32),
    )


def place(
    body: NDArray[np.float32],
    times_s: NDArray[np.float64],
    rng: np.random.Generator,
    config: CameraConfig,
) -> Cameras:
    """Random cameras before bodies; see :func:`view`."""
    b, t = body.shape[:2]
    middle = body[:, :, 0].mean(1)
    floor = np.quantile(body[..., 1].reshape(b, -1), 0.02, axis=1)
    azimuth = rng.uniform(-np.pi, np.pi, b)
    near, far = np.log(config.distance)
    distance = np.exp(rng.uniform(near, far, b))
    height = floor + rng.uniform(*config.height, b)
    rise = np.clip(height - middle[:, 1], -0.9 * distance, 0.9 * distance)
    if config.pitched > 0:
        rise = _pitched(rise, middle[:, 1] - floor, distance, rng, config)
    ground = np.sqrt(np.maximum(distance**2 - rise**2, np.minimum(0.25, 0.05 * distance**2)))
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
    if config.rolled > 0 or config.upside_down > 0:
        rotation = _rolled(b, rng, config) @ rotation
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
    if config.travelling > 0:
        position, rotation = _travel(body, times_s, position, rotation, rng, config)
    return Cameras(rotation, position, focal, aspect)


def _pitched(
    rise: NDArray[np.float64],
    middle: NDArray[np.float64],
    distance: NDArray[np.float64],
    rng: np.random.Generator,
    config: CameraConfig,
) -> NDArray[np.float64]:
    """Heights (B,) over the body's middle, with those that follow from a pitch; all above the floor."""
    chosen = rng.random(len(rise)) < config.pitched
    pitch = np.radians(rng.uniform(*config.pitch_deg, len(rise)))
    return np.where(chosen, np.maximum(-distance * np.sin(pitch), 0.05 - middle), rise)


def _rolled(b: int, rng: np.random.Generator, config: CameraConfig) -> NDArray[np.float64]:
    """Turns (B, 3, 3) about the optical axis, of rolled cameras and of cameras that hang."""
    rolled = rng.random(b) < config.rolled
    angle = np.where(rolled, np.radians(rng.uniform(-config.roll_deg, config.roll_deg, b)), 0.0)
    angle += np.where(rng.random(b) < config.upside_down, np.pi, 0.0)
    vector = np.stack([np.zeros(b), np.zeros(b), angle], -1)
    return np.asarray(rotation_from_vector(vector), np.float64)


def _travel(
    body: NDArray[np.float32],
    times_s: NDArray[np.float64],
    position: NDArray[np.float64],
    rotation: NDArray[np.float64],
    rng: np.random.Generator,
    config: CameraConfig,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cameras that drive over the floor and keep turning towards the body."""
    b = len(body)
    chosen = np.asarray(rng.random(b) < config.travelling)[:, None, None]
    heading = rng.uniform(-np.pi, np.pi, b)
    velocity = np.stack([np.sin(heading), np.zeros(b), np.cos(heading)], -1)
    velocity *= rng.uniform(*config.travel_mps, b)[:, None]
    clock = (times_s - times_s.mean())[None, :, None]
    driven = position + velocity[:, None] * clock
    # Whoever steers sees the person a little late, and does not run into them.
    hip = body[:, :, 0].astype(np.float64)
    gap = driven - hip
    gap[..., 1] = 0.0
    near = np.linalg.norm(gap, axis=-1, keepdims=True)
    driven = driven + gap / np.maximum(near, 1e-6) * np.maximum(0.7 - near, 0.0)
    aim = lowpass(hip, times_s, 0.5)
    ahead = aim - driven
    ahead /= np.maximum(np.linalg.norm(ahead, axis=-1, keepdims=True), 1e-6)
    before = hip.mean(1, keepdims=True) - position[:, :1]
    before /= np.maximum(np.linalg.norm(before, axis=-1, keepdims=True), 1e-6)
    # What turned the camera off the body stays.
    kept = rotation @ np.swapaxes(look_at(before), -1, -2)
    return (
        np.where(chosen, driven, position),
        np.where(chosen[..., None], kept @ look_at(ahead), rotation),
    )


def lowpass(
    values: NDArray[np.float64], times_s: NDArray[np.float64], constant_s: float
) -> NDArray[np.float64]:
    """First-order low-pass filter along axis 1 of (B, T, ...)."""
    out = values.copy()
    for i in range(1, len(times_s)):
        gain = 1.0 - np.exp(-(times_s[i] - times_s[i - 1]) / constant_s)
        out[:, i] = out[:, i - 1] + gain * (values[:, i] - out[:, i - 1])
    return out
