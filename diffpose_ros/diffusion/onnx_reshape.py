"""Reshaping that an exported graph can afford."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor


def regroup(x: Tensor, *shape: int) -> Tensor:
    """Reshape to ``shape``, in which 0 keeps the axis of ``x`` at that place, as ONNX has it.

    A plain ``view`` with more than one axis of unknown length costs a graph the arithmetic of its shape.
    """
    return cast(Tensor, _Regroup.apply(x, shape))


class _Regroup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        ctx.before = x.shape
        return x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(shape)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.reshape(ctx.before), None

    @staticmethod
    def symbolic(g: Any, x: Any, shape: tuple[int, ...]) -> Any:
        return g.op("Reshape", x, g.op("Constant", value_t=torch.tensor(shape)))
