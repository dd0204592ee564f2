"""Where model files are: names of the shipped ones, paths of others, variants with fewer steps."""

from __future__ import annotations

from pathlib import Path

from diffpose_ros.core import ModelError
from diffpose_ros.core.files import expanded
from diffpose_ros.core.resources import WEIGHTS


def model_names() -> list[str]:
    """Names of the shipped models."""
    return sorted(p.parent.name for p in WEIGHTS.glob("*/model.onnx"))


def find_model(model: str | Path) -> Path:
    """The ONNX file of a model given by name, folder or path.

    Raises:
        ModelError: there is no such model.
    """
    path = expanded(model)
    named = WEIGHTS / str(model) / "model.onnx"
    if path.suffix != ".onnx" and named.is_file():
        return named
    if path.is_dir():
        path = path / "model.onnx"
    if path.is_file():
        return path
    if path.suffix == ".onnx" or len(path.parts) > 1:
        raise ModelError(f"{path}: no such model file")
    known = ", ".join(model_names()) or "none is installed"
    raise ModelError(f"unknown model '{model}': expected one of {known}, or a path to an .onnx file")


def step_variants(path: Path) -> dict[int, Path]:
    """Steps -> file, for the variants beside ``path``; ``path`` itself is not among them."""
    found = {}
    for file in path.parent.glob(f"{path.stem}_*{path.suffix}"):
        number = file.stem[len(path.stem) + 1 :]
        if number.isascii() and number.isdigit():
            found[int(number)] = file
    return dict(sorted(found.items(), reverse=True))
