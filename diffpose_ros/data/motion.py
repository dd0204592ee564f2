"""Motion for training, from archives and folders, and what is held out of it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffpose_ros.core import InputError
from diffpose_ros.core.typed_config import nearest
from diffpose_ros.data.clips import Clip, load_clips

RATE_HZ = 30.0
"""Frame rate to which all clips are resampled."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipChoice:
    """Which clips to train on, and which to hold out for calibration.

    Attributes:
        leave_out_sources: clips of these sources are never used (``source`` of an archive).
        hold_out_subjects: people to hold out.
        hold_out_actions: actions to hold out.
    """

    leave_out_sources: tuple[str, ...] = ()
    hold_out_subjects: tuple[str, ...] = ()
    hold_out_actions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Motions:
    """Clips for training and held-out clips. No held-out subject, action or motion is in both.

    Attributes:
        train: clips for training.
        held_out: held-out clips; may be empty.
    """

    train: tuple[Clip, ...]
    held_out: tuple[Clip, ...]


def load_motion(paths: Iterable[str | Path], *, rate_hz: float = RATE_HZ) -> list[Clip]:
    """Read archives (``.npz``) and folders of BVH files as one set of clips.

    Args:
        paths: files and folders.
        rate_hz: frame rate to which all clips are resampled.

    Raises:
        InputError: a path is missing or cannot be read; the message names it.
    """
    clips: list[Clip] = []
    for path in map(Path, paths):
        if path.is_dir() or path.suffix.lower() == ".bvh":
            from diffpose_ros.data.formats import bvh  # pybvh is needed only where BVH is read

            read = bvh.load_folder(path, fps=rate_hz) if path.is_dir() else [bvh.load_bvh(path, fps=rate_hz)]
        else:
            read = [c if c.fps == rate_hz else c.resampled(rate_hz) for c in load_clips(path)]
        clips += read
    return clips


def choose(clips: Sequence[Clip], choice: ClipChoice) -> Motions:
    """Split clips as a recipe says.

    A clip is held out when its subject or its action is. A motion that comes twice, under another name or
    from another source, is held out with its twin.

    Raises:
        InputError: a source, subject or action is named that no clip has, or nothing is left to learn from.
    """
    for what, names, known in (
        ("leave_out_sources", choice.leave_out_sources, {c.source for c in clips}),
        ("hold_out_subjects", choice.hold_out_subjects, {c.subject for c in clips}),
        ("hold_out_actions", choice.hold_out_actions, {c.action for c in clips}),
    ):
        _check_names(what, names, known)
    used = [c for c in clips if c.source not in choice.leave_out_sources]
    apart = [
        c.subject in choice.hold_out_subjects or c.action in choice.hold_out_actions for c in used
    ]
    held_out = [c for c, held in zip(used, apart, strict=True) if held]
    rest = [c for c, held in zip(used, apart, strict=True) if not held]
    train = [c for c in rest if not any(_same_motion(c, h) for h in held_out)]
    twins = len(rest) - len(train)
    if twins:
        _LOG.warning("%d clips repeat a held-out motion and are not learnt from", twins)
    if not train:
        raise InputError(f"nothing to learn from: all {len(clips)} clips are left out or held out")
    return Motions(tuple(train), tuple(held_out))


def select(clips: Sequence[Clip], *, subjects: Sequence[str] = (), actions: Sequence[str] = ()) -> list[Clip]:
    """The clips of these people, and anyone's of these actions; all where neither is named.

    Raises:
        InputError: a subject or action is named that no clip has.
    """
    _check_names("subjects", subjects, {c.subject for c in clips})
    _check_names("actions", actions, {c.action for c in clips})
    return [c for c in clips if not (subjects or actions) or c.subject in subjects or c.action in actions]


def _check_names(what: str, names: Sequence[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            listed = ", ".join(sorted(filter(None, known))) or "none"
            raise InputError(
                f"{what}: no clip has '{name}'{nearest(name, known)}; there are: {_short(listed)}"
            )


def fingerprint(clips: Sequence[Clip]) -> str:
    """A hash of what clips hold, whatever files they came in."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(f"{clip.name}|{clip.subject}|{clip.action}|{clip.source}|{clip.fps:g}|".encode())
        digest.update(clip.h36m17.tobytes())
        digest.update(clip.coco17.tobytes() if clip.coco17 is not None else b"-")
    return digest.hexdigest()


def _same_motion(a: Clip, b: Clip) -> bool:
    """Whether two clips agree to a millimetre, wherever they happen."""
    if len(a) != len(b) or a.fps != b.fps:
        return False
    one, other = (c.with_up("y").h36m17 for c in (a, b))
    return bool(np.abs((one - one[:1, :1]) - (other - other[:1, :1])).max() < 1e-3)


def _short(text: str, most: int = 300) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
