"""Building blocks shared by the networks.

Letters: B clips (or people), T frames, W slots of a ring cache, J joints, C width, H heads,
D = C / H. Attention is written as MatMul, Softmax, MatMul with separate projections, which exports
to every runtime.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

EMPTY = -1e4
"""Added to the logits of empty slots; large enough to vanish, small enough for half precision."""

_TAU_S = (0.03, 0.08, 0.2, 0.5, 1.2, 3.0)


class Mlp(nn.Module):
    """Two linear layers with a GELU between."""

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        self.up = nn.Linear(width, int(width * ratio))
        self.down = nn.Linear(int(width * ratio), width)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(functional.gelu(self.up(x), approximate="tanh"))


class JointAttention(nn.Module):
    """Self-attention among the joints of one frame, with a learned bias per pair of joints."""

    def __init__(self, width: int, heads: int, joints: int) -> None:
        super().__init__()
        self.heads, self.joints = heads, joints
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros(heads, joints, joints))
        self.scale = (width // heads) ** -0.5

    def forward(self, x: Tensor) -> Tensor:
        """(R, J, C) -> (R, J, C)."""
        j, c, h = self.joints, self.query.out_features, self.heads
        # Constant shapes but for -1: shape arithmetic would cost a graph as much as the products.
        q = self.query(x).view(-1, j, h, c // h).transpose(1, 2)
        k = self.key(x).view(-1, j, h, c // h).permute(0, 2, 3, 1)
        v = self.value(x).view(-1, j, h, c // h).transpose(1, 2)
        logits = torch.matmul(q, k) * self.scale + self.bias
        mixed = torch.matmul(torch.softmax(logits, dim=-1), v)
        return self.out(mixed.transpose(1, 2).reshape(-1, j, c))


class AgeBias(nn.Module):
    """Logit bias per head from how many seconds ago a frame was: time, not frame count.

    A learned sum of exponentials of the age and a slope; it is what stands in for positions, so
    a window may have any length, start anywhere and run at any frame rate.
    """

    tau: Tensor

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(heads, len(_TAU_S)))
        self.slope = nn.Parameter(torch.linspace(0.5, 3.0, heads))
        self.register_buffer("tau", torch.tensor(_TAU_S), persistent=False)

    def forward(self, age: Tensor) -> Tensor:
        """Ages (..., W) in seconds, negative where empty, to biases (..., H, W)."""
        a = age.clamp(min=0.0).unsqueeze(-2)
        basis = torch.exp(a * (-1.0 / self.tau).unsqueeze(-1))
        bias = torch.matmul(self.weight, basis) - a * self.slope.unsqueeze(-1)
        return bias + (age < 0).to(bias.dtype).unsqueeze(-2) * EMPTY


class TemporalAttention(nn.Module):
    """Attention of a body over its own past: banded and causal over a clip, cached when online.

    Which past frames matter is decided once per head for the whole body; how far each joint of a
    past frame can be trusted is decided by that joint itself. The weight of frame s for joint j at
    time t is ``softmax_s(q_t . k_s + bias(age)) * exp(g_sj)``, normalised over s. This costs J times
    less than one attention per joint, and an occluded wrist still does not spoil the average.
    """

    def __init__(self, width: int, heads: int, joints: int) -> None:
        super().__init__()
        self.heads, self.joints = heads, joints
        self.pool_query = nn.Parameter(torch.randn(joints, width) / joints)
        self.pool_key = nn.Parameter(torch.randn(joints, width) / joints)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.trust = nn.Linear(width, heads)
        self.out = nn.Linear(width, width)
        self.age_bias = AgeBias(heads)
        self.scale = (width // heads) ** -0.5
        nn.init.zeros_(self.trust.weight)
        nn.init.zeros_(self.trust.bias)

    @property
    def key_shape(self) -> tuple[int, int]:
        """(H, D): what one frame leaves in the key cache."""
        return self.heads, self.key.out_features // self.heads

    @property
    def value_shape(self) -> tuple[int, int]:
        """(H, J (D + 1)): what one frame leaves in the value cache; trusted values, then trust."""
        return self.heads, self.joints * (self.value.out_features // self.heads + 1)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(R, J, C) to q, k (R, H, D) and packed values (R, H, J (D + 1))."""
        j, h, d = self.joints, *self.key_shape
        q = (self.query((x * self.pool_query).sum(1)) * self.scale).view(-1, h, d)
        k = self.key((x * self.pool_key).sum(1)).view(-1, h, d)
        trust = torch.exp(self.trust(x).clamp(-6.0, 6.0)).unsqueeze(-1)  # (R, J, H, 1)
        v = self.value(x).view(-1, j, h, d) * trust
        packed = torch.cat([v, trust], dim=-1).transpose(1, 2).reshape(-1, h, j * (d + 1))
        return q, k, packed

    def _unpack(self, mixed: Tensor) -> Tensor:
        """(R, H, J (D + 1)) to the output (R, J, C)."""
        j, h, d = self.joints, *self.key_shape
        mixed = mixed.view(-1, h, j, d + 1)
        fair = mixed[..., :-1] / (mixed[..., -1:] + 1e-6)
        return self.out(fair.transpose(1, 2).reshape(-1, j, h * d))

    def forward(self, x: Tensor, age: Tensor) -> Tensor:
        """A whole clip.

        Args:
            x: (B, T, J, C).
            age: (T, T), row t the ages of all frames at frame t; negative where t must not look
                (the future, beyond the window).
        """
        b, t = x.shape[:2]
        q, k, packed = (r.unflatten(0, (b, t)) for r in self._project(x.flatten(0, 1)))
        logits = torch.matmul(q.transpose(1, 2), k.permute(0, 2, 3, 1))
        weights = torch.softmax(logits + self.age_bias(age).transpose(0, 1), dim=-1)
        mixed = torch.matmul(weights.to(packed.dtype), packed.transpose(1, 2)).transpose(1, 2)
        return self._unpack(mixed.flatten(0, 1)).unflatten(0, (b, t))

    def step(
        self, x: Tensor, age: Tensor, key_cache: Tensor, value_cache: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The newest frame only.

        Args:
            x: (P, J, C).
            age: (P, W) seconds, negative where a slot is empty.
            key_cache: (P, H, D, W).
            value_cache: (P, H, W, J (D + 1)).

        Returns:
            (P, J, C), and this frame's key (P, H, D) and value (P, H, J (D + 1)) to be stored.
        """
        q, k, packed = self._project(x)
        past = torch.matmul(q.unsqueeze(-2), key_cache) + self.age_bias(age).unsqueeze(-2)
        own_bias = self.age_bias.weight.sum(-1).unsqueeze(-1).unsqueeze(-1)
        own = (q * k).sum(-1, keepdim=True).unsqueeze(-1) + own_bias
        weights = torch.softmax(torch.cat([past, own], dim=-1), dim=-1)
        mixed = torch.matmul(weights[..., :-1], value_cache).view(-1, *self.value_shape)
        mixed = mixed + weights[..., -1] * packed
        return self._unpack(mixed), k, packed


def banded_ages(times_s: Tensor, window: int) -> Tensor:
    """(T, T) ages for a clip: row t sees itself and the ``window`` frames before it."""
    t = times_s.shape[0]
    age = times_s[:, None] - times_s[None, :]
    row = torch.arange(t, device=times_s.device)
    gap = row[:, None] - row[None, :]
    return torch.where((gap >= 0) & (gap <= window), age, torch.full_like(age, -1.0))
