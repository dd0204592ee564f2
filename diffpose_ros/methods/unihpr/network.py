"""UniHPR as a torch module, and its checkpoint."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffpose_ros.core.typed_config import from_mapping
from diffpose_ros.geometry.body_frame import MEAN_SIZE_M
from diffpose_ros.methods.diffusion.context_encoder import ContextEncoder
from diffpose_ros.methods.layers import Cache
from diffpose_ros.methods.model_folder import read_network
from diffpose_ros.methods.streaming import JOINTS
from diffpose_ros.methods.unihpr.config import UniHprConfig
from diffpose_ros.methods.unihpr.contract import KIND
from diffpose_ros.methods.unihpr.decoder import Decoder
from diffpose_ros.methods.unihpr.encoders import KeypointEncoder, PictureEncoder, SkeletonEncoder


class UniHpr(nn.Module):
    """Three encoders and a decoder.

    Attributes:
        context: what reads a window of keypoints; frozen while the others learn.
        keypoints: its word, to embeddings.
        skeletons: 3D poses to embeddings.
        pictures: features to embeddings; ``None`` in a model without.
        decoder: embeddings to poses.
        size: () sum of the 16 bones that decoded poses get, m.
        sigma_scale: (17, 3) factor on the context encoder's sigma, from calibration.
    """

    size: Tensor
    sigma_scale: Tensor

    def __init__(self, config: UniHprConfig) -> None:
        super().__init__()
        self.config = config
        self.context = ContextEncoder(config.context)
        self.keypoints = KeypointEncoder(config.embedding, config.context.body, config.context.view)
        self.skeletons = SkeletonEncoder(config.embedding)
        self.pictures = PictureEncoder(config.embedding) if config.embedding.features else None
        self.decoder = Decoder(config.decoder, config.embedding.size)
        self.register_buffer("size", torch.tensor(MEAN_SIZE_M))
        self.register_buffer("sigma_scale", torch.ones(JOINTS, 3))

    def heard(self, points: Tensor, view: Tensor, times_s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the context encoder says of clips: the body's token (B, T, body), pose and log sigma
        (B, T, 17, 3)."""
        b, t = points.shape[:2]
        x = self.context.body_tokens(points, view, times_s).transpose(1, 2).flatten(0, 1)
        _, pose, log_sigma = self.context.answer(x)
        return tuple(y.unflatten(0, (b, t)) for y in (x[:, 0], pose, log_sigma))  # type: ignore[return-value]

    def heard_now(
        self, points: Tensor, view: Tensor, age: Tensor, caches: list[Cache]
    ) -> tuple[Tensor, Tensor, Tensor, list[Cache]]:
        """The same of the newest frame (P, ...), and what it leaves in the caches."""
        token, new = self.context.body_token(points, view, age, caches)
        _, pose, log_sigma = self.context.answer(token)
        return token[:, 0], pose, log_sigma, new

    def embed(self, token: Tensor, pose: Tensor, log_sigma: Tensor, view: Tensor) -> Tensor:
        """What was heard of keypoints, and how they are seen (..., 6 or 9), to embeddings (..., D)."""
        out: Tensor = self.keypoints(self.skeletons.parts(pose), token, pose, log_sigma, view)
        return out

    def variance(self, log_sigma: Tensor) -> Tensor:
        """(..., 17, 3) m^2 of decoded poses."""
        return (torch.exp(log_sigma) * self.sigma_scale).square()


def load_network(folder: Path) -> UniHpr:
    """The network of a model folder, in evaluation mode.

    Raises:
        ModelError: a file is missing, damaged, or does not fit the other.
    """
    return read_network(
        folder, lambda content, where: UniHpr(from_mapping(UniHprConfig, content, where)),
        kind=KIND, model="UniHPR model",
    )  # fmt: skip


def to_mapping(network: UniHpr) -> dict[str, Any]:
    """The configuration, for YAML."""
    return {"kind": KIND, **asdict(network.config)}
