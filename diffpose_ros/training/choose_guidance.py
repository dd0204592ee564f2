"""Pick the weights of the four STPG energies by rolling the lifter out on held-out views.

The papers' weights belong to their losses' units and to clean reprojections. Here a weight stays only
if it lowers the error on views the lifter did not train on; one that does not help is zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch

from diffpose_ros.methods.diffusion.network import LifterNetwork
from diffpose_ros.training.rollout import rollout

CANDIDATES = (0.03, 0.1, 0.3, 1.0)
SPEED, SHAKING = 2.0, 1.0
"""How many millimetres of error a millimetre of velocity error per frame is worth, and one of
acceleration error per frame squared: whoever plans with a skeleton takes its derivatives."""

Weights = tuple[float, float, float, float]


@dataclass(frozen=True)
class Choice:
    """What was chosen and why.

    Attributes:
        weights: of reprojection, symmetry, bone length variance, differential variation.
        table: (weights, MPJPE mm, MPJVE mm per frame, ACC-ERR mm per frame^2) of everything tried.
    """

    weights: Weights
    table: tuple[tuple[Weights, float, float, float], ...]


def choose_guidance(network: LifterNetwork, views: list[dict[str, torch.Tensor]]) -> Choice:
    """Coordinate search: each energy in turn, keeping what helps; sets the network's default.

    Args:
        network: the lifter.
        views: held-out batches, see ``finish.held_out``.
    """
    table: list[tuple[Weights, float, float, float]] = []

    def cost(weights: Weights) -> float:
        error, speed, shaking = _measure(network, views, weights)
        table.append((weights, error, speed, shaking))
        return error + SPEED * speed + SHAKING * shaking

    best: Weights = (0.0, 0.0, 0.0, 0.0)
    lowest = cost(best)
    for energy in range(4):
        for value in CANDIDATES:
            tried = cast(Weights, (*best[:energy], value, *best[energy + 1 :]))
            found = cost(tried)
            if found >= lowest:
                break
            best, lowest = tried, found
    network.config = replace(network.config, guidance=best)
    return Choice(best, tuple(table))


def _measure(
    network: LifterNetwork, views: list[dict[str, torch.Tensor]], weights: Weights
) -> tuple[float, float, float]:
    orders: tuple[list[torch.Tensor], ...] = ([], [], [])
    for batch in views:
        off = rollout(network, batch, guidance=weights).mean - batch["pose"]
        turned = torch.matmul(off, batch["rotation"])
        for order, kept in enumerate(orders):
            kept.append(turned.diff(n=order, dim=1).norm(dim=-1).mean())
    error, speed, shaking = (1000 * float(torch.stack(kept).mean()) for kept in orders)
    return error, speed, shaking
