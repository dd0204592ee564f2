"""Model folders: ``model.safetensors`` beside ``config.yaml``, back to a network or its step."""

from __future__ import annotations

from pathlib import Path

from diffpose_ros.methods.diffusion.export import StepGraph
from diffpose_ros.methods.diffusion.network import LifterNetwork, LifterNetworkConfig
from diffpose_ros.methods.model_file import ModelFile
from diffpose_ros.methods.model_folder import read_network


def step_graph(file: ModelFile) -> StepGraph:
    """The step that a model file was exported from, from the checkpoint beside it.

    Raises:
        ModelError: as :func:`load_network`.
    """
    return StepGraph(load_network(file.path.parent), int(file.metadata["steps"])).eval()


def load_network(folder: str | Path) -> LifterNetwork:
    """The network of a model folder, in evaluation mode.

    Raises:
        ModelError: a file is missing, damaged, or does not fit the other.
    """
    return read_network(
        folder, lambda content, where: LifterNetwork(LifterNetworkConfig.from_mapping(content, where))
    )
