"""Benchmark files: 2D keypoints, cameras and true 3D skeletons of many short sequences.

The format for evaluating a lifter, whatever the source of the motion. An ``.npz`` with

=================  ==========================================================================
``keypoints``      (F, 17, 3) float32, COCO-17 x, y in pixels and score, sequences concatenated
``skeleton``       (F, 17, 3) float32, H36M-17 in metres, camera optical frame, absolute
``offsets``        (S + 1,) int64; sequence ``i`` is rows ``offsets[i]:offsets[i + 1]``
``camera_matrix``  (S, 3, 3), or (3, 3) for all; pixels are undistorted
``image_size``     (2,) width and height for all, or (S, 2)
``fps``            a scalar, or (S,)
``names``          (S,) and ``subject``, ``action``: text, optional
``valid``          (F,) bool, optional: which frames count
``up``             (S, 3), optional: unit vector against gravity, optical frame; NaN: unknown
``camera_height``  (S,), optional: metres above the floor; NaN: unknown
=================  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17, Camera, InputError, Surroundings
from diffpose_ros.data.formats import archive
from diffpose_ros.data.plausible import head_down
from diffpose_ros.data.sequence import Sequence, from_clip

__all__ = ["REQUIRED", "Sequence", "from_clip", "load", "to_benchmark"]

REQUIRED = ("offsets", "keypoints", "skeleton", "camera_matrix", "image_size", "fps")
OPTIONAL = ("names", "subject", "action", "valid", "up", "camera_height")


def to_benchmark(path: str | Path, sequences: Iterable[Sequence], *, rate_hz: float | None = None) -> int:
    """Write sequences as one benchmark file.

    Args:
        path: the ``.npz`` file to write.
        sequences: at least one.
        rate_hz: reduce faster sequences to this rate; slower ones are unchanged.

    Returns:
        The number of frames written.

    Raises:
        InputError: there are no sequences, or the file cannot be written.
    """
    kept = [s.thinned(rate_hz) if rate_hz and s.fps > rate_hz else s for s in sequences]
    if not kept:
        raise InputError(f"{path}: expected at least one sequence to write, got none")
    sizes = np.array([(s.camera.width, s.camera.height) for s in kept], dtype=np.int64)
    fps = np.array([s.fps for s in kept], dtype=np.float32)
    arrays = {
        "names": np.array([s.name for s in kept]),
        "subject": np.array([s.subject for s in kept]),
        "action": np.array([s.action for s in kept]),
        "offsets": np.cumsum([0] + [len(s) for s in kept]).astype(np.int64),
        "keypoints": np.concatenate([s.keypoints for s in kept]).astype(np.float32),
        "skeleton": np.concatenate([s.skeleton for s in kept]).astype(np.float32),
        "camera_matrix": np.stack([s.camera.matrix for s in kept]),
        "image_size": sizes[0] if (sizes == sizes[0]).all() else sizes,
        "fps": fps[0] if (fps == fps[0]).all() else fps,
    }
    if any(s.around.up is not None for s in kept):
        arrays["up"] = np.stack([np.full(3, np.nan) if s.around.up is None else s.around.up for s in kept])
    if any(s.around.camera_height is not None for s in kept):
        arrays["camera_height"] = np.array([s.around.camera_height or np.nan for s in kept])
    if any(s.valid is not None for s in kept):
        arrays["valid"] = np.concatenate(
            [np.ones(len(s), bool) if s.valid is None else s.valid for s in kept]
        )
    archive.write_arrays(path, arrays)
    return int(arrays["offsets"][-1])


def load(path: str | Path) -> tuple[Sequence, ...]:
    """Read and check a benchmark file.

    Args:
        path: an ``.npz`` file as described in this module.

    Raises:
        InputError: the file is missing, is another kind of archive, lacks an array, or an array has a
            wrong shape or contains NaN; the message names the file and the array.
    """
    path = Path(path)
    arrays = archive.read_plain(path, "a benchmark", REQUIRED, OPTIONAL)
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
            f"{path}: keypoints: expected scores of 0 to 1, got {scores.min():g} to {scores.max():g}"
        )
    keypoints[..., 2] = scores.clip(0, 1)
    valid = arrays.get("valid")
    if valid is not None and (valid.shape != (frames,) or valid.dtype.kind not in "biu"):
        raise InputError(f"{path}: valid: expected {frames} booleans, got {valid.dtype} {valid.shape}")
    matrix = np.broadcast_to(matrix, (count, 3, 3))
    size = np.broadcast_to(size, (count, 2))
    fps = np.broadcast_to(fps.reshape(-1), (count,))
    up, height = _around(path, arrays, count)
    text = {n: archive.labels(path, n, arrays, count) for n in ("names", "subject", "action")}
    out = []
    for i in range(count):
        rows = slice(int(offsets[i]), int(offsets[i + 1]))
        try:
            camera = Camera(matrix=matrix[i], width=int(size[i, 0]), height=int(size[i, 1]))
            around = Surroundings(
                up=None if np.isnan(up[i]).any() else up[i],
                camera_height=None if np.isnan(height[i]) else float(height[i]),
            )
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
                valid=None if valid is None else valid[rows].astype(bool),
                around=around,
            )
        )
    _check_up(path, out)
    return tuple(out)


def _around(
    path: Path, arrays: Mapping[str, NDArray], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``up`` (S, 3) and ``camera_height`` (S,), NaN where the file does not tell them."""
    out = []
    for name, shape in (("up", (count, 3)), ("camera_height", (count,))):
        value = arrays.get(name)
        if value is None:
            out.append(np.full(shape, np.nan))
            continue
        if value.dtype.kind not in "fiu" or value.shape != shape:
            raise InputError(
                f"{path}: {name}: expected numbers of shape {shape}, got {value.dtype} {value.shape}"
            )
        known = value.astype(np.float64).reshape(count, -1)
        some = np.isnan(known).any(1) & ~np.isnan(known).all(1) | np.isinf(known).any(1)
        if some.any():
            raise InputError(
                f"{path}: {name}: expected finite numbers, or NaN in all of a sequence's, got "
                f"{known[some][0].tolist()} for sequence {int(np.flatnonzero(some)[0])}"
            )
        out.append(value.astype(np.float64))
    return out[0], out[1]


def _check_up(path: Path, sequences: Iterable[Sequence]) -> None:
    """Refuse an ``up`` along which most people stand on their heads: it is down, or not in the optical frame.

    One of many may do a handstand.
    """
    wrong, told = [], 0
    for i, sequence in enumerate(sequences):
        up, body = sequence.around.up, sequence.skeleton
        if up is None:
            continue
        told += 1
        feet = body[:, [H36M17.index("left_ankle"), H36M17.index("right_ankle")]].mean(1)
        if head_down(body[:, H36M17.index("head_top")], feet, up):
            wrong.append((i, up))
    if 2 * len(wrong) > told:
        i, up = wrong[0]
        raise InputError(
            f"{path}: sequence {i}: up: expected the direction against gravity in the optical frame (y "
            f"down), got {np.round(up, 3).tolist()}, along which this person is head down"
        )



def _offsets(path: Path, value: NDArray) -> NDArray[np.int64]:
    if value.ndim != 1 or value.size < 2 or value.dtype.kind not in "iu":
        raise InputError(f"{path}: offsets: expected at least two integers, got {value.dtype} {value.shape}")
    offsets = value.astype(np.int64)
    if offsets[0] != 0 or (np.diff(offsets) <= 0).any():
        raise InputError(f"{path}: offsets: expected to start at 0 and to rise strictly")
    return offsets


def _array(path: Path, name: str, value: NDArray, shapes: tuple[tuple[int, ...], ...]) -> NDArray[np.float64]:
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
