"""A model folder's checkpoint: ``model.safetensors`` beside ``config.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import save_file
from torch import Tensor, nn

from diffpose_ros.core.files import whole, write_text


def stored(value: Tensor) -> Tensor:
    """A tensor as the checkpoint keeps it: FP16 where nothing is lost."""
    half = value.half()
    return half if (half.float() == value.float()).all() else value.contiguous()


def write_checkpoint(network: nn.Module, mapping: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write weights and configuration, each whole or not at all.

    Args:
        network: whose weights.
        mapping: its configuration; tuples are written as lists.
        folder: made where it is missing.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights, config = folder / "model.safetensors", folder / "config.yaml"
    with whole(weights) as part:
        save_file({k: stored(v) for k, v in network.state_dict().items()}, part)
        part.chmod(0o644)
    write_text(config, yaml.safe_dump(_plain(mapping), sort_keys=False))
    return [weights, config]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
