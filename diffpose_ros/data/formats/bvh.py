"""BVH motion capture as clips: joints mapped to H36M-17, metres, up axis, frame rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17, InputError
from diffpose_ros.data.clips import Clip, standing_axis
from diffpose_ros.data.formats.bvh_file import BvhMotion, read_bvh, simplify
from diffpose_ros.data.formats.bvh_head import place_head
from diffpose_ros.data.formats.bvh_skeletons import (
    HEAD_JOINTS,
    SKELETONS,
    SkeletonMap,
    find,
    missing_text,
)

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "cmu": 0.0254 / 0.45}
"""Metres per file unit. CMU's bodies come in inches divided by 0.45."""

_STATURE_M = (1.1, 2.1)
"""Ankle to crown along the bones, of anyone from a child to a tall adult: never two units fit."""

_INDEX = {name: i for i, name in enumerate(H36M17.joints)}


def load_bvh(
    path: str | Path,
    *,
    scale: float | str = "auto",
    skeleton: SkeletonMap | str = "auto",
    up_axis: str = "auto",
    fps: float | None = None,
    skip: int | None = None,
    subject: str | None = None,
    action: str = "",
) -> Clip:
    """Read one BVH file.

    Args:
        path: the file.
        scale: metres per file unit, the name of one of :data:`UNITS`, or ``"auto"``: the unit that
            gives a human size.
        skeleton: its joint names: a map, the name of one of ``bvh_skeletons.SKELETONS``, or
            ``"auto"``: the first that fits.
        up_axis: ``"y"``, ``"z"``, or ``"auto"``: the axis along which the person mostly stands.
        fps: frame rate to resample to; by default the file's own.
        skip: frames to skip at the start; by default the calibration pose of files of a kind that starts
            with one (recognised by rotations of whole degrees).
        subject: name of the person; by default that of the folder.
        action: what the person does.

    Raises:
        InputError: the file violates the format, no skeleton fits (the unmapped joints are listed), unit
            or up axis cannot be inferred, or nothing is left after ``skip``.
    """
    path = Path(path)
    motion = read_bvh(path)
    chosen = _skeleton(path, motion.names, skeleton)
    if chosen.mend is not None:
        motion = chosen.mend(motion)
    posed = chosen.calibrates and len(motion.position) > 1 and bool(motion.whole_degrees[0])
    first = int(posed) if skip is None else skip
    if not 0 <= first < len(motion.position):
        raise InputError(
            f"{path}: skip: expected fewer than its {len(motion.position)} frames, got {first}"
        )
    body = _body(motion, chosen)[first:]
    metres = (body * _scale(path, body[0], scale)).astype(np.float32)
    clip = Clip(
        name=path.stem,
        subject=path.parent.name if subject is None else subject,
        action=action,
        fps=motion.fps,
        h36m17=metres,
        up_axis=_up(path, metres, up_axis),
        source="BVH",
    )
    return clip if fps is None else clip.resampled(fps)


def load_folder(folder: str | Path, *, fps: float = 30.0, **options: object) -> list[Clip]:
    """Read every ``.bvh`` file below a folder, sorted by path.

    Args:
        folder: folder to search, including subfolders.
        fps: frame rate to resample to, so that the clips can be stacked.
        options: options of :func:`load_bvh`.

    Raises:
        InputError: there are no files, or one of them cannot be read.
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
            raise InputError(
                f"skeleton: expected auto or one of {', '.join(named)}, got '{wanted}'"
            )
        wanted = named[wanted]
    if wanted.lacking(names):
        raise InputError(
            f"{path}: skeleton '{wanted.name}' finds no {missing_text(wanted, names)}; the file "
            f"has {', '.join(names)}"
        )
    return wanted


def _body(motion: BvhMotion, skeleton: SkeletonMap) -> NDArray[np.float64]:
    """(T, 17, 3) H36M-17 in file units, the head placed as well."""
    index: dict[str, int] = {}
    for i, name in enumerate(motion.names):
        index.setdefault(simplify(name), i)
    out = np.empty((len(motion.position), 17, 3))
    rest = np.empty((17, 3))
    for joint, names in skeleton.joints.items():
        at = [index[simplify(n)] for n in names]
        out[:, _INDEX[joint]] = motion.position[:, at].mean(1)
        rest[_INDEX[joint]] = motion.rest[at].mean(0)
    if not set(HEAD_JOINTS) <= set(skeleton.joints):
        place_head(motion, index[simplify(skeleton.head)], rest, out)
    return out


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
    found = standing_axis(body)
    if found is None:
        raise InputError(f"{path}: the person stands along neither +y nor +z; pass the up axis")
    return found
