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
from diffpose_ros.methods.diffusion.initial_distribution import root, shares

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
class Plan:
    """The weighted gradient of all energies at any pose, prepared: what hypotheses and steps share.

    Reprojection and differential variation are quadratic in the pose, so their gradient is one matrix
    per person; the other two act on the lengths of bones.

    Attributes:
        matrix: (P, 51, 51) of the quadratic energies.
        offset: (P, 1, 51).
        lengths: (P, 16, 16) from bone lengths to the pull along each bone.
        rest: (P, 1, 16) pull of bones without length.
    """

    matrix: Tensor
    offset: Tensor
    lengths: Tensor
    rest: Tensor


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
    flat: Tensor
    depth: Tensor
    same: Tensor
    twice: Tensor

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
        # Flat poses (51,) hold x, y, z of each joint in turn, flat rays (34,) its two tangents.
        plane = torch.eye(51).view(17, 3, 51)
        self.register_buffer("flat", plane[:, :2].reshape(34, 51), persistent=False)
        self.register_buffer("depth", plane[:, 2:].repeat(1, 2, 1).view(34, 51), persistent=False)
        self.register_buffer("same", torch.eye(2).repeat(17, 17), persistent=False)
        self.register_buffer("twice", torch.eye(17).repeat_interleave(2, dim=1), persistent=False)

    def lengths(self, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Bone vectors (..., 16, 3) and lengths (..., 16), metres."""
        bone = torch.matmul(self.incidence, pose)
        return bone, torch.linalg.vector_norm(bone, dim=-1).clamp(min=1e-4)

    def energies(self, pose: Tensor, given: GuidanceInputs) -> Tensor:
        """The four energies (4, P, N): reprojection (eq. 10), symmetry (12), bone length variance
        (13-14), differential variation (15); square metres.

        The reprojection error is measured in metres at the joint's depth, with the root placed by
        least squares (ZeDO eq. 6) and held.
        """
        share = shares(given.weight.unsqueeze(-1))
        at = root(pose, given.rays, given.weight.unsqueeze(-1))
        off = pose[..., :2] + at[..., :2] - given.rays * (pose[..., 2:] + at[..., 2:])
        _, length = self.lengths(pose)
        uneven = torch.matmul(length, self.pairs.t())
        drift = (length - given.bone_mean) * given.has_bones
        moved = (pose - given.previous).square().sum(-1) * given.has_previous
        return torch.stack(
            [
                (off.square() * share).sum((-1, -2)),
                uneven.square().mean(-1),
                drift.square().mean(-1),
                (moved * self.stillness).mean(-1),
            ]
        )

    def gradients(self, pose: Tensor, given: GuidanceInputs) -> list[Tensor]:
        """d energy / d pose, each (P, N, 17, 3): the closed forms of :meth:`energies`."""
        each = torch.eye(4, dtype=pose.dtype).unbind()
        return [self._gradient(pose, self._prepare(given, weights)) for weights in each]

    def prepare(self, given: GuidanceInputs, weights: Tensor) -> Plan:
        """What one frame needs once.

        Args:
            given: what to compare with.
            weights: (4,) lambda of the four energies; zeros leave the pose as it is.
        """
        # The energies are means over about 17 terms: 17 / 2 turns a gradient back into a residual.
        # Moves are worked out in units of their bound.
        return self._prepare(given, weights * (-self.rate * 8.5 / self.limit_m))

    def move(self, pose: Tensor, plan: Plan) -> Tensor:
        """How far to move each joint of clean estimates, (P, N, 17, 3) metres."""
        move = self._gradient(pose, plan)
        size = torch.linalg.vector_norm(move, dim=-1, keepdim=True)
        return move / size.clamp(min=1.0) * self.limit_m

    def forward(self, pose: Tensor, given: GuidanceInputs, weights: Tensor) -> Tensor:
        """Clean estimates (P, N, 17, 3) moved once, relative to their root again, metres."""
        pose = pose + self.move(pose, self.prepare(given, weights))
        return pose - pose[..., :1, :]

    def _gradient(self, pose: Tensor, plan: Plan) -> Tensor:
        quadratic = torch.matmul(pose.flatten(-2), plan.matrix) + plan.offset
        quadratic = quadratic.unflatten(-1, (17, 3))
        bone, length = self.lengths(pose)
        pull = (torch.matmul(length, plan.lengths) + plan.rest) / length
        return quadratic + torch.matmul(self.incidence.t(), pull.unsqueeze(-1) * bone)

    def _prepare(self, given: GuidanceInputs, weights: Tensor) -> Plan:
        constant = (2.0 / len(_PARENT)) * weights[2] * given.has_bones
        held = (2.0 / 17) * weights[3] * given.has_previous * self.stillness.repeat_interleave(3)
        eye = torch.eye(51, dtype=weights.dtype)
        return Plan(
            matrix=2.0 * weights[0] * self._towards_rays(given) + eye * held,
            offset=-held * given.previous.reshape(-1, 1, 51),
            lengths=weights[1] * self.evening + constant * torch.eye(16, dtype=weights.dtype),
            rest=-constant * given.bone_mean,
        )

    def _towards_rays(self, given: GuidanceInputs) -> Tensor:
        """Half the Hessian of the reprojection energy, (P, 51, 51).

        With A from a pose to its offsets from the rays while the root is at the origin, and s the
        joints' shares: A^T (S - s s^T - m m^T / spread) A, where what is taken off S is what moving
        the root sideways and along the rays explains.
        """
        share = shares(given.weight.unsqueeze(-1))
        middle = (share * given.rays).sum(-2, keepdim=True)
        off = (given.rays - middle).reshape(-1, 1, 34)
        s = torch.matmul(share.squeeze(-1), self.twice)
        m = s * off
        spread = (m * off).sum(-1, keepdim=True) + 1e-9
        s_column, eye = s.transpose(1, 2), torch.eye(34, dtype=s.dtype)
        inner = s_column * (eye - self.same * s) - m.transpose(1, 2) * (m / spread)
        a = self.flat - given.rays.reshape(-1, 34, 1) * self.depth
        return torch.matmul(a.transpose(1, 2), torch.matmul(inner, a))
