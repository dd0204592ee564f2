"""The lifting methods: one table, from which names, choices, errors and tests come.

A method's module is imported when one of its models is opened, and not before.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from diffpose_ros.core import ModelError
from diffpose_ros.methods.protocol import Method
from diffpose_ros.methods.settings import MethodSettings
from diffpose_ros.onnxgraph.outline import OnnxFile, read_onnx_file
from diffpose_ros.runtime.catalog import find_model

FORMAT = 1
"""Version of the model files that this package runs."""

METADATA_KEY = "diffpose_ros"


@dataclass(frozen=True)
class Entry:
    """One method.

    Attributes:
        module: what opens its models: ``open_model(path, settings, *, every_level, timer)``.
        summary: one line for ``diffpose_ros models`` and the README.
    """

    module: str
    summary: str


_DIFFUSION = "diffpose_ros.methods.diffusion.method"

METHODS = {
    "starpose": Entry(
        _DIFFUSION,
        "diffusion with the history of own answers and guidance by the body (StarPose)",
    ),
    "diffpose": Entry(_DIFFUSION, "diffusion around the context encoder's answer (DiffPose)"),
}
"""Kind, as a model file's metadata names it -> the method. The first one is the default model."""


@dataclass(frozen=True)
class ModelFile:
    """A model file of this package.

    Attributes:
        path: the ONNX file.
        kind: key of :data:`METHODS`.
        metadata: everything that it says of itself, unchecked beyond format and kind.
        outline: its graph's inputs and outputs.
    """

    path: Path
    kind: str
    metadata: dict[str, Any]
    outline: OnnxFile


def read_model(model: str | Path) -> ModelFile:
    """Find a model and read what kind it is, without starting anything.

    Raises:
        ModelError: the file is missing, not ONNX, truncated, not a model of this package, of another
            format, or of a method that this version does not have.
    """
    path = find_model(model)
    outline = read_onnx_file(path)
    text = outline.metadata.get(METADATA_KEY)
    if text is None:
        raise ModelError(
            f"{path}: an ONNX file, but not a lifter model: it has no '{METADATA_KEY}' metadata; "
            "export it with `diffpose_ros export`"
        )
    try:
        said = json.loads(text)
    except json.JSONDecodeError as e:
        raise ModelError(f"{path}: its '{METADATA_KEY}' metadata is not JSON: {e}") from e
    found = said.get("format") if isinstance(said, dict) else None
    if found != FORMAT:
        raise ModelError(
            f"{path}: expected model format {FORMAT}, got {found}; export the model again with "
            "this version of the package"
        )
    kind = said.get("kind")
    if kind not in METHODS:
        raise ModelError(f"{path}: kind: expected one of {', '.join(METHODS)}, got {kind!r}")
    return ModelFile(path, kind, said, outline)


def open_method(
    settings: MethodSettings,
    *,
    every_level: bool = False,
    timer: Callable[[], float] = perf_counter,
) -> Method:
    """Open the model that ``settings`` name with the method of its kind.

    Args:
        settings: what the user set.
        every_level: load what the method's cheaper levels need, too.
        timer: monotonic seconds.

    Raises:
        ModelError: there is no such model, or its file is wrong.
        BackendError: no backend works here.
        ConfigError: a setting does not fit the model.
    """
    file = read_model(settings.model)
    module = importlib.import_module(METHODS[file.kind].module)
    method: Method = module.open_model(file, settings, every_level=every_level, timer=timer)
    return method
