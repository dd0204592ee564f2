"""Camera calibrations as ``camera_calibration`` and ``camera_info_manager`` write them in YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from diffpose_ros.core import Camera, InputError
from diffpose_ros.core.files import write_text

_ALIASES = {"fisheye": "equidistant", "": "none"}


def read_camera(path: str | Path, *, frame_id: str = "camera_optical_frame") -> Camera:
    """Read a ROS ``camera_info`` YAML file.

    Args:
        path: the file.
        frame_id: optical frame of the camera; the format has no field for it.

    Raises:
        InputError: the file is missing, is no such YAML, or describes no valid camera; the
            message names the file and the entry.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a YAML file ({str(error).splitlines()[0]})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a camera_info YAML with image_width, camera_matrix, ...")
    width, height = (_size(path, content, name) for name in ("image_width", "image_height"))
    matrix = _matrix(path, content, "camera_matrix")
    if matrix.size != 9:
        raise InputError(f"{path}: camera_matrix: expected 9 numbers, got {matrix.size}")
    model = str(content.get("distortion_model") or "")
    distortion = np.zeros(0)
    if "distortion_coefficients" in content:
        distortion = _matrix(path, content, "distortion_coefficients")
    model = _ALIASES.get(model, model)
    if model == "none" and distortion.any():
        raise InputError(f"{path}: distortion_coefficients without a distortion_model")
    try:
        return Camera(
            matrix=matrix.reshape(3, 3),
            width=width,
            height=height,
            distortion=np.zeros(0) if model == "none" else distortion,
            model=model,
            frame_id=frame_id,
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def write_camera(path: str | Path, camera: Camera, *, name: str = "camera") -> None:
    """Write a camera as a ROS ``camera_info`` YAML file.

    Raises:
        InputError: the file cannot be written.
    """
    projection = np.hstack([camera.matrix, np.zeros((3, 1))])
    content = {
        "image_width": camera.width,
        "image_height": camera.height,
        "camera_name": name,
        "camera_matrix": _entry(camera.matrix),
        "distortion_model": "plumb_bob" if camera.model == "none" else camera.model,
        "distortion_coefficients": _entry(
            (camera.distortion if camera.distortion.size else np.zeros(5))[None]
        ),
        "rectification_matrix": _entry(np.eye(3)),
        "projection_matrix": _entry(projection),
    }
    write_text(path, yaml.safe_dump(content, sort_keys=False))


def _size(path: Path, content: dict[str, Any], name: str) -> int:
    value = content.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise InputError(f"{path}: {name}: expected a positive whole number, got {value!r}")
    return value


def _matrix(path: Path, content: dict[str, Any], name: str) -> np.ndarray:
    entry = content.get(name)
    data = entry.get("data") if isinstance(entry, dict) else None
    if not isinstance(data, list):
        raise InputError(f"{path}: {name}: expected rows, cols and data, got {entry!r}")
    try:
        return np.array(data, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        raise InputError(f"{path}: {name}: expected numbers, got {data!r}") from None


def _entry(matrix: np.ndarray) -> dict[str, Any]:
    rows, cols = matrix.shape
    return {"rows": rows, "cols": cols, "data": [float(v) for v in matrix.reshape(-1)]}
