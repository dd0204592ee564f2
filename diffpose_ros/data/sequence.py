"""Sequences for evaluation: one person in front of one camera, with the true 3D skeleton."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import UNKNOWN, Camera, InputError, Surroundings
from diffpose_ros.data.clips import Clip


@dataclass(frozen=True)
class Sequence:
    """One person in front of one camera.

    Attributes:
        name: name in the file.
        subject: name of the person.
        action: what the person does; may be empty.
        camera: camera without distortion.
        fps: frames per second.
        keypoints: (F, 17, 3) COCO-17 x, y in pixels and score.
        skeleton: (F, 17, 3) H36M-17, metres, camera optical frame, absolute.
        valid: (F,) which frames count in an evaluation; ``None``: all.
        around: gravity and the camera's height above the floor, if known.

    Raises:
        InputError: shapes disagree, a number is not finite, a score is outside [0, 1], the camera has
            lens distortion, or the rate is not positive.
    """

    name: str
    subject: str
    action: str
    camera: Camera
    fps: float
    keypoints: NDArray[np.float64]
    skeleton: NDArray[np.float64]
    valid: NDArray[np.bool_] | None = None
    around: Surroundings = UNKNOWN

    def __post_init__(self) -> None:
        where = f"sequence '{self.name}'"
        frames = len(self.keypoints)
        for name in ("keypoints", "skeleton"):
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if value.shape != (frames, 17, 3) or not frames:
                raise InputError(
                    f"{where}: {name}: expected shape (frames, 17, 3) with at least one frame, as "
                    f"many as the other array, got {value.shape}"
                )
            if not np.isfinite(value).all():
                raise InputError(f"{where}: {name}: expected finite numbers, got NaN or infinity")
            object.__setattr__(self, name, value)
        scores = self.keypoints[..., 2]
        if scores.min() < 0 or scores.max() > 1 + 1e-3:
            raise InputError(
                f"{where}: keypoints: expected scores of 0 to 1, got {scores.min():g} to {scores.max():g}"
            )
        if self.camera.distortion.any():
            raise InputError(f"{where}: camera: expected no lens distortion, undistort the keypoints")
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise InputError(f"{where}: fps: expected above 0, got {self.fps:g}")
        if self.valid is not None:
            valid = np.asarray(self.valid, dtype=bool)
            if valid.shape != (frames,):
                raise InputError(f"{where}: valid: expected shape {(frames,)}, got {valid.shape}")
            object.__setattr__(self, "valid", valid)

    def __len__(self) -> int:
        return int(self.keypoints.shape[0])

    def forgetting(self, *, gravity: bool, camera_height: bool) -> Sequence:
        """The same sequence without gravity or without the camera's height."""
        around = Surroundings(
            up=None if gravity else self.around.up,
            camera_height=None if camera_height else self.around.camera_height,
        )
        return replace(self, around=around)

    def thinned(self, rate_hz: float) -> Sequence:
        """The same motion, as seen by a slower camera.

        Raises:
            InputError: ``rate_hz`` is not positive or above the sequence's own rate.
        """
        if not 0 < rate_hz <= self.fps + 1e-6:
            raise InputError(
                f"frame rate: expected above 0 and at most the file's {self.fps:g} Hz, got {rate_hz:g}"
            )
        step = self.fps / rate_hz
        index = np.unique(np.round(np.arange(0, len(self) - 0.5, step)).astype(np.int64))
        index = index[index < len(self)]
        return replace(
            self,
            fps=rate_hz,
            keypoints=self.keypoints[index],
            skeleton=self.skeleton[index],
            valid=None if self.valid is None else self.valid[index],
        )


def from_clip(
    clip: Clip,
    camera: Camera,
    rotation: NDArray[np.floating],
    position: NDArray[np.floating],
    *,
    detector: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
) -> Sequence:
    """View a motion capture clip with your own camera.

    Args:
        clip: the motion; eyes and ears are estimated if it has none.
        camera: camera without distortion.
        rotation: (3, 3) rotation from the world to the optical frame.
        position: (3,) position of the camera in the clip's world, metres.
        detector: function from exact pixels (T, 17, 2) to keypoints (T, 17, 3) with noise and scores; by
            default keypoints are exact, with score 1 inside the image and 0 outside.

    Raises:
        InputError: the person is not always in front of the camera.
    """
    full = clip.with_coco()
    rotation, position = np.asarray(rotation, np.float64), np.asarray(position, np.float64)
    body = (full.h36m17.astype(np.float64) - position) @ rotation.T
    coco = (np.asarray(full.coco17, np.float64) - position) @ rotation.T
    nearest = float(min(body[..., 2].min(), coco[..., 2].min()))
    if nearest <= 0.05:
        raise InputError(
            f"clip '{clip.name}': expected the person before the camera, the nearest joint lies at "
            f"{nearest:.2f} m; move the camera back"
        )
    pixels = (coco / coco[..., 2:]) @ camera.matrix.T
    xy = pixels[..., :2]
    if detector is None:
        inside = ((xy >= 0) & (xy < [camera.width, camera.height])).all(-1)
        keypoints = np.concatenate([xy, inside[..., None].astype(np.float64)], axis=-1)
    else:
        keypoints = detector(xy)
    return Sequence(
        name=clip.name,
        subject=clip.subject,
        action=clip.action,
        camera=camera,
        fps=clip.fps,
        keypoints=keypoints,
        skeleton=body,
    )
