"""The baseline as a torch module, its checkpoint, and its step as a flat graph."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffpose_ros.core.typed_config import from_mapping
from diffpose_ros.methods.diffusion.context_encoder import ContextConfig, ContextEncoder
from diffpose_ros.methods.model_file import FORMAT, ModelFile
from diffpose_ros.methods.model_folder import read_network
from diffpose_ros.methods.streaming import JOINT_SET, JOINTS, POINTS

KIND = "baseline"
LONGEST = 243
"""Most frames of context that a graph may be run with."""


class Baseline(nn.Module):
    """A context encoder and how far its own sigma is to be believed.

    Attributes:
        context: the encoder.
        sigma_scale: (17, 3) factor on its sigma, from calibration.
    """

    sigma_scale: Tensor

    def __init__(self, config: ContextConfig) -> None:
        super().__init__()
        self.context = ContextEncoder(config)
        self.register_buffer("sigma_scale", torch.ones(JOINTS, 3))

    def variance(self, log_sigma: Tensor) -> Tensor:
        """(..., 17, 3) m^2."""
        return (torch.exp(log_sigma) * self.sigma_scale).square()


def caches_of(encoder: ContextEncoder) -> list[dict[str, Any]]:
    """The caches of an encoder's step, as a model file's metadata lists them."""
    out = []
    for i, block in enumerate(encoder.looking_back):
        for kind, (heads, size) in (
            ("key", block.time.key_shape),
            ("value", block.time.value_shape),
        ):
            out.append(
                {
                    "input": f"{kind}_{i}",
                    "output": f"new_{kind}_{i}",
                    "shape": [heads, -1, size],
                    "slot_axis": 1,
                    "ring": "context",
                }
            )
    return out


class EncoderStep(nn.Module):
    """One online step with flat inputs and outputs, as an ONNX graph has them."""

    def __init__(self, network: Baseline) -> None:
        super().__init__()
        self.network = network

    @property
    def input_names(self) -> list[str]:
        """Graph inputs, in order."""
        ages = ["age"] if self.network.context.looking_back else []
        return ["points", "view", *ages, *(s["input"] for s in self.state())]

    @property
    def output_names(self) -> list[str]:
        """Graph outputs, in order."""
        return ["mean", "covariance", *(s["output"] for s in self.state())]

    def state(self) -> list[dict[str, Any]]:
        """The caches as metadata lists them."""
        return caches_of(self.network.context)

    def forward(self, *flat: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(self.input_names, flat, strict=True))
        cache = [named[s["input"]] for s in self.state()]
        pairs = list(zip(cache[0::2], cache[1::2], strict=True))
        age = named.get("age", named["view"][:, :1])
        _, pose, log_sigma, new = self.network.context.step(named["points"], named["view"], age, pairs)
        covariance = self.network.variance(log_sigma).unsqueeze(-1) * torch.eye(3)
        return (pose, covariance, *(t for pair in new for t in pair))

    def metadata(self, name: str) -> dict[str, Any]:
        """What the model file says of itself."""
        window = self.network.context.config.window
        ring = {"length": window, "max_length": LONGEST, "age": "age"}
        return {
            "format": FORMAT,
            "kind": KIND,
            "name": name,
            "joint_set": JOINT_SET,
            "points": POINTS,
            "rings": {"context": ring} if self.network.context.looking_back else {},
            "state": self.state(),
            "score_floor": 0.0,
        }


@dataclass(frozen=True)
class _Sizes:
    """What a baseline's configuration holds beside its kind."""

    context: ContextConfig


def load_network(folder: Path) -> Baseline:
    """The network of a model folder, in evaluation mode.

    Raises:
        ModelError: a file is missing, damaged, or does not fit the other.
    """
    return read_network(
        folder, lambda content, where: Baseline(from_mapping(_Sizes, content, where).context),
        kind=KIND, model=KIND,
    )  # fmt: skip


def to_mapping(network: Baseline) -> dict[str, Any]:
    """The configuration, for YAML."""
    return {"kind": KIND, "context": asdict(network.context.config)}


def step_graph(file: ModelFile) -> EncoderStep:
    """The step that a model file was exported from, from the checkpoint beside it.

    Raises:
        ModelError: as :func:`load_network`.
    """
    return EncoderStep(load_network(file.path.parent)).eval()
