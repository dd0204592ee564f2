"""Skeletons as text and tables: JSON, CSV, Parquet. A row, or an entry, per person per frame."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17
from diffpose_ros.motion_files.people import NEEDED, checked

AXES = ("x", "y", "z")


def columns(arrays: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Name -> (R,): ``stamp`` s, ``frame``, ``track_id``; of the root ``root_velocity_x`` .. ``_z`` m/s,
    ``contact_right``, ``contact_left`` and ``size_source``; then per joint ``<joint>_x`` .. ``_z`` m,
    ``<joint>_score``, and ``<joint>_sigma_x`` .. ``_z`` m from the covariance.

    Raises:
        InputError: the arrays do not fit together.
    """
    arrays = checked(arrays)
    stamps, frame, identity, skeleton = (arrays[name] for name in NEEDED[:4])
    out: dict[str, NDArray] = {"stamp": stamps[frame], "frame": frame, "track_id": identity}
    if "root_velocity" in arrays:
        out |= {f"root_velocity_{axis}": arrays["root_velocity"][:, k] for k, axis in enumerate(AXES)}
    if "contact" in arrays:
        out |= {f"contact_{side}": arrays["contact"][:, k] for k, side in enumerate(("right", "left"))}
    if "size_source" in arrays:
        out["size_source"] = arrays["size_source"]
    variance = np.diagonal(arrays["covariance"], axis1=2, axis2=3) if "covariance" in arrays else None
    for j, joint in enumerate(H36M17.joints):
        for k, axis in enumerate(AXES):
            out[f"{joint}_{axis}"] = skeleton[:, j, k]
        if "score" in arrays:
            out[f"{joint}_score"] = arrays["score"][:, j]
        if variance is not None:
            for k, axis in enumerate(AXES):
                out[f"{joint}_sigma_{axis}"] = np.sqrt(np.maximum(variance[:, j, k], 0))
    return out


def write_csv(arrays: Mapping[str, NDArray], path: Path) -> None:
    """A header and a row per person per frame; see :func:`columns`."""
    table = columns(arrays)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        for row in zip(*table.values(), strict=True):
            writer.writerow([_text(value) for value in row])


def write_parquet(arrays: Mapping[str, NDArray], path: Path) -> None:
    """The columns of :func:`columns`, for pandas, polars, DuckDB."""
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(columns(arrays)), path)


def write_json(arrays: Mapping[str, NDArray], path: Path) -> None:
    """``{"joint_names", "units", "axes", "frames": [{"stamp", "people": [{"track_id", "skeleton",
    "score"}]}]}``: every frame, those with nobody in them included; NaN is null."""
    arrays = checked(arrays)
    stamps, frame, identity, skeleton = (arrays[name] for name in NEEDED[:4])
    score = arrays.get("score", np.full(skeleton.shape[:2], np.nan))
    frames: list[dict[str, Any]] = [{"stamp": float(stamp), "people": []} for stamp in stamps]
    for row, k in enumerate(frame.tolist()):
        person = {
            "track_id": int(identity[row]),
            "skeleton": [[_number(x) for x in joint] for joint in skeleton[row].tolist()],
            "score": [_number(x) for x in score[row].tolist()],
        }
        frames[k]["people"].append(person)
    text = {
        "joint_names": list(H36M17.joints),
        "units": "m",
        "axes": "camera optical frame: x right, y down, z forward",
        "frames": frames,
    }
    path.write_text(json.dumps(text, allow_nan=False), encoding="utf-8")


def _number(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None


def _text(value: Any) -> str:
    """As few digits as bring the number back; nothing for one that is unknown."""
    number = value.item()
    if isinstance(number, float):
        if not np.isfinite(number):
            return ""
        return f"{number:.6g}" if value.dtype == np.float32 else repr(number)
    return str(number)
