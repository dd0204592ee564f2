"""Skeletons of a recording, a row per person per frame, whatever file they come from."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17, InputError
from diffpose_ros.search import windows
from diffpose_ros.search.vectors import JOINTS, pose_vectors

Array = NDArray[np.float64]

MOST_ROWS = 20_000_000
MOST_BYTES = 16 << 30


@dataclass(frozen=True)
class Recorded:
    """R skeletons.

    Attributes:
        source: the file they are from.
        stamp_s: (R,) seconds.
        frame: (R,) number of the frame.
        track_id: (R,) identities; -1 where there is none.
        xyz: (R, 17, 3) metres.
        up: (R, 3) unit vectors against gravity in the axes of ``xyz``; NaN where unknown.
        box: (R, 4) left, top, right, bottom in the image, pixels; NaN where unknown.

    Raises:
        InputError: shapes disagree.
    """

    source: str
    stamp_s: Array
    frame: NDArray[np.int64]
    track_id: NDArray[np.int64]
    xyz: Array
    up: Array = field(default_factory=lambda: np.empty((0, 3)))
    box: Array = field(default_factory=lambda: np.empty((0, 4)))

    def __post_init__(self) -> None:
        rows = len(self.stamp_s)
        for name, width in (("up", 3), ("box", 4)):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.full((rows, width), np.nan))
        shapes = {
            "stamp_s": (rows,), "frame": (rows,), "track_id": (rows,), "xyz": (rows, JOINTS, 3),
            "up": (rows, 3), "box": (rows, 4),
        }  # fmt: skip
        for name, shape in shapes.items():
            value = np.asarray(getattr(self, name))
            if value.shape != shape:
                raise InputError(f"{self.source}: {name}: expected {shape}, got {value.shape}")
        if not np.isfinite(self.stamp_s).all():
            raise InputError(f"{self.source}: expected finite stamps")

    def __len__(self) -> int:
        return len(self.stamp_s)

    def vectors(self) -> tuple[Array, NDArray[np.int64]]:
        """(K, 17, 3) vectors of the poses that have one, and their rows."""
        good = np.isfinite(self.xyz).all(axis=(1, 2)) & _spans(self.xyz)
        known = np.isfinite(self.up).all(axis=1)
        out = np.empty((len(self), JOINTS, 3))
        for rows, up in ((good & known, True), (good & ~known, False)):
            if rows.any():
                out[rows] = pose_vectors(self.xyz[rows], self.up[rows] if up else None)
        return out[good], np.flatnonzero(good)

    def between(self, start: float, end: float) -> Recorded:
        """The rows of a span, in seconds from the first; an ``end`` of 0 is the last."""
        begin = self.stamp_s.min() if len(self) else 0.0
        inside = (self.stamp_s >= begin + start - 1e-6) & (
            (self.stamp_s <= begin + end + 1e-6) if end > 0 else np.ones(len(self), bool)
        )
        return self.take(np.flatnonzero(inside))

    def take(self, rows: NDArray[np.int64]) -> Recorded:
        """Some of the rows."""
        return Recorded(
            self.source, self.stamp_s[rows], self.frame[rows], self.track_id[rows], self.xyz[rows],
            self.up[rows], self.box[rows],
        )  # fmt: skip

    def only(self, track_id: int) -> Recorded:
        """The rows of one person; -1: of the one who is there.

        Raises:
            InputError: nobody is there, or nobody of that id, or several and none was named.
        """
        there = sorted(set(self.track_id.tolist()))
        if not there:
            raise InputError(f"{self.source}: nobody is in it; give a span in which somebody is")
        if track_id == -1 and len(there) > 1:
            raise InputError(
                f"{self.source}: {len(there)} people are in it (track ids "
                f"{', '.join(map(str, there[:20]))}): choose one of them (`--track`, "
                "`track_id`), or give a shorter span"
            )
        wanted = there[0] if track_id == -1 else track_id
        if wanted not in there:
            raise InputError(
                f"{self.source}: no person {wanted} is in it, but {', '.join(map(str, there[:20]))}"
            )
        return self.take(np.flatnonzero(self.track_id == wanted))

    def window(self, seconds: float) -> Array:
        """(N, 17, 3) the last seconds of these rows, which are one person's.

        Raises:
            InputError: they are shorter, or have a gap.
        """
        made, rows = self.vectors()
        order = np.argsort(self.stamp_s[rows], kind="stable")
        stamps = self.stamp_s[rows][order]
        seen = None
        if len(stamps):
            seen = windows.window(stamps, made[order], float(stamps[-1]), seconds)
        if seen is None:
            raise InputError(
                f"{self.source}: expected somebody seen for {seconds:g} s without a gap of "
                f"{windows.LONGEST_GAP_S:g} s"
            )
        return seen


def _spans(xyz: Array) -> NDArray[np.bool_]:
    """(R,) whether trunk and sides are apart, so that the body has axes."""
    index = H36M17.index
    trunk = np.linalg.norm(xyz[:, index("thorax")] - xyz[:, index("hip")], axis=1)
    left = xyz[:, index("left_hip")] + xyz[:, index("left_shoulder")]
    across = left - xyz[:, index("right_hip")] - xyz[:, index("right_shoulder")]
    z = (xyz[:, index("thorax")] - xyz[:, index("hip")]) / np.maximum(trunk, 1e-9)[:, None]
    side = np.linalg.norm(across - (across * z).sum(axis=1, keepdims=True) * z, axis=1)
    return np.asarray((trunk > 0.03) & (side > 0.03))


def read_lifted(path: str | Path) -> Recorded:
    """What ``diffpose_ros lift --output OUT.npz`` wrote.

    Raises:
        InputError: the file is missing, damaged, or something else.
    """
    wanted = ("stamps", "frame", "track_id", "skeleton", "joint_names")
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in wanted if name not in file.files]
            if missing:
                raise InputError(f"{path}: expected what `diffpose_ros lift` wrote, it lacks {missing[0]}")
            names = tuple(str(n) for n in file["joint_names"])
            if names != H36M17.joints:
                raise InputError(f"{path}: expected the joints of {H36M17.name}, got others")
            frame = np.asarray(file["frame"], dtype=np.int64)
            stamps = np.asarray(file["stamps"], dtype=np.float64)
            rows = len(frame)
            if rows and (frame.min() < 0 or frame.max() >= len(stamps)):
                raise InputError(f"{path}: its frames and stamps disagree")
            keypoints = file["keypoints"] if "keypoints" in file.files else None
            up = np.asarray(file["up"], dtype=np.float64) if "up" in file.files else np.full(3, np.nan)
            up = np.broadcast_to(up, (len(stamps), 3))
            return Recorded(
                str(path), stamps[frame], frame, np.asarray(file["track_id"], dtype=np.int64),
                np.asarray(file["skeleton"], dtype=np.float64).reshape(rows, JOINTS, 3),
                up=up[frame], box=_boxes(keypoints, rows),
            )  # fmt: skip
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, TypeError) as error:
        text = f"{path}: expected what `diffpose_ros lift` wrote (.npz), it cannot be read"
        raise InputError(f"{text} ({type(error).__name__})") from None


def _boxes(keypoints: NDArray | None, rows: int) -> Array:
    """(R, 4) around the keypoints (R, J, 3) that were seen."""
    out = np.full((rows, 4), np.nan)
    if keypoints is None or keypoints.ndim != 3 or len(keypoints) != rows or not rows:
        return out
    seen = keypoints[..., 2] > 0
    for k, sign in ((0, 1.0), (1, 1.0), (2, -1.0), (3, -1.0)):
        value = np.where(seen, sign * keypoints[..., k % 2], np.inf).min(axis=1)
        out[:, k] = np.where(np.isfinite(value), sign * value, np.nan)
    return out
