"""Benchmark files: noisy 2D keypoints, cameras and true 3D skeletons of many short sequences."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import Camera, InputError

REQUIRED = ("offsets", "keypoints", "skeleton", "camera_matrix", "image_size", "fps")


@dataclass(frozen=True)
class Sequence:
    """One person before one camera.

    Attributes:
        name: what the file calls it.
        subject: who.
        action: what they do; may be empty.
        camera: the camera, without distortion.
        fps: frames per second.
        keypoints: (F, 17, 3) COCO-17 x, y in pixels and score.
        skeleton: (F, 17, 3) H36M-17, metres, camera optical frame, absolute.
    """

    name: str
    subject: str
    action: str
    camera: Camera
    fps: float
    keypoints: NDArray[np.float64]
    skeleton: NDArray[np.float64]

    def __len__(self) -> int:
        return int(self.keypoints.shape[0])

    def thinned(self, rate_hz: float) -> Sequence:
        """The same motion as a slower camera would have seen it.

        Raises:
            InputError: ``rate_hz`` is not positive or above the sequence's own rate.
        """
        if not 0 < rate_hz <= self.fps + 1e-6:
            raise InputError(
                f"frame rate: expected above 0 and at most the file's {self.fps:g} Hz, "
                f"got {rate_hz:g}"
            )
        step = self.fps / rate_hz
        index = np.unique(np.round(np.arange(0, len(self) - 0.5, step)).astype(np.int64))
        index = index[index < len(self)]
        return Sequence(
            name=self.name,
            subject=self.subject,
            action=self.action,
            camera=self.camera,
            fps=rate_hz,
            keypoints=self.keypoints[index],
            skeleton=self.skeleton[index],
        )


def load(path: str | Path) -> tuple[Sequence, ...]:
    """Read and check a benchmark file.

    Args:
        path: an ``.npz`` with ``offsets (S+1,)``, ``keypoints (F, 17, 3)``,
            ``skeleton (F, 17, 3)``, ``camera_matrix (S, 3, 3)`` or ``(3, 3)``, ``image_size (2,)``
            or ``(S, 2)``, ``fps`` scalar or ``(S,)``; ``names``, ``subject`` and ``action``
            ``(S,)`` may be left out.

    Raises:
        InputError: the file is missing, is no such archive, lacks an array, or an array has a
            wrong shape or holds NaN; the message names the file and the array.
    """
    path = Path(path)
    arrays = _read(path)
    missing = [n for n in REQUIRED if n not in arrays]
    if missing:
        raise InputError(
            f"{path}: missing {', '.join(missing)}; a benchmark file holds {', '.join(REQUIRED)}"
        )
    offsets = _offsets(path, arrays["offsets"])
    count, frames = len(offsets) - 1, int(offsets[-1])
    keypoints = _array(path, "keypoints", arrays["keypoints"], ((frames, 17, 3),))
    skeleton = _array(path, "skeleton", arrays["skeleton"], ((frames, 17, 3),))
    matrix = _array(path, "camera_matrix", arrays["camera_matrix"], ((count, 3, 3), (3, 3)))
    size = _array(path, "image_size", arrays["image_size"], ((2,), (count, 2)))
    fps = _array(path, "fps", arrays["fps"], ((), (1,), (count,)))
    if (fps <= 0).any():
        raise InputError(f"{path}: fps: expected above 0, got {fps.min():g}")
    scores = keypoints[..., 2]
    if scores.min() < 0 or scores.max() > 1 + 1e-3:
        raise InputError(
            f"{path}: keypoints: expected scores of 0 to 1, got {scores.min():g} to "
            f"{scores.max():g}"
        )
    keypoints[..., 2] = scores.clip(0, 1)
    matrix = np.broadcast_to(matrix, (count, 3, 3))
    size = np.broadcast_to(size, (count, 2))
    fps = np.broadcast_to(fps.reshape(-1), (count,))
    text = {n: _labels(path, n, arrays, count) for n in ("names", "subject", "action")}
    out = []
    for i in range(count):
        rows = slice(int(offsets[i]), int(offsets[i + 1]))
        try:
            camera = Camera(matrix=matrix[i], width=int(size[i, 0]), height=int(size[i, 1]))
        except InputError as error:
            raise InputError(f"{path}: sequence {i}: {error}") from None
        out.append(
            Sequence(
                name=text["names"][i] or f"sequence {i}",
                subject=text["subject"][i],
                action=text["action"][i],
                camera=camera,
                fps=float(fps[i]),
                keypoints=keypoints[rows],
                skeleton=skeleton[rows],
            )
        )
    return tuple(out)


def _read(path: Path) -> dict[str, NDArray]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a benchmark in .npz format")
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(f"{path}: expected an .npz archive, got a single array")
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a readable .npz archive ({_first_line(error)})") from None


def _offsets(path: Path, value: NDArray) -> NDArray[np.int64]:
    offsets = np.asarray(value)
    if offsets.ndim != 1 or offsets.size < 2 or offsets.dtype.kind not in "iu":
        raise InputError(
            f"{path}: offsets: expected at least two integers, got {offsets.dtype} {offsets.shape}"
        )
    offsets = offsets.astype(np.int64)
    if offsets[0] != 0 or (np.diff(offsets) <= 0).any():
        raise InputError(f"{path}: offsets: expected to start at 0 and to rise strictly")
    return offsets


def _array(
    path: Path, name: str, value: NDArray, shapes: tuple[tuple[int, ...], ...]
) -> NDArray[np.float64]:
    value = np.asarray(value)
    if value.dtype.kind not in "fiu":
        raise InputError(f"{path}: {name}: expected numbers, got {value.dtype}")
    if value.shape not in shapes:
        want = " or ".join(map(str, shapes))
        raise InputError(f"{path}: {name}: expected shape {want}, got {value.shape}")
    bad = ~np.isfinite(value)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"{path}: {name}: expected finite numbers, got {int(bad.sum())} NaN or infinite, "
            f"the first at {where}"
        )
    return np.array(value, dtype=np.float64)


def _labels(path: Path, name: str, arrays: dict[str, NDArray], count: int) -> list[str]:
    if name not in arrays:
        return [""] * count
    value = arrays[name]
    if value.shape != (count,):
        raise InputError(f"{path}: {name}: expected shape {(count,)}, got {value.shape}")
    return [str(v) for v in value]


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
