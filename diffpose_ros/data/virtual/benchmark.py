"""A benchmark of one's own from motion capture: virtual cameras, pretended detector."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from diffpose_ros.core import UNKNOWN, Camera, InputError, Surroundings
from diffpose_ros.core.surroundings import HEIGHTS_M
from diffpose_ros.data.clips import Clip, bodies
from diffpose_ros.data.sequence import Sequence
from diffpose_ros.data.virtual.augment import rotation_from_vector
from diffpose_ros.data.virtual.camera import CameraConfig, Cameras, place, project
from diffpose_ros.data.virtual.detector import observed
from diffpose_ros.data.virtual.detector_noise import NoiseConfig
from diffpose_ros.data.virtual.kinds import Kind
from diffpose_ros.data.virtual.missing import MissingConfig
from diffpose_ros.data.virtual.people import become, coco_keypoints, draw_people

_TRIES = 50
_NEAREST_M = 0.3


def record(
    clips: Iterable[Clip],
    *,
    seed: int,
    views: int = 2,
    width: int = 1280,
    camera: CameraConfig | None = None,
    noise: NoiseConfig | None = None,
    kind: Kind | None = None,
) -> list[Sequence]:
    """View each clip through random cameras and a simulated detector.

    Cameras and noise come from the generators that training uses. A model trained with the same
    settings has an advantage on the result: change the settings, or use real detections, to evaluate it.
    A camera that does not move knows gravity and its height above the floor (``Sequence.around``).

    Args:
        clips: motions, each at its own frame rate, with the floor near y = 0.
        seed: the same seed gives the same benchmark.
        views: cameras per clip.
        width: width of the images, pixels; the height depends on the camera drawn.
        camera: ranges of the cameras; by default those of the kind, or the default ranges.
        noise: amounts of noise; by default the default amounts.
        kind: a kind of hard view, see :data:`diffpose_ros.data.virtual.kinds.KINDS`.

    Returns:
        One sequence per clip and camera, named ``<clip>@<view>``.

    Raises:
        InputError: ``views`` or ``width`` is not positive, or no camera sees the whole of a clip
            from a distance.
    """
    if views < 1 or width < 1:
        raise InputError(f"record: expected views and width above 0, got {views} and {width}")
    kind = kind or Kind("any view", CameraConfig())
    if camera is not None:
        kind = replace(kind, camera=camera)
    rng = np.random.default_rng(seed)
    out = []
    for clip in clips:
        for i in range(views):
            out.append(_see(clip, f"{clip.name}@{i}", rng, width, kind, noise or NoiseConfig()))
    return out


def _see(
    clip: Clip, name: str, rng: np.random.Generator, width: int, kind: Kind, noise: NoiseConfig
) -> Sequence:
    body = bodies([clip])[0][None]
    people = None
    if kind.people is not None:
        people = draw_people(1, rng, kind.people)
        body = become(body, people)
    times = np.arange(len(clip)) / clip.fps
    for _ in range(_TRIES):
        cameras = _turned(place(body, times, rng, kind.camera), rng, kind)
        seen = project(cameras, body)
        if seen.xyz[..., 2].min() > _NEAREST_M:
            break
    else:
        raise InputError(
            f"clip '{clip.name}': no camera within {kind.camera} keeps the person in "
            "front of it; allow larger distances or cut the clip"
        )
    focal, height = float(seen.focal[0]) * width, round(float(seen.aspect[0]) * width)
    centre = np.array([width / 2, height / 2])
    coco = project(cameras, coco_keypoints(body, people))
    xy, score = observed(coco, seen.xyz, times, rng, noise, MissingConfig())
    pixels = np.where(score[0, ..., None] > 0, xy[0] * focal + centre, 0.0)
    matrix = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1.0]])
    return Sequence(
        name=name,
        subject=clip.subject,
        action=clip.action,
        camera=Camera(matrix=matrix, width=width, height=height),
        fps=clip.fps,
        keypoints=np.concatenate([pixels, score[0, ..., None]], axis=-1),
        skeleton=np.asarray(seen.xyz[0, :, :17], dtype=np.float64),
        around=_around(cameras),
    )


def _turned(cameras: Cameras, rng: np.random.Generator, kind: Kind) -> Cameras:
    """Cameras with the kind's own roll and look over the body's middle, at one angle per clip."""
    if kind.roll_deg == kind.look_up_deg == (0.0, 0.0):
        return cameras
    roll = np.radians(rng.uniform(*kind.roll_deg)) * rng.choice([-1.0, 1.0])
    up = np.radians(rng.uniform(*kind.look_up_deg))
    turn = rotation_from_vector(np.array([[0.0, 0.0, roll]], np.float32)) @ rotation_from_vector(
        np.array([[-up, 0.0, 0.0]], np.float32)
    )
    return replace(cameras, rotation=turn[:, None] @ cameras.rotation)


def _around(cameras: Cameras) -> Surroundings:
    """Gravity and the camera's height over the floor at y = 0, of a camera that stands still."""
    if np.ptp(cameras.rotation[0], axis=0).max() > 1e-6 or np.ptp(cameras.position[0], axis=0).max() > 1e-6:
        return UNKNOWN
    height = float(cameras.position[0, 0, 1])
    known = HEIGHTS_M[0] <= height <= HEIGHTS_M[1]
    return Surroundings(up=cameras.up[0, 0], camera_height=height if known else None)
