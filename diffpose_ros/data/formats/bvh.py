"""BVH motion capture as clips: joints mapped to H36M-17, metres, up axis, frame rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17, InputError
from diffpose_ros.data.clips import Clip
from diffpose_ros.data.formats import bvh_file
from diffpose_ros.data.formats.bvh_skeletons import SKELETONS, SkeletonMap, find, missing_text, simplify

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "cmu": 0.0254 / 0.45}
"""Metres per file unit. CMU's bodies come in inches divided by 0.45."""

_STATURE_M = (1.1, 2.1)
"""Ankle to crown along the bones, of anyone from a child to a tall adult: never two units fit."""

# The head of an average adult, metres, for a thorax-to-crown length of 0.28.
_HEAD_LENGTH = 0.28
_CROWN_ABOVE_HEAD = 0.18
_NOSE_FROM_CROWN = (-0.085, 0.105)  # up, forward
_INDEX = {name: i for i, name in enumerate(H36M17.joints)}


def load_bvh(
    path: str | Path,
    *,
    scale: float | str = "auto",
    skeleton: SkeletonMap | str = "auto",
    up_axis: str = "auto",
    fps: float | None = None,
    skip: int = 0,
    subject: str | None = None,
    action: str = "",
) -> Clip:
    """Read one BVH file.

    Args:
        path: the file.
        scale: metres per file unit, one of :data:`UNITS` by name, or ``"auto"``: the one that
            makes a body of human size.
        skeleton: how its joints are named: a map, the name of one of ``bvh_skeletons.SKELETONS``,
            or ``"auto"``: the first that fits.
        up_axis: ``"y"``, ``"z"``, or ``"auto"``: along which the person mostly stands.
        fps: frame rate to resample to; the file's own when omitted.
        skip: frames to leave out at the start, e.g. 1 where files begin with a calibration pose.
        subject: who; the name of the folder when omitted.
        action: what they do.

    Raises:
        InputError: the file breaks the format, no skeleton fits (the unmapped joints are listed),
            the size or the up axis cannot be told, or nothing is left after ``skip``.
    """
    path = Path(path)
    parsed = bvh_file.read(path)
    chosen = _skeleton(path, parsed.names, skeleton)
    if not 0 <= skip < len(parsed.values):
        raise InputError(f"{path}: skip: expected fewer than its {len(parsed.values)} frames, got {skip}")
    position, rotation = parsed.pose()
    body = _body(parsed, chosen, position, rotation)[skip:]
    metres = (body * _scale(path, body[0], scale)).astype(np.float32)
    clip = Clip(
        name=path.stem,
        subject=path.parent.name if subject is None else subject,
        action=action,
        fps=_tidy(1.0 / parsed.frame_time),
        h36m17=metres,
        up_axis=_up(path, metres, up_axis),
    )
    return clip if fps is None else clip.resampled(fps)


def load_folder(folder: str | Path, *, fps: float = 30.0, **options: object) -> list[Clip]:
    """Read every ``.bvh`` file below a folder, sorted by path.

    Args:
        folder: searched with all that is below it.
        fps: frame rate to resample to, so that the clips can be stacked.
        options: as :func:`load_bvh` takes them.

    Raises:
        InputError: there is none, or one of them cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one with .bvh files")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".bvh" and p.is_file())
    if not files:
        raise InputError(f"{folder}: no .bvh files in it or below it")
    return [load_bvh(p, fps=fps, **options) for p in files]  # type: ignore[arg-type]


def _skeleton(path: Path, names: tuple[str, ...], wanted: SkeletonMap | str) -> SkeletonMap:
    if wanted == "auto":
        return find(names, str(path))
    if isinstance(wanted, str):
        named = {s.name: s for s in SKELETONS}
        if wanted not in named:
            raise InputError(f"skeleton: expected auto or one of {', '.join(named)}, got '{wanted}'")
        wanted = named[wanted]
    if wanted.lacking(names):
        raise InputError(
            f"{path}: skeleton '{wanted.name}' finds no {missing_text(wanted, names)}; the file "
            f"has {', '.join(names)}"
        )
    return wanted


def _body(
    parsed: bvh_file.Bvh,
    skeleton: SkeletonMap,
    position: NDArray[np.float64],
    rotation: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(T, 17, 3) H36M-17 in file units, the head placed as well."""
    index: dict[str, int] = {}
    for i, name in enumerate(parsed.names):
        index.setdefault(simplify(name), i)
    out = np.empty((len(position), 17, 3))
    rest = np.empty((17, 3))
    rest_all = parsed.rest()
    for joint, names in skeleton.joints.items():
        at = [index[simplify(n)] for n in names]
        out[:, _INDEX[joint]] = position[:, at].mean(1)
        rest[_INDEX[joint]] = rest_all[at].mean(0)
    head = index[simplify(skeleton.head)]
    _place_head(parsed, head, rest, rest_all, out, position, rotation)
    return out


def _place_head(
    parsed: bvh_file.Bvh,
    head: int,
    rest: NDArray[np.float64],
    rest_all: NDArray[np.float64],
    out: NDArray[np.float64],
    position: NDArray[np.float64],
    rotation: NDArray[np.float64],
) -> None:
    """Write ``head_top`` and ``nose`` into ``out``.

    The crown is the highest end of the head's own joints in the rest pose, or lies a head's
    height above the head's joint. The nose lies before and below the crown in the head's frame:
    a rest pose that stands tells which way the head faces; without one the shoulders do.
    """
    thorax, hip = _INDEX["thorax"], _INDEX["hip"]
    left, right = _INDEX["left_hip"], _INDEX["right_hip"]
    feet = (rest[_INDEX["left_ankle"]] + rest[_INDEX["right_ankle"]]) / 2
    trunk, across = rest[thorax] - rest[hip], rest[left] - rest[right]
    unit = np.linalg.norm(out[0, thorax] - out[0, hip]) / 0.48  # file units per metre, roughly
    up, side = _unit(trunk), _unit(across)
    stands = (
        np.linalg.norm(trunk) > 0.2 * unit
        and np.linalg.norm(across) > 0.02 * unit
        and abs(up @ side) < 0.3
        and (feet - rest[hip]) @ up < -0.3 * unit
    )
    if stands:
        side = _unit(side - (side @ up) * up)
        turn = rotation[:, head]
        head_up, head_forward = turn @ up, turn @ np.cross(side, up)
    else:
        head_up = _unit(position[:, head] - out[:, thorax])
        across_now = out[:, _INDEX["left_shoulder"]] - out[:, _INDEX["right_shoulder"]]
        head_forward = np.cross(across_now, head_up)
        head_forward = _unit(head_forward - (head_forward * head_up).sum(-1, keepdims=True) * head_up)
    tip = _crown(parsed, head, rest_all, up, unit) if stands else _first_end(parsed, head)
    if tip is None:
        crown = position[:, head] + _CROWN_ABOVE_HEAD * unit * head_up
    else:
        crown = position[:, tip]
        # Some heads end inside the skull: CMU's bone for it is 10 cm long.
        short = _HEAD_LENGTH * unit - np.linalg.norm(crown - out[:, thorax], axis=-1).mean()
        if short > 0.04 * unit:
            crown = crown + short * head_up
    size = np.linalg.norm(crown - out[:, thorax], axis=-1, keepdims=True) / _HEAD_LENGTH
    size = np.clip(size, 0.6 * unit, 1.4 * unit)
    rise, ahead = _NOSE_FROM_CROWN
    out[:, _INDEX["head_top"]] = crown
    out[:, _INDEX["nose"]] = crown + size * (rise * head_up + ahead * head_forward)


def _crown(
    parsed: bvh_file.Bvh, head: int, rest: NDArray[np.float64], up: NDArray[np.float64], unit: float
) -> int | None:
    """The joint below ``head`` that lies highest above it at rest, if that is a head's height."""
    below = {head}
    for i, joint in enumerate(parsed.joints):
        if joint.parent in below:
            below.add(i)
    tip = max(below, key=lambda i: float((rest[i] - rest[head]) @ up))
    return tip if 0.08 * unit < (rest[tip] - rest[head]) @ up < 0.4 * unit else None


def _first_end(parsed: bvh_file.Bvh, head: int) -> int | None:
    """The end site on the head itself, if it has one that is not the head's joint again."""
    for i, joint in enumerate(parsed.joints):
        if joint.parent == head and joint.name.endswith(bvh_file.END) and any(joint.offset):
            return i
    return None


def _scale(path: Path, body: NDArray[np.float64], scale: float | str) -> float:
    if not isinstance(scale, str):
        if not (np.isfinite(scale) and scale > 0):
            raise InputError(f"scale: expected metres per unit above 0, got {scale:g}")
        return float(scale)
    if scale in UNITS:
        return UNITS[scale]
    if scale != "auto":
        raise InputError(f"scale: expected auto, a number or one of {', '.join(UNITS)}")
    chain = ("left_ankle", "left_knee", "left_hip"), ("hip", "spine", "thorax", "head_top")
    units = 0.0
    for joints in chain:
        line = body[[_INDEX[j] for j in joints]]
        units += float(np.linalg.norm(np.diff(line, axis=0), axis=-1).sum())
    for metres in UNITS.values():
        if _STATURE_M[0] <= units * metres <= _STATURE_M[1]:
            return metres
    raise InputError(
        f"{path}: a body of {units:.3g} units from ankle to crown is no human's size in "
        f"{', '.join(UNITS)}; pass the scale in metres per unit"
    )


def _up(path: Path, body: NDArray[np.floating], axis: str) -> str:
    if axis != "auto":
        return axis
    ankles = (body[:, _INDEX["left_ankle"]] + body[:, _INDEX["right_ankle"]]) / 2
    stand = (body[:, _INDEX["head_top"]] - ankles).mean(0)
    for name, value in (("y", stand[1]), ("z", stand[2])):
        if value > 0.7 * np.linalg.norm(stand):
            return name
    raise InputError(f"{path}: the person stands along neither +y nor +z; pass the up axis")


def _tidy(fps: float) -> float:
    """Frame times are written with few digits: 0.0083333 s means 120 Hz."""
    return float(round(fps)) if abs(fps - round(fps)) < 1e-3 * fps else fps


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9)
