"""Building blocks shared by the networks.

Shapes are written with these letters: B clips, T frames, P people, R rows (people, frames or
hypotheses, one after the other), W slots of a ring cache, J joints, C width, H heads, D = C / H.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

EMPTY = -1e4
"""Logit of an empty slot: large enough to vanish, small enough for half precision."""

MOST_TRUST = 6.0
"""Bound of the logarithm of the trust in a frame, either way."""

_TAU_S = (0.03, 0.08, 0.2, 0.5, 1.2, 3.0)

Cache = tuple[Tensor, Tensor]
"""Keys and values: of all slots (P, H, W, .) in a ring, of one frame (P, H, 1, .) as an entry."""


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
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros(heads, joints, joints))
        self.scale = (width // heads) ** -0.5

    def forward(self, x: Tensor) -> Tensor:
        """(R, J, C) -> (R, J, C)."""
        q = self._split_heads(self.query(x) * self.scale)
        k = self._split_heads(self.key(x))
        v = self._split_heads(self.value(x))
        mixed = _attend(q, k, v, self.bias)
        return self.out(mixed.transpose(1, 2).flatten(-2))

    def _split_heads(self, x: Tensor) -> Tensor:
        """(R, J, C) -> (R, H, J, D)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class AgeBias(nn.Module):
    """Logit bias per head from how many seconds ago a frame was: time, not frame count.

    A learned sum of exponentials of the age, and a line. It stands in for positions, so a window may
    have any length, start anywhere and run at any frame rate.
    """

    tau: Tensor

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(heads, len(_TAU_S)))
        self.slope = nn.Parameter(torch.linspace(0.5, 3.0, heads))
        self.register_buffer("tau", torch.tensor(_TAU_S).unsqueeze(-1), persistent=False)

    def forward(self, age: Tensor, copies: int = 1) -> Tensor:
        """Ages (..., W) in seconds, negative where a slot is empty, to biases (..., copies H, W).

        The bias is 0 at age 0. The heads are repeated for each of ``copies``.
        """
        age = age.unsqueeze(-2)
        passed = age.clamp(min=0.0)
        basis = torch.cat([torch.exp(passed / -self.tau) - 1.0, passed], dim=-2)
        coefficients = torch.cat([self.weight, -self.slope.unsqueeze(-1)], dim=-1)
        bias = torch.matmul(coefficients.repeat(copies, 1), basis)
        return torch.where(age < 0, EMPTY, bias)


class TemporalAttention(nn.Module):
    """Attention of a body over its own past: banded and causal over a clip, cached when online.

    Which past frames matter is decided once per head for the whole body; how far each joint of a
    past frame can be trusted is decided by that joint. The weight of frame s for joint j at time t is
    ``softmax_s(q_t . k_s + bias(age)) * g_sj``, normalised over s, with the trust g_sj = exp(.). This
    costs J times less than one attention per joint, and an occluded wrist does not spoil the average.

    Args:
        width: features per joint, C.
        heads: attention heads, H.
        joints: J.
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
        """(H, J (D + 1)): what one frame leaves in the value cache, D trusted values and the trust of
        each joint."""
        return self.heads, self.joints * (self.value.out_features // self.heads + 1)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(R, J, C) to q and k (R, H, 1, D), and values with their trust (R, H, 1, J (D + 1))."""
        h, d = self.key_shape
        q = self.query((x * self.pool_query).sum(1)) * self.scale
        k = self.key((x * self.pool_key).sum(1))
        v = self.value(x).unflatten(-1, (h, d))
        trust = torch.exp(self.trust(x).clamp(-MOST_TRUST, MOST_TRUST)).unsqueeze(-1)
        packed = torch.cat([v * trust, trust], dim=-1).transpose(1, 2)
        return q.view(-1, h, 1, d), k.view(-1, h, 1, d), packed.flatten(-2).unsqueeze(2)

    def _normalise(self, mixed: Tensor) -> Tensor:
        """(R, H, 1, J (D + 1)), averages of trusted values and of trust, to the output (R, J, C)."""
        h, d = self.key_shape
        values, trust = mixed.view(-1, h, self.joints, d + 1).split([d, 1], dim=-1)
        fair = values / trust  # the trust is at least exp(-MOST_TRUST)
        return self.out(fair.transpose(1, 2).flatten(-2))

    def forward(self, x: Tensor, age: Tensor) -> Tensor:
        """A whole clip.

        Args:
            x: (B, T, J, C).
            age: (T, T), row t the ages of all frames at frame t; negative where t must not look
                (the future, beyond the window).
        """
        b, t = x.shape[:2]
        q, k, packed = (
            y.view(b, t, self.heads, -1).transpose(1, 2) for y in self._project(x.flatten(0, 1))
        )
        mixed = _attend(q, k, packed, self.age_bias(age).transpose(0, 1))
        return self._normalise(mixed.transpose(1, 2).flatten(0, 1)).view(x.shape)

    def step(self, x: Tensor, age: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """The newest frame only.

        Args:
            x: (P, J, C).
            age: (P, W) seconds, -1 where empty.
            cache: keys (P, H, W, D) and values (P, H, W, J (D + 1)).

        Returns:
            (P, J, C), and this frame's key (P, H, 1, D) and value (P, H, 1, J (D + 1)) to be stored.
        """
        q, k, packed = self._project(x)
        bias = self.age_bias(age).unsqueeze(-2)
        return self._normalise(_attend_ring(q, k, packed, bias, cache)), (k, packed)


class BodyAttention(nn.Module):
    """Attention over the past of a body that is one token.

    Queries and keys are narrower than values, because caches are what a frame of one person mostly
    reads. The bias of a query gives a past frame a logit of its own, whoever asks: what
    :class:`TemporalAttention` has as trust. A bias of a key would be the same for all frames, and the
    bias of a value goes through to the output, so neither key nor output has one.

    Args:
        width: features of the token, C.
        heads: attention heads, H.
        keys: features per head of queries and keys, K.
        copies: tokens per person. They share all weights and do not see each other; in the caches they
            stand side by side as further heads.
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

    def forward(self, x: Tensor, age: Tensor) -> Tensor:
        """A whole clip.

        Args:
            x: (B, T, C); copies are clips of their own here.
            age: (T, T) as for :class:`TemporalAttention`.
        """
        q, k, v = (
            y.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for y in (self.query(x) * self.scale, self.key(x), self.value(x))
        )
        mixed = _attend(q, k, v, self.age_bias(age).transpose(0, 1))
        return self.out(mixed.transpose(1, 2).flatten(-2))

    def step(self, x: Tensor, age: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """The newest frame only.

        Args:
            x: (P, copies, C).
            age: (P, W) seconds, -1 where empty.
            cache: keys (P, copies H, W, K) and values (P, copies H, W, D).

        Returns:
            (P, copies, C), and this frame's key (P, copies H, 1, K) and value (P, copies H, 1, D) to be
            stored.
        """
        h, d = self.value_shape
        q = (self.query(x) * self.scale).view(-1, h, 1, self.keys)
        k = self.key(x).view(-1, h, 1, self.keys)
        v = self.value(x).view(-1, h, 1, d)
        bias = self.age_bias(age, self.copies).unsqueeze(-2)
        mixed = _attend_ring(q, k, v, bias, cache)
        return self.out(mixed.view(-1, self.copies, self.out.in_features)), (k, v)


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Attention of queries (R, H, T, .) over keys and values (R, H, S, .) with biases (H, T, S)."""
    weights = torch.softmax(torch.matmul(q, k.transpose(-1, -2)) + bias, dim=-1)
    return torch.matmul(weights.to(v.dtype), v)


def _attend_ring(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, cache: Cache) -> Tensor:
    """Attention of the newest frame (P, H, 1, .) over the caches and itself, with biases (P, H, 1, W)
    of the slots. Past and present are worked out apart, so that no cache is copied."""
    key_cache, value_cache = cache
    past = torch.matmul(q, key_cache.transpose(-1, -2)) + bias
    present = torch.matmul(q, k.transpose(-1, -2))
    weights = torch.softmax(torch.cat([past, present], dim=-1), dim=-1)
    return torch.matmul(weights[..., :-1], value_cache) + weights[..., -1:] * v


def banded_ages(times_s: Tensor, window: int) -> Tensor:
    """(T, T) ages for a clip: row t sees itself and the ``window`` frames before it."""
    t = times_s.shape[0]
    age = times_s[:, None] - times_s[None, :]
    row = torch.arange(t, device=times_s.device)
    gap = row[:, None] - row[None, :]
    return torch.where((gap >= 0) & (gap <= window), age, torch.full_like(age, -1.0))
