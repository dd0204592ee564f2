"""Model files: ONNX with metadata that says whose they are. Nothing is started to read them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffpose_ros.core import ModelError
from diffpose_ros.onnxgraph.outline import OnnxFile, read_onnx_file

FORMAT = 1
"""Version of the model files that this package runs."""

METADATA_KEY = "diffpose_ros"


@dataclass(frozen=True)
class ModelFile:
    """A model file of this package.

    Attributes:
        path: the ONNX file.
        kind: the method that it belongs to.
        metadata: what it says of itself; checked further by the method.
        outline: its graph's inputs and outputs.
    """

    path: Path
    kind: str
    metadata: dict[str, Any]
    outline: OnnxFile


def whole_number(said: Any, name: str, low: int, high: int, default: int | None = None) -> int:
    """A whole number of the metadata: what follows from it takes memory and time.

    Raises:
        KeyError: it is missing and has no default.
        ValueError: it is none, or not between ``low`` and ``high``.
    """
    value = said[name] if default is None else said.get(name, default)
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name}: expected a whole number, {low} to {high}, got {str(value)[:40]}")
    return value


def number(said: Any, name: str, low: float, high: float, default: float) -> float:
    """A number of the metadata.

    Raises:
        ValueError: it is none, or not between ``low`` and ``high``.
    """
    value = said.get(name, default)
    if type(value) not in (int, float) or not low <= value <= high:
        raise ValueError(f"{name}: expected a number, {low:g} to {high:g}, got {str(value)[:40]}")
    return float(value)


def read_model_file(path: Path) -> ModelFile:
    """Read what a file says of itself.

    Raises:
        ModelError: it is missing, not ONNX, truncated, not a model of this package, or of another
            format.
    """
    outline = read_onnx_file(path)
    text = outline.metadata.get(METADATA_KEY)
    if text is None:
        raise ModelError(
            f"{path}: an ONNX file, but not a lifter model: it has no '{METADATA_KEY}' metadata; "
            "export it with `diffpose_ros export`"
        )
    try:
        said = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as e:
        raise ModelError(f"{path}: its '{METADATA_KEY}' metadata is not JSON: {e}") from e
    found = said.get("format") if isinstance(said, dict) else None
    if found != FORMAT:
        raise ModelError(
            f"{path}: expected model format {FORMAT}, got {found}; export the model again with "
            "this version of the package"
        )
    return ModelFile(path, str(said.get("kind")), said, outline)
