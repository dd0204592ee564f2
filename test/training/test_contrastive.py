"""UniHPR's losses: the closed form against numpy, and what they pull together."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: training needs it")

from torch.nn.functional import normalize

from diffpose_ros.training.contrastive import info_nce, largest_eigenvalue, triplet_info_nce


def cosines(vectors):
    gram = vectors @ vectors.mT
    return [gram[..., i, j].clone().requires_grad_() for i, j in ((0, 1), (0, 2), (1, 2))]


@pytest.fixture
def vectors():
    g = torch.Generator().manual_seed(0)
    return normalize(torch.randn(300, 3, 5, generator=g, dtype=torch.float64), dim=-1)


def test_it_is_the_square_of_the_largest_singular_value(vectors):
    expected = np.linalg.svd(vectors.numpy(), compute_uv=False)[:, 0] ** 2
    found = largest_eigenvalue(*cosines(vectors)).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found.min() >= 1 and found.max() <= 3


def test_its_gradient_is_that_of_the_eigenvector(vectors):
    a, b, c = cosines(vectors)
    largest_eigenvalue(a, b, c).sum().backward()
    v = np.linalg.eigh((vectors @ vectors.mT).numpy())[1][:, :, -1]
    for found, (i, j) in zip((a, b, c), ((0, 1), (0, 2), (1, 2)), strict=True):
        np.testing.assert_allclose(found.grad.numpy(), 2 * v[:, i] * v[:, j], atol=1e-9)


@pytest.mark.parametrize(
    ("abc", "value", "gradient"),
    [
        ((1, 1, 1), 3, (2 / 3,) * 3),  # all agree: the arccosine's own gradient is infinite here
        ((1, -1, -1), 3, (2 / 3, -2 / 3, -2 / 3)),
        ((1, 0, 0), 2, (1, 0, 0)),
        ((0.6, 0, 0), 1.6, (1, 0, 0)),
        ((0, 0, 0), 1, (0, 0, 0)),  # all eigenvalues are equal
        ((-0.5, -0.5, -0.5), 1.5, (-1 / 3,) * 3),  # the largest is double: the mean of its subgradients
    ],
)
def test_where_it_degenerates(abc, value, gradient):
    inputs = [torch.tensor(float(x), dtype=torch.float64, requires_grad=True) for x in abc]
    found = largest_eigenvalue(*inputs)
    found.backward()
    assert float(found.detach()) == pytest.approx(value, abs=1e-7)
    assert [float(x.grad) for x in inputs] == pytest.approx(gradient, abs=1e-6)


def test_gradients_stay_finite_in_single_precision():
    g = torch.Generator().manual_seed(1)
    x = normalize(torch.randn(200, 1, 4, generator=g).expand(-1, 3, -1), dim=-1)
    x = normalize(x + 1e-4 * torch.randn(200, 3, 4, generator=g), dim=-1)
    a, b, c = cosines(x)
    largest_eigenvalue(a, b, c).sum().backward()
    for found in (a, b, c):
        assert torch.isfinite(found.grad).all()
        assert (found.grad - 2 / 3).abs().max() < 0.01


def test_pairs_that_match_cost_less_than_pairs_that_do_not(vectors):
    x, y = vectors[:, 0].float(), vectors[:, 1].float()
    sharpness = torch.tensor(14.0)
    assert info_nce(x, x, sharpness) < 0.2 * info_nce(x, y, sharpness)
    by_hand = -torch.log_softmax(14 * x @ y.T, 1).diagonal().mean()
    by_hand = (by_hand - torch.log_softmax(14 * y @ x.T, 1).diagonal().mean()) / 2
    torch.testing.assert_close(info_nce(x, y, sharpness), by_hand)


def test_triplets_that_match_cost_less_than_triplets_of_which_one_does_not(vectors):
    torch.manual_seed(0)
    x, y = vectors[:, 0].float(), vectors[:, 1].float()
    sharpness = torch.tensor(14.0)
    alike, apart = (triplet_info_nce(x, x, z, sharpness) for z in (x, y))
    assert alike < 0.5 * apart


def test_triplets_bring_three_together():
    torch.manual_seed(0)
    free = torch.randn(3, 16, 8, requires_grad=True)
    optimiser = torch.optim.Adam([free], 0.05)
    for _ in range(150):
        x = normalize(free, dim=-1)
        loss = triplet_info_nce(*x, torch.tensor(10.0))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x = normalize(free.detach(), dim=-1)
    own = (x[0] * x[1]).sum(-1).abs().mean()
    other = (x[0] @ x[1].T).abs().mean()
    assert own > 0.9 and other < 0.5
