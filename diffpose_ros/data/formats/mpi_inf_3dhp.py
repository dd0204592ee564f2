"""MPI-INF-3DHP, as the field passes it around: ``data_train_3dhp.npz`` and ``data_test_3dhp.npz``.

The layout is P-STMO's: one dictionary ``data``. Training: ``"S1 Seq1"`` -> ``[cameras, fps]`` with
``cameras["0"]`` -> ``{"data_2d": (T, 17, 2) px, "data_3d": (T, 17, 3) mm}``. Test: ``"TS1"`` ->
``{"data_2d", "data_3d", "valid": (T,)}``. The 3D is ``univ_annot3``: each camera's optical frame,
the body scaled to one universal height. The 17 joints come in the order of the data set's
``relevant`` joint set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17, Camera, InputError
from diffpose_ros.data.formats.archive import read_arrays
from diffpose_ros.data.formats.h36m import h36m_to_coco
from diffpose_ros.data.formats.mpi_inf_3dhp_cameras import TEST_SEQUENCES, camera
from diffpose_ros.data.formats.videopose3d import dictionary
from diffpose_ros.data.sequence import Sequence
from diffpose_ros.geometry.root import root_translation

__all__ = [
    "JOINTS",
    "TEST_FPS",
    "TEST_SEQUENCES",
    "TO_H36M",
    "TRAIN_SUBJECTS",
    "Recording",
    "camera",
    "load_test",
    "load_train",
]

TRAIN_SUBJECTS = tuple(f"S{i}" for i in range(1, 9))
TEST_FPS = 25.0
"""Rate assumed for the test sequences; their files do not say."""

JOINTS = (
    "head_top", "thorax", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder",
    "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee",
    "left_ankle", "hip", "spine", "nose",
)  # fmt: skip
"""The files' joints by H36M-17's names; their ``head``, inside the skull, stands for the nose."""

TO_H36M = tuple(JOINTS.index(name) for name in H36M17.joints)


@dataclass(frozen=True)
class Recording:
    """One sequence seen by one camera.

    Attributes:
        subject: ``S1`` ... ``S8``, or ``TS1`` ... ``TS6``.
        name: the file's name for it, with the camera: ``S1 Seq1.0``, ``TS1``.
        camera: its intrinsics.
        fps: frames per second.
        xyz: (T, 17, 3) H36M-17, metres, camera optical frame, universal height.
        keypoints: (T, 17, 2) annotated joints, H36M-17, pixels.
        valid: (T,) frames that count in an evaluation.
    """

    subject: str
    name: str
    camera: Camera
    fps: float
    xyz: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    valid: NDArray[np.bool_]

    def to_sequence(self) -> Sequence:
        """The recording as a benchmark holds it, with COCO-17 keypoints of score 1.

        Scaling a body to universal height while its pixels stay moves it along the rays, so the
        root is placed anew: where the annotated pixels and the intrinsics put it (least squares
        per frame). Joints outside the image get score 0, as do eyes and ears.

        Raises:
            InputError: a frame has no such place.
        """
        matrix = self.camera.matrix
        pixels = self.keypoints.astype(np.float64)
        relative = self.xyz.astype(np.float64) - self.xyz[:, :1]
        tangents = (pixels - matrix[:2, 2]) / [matrix[0, 0], matrix[1, 1]]
        root, _ = root_translation(relative, tangents, np.ones(pixels.shape[:2]))
        lost = ~np.isfinite(root).all(-1)
        if lost.any():
            raise InputError(
                f"MPI-INF-3DHP {self.name}: frame {int(np.argmax(lost))}: 2D and 3D do not belong "
                "together, no place before the camera explains them"
            )
        inside = ((pixels >= 0) & (pixels < [self.camera.width, self.camera.height])).all(-1)
        xy, score = h36m_to_coco(pixels, np.asarray(inside, dtype=np.float64))
        return Sequence(
            name=self.name,
            subject=self.subject,
            action=self.subject if self.subject in TEST_SEQUENCES else self.name.split(".")[0],
            camera=self.camera,
            fps=self.fps,
            keypoints=np.concatenate([xy, score[..., None]], axis=-1),
            skeleton=relative + root[:, None],
            valid=None if self.valid.all() else self.valid,
        )


def load_train(
    path: str | Path,
    *,
    subjects: Iterable[str] = TRAIN_SUBJECTS,
    cameras: Iterable[str] | None = None,
) -> list[Recording]:
    """Load the training sequences, one recording per camera.

    Args:
        path: ``data_train_3dhp.npz``.
        subjects: some of ``S1`` ... ``S8``.
        cameras: cameras to load; by default all in the file.

    Raises:
        InputError: the file has another layout, or lacks a subject.
    """
    path = Path(path)
    data = dictionary(path, "data", read_arrays(path, ("data",))["data"])
    chosen = None if cameras is None else set(cameras)
    out = []
    for subject in subjects:
        takes = {k: v for k, v in data.items() if str(k).split(" ")[0] == subject}
        if not takes:
            raise InputError(
                f"{path}: no subject '{subject}', it has {', '.join(map(str, data)) or 'nothing'}"
            )
        for take, value in takes.items():
            for name, fps, view in _views(path, str(take), value):
                if chosen is None or name in chosen:
                    xyz, keypoints = _arrays(f"{path}: {take} camera {name}", view)
                    everything = np.ones(len(xyz), dtype=bool)
                    out.append(
                        Recording(subject, f"{take}.{name}", camera(name), fps, xyz, keypoints, everything)
                    )
    return out


def load_test(
    path: str | Path, *, sequences: Iterable[str] = TEST_SEQUENCES, fps: float = TEST_FPS
) -> list[Recording]:
    """Load the test sequences. Only their valid frames count; the others are context.

    Args:
        path: ``data_test_3dhp.npz``.
        sequences: some of ``TS1`` ... ``TS6``.
        fps: frame rate, which the file does not contain.

    Raises:
        InputError: the file has another layout, or lacks a sequence.
    """
    path = Path(path)
    data = dictionary(path, "data", read_arrays(path, ("data",))["data"])
    out = []
    for name in sequences:
        if name not in data:
            raise InputError(f"{path}: no sequence '{name}', it has {', '.join(map(str, data)) or 'nothing'}")
        view = dictionary(path, name, data[name])
        xyz, keypoints = _arrays(f"{path}: {name}", view)
        valid = np.asarray(view.get("valid"))
        if valid.shape != (len(xyz),) or valid.dtype.kind not in "biuf":
            raise InputError(
                f"{path}: {name}: valid: expected {len(xyz)} flags, one per frame, got "
                f"{valid.dtype} {valid.shape}"
            )
        out.append(Recording(name, name, camera(name), fps, xyz, keypoints, valid != 0))
    return out


def _views(path: Path, take: str, value: Any) -> Iterator[tuple[str, float, dict[str, Any]]]:
    """Camera, frame rate and arrays of every camera of a training take."""
    if not (isinstance(value, (list, tuple, np.ndarray)) and len(value) == 2):
        raise InputError(f"{path}: {take}: expected [cameras, frames per second]")
    try:
        fps = float(value[1])
    except (TypeError, ValueError):
        fps = 0.0
    if not 0 < fps < 1000:
        raise InputError(f"{path}: {take}: expected frames per second, got {value[1]!r}")
    for name, view in dictionary(path, take, value[0]).items():
        yield str(name), fps, dictionary(path, f"{take} camera {name}", view)


def _arrays(where: str, view: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(T, 17, 3) metres and (T, 17, 2) pixels in H36M-17's order."""
    missing = [n for n in ("data_2d", "data_3d") if n not in view]
    if missing:
        raise InputError(f"{where}: missing {', '.join(missing)}, it holds {', '.join(view)}")
    out = []
    for name, size in (("data_3d", 3), ("data_2d", 2)):
        value = np.asarray(view[name])
        if value.dtype.kind not in "fiu" or value.ndim != 3 or value.shape[1:] != (17, size):
            raise InputError(
                f"{where}: {name}: expected shape (frames, 17, {size}), got {value.dtype} {value.shape}"
            )
        if not np.isfinite(value).all():
            raise InputError(f"{where}: {name}: expected finite numbers, got NaN or infinity")
        out.append(value[:, list(TO_H36M)].astype(np.float64))
    xyz, keypoints = out
    if len(xyz) != len(keypoints) or not len(xyz):
        raise InputError(
            f"{where}: expected as many frames in 3D as in 2D, got {len(xyz)} and {len(keypoints)}"
        )
    size_mm = float(np.median(np.abs(xyz - xyz[:, :1]).max((1, 2))))
    if not 200 < size_mm < 5000:
        raise InputError(f"{where}: data_3d: expected millimetres, but joints lie {size_mm:g} from the hip")
    return (xyz / 1000).astype(np.float32), keypoints.astype(np.float32)
