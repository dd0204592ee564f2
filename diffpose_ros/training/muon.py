"""Muon in the arithmetic that the machine is fast in.

torch's own Muon multiplies in bfloat16 always. A CPU that has none emulates it, and one step of the
optimiser then takes ten times as long as forward and backward together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.775, 2.0315)
"""Of the quintic that pushes singular values towards one (Jordan et al., 2024)."""


class Muon(torch.optim.Optimizer):
    """Moves matrices by the orthogonal part of their averaged gradient (Jordan et al., 2024).

    The same rule and defaults as ``torch.optim.Muon``; matrices of one shape are multiplied together.

    Args:
        params: matrices, or groups of them.
        lr: learning rate; multiplied by sqrt(rows / columns) for tall matrices.
        weight_decay: decoupled, times ``lr``.
        momentum: of the gradient's average, Nesterov's way.
        rounds: of the Newton-Schulz iteration.
        dtype: arithmetic of the iteration.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        *,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        rounds: int = 5,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self.rounds, self.dtype = rounds, dtype
        for parameter in (p for g in self.param_groups for p in g["params"]):
            if parameter.dim() != 2:
                raise ValueError(
                    f"muon: expected matrices, got a parameter of shape {tuple(parameter.shape)}"
                )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            alike: dict[tuple[int, ...], list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike.setdefault(tuple(parameter.shape), []).append(parameter)
            for (rows, columns), matrices in alike.items():
                wanted = torch.stack([self._averaged(p, group["momentum"]) for p in matrices])
                moves = orthogonalised(wanted.to(self.dtype), self.rounds).to(wanted.dtype)
                rate = group["lr"] * math.sqrt(max(1.0, rows / columns))
                for parameter, move in zip(matrices, moves, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(move, alpha=-rate)
        return loss

    def _averaged(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        """The gradient, averaged over the steps, a step ahead."""
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        average = state["momentum_buffer"]
        average.lerp_(gradient, 1 - momentum)
        return gradient.lerp(average, momentum)


def orthogonalised(matrices: Tensor, rounds: int = 5) -> Tensor:
    """Matrices (N, A, B) with their singular values pushed to between about 0.7 and 1.2.

    A quintic Newton-Schulz iteration: it costs products alone, no decomposition.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / x.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    for _ in range(rounds):
        gram = torch.bmm(x, x.transpose(1, 2))
        pushed = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, pushed, x, beta=a)
    return x.transpose(1, 2) if tall else x
