"""Losses that bring embeddings of the same moment together (UniHPR, eqs. 1 to 4).

Letters for shapes: B moments, D numbers of an embedding; embeddings are unit vectors.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

_LEAST = 1e-9


def info_nce(a: Tensor, b: Tensor, sharpness: Tensor) -> Tensor:
    """Pairwise InfoNCE, both ways (eq. 1).

    Args:
        a, b: (B, D) of the same moments, row by row.
        sharpness: () 1 / tau.
    """
    logits = sharpness * a @ b.T
    own = torch.arange(len(a))
    both = functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)
    return 0.5 * both


def triplet_info_nce(x: Tensor, y: Tensor, z: Tensor, sharpness: Tensor) -> Tensor:
    """InfoNCE of the largest eigenvalue of three embeddings' Gram matrix (eq. 3).

    Each positive triplet stands against B - 1 negative ones, drawn: in each, one or two of its three
    embeddings are those of other moments.

    Args:
        x, y, z: (B, D) of the same moments, row by row.
        sharpness: () 1 / tau.
    """
    count = len(x)
    own = torch.arange(count)[:, None].expand(count, count)
    other = own.T
    third = (other + torch.randint(1, max(2, count), (count, count))) % count
    which = torch.randint(0, 6, (count, count))
    # 0, 1, 2: one is another moment's. 3, 4, 5: all but one are, of two further moments.
    chosen = []
    for place in range(3):
        index = torch.where(which == place, other, own)
        index = torch.where(which == 3 + (place + 1) % 3, other, index)
        index = torch.where(which == 3 + (place + 2) % 3, third, index)
        index.fill_diagonal_(0).add_(torch.diag(torch.arange(count)))
        chosen.append(index)
    a, b, c = (
        _taken(p @ q.T, i, j)
        for p, q, i, j in (
            (x, y, chosen[0], chosen[1]), (x, z, chosen[0], chosen[2]), (y, z, chosen[1], chosen[2])
        )
    )  # fmt: skip
    return functional.cross_entropy(sharpness * largest_eigenvalue(a, b, c), torch.arange(count))


def _taken(similarity: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return similarity.flatten()[(rows * similarity.shape[1] + columns).flatten()].view(rows.shape)


def largest_eigenvalue(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The largest eigenvalue, in [1, 3], of [[1, a, b], [a, 1, c], [b, c, 1]], in closed form.

    lambda_1 = 1 + 2 sqrt(s / 3) cos(arccos(abc / (s / 3)^1.5) / 3) with s = a^2 + b^2 + c^2: the square of
    the largest singular value of the three unit vectors whose cosines are a, b, c. The gradient comes from
    the characteristic polynomial, not from the arccosine, whose own is infinite where the three agree.
    Where the largest eigenvalue is double it is the mean of the subgradients.

    Args:
        a, b, c: cosines, of one shape.
    """
    return cast(Tensor, _LargestEigenvalue.apply(a, b, c))


class _LargestEigenvalue(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        third = (a * a + b * b + c * c) / 3
        root = third.sqrt()
        cosine = (a * b * c / (third * root).clamp(min=_LEAST)).clamp(-1.0, 1.0)
        mu = 2 * root * torch.cos(torch.arccos(cosine) / 3)
        ctx.save_for_backward(a, b, c, mu, third)
        return 1 + mu

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # mu^3 - s mu - 2 abc = 0, so (3 mu^2 - s) dmu = 2 (a mu + bc) da, and so on.
        (gradient,) = gradients
        a, b, c, mu, third = ctx.saved_tensors
        slope = 3 * (mu * mu - third)
        double = slope <= 1e-5 * third
        # A double mu is sqrt(s / 3), the other eigenvalue -2 of it; the projector onto the plane of the
        # double one is (G - lambda_3) / (lambda_1 - lambda_3), and half of it is the mean of v v^T.
        scale = torch.where(double, 1 / (3 * third.sqrt()).clamp(min=_LEAST), 2 / slope.clamp(min=_LEAST))
        return tuple(  # type: ignore[return-value]
            gradient * scale * torch.where(double, own, own * mu + p * q)
            for own, p, q in ((a, b, c), (b, a, c), (c, a, b))
        )
