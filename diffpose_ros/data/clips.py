"""Motion capture clips: world-frame skeletons in metres, whatever file they came from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError, _check
from diffpose_ros.core.files import whole
from diffpose_ros.data.face import coco_from_h36m
from diffpose_ros.data.formats import archive
from diffpose_ros.data.resampling import resample
from diffpose_ros.geometry.mapping import FACE

UP_AXES = ("y", "z")
REQUIRED = ("names", "offsets", "h36m17", "fps")

_UP_TURN = {
    ("y", "z"): np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    ("z", "y"): np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
}


@dataclass(frozen=True)
class Clip:
    """One person moving.

    Attributes:
        name: what its file calls it.
        subject: who; clips of one person share it.
        action: what they do; may be empty.
        fps: frames per second.
        h36m17: (T, 17, 3) float32 H36M-17 joints, metres, world frame.
        coco17: (T, 17, 3) float32 the same body by COCO-17's names, or ``None``.
        up_axis: ``"y"`` or ``"z"``, right-handed.

    Raises:
        InputError: a shape is wrong, a number is not finite, ``fps`` is not positive, the up
            axis is neither ``y`` nor ``z``, or the clip has no frames.
    """

    name: str
    subject: str
    action: str
    fps: float
    h36m17: NDArray[np.float32]
    coco17: NDArray[np.float32] | None = None
    up_axis: str = "y"

    def __post_init__(self) -> None:
        where = f"clip '{self.name}'"
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise InputError(f"{where}: fps: expected above 0, got {self.fps:g}")
        if self.up_axis not in UP_AXES:
            raise InputError(f"{where}: up axis: expected 'y' or 'z', got '{self.up_axis}'")
        body = _check.array(f"{where}: h36m17", self.h36m17, (None, 17, 3), np.float32)
        _check.finite(f"{where}: h36m17", body)
        if not len(body):
            raise InputError(f"{where}: expected at least one frame, got none")
        object.__setattr__(self, "h36m17", body)
        if self.coco17 is not None:
            coco = _check.array(f"{where}: coco17", self.coco17, body.shape, np.float32)
            _check.finite(f"{where}: coco17", coco)
            object.__setattr__(self, "coco17", coco)

    def __len__(self) -> int:
        return int(self.h36m17.shape[0])

    def with_coco(self) -> Clip:
        """The same clip with ``coco17``, made by :func:`coco_from_h36m` where it is absent."""
        if self.coco17 is not None:
            return self
        return replace(self, coco17=coco_from_h36m(self.h36m17))

    def with_up(self, axis: str) -> Clip:
        """The same clip in a world whose up axis is ``"y"`` or ``"z"``."""
        if axis == self.up_axis:
            return self
        if axis not in UP_AXES:
            raise InputError(f"up axis: expected 'y' or 'z', got '{axis}'")
        turn = _UP_TURN[self.up_axis, axis]
        return replace(
            self,
            h36m17=self.h36m17 @ turn.T,
            coco17=None if self.coco17 is None else self.coco17 @ turn.T,
            up_axis=axis,
        )

    def resampled(self, fps: float) -> Clip:
        """The same motion at another frame rate; see :func:`resampling.resample`."""
        return replace(
            self,
            h36m17=resample(self.h36m17, self.fps, fps),
            coco17=None if self.coco17 is None else resample(self.coco17, self.fps, fps),
            fps=fps,
        )


def load_clips(path: str | Path) -> list[Clip]:
    """Read a motion capture archive.

    Args:
        path: an ``.npz`` with ``names (C,)``, ``offsets (C+1,)``, ``h36m17 (F, 17, 3)`` metres and
            ``fps``; ``coco17``, ``subject``, ``action`` and ``up_axis`` (default ``y``) may be
            left out. Clip ``i`` is rows ``offsets[i]:offsets[i+1]``.

    Raises:
        InputError: the file is missing, is no such archive, lacks an array, or an array is wrong;
            the message names the file and the array.
    """
    path = Path(path)
    arrays = archive.read_plain(path, "a motion capture", REQUIRED)
    body, coco = arrays["h36m17"], arrays.get("coco17")
    offsets = arrays["offsets"]
    count = len(arrays["names"]) if arrays["names"].ndim == 1 else 0
    if offsets.shape != (count + 1,) or offsets.dtype.kind not in "iu" or not count:
        raise InputError(
            f"{path}: offsets: expected one integer more than there are names ({count}), got "
            f"{offsets.dtype} {offsets.shape}"
        )
    steps = np.diff(offsets.astype(np.int64))
    if offsets[0] != 0 or (steps <= 0).any() or offsets[-1] != len(body):
        raise InputError(f"{path}: offsets: expected to rise from 0 to the {len(body)} frames of h36m17")
    if coco is not None and coco.shape != body.shape:
        raise InputError(f"{path}: coco17: expected shape {body.shape}, got {coco.shape}")
    if arrays["fps"].size != 1:
        raise InputError(f"{path}: fps: expected one number, got shape {arrays['fps'].shape}")
    text = {n: archive.labels(path, n, arrays, count) for n in ("names", "subject", "action")}
    up = str(arrays.get("up_axis", "y"))
    clips = []
    for i in range(count):
        rows = slice(int(offsets[i]), int(offsets[i + 1]))
        try:
            clip = Clip(
                name=text["names"][i],
                subject=text["subject"][i],
                action=text["action"][i],
                fps=float(arrays["fps"].reshape(())),
                h36m17=body[rows],
                coco17=None if coco is None else coco[rows],
                up_axis=up,
            )
        except (InputError, ValueError, TypeError) as error:
            raise InputError(f"{path}: {error}") from None
        clips.append(clip)
    return clips


def save_clips(path: str | Path, clips: Sequence[Clip]) -> None:
    """Write clips as one archive that :func:`load_clips` and the training commands read.

    Args:
        path: the ``.npz`` file to write.
        clips: at least one; all at one frame rate. ``coco17`` is filled in where absent, and
            everything is turned Y up.

    Raises:
        InputError: there are no clips, or their frame rates differ.
    """
    body, coco, offsets = stack(clips)
    with whole(path) as part, part.open("wb") as file:
        np.savez_compressed(
            file,
            names=np.array([c.name for c in clips]),
            subject=np.array([c.subject for c in clips]),
            action=np.array([c.action for c in clips]),
            offsets=offsets,
            h36m17=body,
            coco17=coco,
            fps=np.float32(clips[0].fps),
            up_axis=np.array("y"),
        )


def stack(
    clips: Iterable[Clip],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """All clips in a row, Y up: ``h36m17`` and ``coco17`` (F, 17, 3), ``offsets`` (C + 1,).

    Raises:
        InputError: there are no clips, or their frame rates differ.
    """
    clips = [c.with_up("y").with_coco() for c in clips]
    rates = sorted({c.fps for c in clips})
    if len(rates) != 1:
        got = ", ".join(f"{r:g}" for r in rates) or "no clips"
        raise InputError(f"clips: expected one frame rate for all, got {got}; resample them first")
    offsets = np.cumsum([0] + [len(c) for c in clips]).astype(np.int64)
    coco = [c.coco17 for c in clips if c.coco17 is not None]
    return np.concatenate([c.h36m17 for c in clips]), np.concatenate(coco), offsets


def bodies(clips: Iterable[Clip]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """What :class:`synthesis.MotionLibrary` is made of: (F, 21, 3) and ``offsets`` (C + 1,)."""
    body, coco, offsets = stack(clips)
    return np.concatenate([body, coco[:, list(FACE)]], axis=1), offsets
