"""Training batches: motion capture, seen by random cameras, through a random detector.

A batch shares one time grid, so that temporal attention has one matrix of ages; frame rate, gaps,
bodies, cameras and detectors differ from batch to batch and segment to segment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import ConfigError, InputError
from diffpose_ros.core.typed_config import at_least, share, span
from diffpose_ros.data.clips import Clip, bodies
from diffpose_ros.data.virtual import augment
from diffpose_ros.data.virtual.camera import CameraConfig, place, project
from diffpose_ros.data.virtual.detector import observed
from diffpose_ros.data.virtual.detector_noise import NoiseConfig
from diffpose_ros.data.virtual.gravity import GravityConfig, told_gravity
from diffpose_ros.data.virtual.missing import MissingConfig
from diffpose_ros.data.virtual.people import PeopleConfig, become, coco_keypoints, draw_people
from diffpose_ros.data.virtual.vectors import turned
from diffpose_ros.geometry import mapping, normalise

SPINE_PART = 0.735
"""Where the archive's ``spine`` joint lies between hip and thorax."""

LEG_M = 0.84
"""Thigh and shank of the archive's average body, metres."""


@dataclass(frozen=True)
class AugmentConfig:
    """Which augmentations are on, and how strong; see :mod:`diffpose_ros.data.virtual.augment`."""

    mirror: bool = True
    crossover: float = 0.25
    rotation: float = 0.4
    rotation_max_rad: float = 0.5
    shape_spread: float = 0.08
    offset_rad: float = 0.0
    speed: tuple[float, float] = (0.7, 1.4)

    def __post_init__(self) -> None:
        share("crossover", self.crossover)
        share("rotation", self.rotation)
        for name in ("rotation_max_rad", "shape_spread", "offset_rad"):
            at_least(name, getattr(self, name), 0.0)
        span("speed", self.speed)


@dataclass(frozen=True)
class SynthesisConfig:
    """How a batch is made.

    Attributes:
        frames: frames of a segment, T.
        long_frames: T of the long batches, which hold as many frames in fewer segments.
        long_share: share of the batches that are long.
        rates_hz: frame rates and how often each is drawn.
        drop: chance that a batch has missing frames.
        augment, camera, noise, gravity: the generators' settings.
        people: whose bodies move; those of the motion capture when omitted.
        missing: parts of people that are not seen for a while.
    """

    frames: int = 96
    long_frames: int = 96
    long_share: float = 0.0
    rates_hz: dict[float, float] = field(
        default_factory=lambda: {
            30.0: 0.6,
            25.0: 0.1,
            20.0: 0.06,
            15.0: 0.08,
            10.0: 0.06,
            60.0: 0.1,
        }
    )
    drop: float = 0.15
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    people: PeopleConfig | None = None
    missing: MissingConfig = field(default_factory=MissingConfig)
    gravity: GravityConfig = field(default_factory=GravityConfig)

    def __post_init__(self) -> None:
        at_least("frames", self.frames, 2)
        at_least("long_frames", self.long_frames, 2)
        share("long_share", self.long_share)
        share("drop", self.drop)
        if not self.rates_hz or min(self.rates_hz) <= 0 or min(self.rates_hz.values()) < 0:
            raise ConfigError("rates_hz: expected frame rates above 0 and how often each is drawn")
        if not sum(self.rates_hz.values()) > 0:
            raise ConfigError("rates_hz: expected at least one rate that is drawn, got none")


@dataclass(frozen=True)
class Batch:
    """What a lifter trains on.

    Attributes:
        times_s: (T,) seconds, shared by the batch.
        points: (B, T, 21, 3) float32, see ``normalise.observe``.
        view: (B, T, 9) float32.
        pose: (B, T, 17, 3) float32 metres, relative to the hip, virtual camera.
        rotation: (B, T, 3, 3) float32, real camera to virtual camera.
        scale: (B, T) float32 apparent size, tangents per unit of ``points``.
        label: (B, T) what the library says of each frame; -1 where it says nothing.
    """

    times_s: NDArray[np.float64]
    points: NDArray[np.float32]
    view: NDArray[np.float32]
    pose: NDArray[np.float32]
    rotation: NDArray[np.float32]
    scale: NDArray[np.float32]
    label: NDArray[np.int64]


class MotionLibrary:
    """All clips as one array, ready to be cut into segments.

    Args:
        body: (F, 21, 3) metres, Y up, all clips one after the other.
        offsets: (C + 1,) first row of each clip.
        fps: frames per second of the clips.
        labels: (F,) a number for each frame, such as what is done there; -1 where it is unknown.
    """

    def __init__(
        self,
        body: NDArray[np.float32],
        offsets: NDArray[np.int64],
        fps: float,
        labels: NDArray[np.int64] | None = None,
    ) -> None:
        lengths = np.diff(offsets)
        if len(lengths) == 0 or lengths.min() < 2:
            raise InputError("motion library: expected at least one clip of two frames or more")
        self.body, self.offsets, self.fps = body, offsets, fps
        self.labels = np.full(len(body), -1) if labels is None else labels
        self.lengths = lengths
        self.weights = lengths / lengths.sum()

    @classmethod
    def from_clips(cls, clips: Iterable[Clip]) -> MotionLibrary:
        """All clips, turned Y up and brought to one skeleton convention.

        Raises:
            InputError: there are none, their frame rates differ, or one has a single frame.
        """
        clips = list(clips)
        for clip in clips:
            if len(clip) < 2:
                raise InputError(f"clip '{clip.name}': expected 2 frames or more to learn from, got 1")
        body, offsets = bodies(clips)
        parts = [one_convention(body[a:b]) for a, b in zip(offsets, offsets[1:], strict=False)]
        return cls(np.concatenate(parts), offsets, clips[0].fps)

    def sample(
        self,
        batch: int,
        times_s: NDArray[np.float64],
        rng: np.random.Generator,
        speed: tuple[float, float],
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cut ``batch`` random segments, resampled to ``times_s``; short clips hold at their end.

        Returns:
            (B, T, 21, 3) metres, and (B, T) labels.
        """
        clip = rng.choice(len(self.lengths), size=batch, p=self.weights)
        pace = rng.uniform(*speed, batch) * rng.choice([1, 1, 1, -1], batch)
        span = np.abs(pace) * (times_s[-1] - times_s[0]) * self.fps
        room = np.maximum(self.lengths[clip] - 1 - span, 0)
        start = rng.random(batch) * room
        ahead = np.abs(pace)[:, None] * (times_s - times_s[0])[None] * self.fps
        position = start[:, None] + ahead
        position = np.where(pace[:, None] < 0, start[:, None] + span[:, None] - ahead, position)
        last = (self.lengths[clip] - 1)[:, None]
        # A clip shorter than the segment is played there and back.
        period = np.maximum(2 * last, 1)
        folded = np.mod(position, period)
        position = np.where(folded > last, period - folded, folded)
        low = np.minimum(position.astype(np.int64), np.maximum(last - 1, 0))
        part = (position - low).astype(np.float32)[..., None, None]
        rows = self.offsets[clip][:, None] + low
        return self.body[rows] * (1 - part) + self.body[rows + 1] * part, self.labels[rows]


def one_convention(body: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring a clip of an odd skeleton to the archive's common one.

    Retargeted clips come with one giant's skeleton whose ``spine`` sits a quarter of the way up the
    trunk instead of three quarters. Left alone they teach that bodies and joints are ambiguous.

    Args:
        body: (T, 21, 3) metres, Y up, floor at y = 0.
    """
    trunk = np.linalg.norm(body[:, 8] - body[:, 0], axis=-1).mean()
    below = np.linalg.norm(body[:, 7] - body[:, 0], axis=-1).mean()
    legs = sum(np.linalg.norm(body[:, a] - body[:, b], axis=-1).mean() for a, b in ((1, 2), (2, 3)))
    if below > 0.4 * trunk:
        return body
    out = body.copy()
    out[:, 7] = body[:, 0] + SPINE_PART * (body[:, 8] - body[:, 0])
    return out * np.float32(LEG_M / legs)


def time_grid(config: SynthesisConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    """A batch's stamps (T,) in seconds: a frame rate, a little jitter, sometimes lost frames."""
    rates = list(config.rates_hz)
    share = np.array([config.rates_hz[r] for r in rates])
    rate = rng.choice(rates, p=share / share.sum())
    step = np.full(config.frames, 1.0 / rate)
    if rng.random() < config.drop:
        lost = rng.random(config.frames) < rng.uniform(0, 0.2)
        step = step * np.where(lost, rng.integers(2, 8, config.frames), 1)
    step = step * (1 + 0.03 * rng.normal(size=config.frames).clip(-2, 2))
    return np.cumsum(step) - step[0]


def augmented(
    body: NDArray[np.float32], rng: np.random.Generator, config: AugmentConfig
) -> NDArray[np.float32]:
    """Other bodies and poses of the same shape (B, T, 17, 3), by what is on."""
    if config.crossover > 0:
        body = augment.crossover(body, rng, config.crossover)
    if config.rotation > 0:
        body = augment.rotate_joints(body, rng, config.rotation, config.rotation_max_rad)
    if config.offset_rad > 0:
        body = augment.offset_bones(body, rng, config.offset_rad)
    if config.shape_spread > 0:
        body = augment.reshape_body(body, rng, config.shape_spread)
    if config.mirror:
        body = augment.mirror(body, rng.random(len(body)) < 0.5)
    return body


def make_batch(
    library: MotionLibrary, batch: int, rng: np.random.Generator, config: SynthesisConfig, *, views: int = 1
) -> Batch:
    """One training batch.

    Args:
        library: the motions.
        batch: segments, B; fewer in a long batch.
        rng: source of randomness.
        config: how.
        views: cameras with a detector each that see every segment. The batch then holds all segments as
            the first camera sees them, then all as the second one does, and so on.
    """
    if config.long_share > 0 and rng.random() < config.long_share:
        batch = max(1, batch * config.frames // config.long_frames)
        config = replace(config, frames=config.long_frames)
    times = time_grid(config, rng)
    a = config.augment
    body, label = library.sample(batch, times, rng, a.speed)
    body = augmented(body, rng, a)
    people = None
    if config.people is not None:
        people = draw_people(len(body), rng, config.people)
        body = become(body, people)
    if views > 1:
        body = np.tile(body, (views, 1, 1, 1))
        people = None if people is None else people.repeated(views)
    cameras = place(body, times, rng, config.camera)
    seen = project(cameras, body)
    coco = project(cameras, coco_keypoints(body, people))
    xy, score = observed(coco, seen.xyz, times, rng, config.noise, config.missing)
    up = told_gravity(seen.up, times, rng, config.gravity)
    points, view_vector, rotation, scale = observe_sequence(xy, score, times, up)
    relative = seen.xyz[:, :, :17] - seen.xyz[:, :, :1]
    pose = turned(rotation, relative).astype(np.float32)
    return Batch(times, points, view_vector, pose, rotation, scale, label)


def observe_sequence(
    xy: NDArray[np.floating],
    score: NDArray[np.floating],
    times_s: NDArray[np.float64],
    up: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Run the online normalisation over whole sequences of COCO-17 tangents.

    Args:
        xy: (B, T, 17, 2) tangents.
        score: (B, T, 17).
        times_s: (T,) seconds.
        up: (B, T, 3) unit vectors against gravity, camera optical frame, zeros where unknown; or ``None``.

    Returns:
        ``points`` (B, T, 21, 3), ``view`` (B, T, 9), ``rotation`` (B, T, 3, 3), ``scale`` (B, T).
    """
    b, t = score.shape[:2]
    mapped, conf = mapping.coco_to_points(xy, score)
    state = None
    points = np.empty((b, t, mapping.NUM_POINTS, 3), np.float32)
    views = np.empty((b, t, normalise.VIEW_SIZE), np.float32)
    rotation = np.empty((b, t, 3, 3), np.float32)
    scale = np.empty((b, t), np.float32)
    for i in range(t):
        dt = np.full(b, times_s[i] - times_s[i - 1] if i else 0.0)
        age = np.full(b, times_s[i] - times_s[0])
        points[:, i], views[:, i], state = normalise.observe(
            mapped[:, i], conf[:, i], dt, state, np.full(b, i == 0), age,
            None if up is None else up[:, i],
        )  # fmt: skip
        rotation[:, i], scale[:, i] = state.rotation, state.scale
    return points, views, rotation, scale
