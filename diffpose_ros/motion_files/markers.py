"""Skeletons as trajectories of points, for biomechanics tools: TRC (OpenSim) and C3D (Mokka, Visual3D).

Both hold one person at an even rate, millimetres, y up. A point that was not seen is empty.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import H36M17
from diffpose_ros.motion_files.people import Y_UP, Motion

MM = 1000.0


def points_mm(motion: Motion) -> NDArray[np.float64]:
    """(T, 17, 3) mm, y up."""
    return MM * motion.positions @ Y_UP


def write_trc(motion: Motion, rate: float, path: Path) -> None:
    """OpenSim's track row column format. Times count from the recording's first frame."""
    points = points_mm(motion)
    steps, joints = points.shape[:2]
    facts = (f"{rate:.6f}", f"{rate:.6f}", steps, joints, "mm", f"{rate:.6f}", 1, steps)
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\tperson_{motion.track_id}.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        "\t".join(map(str, facts)),
        "Frame#\tTime\t" + "\t\t\t".join(H36M17.joints) + "\t\t",
        "\t\t" + "\t".join(f"X{j}\tY{j}\tZ{j}" for j in range(1, joints + 1)),
        "",
    ]
    for k, row in enumerate(points.reshape(steps, -1)):
        values = "\t".join(f"{value:.3f}" if np.isfinite(value) else "" for value in row)
        lines.append(f"{k + 1}\t{(motion.first + k) / rate:.6f}\t{values}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_c3d(motion: Motion, rate: float, path: Path) -> None:
    """C3D by ezc3d; unseen points have the residual -1."""
    import ezc3d

    points = points_mm(motion)
    file = ezc3d.c3d()
    parameters = file["parameters"]
    parameters["POINT"]["RATE"]["value"] = [rate]
    parameters["POINT"]["LABELS"]["value"] = tuple(H36M17.joints)
    parameters["POINT"]["UNITS"]["value"] = ("mm",)
    seen = np.asarray(np.isfinite(points).all(axis=2))
    data = np.ones((4, points.shape[1], points.shape[0]))
    data[:3] = np.where(seen[..., None], points, np.nan).transpose(2, 1, 0)
    file["data"]["points"] = data
    file["data"]["meta_points"]["residuals"] = np.where(seen, 0.0, -1.0).T[None]
    file.write(str(path))
