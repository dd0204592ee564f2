"""Fewer numbers per key: what queries make of keys, cut to its largest singular values.

A head looks past frames up by ``q . k``. Over many views the queries have second moments ``Q`` and the keys
``K``; in coordinates in which both are white, ``q . k`` is the matrix ``Q^1/2 K^1/2``. Its largest singular
directions are the numbers that matter; what the others would have added is the smallest possible error of
that many numbers (Eckart and Young, 1936). All of them together give the same attention as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from diffpose_ros.core import ConfigError
from diffpose_ros.methods.diffusion.context_encoder import Block, ContextEncoder
from diffpose_ros.training.rollout import evaluating


@dataclass(frozen=True)
class Compressed:
    """What a cut gave.

    Attributes:
        encoder: the encoder with fewer numbers per key.
        singular_values: (blocks, heads, keys) of what queries make of keys, falling.
        kept: share of their squares that stays, over all heads.
    """

    encoder: ContextEncoder
    singular_values: Tensor
    kept: float


def compress_keys(
    encoder: ContextEncoder, views: Sequence[dict[str, Tensor]], keys: int
) -> Compressed:
    """Cut the queries and keys of every head to ``keys`` numbers.

    Args:
        encoder: a trained encoder that looks back; it stays as it is.
        views: batches (``points``, ``view``, ``times_s``) that say which queries and keys occur.
        keys: numbers per head that stay, at most as many as there are.

    Raises:
        ConfigError: the encoder is frame-based, or ``keys`` is out of range.
    """
    config = encoder.config
    if not config.temporal:
        raise ConfigError("compression: a frame-based encoder has no keys to cut")
    if not 1 <= keys <= config.keys:
        raise ConfigError(f"compression.keys: expected 1 to {config.keys}, got {keys}")
    moments = _moments(encoder, views)
    state = {n: t.detach().clone() for n, t in encoder.state_dict().items()}
    values = []
    for i, (queries, found) in enumerate(moments):
        name = f"blocks.{i}.time"
        for_queries, for_keys, singular = _projections(queries, found, keys)
        values.append(singular)
        # Attention divides by the root of the number of keys, which is another one now.
        for_queries = for_queries * (keys / config.keys) ** 0.5
        heads = (config.heads, config.keys, -1)
        weight, bias = state[f"{name}.query.weight"], state[f"{name}.query.bias"]
        state[f"{name}.query.weight"] = _applied(for_queries, weight.view(heads)).flatten(0, 1)
        state[f"{name}.query.bias"] = _applied(for_queries, bias.view(heads)).flatten()
        weight = state[f"{name}.key.weight"]
        state[f"{name}.key.weight"] = _applied(for_keys, weight.view(heads)).flatten(0, 1)
    cut = ContextEncoder(replace(config, keys=keys))
    cut.load_state_dict(state)
    singular_values = torch.stack(values)
    squares = singular_values.square()
    return Compressed(cut, singular_values, float(squares[..., :keys].sum() / squares.sum()))


def _moments(
    encoder: ContextEncoder, views: Sequence[dict[str, Tensor]]
) -> list[tuple[Tensor, Tensor]]:
    """Per block the second moments (heads, keys, keys) of queries and of keys, in float64."""
    config = encoder.config
    blocks = [cast(Block, b) for b in encoder.blocks]
    sums = [torch.zeros(2, config.heads, config.keys, config.keys, dtype=torch.float64) for _ in blocks]

    def note(i: int, x: Tensor) -> None:
        time = blocks[i].time
        for j, part in enumerate((time.query, time.key)):
            rows = part(x).reshape(-1, config.heads, config.keys).double()
            sums[i][j] += torch.einsum("rhi,rhj->hij", rows, rows)

    hooks = [
        block.time.register_forward_pre_hook(lambda _, inputs, i=i: note(i, inputs[0]))
        for i, block in enumerate(blocks)
    ]
    frames = 0
    try:
        with evaluating(encoder), torch.no_grad():
            for batch in views:
                encoder(batch["points"], batch["view"], batch["times_s"])
                frames += batch["points"].shape[0] * batch["points"].shape[1]
    finally:
        for hook in hooks:
            hook.remove()
    return [(s[0] / max(frames, 1), s[1] / max(frames, 1)) for s in sums]


def _projections(queries: Tensor, keys: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Maps (heads, rank, keys) of queries and of keys, and all singular values (heads, keys)."""
    root_q, inverse_q = _roots(queries)
    root_k, inverse_k = _roots(keys)
    left, singular, right = torch.linalg.svd(root_q @ root_k)
    half = singular[:, :rank].sqrt().unsqueeze(-1)
    for_queries = half * left[..., :rank].transpose(-1, -2) @ inverse_q
    for_keys = half * right[:, :rank] @ inverse_k
    return for_queries, for_keys, singular


def _roots(moments: Tensor) -> tuple[Tensor, Tensor]:
    """Square root of symmetric matrices (..., n, n) and its inverse; directions that never occur get a
    little weight, so that the inverse exists."""
    values, vectors = torch.linalg.eigh(moments)
    least = 1e-8 * values[..., -1:].clamp(min=1e-12)
    root = values.clamp(min=0.0).add(least).sqrt().unsqueeze(-2)
    back = vectors.transpose(-1, -2)
    return (vectors * root) @ back, (vectors / root) @ back


def _applied(projection: Tensor, value: Tensor) -> Tensor:
    return (projection @ value.double()).float()
