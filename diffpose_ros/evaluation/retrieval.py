"""How well poses are found again: the same moment by another camera, and a skeleton by its keypoints.

Sequences whose names differ only behind an ``@`` are one motion seen by several cameras, frame by frame.

Letters for shapes: F frames of all sequences together, D numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError
from diffpose_ros.evaluation.protocol import Prediction
from diffpose_ros.geometry.body_frame import MEAN_SIZE_M, as_seen, body_pose, unit_pose
from diffpose_ros.methods.unihpr.embedder import Embedder, body_part

Array = NDArray[np.float64]

NEAR_FRAMES = 5
EVERY = 4
"""Every which frame is among the poses that a skeleton is looked for in."""
CHUNK = 512
SECOND = "over a second"


@dataclass(frozen=True)
class Moments:
    """How the same moment is found by another camera.

    Attributes:
        distance_mm: mean distance of joints between the true poses of what was asked for and what was
            found, in the body's axes, of a body of common size.
        near: share found within :data:`NEAR_FRAMES` frames.
        queries: frames asked for.
    """

    distance_mm: float
    near: float
    queries: int


@dataclass(frozen=True)
class Recall:
    """How often the true skeleton is the nearest, or one of the ten nearest.

    Attributes:
        r1, r10: shares; the same moment seen by another camera counts as right where its vector is equal.
        poses: among how many, and how many were asked for.
    """

    r1: float
    r10: float
    poses: int


@dataclass(frozen=True)
class _Frames:
    """Whose frame each is: motion, camera and number (F,)."""

    motion: NDArray[np.int64]
    camera: NDArray[np.int64]
    number: NDArray[np.int64]

    @classmethod
    def of(cls, predictions: Sequence[Prediction]) -> _Frames:
        names = [p.sequence.name.rpartition("@")[0] or p.sequence.name for p in predictions]
        order = {name: i for i, name in enumerate(dict.fromkeys(names))}
        seen: dict[str, int] = {}
        parts = []
        for name, p in zip(names, predictions, strict=True):
            camera = seen.get(name, 0)
            seen[name] = camera + 1
            count = len(p.xyz)
            parts.append((np.full(count, order[name]), np.full(count, camera), np.arange(count)))
        return cls(*(np.concatenate(x) for x in zip(*parts, strict=True)))


def retrieval(predictions: Sequence[Prediction], embedder: Embedder | None = None) -> dict[str, Any]:
    """Everything that can be said, as plain data: kind of search -> what is compared -> figures.

    Args:
        predictions: of sequences some of which are one motion seen by several cameras.
        embedder: embeds lifted and true skeletons; must be of the model that embedded the keypoints.

    Raises:
        InputError: no motion is seen twice, or a frame has no pose.
    """
    frames = _Frames.of(predictions)
    lifted = np.concatenate([p.xyz for p in predictions])
    true = np.concatenate([np.asarray(p.sequence.skeleton, np.float64) for p in predictions])
    seen = [as_seen(p.xyz, p.sequence.around.up) for p in predictions]
    shown = [as_seen(p.sequence.skeleton, p.sequence.around.up) for p in predictions]
    said_of, told = np.concatenate(seen), np.concatenate(shown)
    inside, truth = body_pose(lifted), body_pose(true)
    unknown = ~np.isfinite(inside).all(axis=(1, 2))
    if unknown.any():
        raise InputError(f"retrieval: {unknown.sum()} frames have no pose")
    alone: dict[str, Array] = {"lifted pose": _flat(inside)}
    pairs: dict[str, tuple[NDArray[np.floating], NDArray[np.floating]]] = {
        "lifted pose, viewer's axes": (_flat(unit_pose(said_of)), _flat(unit_pose(told))),
        "lifted pose, body's axes": (_flat(inside), _flat(truth)),
    }
    if embedder is not None:
        said, known = embedder.skeletons(said_of), embedder.skeletons(told)
        body = embedder.body
        alone["embedding of the lifted pose"] = body_part(said, body).astype(np.float64)
        pairs["embedding of the lifted pose, whole"] = (said, known)
        pairs["embedding of the lifted pose, body part"] = (body_part(said, body), body_part(known, body))
        heard = [p.embedding for p in predictions]
        if all(e is not None for e in heard):
            of_keypoints = np.concatenate([e for e in heard if e is not None])
            alone["embedding of keypoints"] = body_part(of_keypoints, body).astype(np.float64)
            pairs["embedding of keypoints, whole"] = (of_keypoints, known)
            parts = body_part(of_keypoints, body), body_part(known, body)
            pairs["embedding of keypoints, body part"] = parts
    window = {n: _over_a_second(v, predictions) for n, v in alone.items()}
    moments = {n: asdict(other_camera(v, truth, frames)) for n, v in alone.items()}
    moments |= {f"{n}, {SECOND}": asdict(other_camera(v, truth, frames)) for n, v in window.items()}
    return {
        "same moment, other camera": moments,
        "skeleton of a frame": {n: asdict(recall(q, g, frames)) for n, (q, g) in pairs.items()},
    }


def other_camera(vectors: Array, truth: Array, frames: _Frames) -> Moments:
    """Ask for each frame that two cameras see, among all frames of the other cameras.

    Args:
        vectors: (F, D), compared by L2.
        truth: (F, 17, 3) true poses in the body's axes, of size 1.
        frames: whose they are.

    Raises:
        InputError: no motion is seen twice.
    """
    distances, near = [], []
    cameras = np.unique(frames.camera)
    twice = [m for m in np.unique(frames.motion) if len(np.unique(frames.camera[frames.motion == m])) > 1]
    if not twice:
        raise InputError("retrieval: expected motions seen by several cameras (NAME@0, NAME@1), got none")
    for camera in cameras:
        mine = np.flatnonzero((frames.camera == camera) & np.isin(frames.motion, twice))
        others = np.flatnonzero(frames.camera != camera)
        for rows in np.array_split(mine, max(1, len(mine) // CHUNK)):
            found = others[_squares(vectors[rows], vectors[others]).argmin(1)]
            off = np.linalg.norm(truth[rows] - truth[found], axis=-1).mean(-1)
            distances.append(1000 * MEAN_SIZE_M * off)
            same = frames.motion[rows] == frames.motion[found]
            near.append(same & (np.abs(frames.number[rows] - frames.number[found]) <= NEAR_FRAMES))
    distance, close = np.concatenate(distances), np.concatenate(near)
    return Moments(float(distance.mean()), float(close.mean()), len(distance))


def recall(queries: NDArray, gallery: NDArray, frames: _Frames) -> Recall:
    """Ask for every :data:`EVERY`-th frame's own row of the gallery, among those rows.

    Args:
        queries, gallery: (F, D), compared by L2.
        frames: whose they are.
    """
    kept = np.arange(0, len(queries), EVERY)
    queries, gallery = queries[kept].astype(np.float64), gallery[kept].astype(np.float64)
    squares = _squares(queries, gallery)
    own = squares.diagonal()[:, None]
    twin = frames.motion[kept][:, None] == frames.motion[kept]
    twin &= frames.number[kept][:, None] == frames.number[kept]
    equal = twin & (_squares(gallery, gallery) < 1e-6)
    rank = ((squares < own) & ~equal).sum(1)
    return Recall(float((rank < 1).mean()), float((rank < 10).mean()), len(kept))


def _over_a_second(vectors: Array, predictions: Sequence[Prediction]) -> Array:
    """(F, K D) each frame's vector beside those of the last second; the first stands for what is before."""
    out, first = [], 0
    for p in predictions:
        own = vectors[first : first + len(p.xyz)]
        first += len(own)
        back = round(p.sequence.fps)
        rows = np.maximum(np.arange(len(own))[:, None] - np.arange(back)[None], 0)
        out.append(own[rows].reshape(len(own), -1) / np.sqrt(back))
    widths = {o.shape[1] for o in out}
    if len(widths) > 1:
        raise InputError("retrieval: expected sequences of one frame rate")
    return np.concatenate(out)


def _flat(pose: Array) -> Array:
    return pose.reshape(len(pose), -1)


def _squares(a: Array, b: Array) -> Array:
    """Squared distances (A, B)."""
    return np.maximum((a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T, 0.0)


def rows(found: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """What :func:`retrieval` found, as rows: kind, what is compared, two figures as text."""
    out = []
    for kind, entries in found.items():
        for name, said in entries.items():
            if "distance_mm" in said:
                figures = f"{said['distance_mm']:.1f} mm", f"{100 * said['near']:.1f} %"
            else:
                figures = f"{said['r1']:.3f}", f"{said['r10']:.3f}"
            out.append((kind, name, *figures))
    return out
