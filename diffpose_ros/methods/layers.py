"""Building blocks shared by the networks.

Letters: B clips (or people), T frames, W slots of a ring cache, J joints, C width, H heads,
D = C / H. Attention is written as MatMul, Softmax, MatMul, which exports to every runtime; linear
layers see rows (a body's joints one after the other), because a product of two matrices takes its
bias along and costs a graph one node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

EMPTY = -1e4
"""Added to the logits of empty slots; large enough to vanish, small enough for half precision."""

MOST_TRUST = 6.0
"""Bound of the logarithm of the trust in a frame, either way."""

_TAU_S = (0.03, 0.08, 0.2, 0.5, 1.2, 3.0)

_SPARE = 8
"""Hidden units that carry a bias; eight, as wide products like it."""


def add_product(onto: Tensor, rows: Tensor, weight: Tensor) -> Tensor:
    """``onto + rows weight^T`` for rows (R, .): one node of a graph, in which the sum costs nothing.

    In mixed precision the sum keeps the precision of ``onto``.
    """
    device = rows.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return onto + functional.linear(rows, weight)
    return torch.addmm(onto, rows, weight.t())


class Mlp(nn.Module):
    """Two linear layers with a GELU between."""

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        self.up = nn.Linear(width, int(width * ratio))
        self.down = nn.Linear(int(width * ratio), width)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(functional.gelu(self.up(x), approximate="tanh"))

    def add_to(self, onto: Tensor, rows: Tensor) -> Tensor:
        """``onto`` plus what :meth:`forward` makes of ``rows`` (R, C), for evaluation.

        Hidden units that always say the same carry the last bias, so that the second product has room
        for the sum. GELU leaves a number like 8 as it is.
        """
        up, down = self.up, self.down
        always = up.bias.new_full((_SPARE,), 8.0)
        weight = torch.cat([up.weight, up.weight.new_zeros(_SPARE, up.in_features)])
        hidden = functional.linear(rows, weight, torch.cat([up.bias, always]))
        carried = (down.bias / (8.0 * _SPARE)).unsqueeze(-1).expand(-1, _SPARE)
        hidden = functional.gelu(hidden, approximate="tanh")
        return add_product(onto, hidden, torch.cat([down.weight, carried], dim=-1))


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

    rate: Tensor

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(heads, len(_TAU_S)))
        self.slope = nn.Parameter(torch.linspace(0.5, 3.0, heads))
        # The last one stands still: what makes the bias 0 at age 0.
        rate = torch.cat([-1.0 / torch.tensor(_TAU_S), torch.zeros(1)])
        self.register_buffer("rate", rate, persistent=False)

    def forward(self, age: Tensor) -> Tensor:
        """Ages (..., W) in seconds, -1 where empty, to biases (..., H, W); 0 at age 0."""
        return torch.matmul(self.table, self.features(age))

    @property
    def table(self) -> Tensor:
        """(H, F): what each head makes of :meth:`features`."""
        slope = self.slope.unsqueeze(-1)
        rest = [-self.weight.sum(-1, keepdim=True), -slope, torch.full_like(slope, -EMPTY)]
        return torch.cat([self.weight, *rest], dim=-1)

    def features(self, age: Tensor) -> Tensor:
        """Ages (..., W) to (..., F, W): exponentials, a one, the age, and what is negative of it."""
        above = age.unsqueeze(-2)
        a = above.clamp(min=0.0)
        return torch.cat([torch.exp(a * self.rate.unsqueeze(-1)), a, above.clamp(max=0.0)], dim=-2)


class LooksBack(Protocol):
    """What :func:`age_biases` has to know of an attention over a body's own past."""

    age_bias: AgeBias
    copies: int


def age_biases(attentions: Sequence[LooksBack], age: Tensor) -> list[Tensor]:
    """The biases (P, copies H, 1, W) of several layers that share ages (P, W), as one product."""
    if not attentions:
        return []
    tables = [m.age_bias.table.repeat(m.copies, 1) for m in attentions]
    together = torch.matmul(torch.cat(tables), attentions[0].age_bias.features(age)).unsqueeze(-2)
    return list(together.split([t.shape[0] for t in tables], dim=1))


class TemporalAttention(nn.Module):
    """Attention of a body over its own past: banded and causal over a clip, cached when online.

    Which past frames matter is decided once per head for the whole body; how far each joint of a
    past frame can be trusted is decided by that joint itself. The weight of frame s for joint j at
    time t is ``softmax_s(q_t . k_s + bias(age)) * exp(g_sj)``, normalised over s. This costs J times
    less than one attention per joint, and an occluded wrist still does not spoil the average.

    Args:
        width: features per joint.
        heads: attention heads.
        joints: J.
    """

    copies = 1

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
        weight, bias = torch.cat(weights, dim=1).flatten(0, 1), torch.cat(biases, dim=1).flatten()
        flat = functional.linear(rows, weight, bias)
        v, trust = flat.view(-1, j, h, d + 2).split([d + 1, 1], dim=-1)
        packed = (v * torch.exp(trust.clamp(-MOST_TRUST, MOST_TRUST))).transpose(1, 2)
        body = rows.view(-1, j, c)
        q = self.query((body * self.pool_query).sum(1)) * self.scale
        k = self.key((body * self.pool_key).sum(1))
        return q.view(-1, h, 1, d), k.view(-1, h, 1, d), packed.reshape(-1, h, 1, j * (d + 1))

    def _unpack(self, mixed: Tensor) -> Tensor:
        """(R, H, 1, J (D + 1)) to the output (R J, C)."""
        j, h, d = self.joints, *self.key_shape
        values, trust = mixed.view(-1, h, j, d + 1).split([d, 1], dim=-1)
        fair = values / trust  # the trust is at least exp(-MOST_TRUST)
        return self.out(fair.transpose(1, 2).reshape(-1, h * d))

    def forward(self, x: Tensor, age: Tensor) -> Tensor:
        """A whole clip.

        Args:
            x: (B, T, J, C).
            age: (T, T), row t the ages of all frames at frame t; negative where t must not look
                (the future, beyond the window).
        """
        b, t, j, c = x.shape
        h = self.heads
        q, k, packed = (y.reshape(b, t, h, -1).transpose(1, 2) for y in self._project(x.reshape(-1, c)))
        mixed = _over_a_clip(q, k, packed, self.age_bias(age)).transpose(1, 2)
        return self._unpack(mixed.reshape(b * t, h, 1, -1)).view(b, t, j, c)

    def step(
        self, rows: Tensor, bias: Tensor, cache: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The newest frame only.

        Args:
            rows: (P J, C); the joints of a body are consecutive.
            bias: (P, H, 1, W) from :func:`age_biases`.
            cache: keys (P, H, W, D) and values (P, H, W, J (D + 1)).

        Returns:
            (P J, C), and this frame's key (P, H, 1, D) and value (P, H, 1, J (D + 1)) to be stored.
        """
        q, k, packed = self._project(rows)
        return self._unpack(_over_a_ring(q, k, packed, bias, *cache)), (k, packed)


class BodyAttention(nn.Module):
    """Attention over the past of a body that is one token.

    Queries and keys are narrower than values: few numbers say what a frame is to be looked for by, and
    the caches are what a frame of one person mostly reads. The bias of a query gives a past frame a logit
    of its own, whoever asks: what :class:`TemporalAttention` has as trust. A bias of a key would be the
    same for all frames and the bias of a value goes through to the output, so neither key nor output has
    one. The caches of copies stand side by side as further heads.

    Args:
        width: features of the token, C.
        heads: attention heads, H.
        keys: features per head of queries and keys, K.
        copies: tokens per person that go through the same weights and do not see each other.
    """

    def __init__(self, width: int, heads: int, keys: int, copies: int = 1) -> None:
        super().__init__()
        self.heads, self.keys, self.copies = heads, keys, copies
        self.query = nn.Linear(width, heads * keys)
        self.key = nn.Linear(width, heads * keys, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width, bias=False)
        self.age_bias = AgeBias(heads)
        self.scale = keys**-0.5

    @property
    def key_shape(self) -> tuple[int, int]:
        """(copies H, K): what one frame leaves in the key cache."""
        return self.copies * self.heads, self.keys

    @property
    def value_shape(self) -> tuple[int, int]:
        """(copies H, D): what one frame leaves in the value cache."""
        return self.copies * self.heads, self.value.out_features // self.heads

    def _project(self, rows: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
        """(R, C) to q, k (., heads, 1, K) and v (., heads, 1, D), as one product."""
        h, k, c = self.heads, self.keys, self.value.in_features
        weight = torch.cat([
            (self.query.weight * self.scale).view(h, k, c), self.key.weight.view(h, k, c),
            self.value.weight.view(h, -1, c),
        ], dim=1).flatten(0, 1)  # fmt: skip
        query, value = (self.query.bias * self.scale).view(h, k), self.value.bias.view(h, -1)
        bias = torch.cat([query, torch.zeros_like(query), value], dim=1).flatten()
        each = functional.linear(rows, weight, bias).view(-1, heads, 1, 2 * k + c // h)
        q, key, v = each.split([k, k, c // h], dim=-1)
        return q, key, v

    def forward(self, x: Tensor, age: Tensor, onto: Tensor) -> Tensor:
        """A whole clip.

        Args:
            x: (B, T, C); copies are clips of their own here.
            age: (T, T) as for :class:`TemporalAttention`.
            onto: (B, T, C) what the answer is added to.
        """
        b, t, c = x.shape
        q, k, v = (
            y.reshape(b, t, self.heads, -1).transpose(1, 2)
            for y in self._project(x.reshape(-1, c), self.heads)
        )
        mixed = _over_a_clip(q, k, v, self.age_bias(age)).transpose(1, 2).reshape(b * t, c)
        return add_product(onto.reshape(b * t, c), mixed, self.out.weight).view(b, t, c)

    def step(
        self, rows: Tensor, bias: Tensor, cache: tuple[Tensor, Tensor], onto: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The newest frame only.

        Args:
            rows: (P copies, C); the copies of a body are consecutive.
            bias: (P, copies H, 1, W) from :func:`age_biases`.
            cache: keys (P, copies H, W, K) and values (P, copies H, W, D).
            onto: (P copies, C) what the answer is added to.

        Returns:
            (P copies, C), and this frame's key (P, copies H, 1, K) and value (P, copies H, 1, D) to be
            stored.
        """
        q, k, v = self._project(rows, self.copies * self.heads)
        mixed = _over_a_ring(q, k, v, bias, *cache)
        flat = mixed.reshape(-1, self.out.in_features)
        return add_product(onto, flat, self.out.weight), (k, v)


def _over_a_clip(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Attention (B, H, T, .) with biases (T, H, T)."""
    logits = torch.matmul(q, k.transpose(-1, -2)) + bias.transpose(0, 1)
    return torch.matmul(torch.softmax(logits, dim=-1).to(v.dtype), v)


def _over_a_ring(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, key_cache: Tensor, value_cache: Tensor
) -> Tensor:
    """Attention of the newest frame (P, H, 1, .) over the caches and itself; nothing is copied."""
    own = torch.matmul(q, k.transpose(-1, -2))
    past = torch.matmul(q, key_cache.transpose(-1, -2)) + bias
    weights = torch.softmax(torch.cat([past, own], dim=-1), dim=-1)
    return torch.matmul(weights[..., :-1], value_cache) + weights[..., -1:] * v


def banded_ages(times_s: Tensor, window: int) -> Tensor:
    """(T, T) ages for a clip: row t sees itself and the ``window`` frames before it."""
    t = times_s.shape[0]
    age = times_s[:, None] - times_s[None, :]
    row = torch.arange(t, device=times_s.device)
    gap = row[:, None] - row[None, :]
    return torch.where((gap >= 0) & (gap <= window), age, torch.full_like(age, -1.0))
