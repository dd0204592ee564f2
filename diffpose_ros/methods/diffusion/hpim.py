"""HPIM, StarPose's Historical Pose Integration Module, causal and streaming.

The history of a person is what the robot has: its past 2D observations and its own past 3D answers.
Each past frame is a graph of 2J nodes; two spatial encoders lift 2D and 3D, then two layers each run
a graph branch (bones, and 2D to 3D of the same joint) and an attention branch over the last L frames
in parallel, and sum them (eq. 4). The temporal edge between a joint and itself one frame ago is the
attention head whose age slope starts so steep that it sees nothing older. A frame enters once, when
its answer is known; the ring caches keep the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from diffpose_ros.core import H36M17, ConfigError
from diffpose_ros.core.typed_config import at_least
from diffpose_ros.methods.layers import Cache, JointAttention, Mlp, TemporalAttention, banded_ages

JOINTS = 17
NODES = 2 * JOINTS


@dataclass(frozen=True)
class HistoryConfig:
    """Sizes of the module.

    Attributes:
        width: features per node.
        depth: layers of the skeleton integration graph.
        heads: attention heads.
        length: L, frames of history.
        use_2d: false leaves the 2D nodes empty (the ablation "HPIM w/o 2D").
    """

    width: int = 48
    depth: int = 2
    heads: int = 4
    length: int = 27
    use_2d: bool = True

    def __post_init__(self) -> None:
        for name in ("width", "depth", "heads", "length"):
            at_least(name, getattr(self, name), 1)
        if self.width % self.heads:
            raise ConfigError(f"history width {self.width} is not a multiple of {self.heads} heads")


def integration_graph() -> Tensor:
    """Normalised adjacency (34, 34): bones among 2D and among 3D nodes, and joint to itself across."""
    a = torch.eye(NODES)
    for i, j in H36M17.bones:
        for s in (0, JOINTS):
            a[s + i, s + j] = a[s + j, s + i] = 1.0
    for j in range(JOINTS):
        a[j, JOINTS + j] = a[JOINTS + j, j] = 1.0
    d = a.sum(1).rsqrt()
    return d[:, None] * a * d[None, :]


class SpatialEncoder(nn.Module):
    """Linear lift, learnable joint embedding, one transformer layer over the joints of a frame."""

    def __init__(self, inputs: int, width: int, heads: int) -> None:
        super().__init__()
        self.lift = nn.Linear(inputs, width)
        self.joint = nn.Parameter(torch.randn(JOINTS, width) * 0.1)
        self.norm, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = JointAttention(width, heads, JOINTS)
        self.mlp = Mlp(width, 2.0)

    def forward(self, x: Tensor) -> Tensor:
        """(R, 17, inputs) -> (R, 17, width)."""
        x = self.lift(x) + self.joint
        x = x + self.attention(self.norm(x))
        return x + self.mlp(self.norm_mlp(x))


class GraphLayer(nn.Module):
    """Short range (graph) and long range (attention) in parallel, summed, then linear (eq. 4-5)."""

    graph: Tensor

    def __init__(self, config: HistoryConfig) -> None:
        super().__init__()
        c = config.width
        self.register_buffer("graph", integration_graph(), persistent=False)
        self.learned = nn.Parameter(torch.zeros(NODES, NODES))
        self.norm = nn.LayerNorm(c)
        self.near = nn.Linear(c, c)
        self.attention = TemporalAttention(c, config.heads, NODES)
        slopes = torch.tensor([0.5, 2.0, 8.0, 60.0]).repeat((config.heads + 3) // 4)
        self.attention.age_bias.slope.data.copy_(slopes[: config.heads])
        self.mix = nn.Linear(c, c)

    def _near(self, x: Tensor) -> Tensor:
        """(..., 34, C) -> (..., 34, C)."""
        around = torch.matmul(self.graph + self.learned, x)
        return functional.silu(self.near(around))

    def forward(self, x: Tensor, age: Tensor) -> Tensor:
        """Clips (B, T, 34, C) with ages (T, T)."""
        y = self.norm(x)
        return x + self.mix(self._near(y) + self.attention(y, age))

    def step(self, x: Tensor, age: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """The newest frame (P, 34, C) with ages (P, L); gives the frame's cache entry, too."""
        y = self.norm(x)
        far, entry = self.attention.step(y, age, cache)
        return x + self.mix(self._near(y) + far), entry


class HistoryModule(nn.Module):
    """f_his for the next frame from the frames so far.

    Args:
        config: sizes.
    """

    def __init__(self, config: HistoryConfig) -> None:
        super().__init__()
        self.config = config
        self.encode_2d = SpatialEncoder(3, config.width, config.heads)
        self.encode_3d = SpatialEncoder(3, config.width, config.heads)
        self.layers = nn.ModuleList(GraphLayer(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(2 * config.width)

    def _nodes(self, points: Tensor, pose: Tensor) -> Tensor:
        """(R, 17+, 3), (R, 17, 3) to nodes (R, 34, width); poses in units of 0.25 m."""
        flat = points[..., :JOINTS, :]
        if not self.config.use_2d:
            flat = flat * 0.0
        return torch.cat([self.encode_2d(flat), self.encode_3d(pose * 4.0)], dim=-2)

    def _joints(self, nodes: Tensor) -> Tensor:
        both = torch.cat([nodes[..., :JOINTS, :], nodes[..., JOINTS:, :]], dim=-1)
        return self.norm(both)

    def forward(self, points: Tensor, pose: Tensor, times_s: Tensor) -> Tensor:
        """Features of every frame of a clip, each from itself and its past.

        Args:
            points: (B, T, 21, 3) observations.
            pose: (B, T, 17, 3) own answers, metres, in the next frame's virtual camera.
            times_s: (T,).

        Returns:
            (B, T, 17, 2 width): row t is the history that frame t + 1 may use.
        """
        b, t = points.shape[:2]
        x = self._nodes(points.flatten(0, 1), pose.flatten(0, 1)).unflatten(0, (b, t))
        age = banded_ages(times_s, self.config.length)
        for layer in self.layers:
            x = layer(x, age)
        return self._joints(x)

    def step(
        self, points: Tensor, pose: Tensor, age: Tensor, caches: list[Cache]
    ) -> tuple[Tensor, list[Cache]]:
        """Enter the previous frame.

        Args:
            points: (P, 21, 3) its observation.
            pose: (P, 17, 3) its answer, metres, in the current virtual camera.
            age: (P, L) seconds from that frame back to each slot; -1 where empty.
            caches: per layer, keys and values.

        Returns:
            f_his (P, 17, 2 width), and per layer the new key and value.
        """
        x = self._nodes(points, pose)
        new = []
        for layer, cache in zip(self.layers, caches, strict=True):
            x, entry = cast(GraphLayer, layer).step(x, age, cache)
            new.append(entry)
        return self._joints(x), new
