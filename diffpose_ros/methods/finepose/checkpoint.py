"""FinePOSE's model folder: ``model.safetensors`` beside ``config.yaml``, back to a network or its step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffpose_ros.core import ConfigError
from diffpose_ros.core.typed_config import from_mapping, read_yaml
from diffpose_ros.methods.diffusion.export import StepGraph
from diffpose_ros.methods.finepose.network import KIND, FinePoseConfig, FinePoseNetwork
from diffpose_ros.methods.model_file import ModelFile
from diffpose_ros.methods.model_folder import read_network


def step_graph(file: ModelFile) -> StepGraph:
    """The step that a model file was exported from, from the checkpoint beside it.

    Raises:
        ModelError: as :func:`load_network`.
    """
    return StepGraph(load_network(file.path.parent), int(file.metadata["steps"])).eval()


def is_finepose(folder: str | Path) -> bool:
    """Whether a folder's configuration says that it is FinePOSE's."""
    try:
        return bool(read_yaml(Path(folder) / "config.yaml").get("kind") == KIND)
    except ConfigError:
        return False


def load_network(folder: str | Path) -> FinePoseNetwork:
    """The network of a model folder, in evaluation mode.

    Raises:
        ModelError: a file is missing, damaged, or does not fit the other.
    """
    return read_network(
        folder, lambda content, where: FinePoseNetwork(from_mapping(FinePoseConfig, content, where)),
        kind=KIND, model="FinePOSE lifter",
    )  # fmt: skip


def to_mapping(network: FinePoseNetwork) -> dict[str, Any]:
    """The configuration, for YAML."""
    return {"kind": KIND, **network.config.to_mapping()}
