"""Motion capture clips: skeletons in a world frame, metres, whatever the source file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17, InputError, _check
from diffpose_ros.data.face import coco_from_h36m
from diffpose_ros.data.formats import archive
from diffpose_ros.data.plausible import exchanged_sides, head_down, wrong_joints
from diffpose_ros.data.resampling import resample
from diffpose_ros.geometry.mapping import FACE

UP_AXES = ("y", "z")
REQUIRED = ("offsets", "h36m17", "fps")
TEXT = ("names", "subject", "action", "source")
OPTIONAL = ("coco17", "up_axis", *TEXT)

_UP_TURN = {
    ("y", "z"): np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    ("z", "y"): np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
}


@dataclass(frozen=True)
class Clip:
    """One person moving.

    Attributes:
        name: name in the file.
        subject: name of the person; the same for all clips of one person.
        action: what the person does; may be empty.
        fps: frames per second.
        h36m17: (T, 17, 3) float32 H36M-17 joints, metres, world frame.
        coco17: (T, 17, 3) float32 COCO-17 joints of the same body, or ``None``.
        up_axis: ``"y"`` or ``"z"``, right-handed.
        source: source of the recording; may be empty.

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
    source: str = ""

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

    def middle(self, seconds: float) -> Clip:
        """The frames around its middle, at most ``seconds`` of them and at least two."""
        frames = max(2, round(seconds * self.fps))
        if len(self) <= frames:
            return self
        begin = (len(self) - frames) // 2
        part = slice(begin, begin + frames)
        return replace(
            self, h36m17=self.h36m17[part], coco17=None if self.coco17 is None else self.coco17[part]
        )

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
        path: an ``.npz`` with ``offsets (C+1,)``, ``h36m17 (F, 17, 3)`` metres and ``fps``; ``coco17``,
            ``names (C,)``, ``subject``, ``action``, ``source`` and ``up_axis`` are optional.
            Clip ``i`` is rows ``offsets[i]:offsets[i+1]``. Without ``up_axis`` the axis is the one
            along which people stand.

    Raises:
        InputError: the file is missing, is another kind of archive, lacks an array, or an array is wrong
            (other joints, NaN, not metres, another up axis than stated); the message names file and
            array.
    """
    path = Path(path)
    arrays = archive.read_plain(path, "a motion capture", REQUIRED, OPTIONAL)
    body, coco = arrays["h36m17"], arrays.get("coco17")
    for name, value in (("h36m17", body), ("coco17", coco)):
        if value is not None and (value.ndim != 3 or value.shape[1:] != (17, 3) or value.dtype.kind != "f"):
            raise InputError(
                f"{path}: {name}: expected floats of shape (frames, 17, 3), the joints of "
                f"{'Human3.6M' if name == 'h36m17' else 'COCO'}, got {value.dtype} {value.shape}"
            )
    offsets = np.atleast_1d(arrays["offsets"])
    count = len(arrays["names"]) if "names" in arrays else max(len(offsets) - 1, 1)
    if offsets.shape != (count + 1,) or offsets.dtype.kind not in "iu":
        raise InputError(
            f"{path}: offsets: expected one integer more than there are clips ({count}), got "
            f"{offsets.dtype} {offsets.shape}"
        )
    steps = np.diff(offsets.astype(np.int64))
    if offsets[0] != 0 or (steps <= 0).any() or offsets[-1] != len(body):
        raise InputError(f"{path}: offsets: expected to rise from 0 to the {len(body)} frames of h36m17")
    if coco is not None and coco.shape != body.shape:
        raise InputError(f"{path}: coco17: expected shape {body.shape}, got {coco.shape}")
    if arrays["fps"].size != 1 or arrays["fps"].dtype.kind not in "fiu":
        raise InputError(f"{path}: fps: expected one number, got {arrays['fps'].dtype} {arrays['fps'].shape}")
    text = {n: archive.labels(path, n, arrays, count) for n in TEXT}
    up = str(arrays["up_axis"]) if "up_axis" in arrays else None
    if up is not None and up not in UP_AXES:
        raise InputError(f"{path}: up_axis: expected 'y' or 'z', got '{up}'")
    clips = []
    for i in range(count):
        rows = slice(int(offsets[i]), int(offsets[i + 1]))
        try:
            clip = Clip(
                name=text["names"][i] or f"clip {i}",
                subject=text["subject"][i],
                action=text["action"][i],
                fps=float(arrays["fps"].reshape(())),
                h36m17=body[rows],
                coco17=None if coco is None else coco[rows],
                up_axis=up or "y",
                source=text["source"][i],
            )
        except (InputError, ValueError, TypeError) as error:
            raise InputError(f"{path}: {error}") from None
        clips.append(clip)
    _check_size(path, clips)
    _check_skeletons(path, clips, body)
    seen = standing_axis(body)
    if up is None and seen == "z":
        return [replace(c, up_axis="z") for c in clips]
    if up is not None and seen not in (up, None):
        raise InputError(f"{path}: up_axis: expected the axis people stand along, {seen}, got {up}")
    return clips


def standing_axis(body: NDArray[np.floating]) -> str | None:
    """The axis along which people mostly stand, ``"y"`` or ``"z"``; ``None`` where it is not clear.

    Args:
        body: (F, 17, 3) H36M-17 joints.
    """
    ankles = body[:, [H36M17.index("left_ankle"), H36M17.index("right_ankle")]].mean(1)
    upright = body[:, H36M17.index("head_top")] - ankles
    stand = upright.mean(0, dtype=np.float64)
    along = {"y": stand[1], "z": stand[2]}
    axis = max(along, key=lambda a: along[a])
    typical = float(np.linalg.norm(upright, axis=-1).mean())
    return axis if along[axis] > 0.6 * typical else None


def _check_size(path: Path, clips: Sequence[Clip]) -> None:
    """Refuse bodies of no human's size: another unit than metres."""
    for clip in clips:
        extent = float(np.median(np.ptp(clip.h36m17, axis=1).max(-1)))
        if not 0.25 < extent < 4.0:
            unit = {True: "centimetres, divide by 100", False: "millimetres, divide by 1000"}
            guess = f"; it may be in {unit[extent < 400]}" if extent >= 4.0 else ""
            raise InputError(
                f"{path}: clip '{clip.name}': expected metres, got a body {extent:.3g} m large{guess}"
            )


def _check_skeletons(path: Path, clips: Sequence[Clip], body: NDArray[np.floating]) -> None:
    """Refuse joints in another order, exchanged sides, and people who stand on their heads or sideways."""
    for clip in clips:
        why = wrong_joints(clip.h36m17)
        if why is not None:
            raise InputError(
                f"{path}: clip '{clip.name}': h36m17: expected Human3.6M's 17 joints in their order (hip, "
                "right hip, knee, ankle, left hip, knee, ankle, spine, thorax, nose, head top, left "
                f"shoulder, ...): {why}"
            )
    if exchanged_sides(body):
        raise InputError(
            f"{path}: h36m17: knees bend forwards and noses point backwards: left and right joints are "
            "exchanged, or the axes are left-handed"
        )
    ankles = body[:, [H36M17.index("left_ankle"), H36M17.index("right_ankle")]].mean(1)
    head = body[:, H36M17.index("head_top")]
    for name, axis in (("-y", (0, -1, 0)), ("-z", (0, 0, -1)), ("x", (1, 0, 0)), ("-x", (-1, 0, 0))):
        if head_down(head, ankles, -np.array(axis)):
            raise InputError(
                f"{path}: h36m17: people stand along {name}; turn the data so that y or z is up"
            )


def save_clips(path: str | Path, clips: Sequence[Clip]) -> None:
    """Write clips as one archive that :func:`load_clips` and the training commands read.

    Args:
        path: the ``.npz`` file to write.
        clips: at least one; all at one frame rate. A missing ``coco17`` is estimated, and everything is
            rotated to Y up.

    Raises:
        InputError: there are no clips, their frame rates differ, or the file cannot be written.
    """
    body, coco, offsets = stack(clips)
    texts = {"names": "name"}
    columns = {n: np.array([getattr(c, texts.get(n, n)) for c in clips]) for n in TEXT}
    archive.write_arrays(
        path,
        {**columns, "offsets": offsets, "h36m17": body, "coco17": coco,
         "fps": np.array(clips[0].fps, np.float32), "up_axis": np.array("y")},
    )  # fmt: skip


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
    """Joints and face, Y up: (F, 21, 3) as ``geometry.mapping`` orders them, and ``offsets`` (C + 1,)."""
    body, coco, offsets = stack(clips)
    return np.concatenate([body, coco[:, list(FACE)]], axis=1), offsets
