"""Muon: torch's own rule, in an arithmetic that does not need bfloat16."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from diffpose_ros.training.config import OptimiserConfig
from diffpose_ros.training.loop import make_optimisers
from diffpose_ros.training.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(5, 24, 24), (3, 16, 40), (3, 40, 16)])
def test_singular_values_end_near_one_and_directions_stay(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    u, _, v = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    given = u @ torch.diag_embed(torch.linspace(1.0, 0.05, u.shape[-1]).expand(shape[0], -1)) @ v
    found = orthogonalised(given)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6 and values.max() < 1.25
    inner = u.transpose(1, 2) @ found @ v.transpose(1, 2)  # diagonal where directions stayed
    off = inner - torch.diag_embed(inner.diagonal(dim1=1, dim2=2))
    assert off.abs().max() < 1e-3


def test_each_matrix_is_turned_for_itself() -> None:
    torch.manual_seed(1)
    given = torch.stack([torch.randn(8, 12), 1000.0 * torch.randn(8, 12)])
    alone = torch.cat([orthogonalised(m[None]) for m in given])
    torch.testing.assert_close(orthogonalised(given), alone)


def test_it_moves_weights_as_torchs_own_does() -> None:
    """Up to the bfloat16 in which torch multiplies."""
    torch.manual_seed(2)
    start = [torch.randn(s) for s in ((16, 24), (24, 16), (16, 24), (16, 16))]
    ours, theirs = ([nn.Parameter(w.clone()) for w in start] for _ in range(2))
    a = Muon(ours, lr=0.02, weight_decay=0.1)
    b = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1)
    for step in range(4):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.cos(torch.arange(p.numel()) * (step + 1.0)).view_as(p) + 0.1 * p.detach()
            q.grad = torch.cos(torch.arange(q.numel()) * (step + 1.0)).view_as(q) + 0.1 * q.detach()
        a.step()
        b.step()
    for p, q, w in zip(ours, theirs, start, strict=True):
        moved = (p - w).norm()
        assert moved > 0.1
        assert (p - q).norm() < 0.03 * moved


def test_the_iteration_takes_the_arithmetic_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {"blocks.0.weight": nn.Parameter(torch.zeros(16, 16))}
    for half, wanted in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr("diffpose_ros.training.loop.choose_precision", lambda *a, h=half: (h, ""))
        _, muon = make_optimisers(weights, OptimiserConfig(optimiser="muon"))
        assert isinstance(muon, Muon)
        assert muon.dtype == wanted


def test_what_is_no_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected matrices, got a parameter of shape \(4,\)"):
        Muon([nn.Parameter(torch.zeros(4))])
