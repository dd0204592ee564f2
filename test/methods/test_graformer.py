"""The denoiser's parts against their equations, and older checkpoints."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: training and export need it")

from diffpose_ros.core import H36M17  # noqa: E402
from diffpose_ros.methods.diffusion.graformer import (  # noqa: E402
    ChebConv,
    Denoiser,
    DenoiserConfig,
    laplacian_basis,
)

SMALL = DenoiserConfig(width=8, depth=2, heads=2, context=6)


@pytest.fixture
def denoiser() -> Denoiser:
    torch.manual_seed(0)
    made = Denoiser(SMALL).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return made


def test_chebyshev_polynomials_follow_their_recurrence() -> None:
    one, first, second = laplacian_basis().double()
    assert torch.equal(one, torch.eye(17).double())
    assert torch.allclose(second, 2 * first @ first - one, atol=1e-6)
    assert torch.linalg.eigvalsh(first).abs().max() <= 1 + 1e-6
    hip, knee = H36M17.bones[0]
    assert first[hip, knee] < 0


def test_a_graph_convolution_is_a_sum_over_polynomials() -> None:
    torch.manual_seed(0)
    conv = ChebConv(3, 5)
    with torch.no_grad():
        conv.learned += 0.1 * torch.randn(17, 17)
        x = torch.randn(2, 17, 3)
        graphs = [conv.basis[0], conv.basis[1] + conv.learned, conv.basis[2]]
        weights = conv.linear.weight.split(3, dim=1)
        want = sum(g @ x @ w.T for g, w in zip(graphs, weights, strict=True)) + conv.linear.bias
        assert torch.allclose(conv(x), want, atol=1e-5)


def test_a_block_sees_the_projected_sum_of_condition_and_step(denoiser: Denoiser) -> None:
    """The two parts, worked out apart, are ``embeddings[i](condition + step)``."""
    feature, step = torch.randn(3, 17, 6), denoiser.embed_step(torch.tensor([7.0]))
    seen = []
    for block in denoiser.blocks:
        block.register_forward_pre_hook(lambda _, args: seen.append(args[1] + args[2]))
    with torch.no_grad():
        denoiser(torch.randn(3, 17, 3), denoiser.embed_condition(feature), step)
        for embed, got in zip(denoiser.embeddings, seen, strict=True):
            assert torch.allclose(got, embed(denoiser.condition(feature) + step), atol=1e-5)


def test_hypotheses_share_a_persons_condition_and_rows_may_have_steps_of_their_own(denoiser) -> None:
    feature, noisy = torch.randn(2, 17, 6), torch.randn(2, 3, 17, 3)
    k = torch.tensor([40.0, 10.0])
    with torch.no_grad():
        condition = denoiser.embed_condition(feature, 3)
        together = denoiser(
            noisy.flatten(0, 1), condition, denoiser.embed_step(k.repeat_interleave(3))
        ).view(noisy.shape)
        for person in range(2):
            alone = denoiser.embed_condition(feature[person : person + 1])
            step = denoiser.embed_step(k[person : person + 1])
            for n in range(3):
                one = denoiser(noisy[person, n : n + 1], alone, step)
                assert torch.allclose(together[person, n], one[0], atol=1e-5)


def test_checkpoints_that_call_the_embeddings_shifts_load(denoiser: Denoiser) -> None:
    now = denoiser.state_dict()
    older = {name.replace("embeddings.", "shifts."): value for name, value in now.items()}
    assert older.keys() != now.keys()
    again, outer = Denoiser(SMALL), torch.nn.ModuleDict({"denoiser": Denoiser(SMALL)})
    again.load_state_dict(older)
    outer.load_state_dict({f"denoiser.{name}": value for name, value in older.items()})
    for loaded in (again.state_dict(), outer["denoiser"].state_dict()):
        assert all(torch.equal(loaded[name], value) for name, value in now.items())
