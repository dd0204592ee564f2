"""The encoders into one space: of skeletons, of keypoints, of pictures.

An embedding has two parts. The *body* part says how the body is posed, whoever sees it; the *turn* part
says what is left: how it stands to the viewer. The whole is a unit vector, and so is the body part once it
is divided by its length: the first answers "the same pose, seen alike" as in UniHPR, whose 3D poses stand in
the camera's axes; the second "the same moment, from any camera".

Letters for shapes: ``...`` any leading shape; D = body + turn. Poses are H36M-17, relative to the hip, the
sum of the bones 1, in the axes of the person's virtual camera.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffpose_ros.core import H36M17
from diffpose_ros.geometry.body_frame import HIP, LEFT, RIGHT, THORAX
from diffpose_ros.methods.unihpr.config import EmbeddingConfig

_PARENT = [a for a, _ in H36M17.bones]
_CHILD = [b for _, b in H36M17.bones]
POSE, BONES, AXES = 51, 48, 9
GAIN = 12.0
"""Brings coordinates of poses of size 1 to about unit variance."""


def unit(x: Tensor) -> Tensor:
    """Vectors (..., C) of length 1."""
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-12)


def unit_pose(pose: Tensor) -> Tensor:
    """Poses (..., 17, 3) relative to the hip, the sum of the bones 1."""
    bones = pose[..., _CHILD, :] - pose[..., _PARENT, :]
    size = (bones.square().sum(-1) + 1e-12).sqrt().sum(-1)[..., None, None]
    return (pose - pose[..., :1, :]) / size


def body_axes(pose: Tensor) -> Tensor:
    """The body's axes (..., 3, 3) as columns; see :func:`diffpose_ros.geometry.body_frame.body_axes`."""
    z = unit(pose[..., THORAX, :] - pose[..., HIP, :])
    left = sum((pose[..., a, :] - pose[..., b, :] for a, b in zip(LEFT, RIGHT, strict=True)), z * 0)
    y = unit(left - (left * z).sum(-1, keepdim=True) * z)
    y0, y1, y2 = y[..., 0], y[..., 1], y[..., 2]
    z0, z1, z2 = z[..., 0], z[..., 1], z[..., 2]
    x = torch.stack([y1 * z2 - y2 * z1, y2 * z0 - y0 * z2, y0 * z1 - y1 * z0], dim=-1)
    return torch.stack([x, y, z], dim=-1)


class Residual(nn.Module):
    """A pre-normed residual pair of linear layers, shifted by a condition where there is one."""

    def __init__(self, width: int, condition: int = 0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, width)
        self.down = nn.Linear(width, width)
        self.act = nn.SiLU()
        if condition:
            self.shift = nn.Linear(condition, width)

    def forward(self, hidden: Tensor, condition: Tensor | None = None) -> Tensor:
        inner = self.up(self.norm(hidden))
        if condition is not None:
            inner = inner + self.shift(condition)
        changed: Tensor = self.down(self.act(inner))
        return hidden + changed


class Trunk(nn.Module):
    """A residual MLP."""

    def __init__(self, inputs: int, outputs: int, width: int, blocks: int) -> None:
        super().__init__()
        self.read = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(Residual(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.write = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.read(x)
        for block in self.blocks:
            hidden = block(hidden)
        out: Tensor = self.write(self.norm(hidden))
        return out


class SkeletonEncoder(nn.Module):
    """3D poses to embeddings. The body part sees the pose in the body's axes and nothing else."""

    def __init__(self, config: EmbeddingConfig) -> None:
        super().__init__()
        self.config = config
        self.body = Trunk(POSE + BONES, config.body, config.width, config.blocks)
        self.turn = Trunk(POSE + BONES + AXES, config.turn, config.width, config.blocks)

    def parts(self, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Poses (..., 17, 3) of any size to the two parts, of no particular length."""
        return self.body_part(pose), self.turn_part(pose)

    def body_part(self, pose: Tensor) -> Tensor:
        """The first part (..., body), of no particular length."""
        pose = unit_pose(pose)
        out: Tensor = self.body(_described(pose @ body_axes(pose)))
        return out

    def turn_part(self, pose: Tensor) -> Tensor:
        """The second part (..., turn), of no particular length."""
        pose = unit_pose(pose)
        out: Tensor = self.turn(torch.cat([_described(pose), body_axes(pose).flatten(-2)], dim=-1))
        return out

    def forward(self, pose: Tensor) -> Tensor:
        """Poses (..., 17, 3) to embeddings (..., D)."""
        return joined(*self.parts(pose))


class KeypointEncoder(nn.Module):
    """What the context encoder says of a window of keypoints, to embeddings.

    It corrects what the skeleton encoder says of the lifted pose.
    """

    def __init__(self, config: EmbeddingConfig, token: int, view: int) -> None:
        super().__init__()
        self.view = view
        inputs = token + view + 2 * (POSE + BONES) + AXES + POSE
        self.trunk = Trunk(inputs, config.size, config.width, config.blocks)
        self.split = [config.body, config.turn]
        self.heard = nn.LayerNorm(token, elementwise_affine=False)

    def forward(
        self, lifted: tuple[Tensor, Tensor], token: Tensor, pose: Tensor, log_sigma: Tensor, view: Tensor
    ) -> Tensor:
        """Embeddings (..., D).

        Args:
            lifted: what :meth:`SkeletonEncoder.parts` says of the lifted pose, to be corrected.
            token: (..., body) the body's token behind the last block.
            pose: (..., 17, 3) m, lifted.
            log_sigma: (..., 17, 3) of it.
            view: (..., 6 or 9) where and how the body is seen; what the context encoder does not know is
                left out.
        """
        size = unit_pose(pose)
        axes = body_axes(size)
        seen = [
            self.heard(token), view[..., : self.view], _described(size @ axes), _described(size),
            axes.flatten(-2), log_sigma.flatten(-2) + 3.0,
        ]  # fmt: skip
        body, turn = lifted
        more_body, more_turn = self.trunk(torch.cat(seen, dim=-1)).split(self.split, dim=-1)
        return joined(body + more_body, turn + more_turn)


class PictureEncoder(nn.Module):
    """Features of the detector's network at a person, to embeddings."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: EmbeddingConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(config.features))
        self.register_buffer("deviation", torch.ones(config.features))
        self.trunk = Trunk(config.features, config.size, config.width, config.blocks)
        self.split = [config.body, config.turn]

    def forward(self, features: Tensor) -> Tensor:
        """Features (..., F) to embeddings (..., D)."""
        body, turn = self.trunk((features - self.mean) / self.deviation).split(self.split, dim=-1)
        return joined(body, turn)


def joined(body: Tensor, turn: Tensor) -> Tensor:
    """Two parts, each brought to the same length, as one unit vector."""
    return torch.cat([unit(body), unit(turn)], dim=-1) * 0.5**0.5


def _described(pose: Tensor) -> Tensor:
    """Joints and directions of bones (..., 99)."""
    bones = unit(pose[..., _CHILD, :] - pose[..., _PARENT, :])
    return torch.cat([GAIN * pose.flatten(-2), bones.flatten(-2)], dim=-1)
