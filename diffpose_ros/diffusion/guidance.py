"""STPG: spatial-temporal physical guidance (StarPose sec. III-C), in closed form.

The four energies act on the clean estimate h_0|k, and are differentiated with respect to it alone,
never through a network. Gradients are written out, so the guided sampler exports as plain arithmetic
and costs a few multiplications. Poses are root-relative, in metres, in the person's virtual camera.

Each energy is a mean over what it counts, so the weights keep their meaning when joints are masked,
and the step is bounded per joint, so one bad keypoint cannot fold a body.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffpose_ros.core import H36M17

_PARENT = [b[0] for b in H36M17.bones]
_CHILD = [b[1] for b in H36M17.bones]
_LEFT_BONES = [i for i, b in enumerate(H36M17.bones) if b[1] in H36M17.left]
_RIGHT_BONES = [
    next(k for k, b in enumerate(H36M17.bones) if b[1] == H36M17.flip[H36M17.bones[i][1]])
    for i in _LEFT_BONES
]
# StarPose eq. 15 weighs joints; limb ends move fast and must not be held back like the trunk.
_STILLNESS = [1, 1, 0.4, 0.25, 1, 0.4, 0.25, 1, 1, 0.8, 0.8, 0.8, 0.4, 0.25, 0.8, 0.4, 0.25]


@dataclass(frozen=True)
class GuidanceInputs:
    """What the energies compare a pose with; P people.

    Attributes:
        rays: (P, 1, 17, 2) observed keypoints as tangents in the virtual camera.
        weight: (P, 1, 17) their scores; 0 where masked.
        previous: (P, 1, 17, 3) the last frame's answer, m.
        has_previous: (P, 1, 1) 1 or 0.
        bone_mean: (P, 1, 16) mean bone lengths over the window, m.
        has_bones: (P, 1, 1) 1 or 0.
    """

    rays: Tensor
    weight: Tensor
    previous: Tensor
    has_previous: Tensor
    bone_mean: Tensor
    has_bones: Tensor


class Guidance(nn.Module):
    """One bounded gradient step down the four energies.

    Args:
        rate: rho, the step over the gradient; with weights of one, a rate of 1 moves a joint by
            the full residual of its best-observed ray.
        limit_m: bound of a joint's move per step.
    """

    incidence: Tensor
    stillness: Tensor

    def __init__(self, rate: float = 0.25, limit_m: float = 0.03) -> None:
        super().__init__()
        self.rate, self.limit_m = rate, limit_m
        matrix = torch.zeros(len(_PARENT), 17)
        for i, (p, c) in enumerate(zip(_PARENT, _CHILD, strict=True)):
            matrix[i, p], matrix[i, c] = -1.0, 1.0
        self.register_buffer("incidence", matrix, persistent=False)
        self.register_buffer("stillness", torch.tensor(_STILLNESS), persistent=False)

    def lengths(self, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Bone vectors (..., 16, 3) and lengths (..., 16), metres."""
        bone = torch.matmul(self.incidence, pose)
        return bone, (bone.square().sum(-1) + 1e-8).sqrt()

    def energies(self, pose: Tensor, given: GuidanceInputs) -> Tensor:
        """The four energies (4, P, N): reprojection (eq. 10), symmetry (12), bone length variance
        (13-14), differential variation (15); square metres.

        The reprojection error is measured in metres at the joint's depth, with the root placed by
        least squares (ZeDO eq. 6) and held.
        """
        off, share = self._off_rays(pose, given)
        _, length = self.lengths(pose)
        uneven = length[..., _LEFT_BONES] - length[..., _RIGHT_BONES]
        drift = (length - given.bone_mean) * given.has_bones
        moved = (pose - given.previous).square().sum(-1) * given.has_previous
        return torch.stack(
            [
                (off.square().sum(-1) * share).sum(-1),
                uneven.square().mean(-1),
                drift.square().mean(-1),
                (moved * self.stillness).mean(-1),
            ]
        )

    def gradients(self, pose: Tensor, given: GuidanceInputs) -> list[Tensor]:
        """d energy / d pose, each (P, N, 17, 3): the closed forms of :meth:`energies`."""
        off, share = self._off_rays(pose, given)
        weighted = 2.0 * off * share.unsqueeze(-1)
        depth = -(weighted * given.rays).sum(-1, keepdim=True)
        reprojection = torch.cat([weighted, depth], dim=-1)
        bone, length = self.lengths(pose)
        direction = bone / length.unsqueeze(-1)
        uneven = length[..., _LEFT_BONES] - length[..., _RIGHT_BONES]
        per_bone = torch.zeros_like(length)
        scale = 2.0 / len(_LEFT_BONES)
        pull = [per_bone[..., i] for i in range(len(_PARENT))]
        for n, (left, right) in enumerate(zip(_LEFT_BONES, _RIGHT_BONES, strict=True)):
            pull[left] = pull[left] + scale * uneven[..., n]
            pull[right] = pull[right] - scale * uneven[..., n]
        symmetry = self._to_joints(torch.stack(pull, dim=-1), direction)
        drift = (2.0 / len(_PARENT)) * (length - given.bone_mean) * given.has_bones
        variance = self._to_joints(drift, direction)
        moved = (pose - given.previous) * given.has_previous.unsqueeze(-1)
        still = (2.0 / 17) * self.stillness.unsqueeze(-1) * moved
        return [reprojection, symmetry, variance, still]

    def forward(self, pose: Tensor, given: GuidanceInputs, weights: Tensor) -> Tensor:
        """Move a clean estimate.

        Args:
            pose: (P, N, 17, 3) metres.
            given: what to compare with.
            weights: (4,) lambda of the four energies; zeros leave the pose as it is.
        """
        parts = self.gradients(pose, given)
        total = sum((weights[i] * g for i, g in enumerate(parts)), torch.zeros_like(pose))
        # The energies are means over about 17 terms: 17 / 2 turns a gradient back into a residual.
        move = (-self.rate * 8.5) * total
        size = (move.square().sum(-1, keepdim=True) + 1e-12).sqrt()
        move = move * torch.clamp(self.limit_m / size, max=1.0)
        pose = pose + move
        return pose - pose[..., :1, :]

    def _to_joints(self, per_bone: Tensor, direction: Tensor) -> Tensor:
        return torch.matmul(self.incidence.t(), per_bone.unsqueeze(-1) * direction)

    def _off_rays(self, pose: Tensor, given: GuidanceInputs) -> tuple[Tensor, Tensor]:
        """Distance to each joint's ray in x and y (P, N, 17, 2), metres, and shares (P, 1, 17)."""
        w = given.weight
        total = w.sum(-1, keepdim=True).clamp(min=1e-3)
        share = w / total
        u, v = given.rays[..., 0], given.rays[..., 1]
        x, y, z = pose[..., 0], pose[..., 1], pose[..., 2]
        a, b = x - u * z, y - v * z
        # Normal equations of a + T_x - u T_z = 0, b + T_y - v T_z = 0, solved by elimination.
        mu, mv = (share * u).sum(-1, keepdim=True), (share * v).sum(-1, keepdim=True)
        ma, mb = (share * a).sum(-1, keepdim=True), (share * b).sum(-1, keepdim=True)
        spread = (share * ((u - mu).square() + (v - mv).square())).sum(-1, keepdim=True)
        cross = (share * ((u - mu) * (a - ma) + (v - mv) * (b - mb))).sum(-1, keepdim=True)
        tz = (cross / (spread + 1e-9)).clamp(min=0.3)
        tx, ty = mu * tz - ma, mv * tz - mb
        off = torch.stack([a + tx - u * tz, b + ty - v * tz], dim=-1)
        return off, share
