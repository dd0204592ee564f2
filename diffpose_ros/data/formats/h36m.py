"""Human3.6M, as the field passes it around: ``data_3d_h36m.npz`` and ``data_2d_h36m_*.npz``.

The layout is VideoPose3D's. 3D: ``positions_3d``, a dictionary subject -> action -> (T, 32 or 17,
3) metres in the world, Z up. 2D: ``positions_2d``, a dictionary subject -> action -> one array
(T, 17, 2) in pixels per camera, and ``metadata``. Actions are named as the recordings are
(``Walking``, ``Walking 1``); figures are given per action, of which there are 15.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import COCO17, H36M17, InputError
from diffpose_ros.data.clips import Clip
from diffpose_ros.data.formats.archive import read_arrays
from diffpose_ros.data.formats.h36m_cameras import EXTRINSICS, INTRINSICS
from diffpose_ros.data.formats.videopose3d import (
    check_keypoints,
    dictionary,
    layout_of,
    read_takes,
)
from diffpose_ros.data.sequence import Sequence
from diffpose_ros.data.world_camera import WorldCamera, rotation_from_quaternion
from diffpose_ros.geometry.mapping import NUM_POINTS

FPS = 50.0
TRAIN_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
TEST_SUBJECTS = ("S9", "S11")
ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases",
    "Sitting", "SittingDown", "Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether",
)  # fmt: skip
_ALIASES = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog", "WalkingTogether": "WalkTogether"}
_COCO_FROM_H36M = tuple((COCO17.index(n), H36M17.index(n)) for n in COCO17.joints if n in H36M17.joints)


@dataclass(frozen=True)
class Recording:
    """One take of one subject, seen by one camera.

    Attributes:
        subject: ``S1`` ... ``S11``.
        take: the file's name for it, e.g. ``Walking 1``.
        camera: which camera saw it.
        world: (T, 17, 3) H36M-17, metres, world, Z up.
        keypoints: (T, 17, 3) x, y in pixels of the recorded (distorted) image, and score.
        layout: joint set of the keypoints, ``h36m17`` or ``coco17``.
    """

    subject: str
    take: str
    camera: WorldCamera
    world: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    layout: str

    @property
    def action(self) -> str:
        """One of :data:`ACTIONS`, which the tables have a column for."""
        return action_of(self.take)

    def to_sequence(self) -> Sequence:
        """The take as a benchmark holds it: camera frame, undistorted pixels, COCO-17.

        COCO's eyes and ears carry score 0 where the detector reported H36M-17.
        """
        xy = self.camera.undistort(self.keypoints[..., :2])
        score = self.keypoints[..., 2].astype(np.float64)
        if self.layout == H36M17.name:
            xy, score = h36m_to_coco(xy, score)
        return Sequence(
            name=f"{self.subject} {self.take}.{self.camera.name}",
            subject=self.subject,
            action=self.action,
            camera=self.camera.pinhole,
            fps=FPS,
            keypoints=np.concatenate([xy, score[..., None]], axis=-1),
            skeleton=self.camera.to_camera(self.world),
        )


def action_of(take: str) -> str:
    """The action that a take belongs to: ``Walking 1`` is ``Walking``."""
    name = take.split(" ")[0].split(".")[0]
    return _ALIASES.get(name, name)


def cameras(subject: str) -> tuple[WorldCamera, ...]:
    """The four cameras as they stood for one subject, in the files' order.

    Raises:
        InputError: the calibration of that subject is not public.
    """
    if subject not in EXTRINSICS:
        raise InputError(
            f"Human3.6M: no calibration for subject '{subject}', known are {', '.join(EXTRINSICS)}"
        )
    out = []
    for (name, (size, focal, centre, radial, tangential)), (turn, position) in zip(
        INTRINSICS.items(), EXTRINSICS[subject], strict=True
    ):
        out.append(
            WorldCamera(
                name=name,
                size=size,
                focal=np.array(focal),
                centre=np.array(centre),
                radial=np.array(radial),
                tangential=np.array(tangential),
                rotation=rotation_from_quaternion(turn).T,
                position=np.array(position) / 1000,
            )
        )
    return tuple(out)


def _scored(
    xy: NDArray[np.floating], score: NDArray[np.floating] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Keypoints and scores as float64; scores are 1 throughout when omitted."""
    points = np.asarray(xy, dtype=np.float64)
    return points, np.ones(points.shape[:-1]) if score is None else np.asarray(score, dtype=np.float64)


def h36m_to_points(
    xy: NDArray[np.floating], score: NDArray[np.floating] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Convert H36M-17 keypoints to the lifter's 21 points; the four face points get score 0.

    Args:
        xy: (..., 17, 2), any unit.
        score: (..., 17) scores; by default 1.

    Returns:
        (..., 21, 2) points in the same unit, zero for the face, and (..., 21) scores.
    """
    points, scores = _scored(xy, score)
    out, conf = (np.zeros((*points.shape[:-2], NUM_POINTS, *more)) for more in ((2,), ()))
    out[..., :17, :], conf[..., :17] = points, scores
    out[conf <= 0] = 0.0
    return out, conf


def h36m_to_coco(
    xy: NDArray[np.floating], score: NDArray[np.floating] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """H36M-17 keypoints by COCO-17's names; eyes and ears get score 0.

    Args:
        xy: (..., 17, 2), any unit.
        score: (..., 17) scores; by default 1.

    Returns:
        (..., 17, 2) in the same unit, zero where masked, and (..., 17) scores.
    """
    points, scores = _scored(xy, score)
    out, conf = np.zeros_like(points), np.zeros_like(scores)
    for coco, h36m in _COCO_FROM_H36M:
        out[..., coco, :], conf[..., coco] = points[..., h36m, :], scores[..., h36m]
    out[conf <= 0] = 0.0
    return out, conf


def load_clips(path_3d: str | Path, *, subjects: Iterable[str] = TRAIN_SUBJECTS) -> list[Clip]:
    """Load takes as clips in the world frame, for training through virtual cameras.

    Args:
        path_3d: ``data_3d_h36m.npz``.
        subjects: subjects to load; by default the papers' training split.

    Raises:
        InputError: the file has another layout, or lacks a subject.
    """
    clips = []
    for subject, take, world in read_takes(path_3d, subjects):
        clips.append(Clip(f"{subject} {take}", subject, action_of(take), FPS, world, up_axis="z"))
    return clips


def load(
    path_3d: str | Path,
    path_2d: str | Path,
    *,
    subjects: Iterable[str] = TEST_SUBJECTS,
    actions: Iterable[str] | None = None,
) -> list[Recording]:
    """Load takes with the 2D keypoints of each of the four cameras.

    Args:
        path_3d: ``data_3d_h36m.npz``.
        path_2d: ``data_2d_h36m_gt.npz``, ``data_2d_h36m_cpn_ft_h36m_dbb.npz`` or another of the
            same layout with H36M-17 or COCO-17 keypoints. Videos longer than the motion capture are
            cut to its length, as usual.
        subjects: subjects to load; by default the papers' test split.
        actions: some of :data:`ACTIONS`; by default all.

    Raises:
        InputError: a file has another layout or other joints, or lacks a take.
    """
    wanted = None if actions is None else set(actions)
    if wanted is not None and wanted - set(ACTIONS):
        raise InputError(
            f"Human3.6M: unknown action {', '.join(sorted(wanted - set(ACTIONS)))}; "
            f"known are {', '.join(ACTIONS)}"
        )
    path_2d = Path(path_2d)
    arrays = read_arrays(path_2d, ("positions_2d", "metadata"))
    layout = layout_of(path_2d, arrays["metadata"])
    seen = dictionary(path_2d, "positions_2d", arrays["positions_2d"])
    out = []
    for subject, take, world in read_takes(path_3d, subjects):
        if wanted is not None and action_of(take) not in wanted:
            continue
        views = dictionary(path_2d, subject, seen.get(subject)).get(take)
        if views is None:
            raise InputError(f"{path_2d}: positions_2d: {subject} has no take '{take}'")
        rig = cameras(subject)
        if len(views) != len(rig):
            raise InputError(f"{path_2d}: {subject} '{take}': expected {len(rig)} cameras, got {len(views)}")
        for camera, view in zip(rig, views, strict=True):
            where = f"{path_2d}: {subject} '{take}' camera {camera.name}"
            keypoints = check_keypoints(where, view, len(world))
            out.append(Recording(subject, take, camera, world, keypoints, layout))
    return out
