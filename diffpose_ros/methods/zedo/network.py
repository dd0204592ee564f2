"""ZeDO's loop as a torch module: iterations of denoising and projecting, unrolled, flat for export.

Letters for shapes: P people, N hypotheses, K iterations; 51 are the coordinates of 17 joints.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffpose_ros.core import H36M17
from diffpose_ros.core.typed_config import at_least, from_mapping
from diffpose_ros.methods.model_file import FORMAT, ModelFile
from diffpose_ros.methods.model_folder import read_network
from diffpose_ros.methods.zedo.contract import INPUTS, ITERATIONS, KIND, OUTPUTS, LoopConfig, pack
from diffpose_ros.methods.zedo.prior import PosePrior, PriorConfig


@dataclass(frozen=True)
class ZedoConfig:
    """What a ZeDO model is made of.

    Attributes:
        anchors: poses to begin from, A.
        prior: sizes of the score network.
        loop: how it optimises.
    """

    anchors: int = 200
    prior: PriorConfig = field(default_factory=PriorConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        at_least("anchors", self.anchors, 1)


class Zedo(nn.Module):
    """A pose prior, and what else the loop needs to know.

    Attributes:
        prior: the score network.
        anchors: (A, 17, 3) m, upright, relative to the hip.
        size: () sum of the 16 bones, m, that the loop holds.
        scale: (17, 3) factor on the hypotheses' spread, from calibration.
        floor: (17, 3) m, standard deviation that even hypotheses which agree have.
    """

    anchors: Tensor
    size: Tensor
    scale: Tensor
    floor: Tensor

    def __init__(self, config: ZedoConfig) -> None:
        super().__init__()
        self.config = config
        self.prior = PosePrior(config.prior)
        self.register_buffer("anchors", torch.zeros(config.anchors, 17, 3))
        self.register_buffer("size", torch.tensor(4.0))
        self.register_buffer("scale", torch.ones(17, 3))
        self.register_buffer("floor", torch.full((17, 3), 0.02))


class ZedoStep(nn.Module):
    """K iterations with flat inputs and outputs, as an ONNX graph has them."""

    def __init__(self, network: Zedo) -> None:
        super().__init__()
        self.network = network
        self.input_names, self.output_names = list(INPUTS), list(OUTPUTS)
        self.register_buffer("parent", torch.tensor([a for a, _ in H36M17.bones]))
        self.register_buffer("child", torch.tensor([b for _, b in H36M17.bones]))

    def state(self) -> list[dict[str, Any]]:
        """No caches: the poses are the state."""
        return []

    def forward(
        self, pose: Tensor, size: Tensor, noise_level: Tensor, denoise: Tensor, carry: Tensor,
        projection: Tensor, offset: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Iterate (ZeDO, algorithm 1).

        Args:
            pose: (P, N, 51) m.
            size: (P,) sum of the 16 bones that each person's poses are given, m; 0 leaves them as they are.
            noise_level: (P, K) how far off the poses are taken to be, m.
            denoise: (P, K) share of the way to the denoised pose that is gone (eq. 5).
            carry: (P, K) share of what denoising took away that is added again after the projection.
            projection: (P, K, 51, 51) onto the rays, see :func:`diffpose_ros.methods.zedo.rays.projection`.
            offset: (P, K, N, 51) m, added by the projection.

        Returns:
            The poses after the last projection, and before it, (P, N, 51) m.
        """
        clean = pose
        for k in range(projection.shape[1]):
            before = pose
            level = noise_level[:, k, None, None]
            clean = pose + denoise[:, k, None, None] * (self.network.prior.denoise(pose, level) - pose)
            clean = self.sized(clean, size)
            pose = clean @ projection[:, k].transpose(1, 2) + offset[:, k]
            pose = pose + carry[:, k, None, None] * (before - clean)
        return pose, clean

    def sized(self, pose: Tensor, size: Tensor) -> Tensor:
        """The same poses, scaled to a ``size``."""
        joints = pose.unflatten(-1, (17, 3))
        bones = joints[:, :, self.child] - joints[:, :, self.parent]
        total = bones.square().sum(-1).sqrt().sum(-1, keepdim=True)
        wanted = size[:, None, None]
        held = (wanted > 0).to(pose.dtype)
        out: Tensor = pose * (wanted / total.clamp(min=1e-3) + (1.0 - held))
        return out

    def metadata(self, name: str) -> dict[str, Any]:
        """What the model file says of itself."""
        network, loop = self.network, self.network.config.loop
        return {
            "format": FORMAT, "kind": KIND, "name": name, "joint_set": "h36m17", "points": 21,
            "score_floor": 0.0, ITERATIONS: loop.unrolled, "size": float(network.size),
            "loop": asdict(loop), "sde": asdict(network.config.prior.sde),
            "anchors": pack(network.anchors.numpy()),
            "scale": network.scale.tolist(), "floor": network.floor.tolist(),
        }  # fmt: skip


def load_network(folder: Path) -> Zedo:
    """The network of a model folder, in evaluation mode.

    Raises:
        ModelError: a file is missing, damaged, or does not fit the other.
    """
    return read_network(
        folder, lambda content, where: Zedo(from_mapping(ZedoConfig, content, where)),
        kind=KIND, model="ZeDO model",
    )  # fmt: skip


def to_mapping(network: Zedo) -> dict[str, Any]:
    """The configuration, for YAML."""
    return {"kind": KIND, **asdict(network.config)}


def step_graph(file: ModelFile) -> ZedoStep:
    """The loop that a model file was exported from, from the checkpoint beside it.

    Raises:
        ModelError: as :func:`load_network`.
    """
    return ZedoStep(load_network(file.path.parent)).eval()
