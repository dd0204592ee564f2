"""Building blocks shared by the networks.

Letters: B clips (or people), T frames, W slots of a ring cache, J joints, C width, H heads,
D = C / H. Attention is written as MatMul, Softmax, MatMul, which exports to every runtime; linear
layers see rows (a body's joints one after the other), because a product of two matrices takes its
bias along and costs a graph one node.
"""

from __future__ import annotations

from collections.abc import Sequence

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

    def forward(self, rows: Tensor) -> Tensor:
        """(R J, C) -> (R J, C); the joints of a body are consecutive rows."""
        j, c, h = self.joints, self.query.out_features, self.heads
        # One product for all three, and the scale in the weights: what a graph folds when loaded.
        weight = torch.cat([self.query.weight * self.scale, self.key.weight, self.value.weight])
        bias = torch.cat([self.query.bias * self.scale, self.key.bias, self.value.bias])
        each = functional.linear(rows, weight, bias).split(c, dim=-1)
        q, k, v = (y.view(-1, j, h, c // h) for y in each)
        logits = torch.matmul(q.transpose(1, 2), k.permute(0, 2, 3, 1)) + self.bias
        mixed = torch.matmul(torch.softmax(logits, dim=-1).to(v.dtype), v.transpose(1, 2))
        return self.out(mixed.transpose(1, 2).reshape(-1, c))


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
        """Ages (..., W) in seconds, negative where empty, to biases (..., H, W); 0 at age 0."""
        return torch.matmul(self.table, self.features(age))

    @property
    def table(self) -> Tensor:
        """(H, F): what each head makes of :meth:`features`."""
        slope = -self.slope.unsqueeze(-1)
        return torch.cat([self.weight, slope, torch.ones_like(slope)], dim=-1)

    def features(self, age: Tensor) -> Tensor:
        """Ages (..., W) to (..., F, W): exponentials less one, the age, and the mask of empty slots."""
        a = age.clamp(min=0.0).unsqueeze(-2)
        empty = (age < 0).to(age.dtype).unsqueeze(-2) * EMPTY
        falling = torch.exp(a * (-1.0 / self.tau).unsqueeze(-1)) - 1.0
        return torch.cat([falling, a, empty], dim=-2)


def age_biases(modules: Sequence[AgeBias], age: Tensor) -> list[Tensor]:
    """The biases (P, H, 1, W) of several layers that share ages (P, W), as one product."""
    if not modules:
        return []
    table = torch.cat([m.table for m in modules])
    together = torch.matmul(table, modules[0].features(age)).unsqueeze(-2)
    return list(together.split([m.slope.shape[0] for m in modules], dim=1))


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

    def _project(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(R J, C) to q, k (R, H, 1, D) and packed values (R, H, 1, J (D + 1)).

        Values, a one and their trust come out of one product, head by head: times the trust, the one
        leaves the trust itself behind the values.
        """
        j, c, (h, d) = self.joints, self.key.in_features, self.key_shape
        one = self.value.bias.new_ones(h, 1)
        weights = [
            self.value.weight.view(h, d, c), one.new_zeros(h, 1, c), self.trust.weight.unsqueeze(1)
        ]  # fmt: skip
        biases = [self.value.bias.view(h, d), one, self.trust.bias.unsqueeze(-1)]
        if j == 1:  # the pools scale the inputs of query and key, which go through the same product
            q_weight = self.query.weight * (self.pool_query * self.scale)
            k_weight = self.key.weight * self.pool_key
            weights = [q_weight.view(h, d, c), k_weight.view(h, d, c), *weights]
            biases = [(self.query.bias * self.scale).view(h, d), self.key.bias.view(h, d), *biases]
        weight, bias = torch.cat(weights, dim=1).flatten(0, 1), torch.cat(biases, dim=1).flatten()
        flat = functional.linear(rows, weight, bias)
        if j == 1:
            q, k, v, trust = flat.view(-1, h, 1, 3 * d + 2).split([d, d, d + 1, 1], dim=-1)
            return q, k, v * torch.exp(trust.clamp(-6.0, 6.0))
        v, trust = flat.view(-1, j, h, d + 2).split([d + 1, 1], dim=-1)
        packed = (v * torch.exp(trust.clamp(-6.0, 6.0))).transpose(1, 2)
        body = rows.view(-1, j, c)
        q = self.query((body * self.pool_query).sum(1)) * self.scale
        k = self.key((body * self.pool_key).sum(1))
        return q.view(-1, h, 1, d), k.view(-1, h, 1, d), packed.reshape(-1, h, 1, j * (d + 1))

    def _unpack(self, mixed: Tensor) -> Tensor:
        """(R, H, 1, J (D + 1)) to the output (R J, C)."""
        j, h, d = self.joints, *self.key_shape
        if j > 1:
            mixed = mixed.view(-1, h, j, d + 1)
        values, trust = mixed.split([d, 1], dim=-1)  # the trust is at least exp(-6)
        fair = values / trust
        if j > 1:
            fair = fair.transpose(1, 2)
        return self.out(fair.reshape(-1, h * d))

    def forward(self, x: Tensor, age: Tensor) -> Tensor:
        """A whole clip.

        Args:
            x: (B, T, J, C).
            age: (T, T), row t the ages of all frames at frame t; negative where t must not look
                (the future, beyond the window).
        """
        b, t, j, c = x.shape
        h = self.heads
        q, k, packed = (
            y.reshape(b, t, h, -1).transpose(1, 2) for y in self._project(x.reshape(-1, c))
        )
        logits = torch.matmul(q, k.transpose(-1, -2)) + self.age_bias(age).transpose(0, 1)
        weights = torch.softmax(logits, dim=-1).to(packed.dtype)
        mixed = torch.matmul(weights, packed).transpose(1, 2)
        return self._unpack(mixed.reshape(b * t, h, 1, -1)).view(b, t, j, c)

    def step(
        self, rows: Tensor, bias: Tensor, key_cache: Tensor, value_cache: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The newest frame only.

        Args:
            rows: (P J, C); the joints of a body are consecutive.
            bias: (P, H, 1, W) from :func:`age_biases`.
            key_cache: (P, H, D, W).
            value_cache: (P, H, W, J (D + 1)).

        Returns:
            (P J, C), and this frame's key (P, H, D) and value (P, H, J (D + 1)) to be stored.
        """
        q, k, packed = self._project(rows)
        own = (q * k).sum(-1, keepdim=True)
        past = torch.matmul(q, key_cache) + bias
        weights = torch.softmax(torch.cat([past, own], dim=-1), dim=-1)
        mixed = torch.matmul(weights[..., :-1], value_cache) + weights[..., -1:] * packed
        return self._unpack(mixed), k.view(-1, *self.key_shape), packed.view(-1, *self.value_shape)


def banded_ages(times_s: Tensor, window: int) -> Tensor:
    """(T, T) ages for a clip: row t sees itself and the ``window`` frames before it."""
    t = times_s.shape[0]
    age = times_s[:, None] - times_s[None, :]
    row = torch.arange(t, device=times_s.device)
    gap = row[:, None] - row[None, :]
    return torch.where((gap >= 0) & (gap <= window), age, torch.full_like(age, -1.0))
