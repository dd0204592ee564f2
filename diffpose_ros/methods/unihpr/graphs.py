"""UniHPR's graphs as torch modules with flat inputs and outputs, as ONNX files have them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from diffpose_ros.methods.baseline.network import LONGEST, caches_of
from diffpose_ros.methods.model_file import FORMAT, ModelFile
from diffpose_ros.methods.streaming import JOINT_SET, POINTS
from diffpose_ros.methods.unihpr.contract import HYPOTHESES, KIND, OUTPUTS, SOURCES
from diffpose_ros.methods.unihpr.network import UniHpr, load_network


class UniHprStep(nn.Module):
    """One online step: a window of keypoints to an embedding, and that to poses."""

    def __init__(self, network: UniHpr) -> None:
        super().__init__()
        self.network = network

    @property
    def input_names(self) -> list[str]:
        """Graph inputs, in order."""
        ages = ["age"] if self.network.context.looking_back else []
        return ["points", "view", "noise", *ages, *(s["input"] for s in self.state())]

    @property
    def output_names(self) -> list[str]:
        """Graph outputs, in order."""
        return [*OUTPUTS, *(s["output"] for s in self.state())]

    def state(self) -> list[dict[str, Any]]:
        """The caches as metadata lists them."""
        return caches_of(self.network.context)

    def forward(self, *flat: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(self.input_names, flat, strict=True))
        network, view = self.network, named["view"]
        cache = [named[s["input"]] for s in self.state()]
        pairs = list(zip(cache[0::2], cache[1::2], strict=True))
        token, pose, log_sigma, new = network.heard_now(
            named["points"], view, named.get("age", view[:, :1]), pairs
        )
        embedding = network.embed(token, pose, log_sigma, view)
        source = torch.zeros_like(view[:, 0], dtype=torch.long)
        poses = network.size * network.decoder.sample(embedding, source, named["noise"])
        covariance = network.variance(log_sigma).unsqueeze(-1) * torch.eye(3)
        return (poses.mean(1), covariance, poses, embedding, *(t for pair in new for t in pair))

    def metadata(self, name: str) -> dict[str, Any]:
        """What the model file says of itself."""
        window = self.network.config.context.window
        ring = {"length": window, "max_length": LONGEST, "age": "age"}
        config = self.network.config
        return {
            **said_of(self.network, name), "joint_set": JOINT_SET, "points": POINTS,
            "rings": {"context": ring} if self.network.context.looking_back else {}, "state": self.state(),
            "score_floor": 0.0, "steps": config.decoder.steps, HYPOTHESES: config.decoder.hypotheses,
        }  # fmt: skip


def said_of(network: UniHpr, name: str) -> dict[str, Any]:
    """What every file of a model says."""
    sizes = network.config.embedding
    return {"format": FORMAT, "kind": KIND, "name": name, "body": sizes.body, "turn": sizes.turn}


class SkeletonGraph(nn.Module):
    """Skeletons (R, 17, 3) of any size, in the viewer's axes, to embeddings (R, D)."""

    def __init__(self, network: UniHpr) -> None:
        super().__init__()
        self.encoder = network.skeletons

    def forward(self, skeleton: Tensor) -> tuple[Tensor]:
        return (self.encoder(skeleton),)


class PictureGraph(nn.Module):
    """Features (R, F) of the detector's network at a person to embeddings (R, D)."""

    def __init__(self, network: UniHpr) -> None:
        super().__init__()
        assert network.pictures is not None
        self.encoder = network.pictures

    def forward(self, features: Tensor) -> tuple[Tensor]:
        return (self.encoder(features),)


class DecoderGraph(nn.Module):
    """Embeddings (R, D), where they are from (R, 3) and noise (R, N, 17, 3) to poses (R, N, 17, 3) m."""

    numbers: Tensor

    def __init__(self, network: UniHpr) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("numbers", torch.arange(len(SOURCES), dtype=torch.float32))

    def forward(self, embedding: Tensor, source: Tensor, noise: Tensor) -> tuple[Tensor]:
        index = (source @ self.numbers).round().long()
        return (self.network.size * self.network.decoder.sample(embedding, index, noise),)


def step_graph(file: ModelFile) -> UniHprStep:
    """The step that a model file was exported from, from the checkpoint beside it.

    Raises:
        ModelError: as :func:`load_network`.
    """
    return UniHprStep(load_network(file.path.parent)).eval()
