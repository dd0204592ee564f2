"""Calibration files: reads several formats, writes ROS's YAML."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from diffpose_ros.core import Camera, InputError
from diffpose_ros.core.bounded_yaml import read_text
from diffpose_ros.core.files import write_text
from diffpose_ros.media.camera_formats import calibration, load


def read_camera(
    path: str | Path, *, frame_id: str | None = None, rectified: bool = False
) -> Camera:
    """Read a calibration file of ROS, Kalibr or OpenCV; see :mod:`~diffpose_ros.media.camera_formats`.

    Args:
        path: the file. ``camchain.yaml#cam1`` selects one camera of a Kalibr camchain.
        frame_id: optical frame of the camera; ``None``: the file's, or ``camera_optical_frame``.
        rectified: return the camera of the rectified image (P), not of the raw image (K, D, R).

    Raises:
        InputError: the file is missing, its format is unknown, or its camera is invalid; the message
            names the file and the entry.
    """
    name, choice = str(path), ""
    if "#" in Path(name).name and not Path(name).exists():
        name, _, choice = name.rpartition("#")
    found = calibration(load(read_text(name), name), name, choice)
    try:
        return replace(found, frame_id=frame_id or found.frame_id).camera(rectified=rectified)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def write_camera(path: str | Path, camera: Camera, *, name: str = "camera") -> None:
    """Write a camera as a ROS ``camera_info`` YAML file.

    Raises:
        InputError: the file cannot be written.
    """
    rectified = camera.matrix if camera.projection is None else camera.projection
    projection = np.hstack([rectified, np.zeros((3, 1))])
    content = {
        "image_width": camera.width,
        "image_height": camera.height,
        "camera_name": name,
        "camera_matrix": _entry(camera.matrix),
        "distortion_model": "plumb_bob" if camera.model == "none" else camera.model,
        "distortion_coefficients": _entry(
            (camera.distortion if camera.distortion.size else np.zeros(5))[None]
        ),
        "rectification_matrix": _entry(camera.rectification),
        "projection_matrix": _entry(projection),
    }
    write_text(path, yaml.safe_dump(content, sort_keys=False))


def _entry(matrix: np.ndarray) -> dict[str, Any]:
    rows, cols = matrix.shape
    return {"rows": rows, "cols": cols, "data": [float(v) for v in matrix.reshape(-1)]}
