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


@dataclass(frozen=True)
class Rays:
    """The observed rays, prepared.

    Attributes:
        rays: (P, 1, 17, 2) tangents.
        share: (P, 1, 17, 1) weight of each joint, summing to 1 where anything is seen.
        middle: (P, 1, 1, 2) weighted mean ray.
        lever: (P, 1, 17, 2) what turns offsets into the root's depth.
    """

    rays: Tensor
    share: Tensor
    middle: Tensor
    lever: Tensor


class Guidance(nn.Module):
    """One bounded gradient step down the four energies.

    Args:
        rate: rho, the step over the gradient; with weights of one, a rate of 1 moves a joint by
            the full residual of its best-observed ray.
        limit_m: bound of a joint's move per step.
    """

    incidence: Tensor
    pairs: Tensor
    evening: Tensor
    stillness: Tensor

    def __init__(self, rate: float = 0.25, limit_m: float = 0.03) -> None:
        super().__init__()
        self.rate, self.limit_m = rate, limit_m
        matrix = torch.zeros(len(_PARENT), 17)
        for i, (p, c) in enumerate(zip(_PARENT, _CHILD, strict=True)):
            matrix[i, p], matrix[i, c] = -1.0, 1.0
        self.register_buffer("incidence", matrix, persistent=False)
        # Differences between left and right bones, and the gradient of their mean square.
        pairs = torch.zeros(len(_LEFT_BONES), len(_PARENT))
        for i, (left, right) in enumerate(zip(_LEFT_BONES, _RIGHT_BONES, strict=True)):
            pairs[i, left], pairs[i, right] = 1.0, -1.0
        self.register_buffer("pairs", pairs, persistent=False)
        self.register_buffer("evening", (2.0 / len(_LEFT_BONES)) * pairs.t() @ pairs, persistent=False)
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
        rays = self.rays(given)
        off = self._off_rays(pose, rays)
        _, length = self.lengths(pose)
        uneven = torch.matmul(length, self.pairs.t())
        drift = (length - given.bone_mean) * given.has_bones
        moved = (pose - given.previous).square().sum(-1) * given.has_previous
        return torch.stack(
            [
                (off.square() * rays.share).sum((-1, -2)),
                uneven.square().mean(-1),
                drift.square().mean(-1),
                (moved * self.stillness).mean(-1),
            ]
        )

    def gradients(self, pose: Tensor, given: GuidanceInputs) -> list[Tensor]:
        """d energy / d pose, each (P, N, 17, 3): the closed forms of :meth:`energies`."""
        rays = self.rays(given)
        bone, length = self.lengths(pose)
        return [
            self._towards_rays(pose, rays),
            self._to_joints(self._evening(length), bone, length),
            self._to_joints(self._constancy(length, given), bone, length),
            self._keeping(pose, given),
        ]

    def rays(self, given: GuidanceInputs) -> Rays:
        """What the observed rays contribute, the same for every hypothesis and step."""
        w = given.weight.unsqueeze(-1)
        share = w / w.sum(-2, keepdim=True).clamp(min=1e-3)
        middle = (share * given.rays).sum(-2, keepdim=True)
        lever = share * (given.rays - middle)
        spread = (lever * (given.rays - middle)).sum((-1, -2), keepdim=True)
        return Rays(given.rays, share, middle, lever / (spread + 1e-9))

    def forward(
        self, pose: Tensor, given: GuidanceInputs, weights: Tensor, rays: Rays | None = None
    ) -> Tensor:
        """Move a clean estimate.

        Args:
            pose: (P, N, 17, 3) metres.
            given: what to compare with.
            weights: (4,) lambda of the four energies; zeros leave the pose as it is.
            rays: the result of :meth:`rays`, where it is at hand.
        """
        rays = self.rays(given) if rays is None else rays
        bone, length = self.lengths(pose)
        pull = weights[1] * self._evening(length) + weights[2] * self._constancy(length, given)
        total = (
            weights[0] * self._towards_rays(pose, rays)
            + self._to_joints(pull, bone, length)
            + weights[3] * self._keeping(pose, given)
        )
        # The energies are means over about 17 terms: 17 / 2 turns a gradient back into a residual.
        move = (-self.rate * 8.5) * total
        size = (move.square().sum(-1, keepdim=True) + 1e-12).sqrt()
        move = move * torch.clamp(self.limit_m / size, max=1.0)
        pose = pose + move
        return pose - pose[..., :1, :]

    def _evening(self, length: Tensor) -> Tensor:
        return torch.matmul(length, self.evening)

    def _constancy(self, length: Tensor, given: GuidanceInputs) -> Tensor:
        return (2.0 / len(_PARENT)) * (length - given.bone_mean) * given.has_bones

    def _keeping(self, pose: Tensor, given: GuidanceInputs) -> Tensor:
        held = (2.0 / 17) * self.stillness * given.has_previous
        return held.unsqueeze(-1) * (pose - given.previous)

    def _to_joints(self, per_bone: Tensor, bone: Tensor, length: Tensor) -> Tensor:
        return torch.matmul(self.incidence.t(), (per_bone / length).unsqueeze(-1) * bone)

    def _towards_rays(self, pose: Tensor, rays: Rays) -> Tensor:
        off = self._off_rays(pose, rays)
        weighted = 2.0 * off * rays.share
        depth = -(weighted * rays.rays).sum(-1, keepdim=True)
        return torch.cat([weighted, depth], dim=-1)

    def _off_rays(self, pose: Tensor, rays: Rays) -> Tensor:
        """Distance to each joint's ray in x and y (P, N, 17, 2), metres.

        The root solves a + T_x - u T_z = 0, b + T_y - v T_z = 0 in the least squares sense.
        """
        flat, depth = pose[..., :2], pose[..., 2:]
        ab = flat - rays.rays * depth
        tz = (rays.lever * ab).sum((-1, -2), keepdim=True).clamp(min=0.3)
        shift = rays.middle * tz - (rays.share * ab).sum(-2, keepdim=True)
        return ab + shift - rays.rays * tz
