"""Model folders: ``model.safetensors`` beside ``config.yaml``, to a network and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from diffpose_ros.core import ConfigError, ModelError
from diffpose_ros.core.files import whole, write_text
from diffpose_ros.core.typed_config import read_yaml

N = TypeVar("N", bound=nn.Module)
CONFIG, WEIGHTS = "config.yaml", "model.safetensors"


def read_network(
    folder: str | Path, make: Callable[[dict[str, Any], str], N], *, kind: str = "", model: str = "lifter"
) -> N:
    """The network of a model folder, in evaluation mode.

    Args:
        folder: where the two files lie.
        make: the network of a configuration; its second argument says where that stands, for errors.
        kind: what the configuration has to say under ``kind``; nothing when empty.
        model: what it should be, for errors.

    Raises:
        ModelError: a file is missing, damaged, or does not fit the other.
    """
    config, weights = Path(folder) / CONFIG, Path(folder) / WEIGHTS
    for file in (config, weights):
        if not file.is_file():
            raise ModelError(f"{file}: missing; expected a folder with {CONFIG} and {WEIGHTS}")
    try:
        content = read_yaml(config)
        said = content.pop("kind", "") if kind else ""
        if said != kind:
            raise ConfigError(f"{config}: kind: expected {kind}, got {said or 'none'}")
        network = make(content, str(config))
    except ConfigError as error:
        raise ModelError(f"{error}; not a {model}'s configuration") from error
    load_weights(network, weights)
    return network.eval()


def load_weights(network: nn.Module, weights: Path) -> None:
    """Fill a network that was made from the ``config.yaml`` beside its weights.

    Raises:
        ModelError: the file is no safetensors file, or belongs to another configuration.
    """
    try:
        network.load_state_dict(load_file(weights))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{weights}: not a readable safetensors file ({error})") from error
    except RuntimeError as error:
        line = str(error).splitlines()[-1].strip()
        raise ModelError(f"{weights}: does not fit {CONFIG}: {line}") from error


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
    weights, config = folder / WEIGHTS, folder / CONFIG
    with whole(weights) as part:
        save_file({k: stored(v) for k, v in network.state_dict().items()}, part)
        part.chmod(0o644)
    write_text(config, yaml.safe_dump(_plain(mapping), sort_keys=False))
    return [weights, config]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
