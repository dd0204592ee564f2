"""FinePOSE's model folder: ``model.safetensors`` beside ``config.yaml``, back to a network or its step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffpose_ros.core import ConfigError, ModelError
from diffpose_ros.core.typed_config import from_mapping, read_yaml
from diffpose_ros.methods.diffusion.export import StepGraph
from diffpose_ros.methods.finepose.network import KIND, FinePoseConfig, FinePoseNetwork
from diffpose_ros.methods.layers import load_weights
from diffpose_ros.methods.model_file import ModelFile


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
    folder = Path(folder)
    config, weights = folder / "config.yaml", folder / "model.safetensors"
    for file in (config, weights):
        if not file.is_file():
            raise ModelError(
                f"{file}: missing; expected a folder with config.yaml and model.safetensors"
            )
    try:
        content = read_yaml(config)
        if content.pop("kind", None) != KIND:
            raise ModelError(f"{config}: kind: expected {KIND}")
        network = FinePoseNetwork(from_mapping(FinePoseConfig, content, str(config)))
    except ConfigError as error:
        raise ModelError(f"{error}; not a FinePOSE configuration") from error
    load_weights(network, weights)
    return network.eval()


def to_mapping(network: FinePoseNetwork) -> dict[str, Any]:
    """The configuration, for YAML."""
    return {"kind": KIND, **network.config.to_mapping()}
