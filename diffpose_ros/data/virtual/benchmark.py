"""A benchmark of one's own from motion capture: virtual cameras, pretended detector."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from diffpose_ros.core import Camera, InputError
from diffpose_ros.data.clips import Clip, bodies
from diffpose_ros.data.sequence import Sequence
from diffpose_ros.data.virtual.camera import CameraConfig, place, project
from diffpose_ros.data.virtual.detector import observed
from diffpose_ros.data.virtual.detector_noise import NoiseConfig
from diffpose_ros.data.virtual.missing import MissingConfig
from diffpose_ros.data.virtual.people import coco_keypoints

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
) -> list[Sequence]:
    """See each clip through a few random cameras and a detector that errs.

    Cameras and noise come from the generators that training uses. A model trained with the same
    settings has an easy time on the result: to judge it, change them, or bring real detections.

    Args:
        clips: the motions; each at its own frame rate.
        seed: the same seed gives the same benchmark.
        views: cameras per clip.
        width: of the images, pixels; their height follows from the camera drawn.
        camera: ranges of the cameras; the default's when omitted.
        noise: amounts of noise; the default's when omitted.

    Returns:
        One sequence per clip and camera, named ``<clip>@<view>``.

    Raises:
        InputError: ``views`` or ``width`` is not positive, or no camera sees the whole of a clip
            from a distance.
    """
    if views < 1 or width < 1:
        raise InputError(f"record: expected views and width above 0, got {views} and {width}")
    rng = np.random.default_rng(seed)
    out = []
    for clip in clips:
        for i in range(views):
            out.append(_see(clip, f"{clip.name}@{i}", rng, width, camera, noise))
    return out


def _see(
    clip: Clip,
    name: str,
    rng: np.random.Generator,
    width: int,
    camera: CameraConfig | None,
    noise: NoiseConfig | None,
) -> Sequence:
    body = bodies([clip])[0][None]
    times = np.arange(len(clip)) / clip.fps
    for _ in range(_TRIES):
        cameras = place(body, times, rng, camera or CameraConfig())
        seen = project(cameras, body)
        if seen.xyz[..., 2].min() > _NEAREST_M:
            break
    else:
        raise InputError(
            f"clip '{clip.name}': no camera within {camera or CameraConfig()} keeps the person in "
            "front of it; allow larger distances or cut the clip"
        )
    focal, height = float(seen.focal[0]) * width, round(float(seen.aspect[0]) * width)
    centre = np.array([width / 2, height / 2])
    coco = project(cameras, coco_keypoints(body, None))
    xy, score = observed(coco, seen.xyz, times, rng, noise or NoiseConfig(), MissingConfig())
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
    )
