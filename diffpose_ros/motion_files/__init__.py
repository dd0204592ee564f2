"""Files of skeletons for other programs: one table of formats, one function that writes them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError
from diffpose_ros.core.files import free_to_write, is_stream, whole
from diffpose_ros.motion_files.bvh import write_bvh
from diffpose_ros.motion_files.markers import write_c3d, write_trc
from diffpose_ros.motion_files.people import ARRAYS, NEEDED, Motion, checked, recording
from diffpose_ros.motion_files.tables import write_csv, write_json, write_parquet

__all__ = ["ARRAYS", "FORMATS", "NEEDED", "Format", "checked", "format_of", "write"]

Arrays = Mapping[str, NDArray]


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        text: what it is for.
        everyone: writes all arrays into a file; ``None`` for formats of one person.
        one: writes one person's motion at a rate; a file per person.
        needs: a library that only this format needs.
    """

    text: str
    everyone: Callable[[Arrays, Path], None] | None = None
    one: Callable[[Motion, float, Path], None] | None = None
    needs: str = ""


def _write_npz(arrays: Arrays, path: Path) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


FORMATS: dict[str, Format] = {
    "npz": Format("numpy arrays, with keypoints and covariances", everyone=_write_npz),
    "csv": Format("a row per person per frame, for spreadsheets", everyone=write_csv),
    "parquet": Format("the same columns, for pandas and DuckDB", everyone=write_parquet, needs="pyarrow"),
    "json": Format("frames of people of joints", everyone=write_json),
    "trc": Format("point trajectories for OpenSim, a file per person", one=write_trc),
    "c3d": Format("the same for Mokka and Visual3D", one=write_c3d, needs="ezc3d"),
    "bvh": Format("joint rotations for Blender and the like, a file per person", one=write_bvh),
}
"""Name, which is the file's ending, too -> what it is."""


def format_of(path: str | Path, name: str | None = None) -> str:
    """The format that is asked for by ``name``, or by the ending of ``path``.

    Raises:
        InputError: there is none of that name, or a library that it needs is missing.
    """
    wanted = (name or Path(path).suffix.removeprefix(".")).lower()
    if wanted not in FORMATS:
        endings = ", ".join(f".{key}" for key in FORMATS)
        raise InputError(f"{path}: expected a name ending in one of {endings}, got '{Path(path).suffix}'")
    needs = FORMATS[wanted].needs
    if needs and importlib.util.find_spec(needs) is None:
        raise InputError(f"{path}: {wanted} needs {needs}: pip install {needs}")
    return wanted


def write(
    arrays: Arrays, path: Path, name: str | None = None, *, overwrite: bool = True,
    apart: Iterable[Path] = (),
) -> list[Path]:  # fmt: skip
    """Write skeletons whole or not at all.

    Args:
        arrays: of ``diffpose_ros lift``.
        path: the file. Where a format holds one person and there are more, each gets
            ``<stem>_<track id><ending>``.
        name: one of :data:`FORMATS`; the ending of ``path`` when omitted.
        overwrite: whether files of people, whose names are not known before, may be replaced.
        apart: files that none of these may replace: what was read, what else is written.

    Returns:
        What was written.

    Raises:
        InputError: the arrays do not fit, nobody is in them (formats of one person), or a file
            cannot be written.
    """
    kind = FORMATS[format_of(path, name)]
    arrays = checked(arrays)
    if kind.everyone is not None:
        with whole(path) as part:
            kind.everyone(arrays, part)
        return [path]
    assert kind.one is not None
    seen = recording(arrays)
    targets = [path]
    if len(seen.people) > 1:
        if is_stream(path):
            raise InputError(f"{path}: {len(seen.people)} people need a file each; name a file")
        targets = [path.with_name(f"{path.stem}_{person.track_id}{path.suffix}") for person in seen.people]
        spared = list(apart)
        for target in targets:
            free_to_write(target, spared, overwrite=overwrite)
    for person, target in zip(seen.people, targets, strict=True):
        with whole(target) as part:
            kind.one(person, seen.rate, part)
    return targets
