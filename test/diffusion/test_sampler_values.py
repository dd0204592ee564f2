"""The samplers against their equations, worked out by hand."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from diffpose_ros.diffusion.samplers import diffuse, sample_ddim

ALPHAS = (1.0, 0.64, 0.36)
START, MEAN, CLEAN = torch.full((1, 2, 3), 5.0), torch.full((1, 2, 3), 2.0), torch.full((1, 2, 3), 4.0)


@pytest.mark.parametrize("guided", [0.0, 1.0])
def test_two_steps_of_ddim(guided):
    """eps = (h - mu - sqrt(a) (c - mu)) / sqrt(1 - a); h' = mu + sqrt(a') (c - mu) + sqrt(1 - a') eps."""
    asked = []

    def denoise(h, k):
        asked.append((h.clone(), k))
        return CLEAN

    guide = (lambda clean: clean + guided) if guided else None
    out = sample_ddim(denoise, START, MEAN, ALPHAS, (2, 1, 0), guide)
    clean = 4.0 + guided
    eps = (5.0 - 2.0 - 0.6 * (clean - 2.0)) / 0.8
    assert [k for _, k in asked] == [2, 1]
    torch.testing.assert_close(asked[0][0], START)
    torch.testing.assert_close(asked[1][0], torch.full((1, 2, 3), 2.0 + 0.8 * (clean - 2.0) + 0.6 * eps))
    torch.testing.assert_close(out, torch.full((1, 2, 3), clean))


def test_a_kept_centre_is_that_of_the_first_clean_estimate():
    answers = iter([torch.tensor([[[1.0]], [[3.0]]]), torch.tensor([[[10.0]], [[16.0]]])])
    start = torch.zeros(2, 1, 1)
    out = sample_ddim(lambda h, k: next(answers), start, start, ALPHAS, (2, 1, 0), keep_centre=True)
    assert out.flatten().tolist() == [-1.0, 5.0]  # 10 and 16 about their mean, moved to the mean of 1 and 3


@pytest.mark.parametrize("alpha", [0.36, torch.tensor(0.36)], ids=["number", "tensor"])
def test_the_forward_process_is_equation_7(alpha):
    noise = torch.full((1, 2, 3), 0.5)
    want = 2.0 + 0.6 * (4.0 - 2.0) + 0.8 * 0.5
    torch.testing.assert_close(diffuse(CLEAN, MEAN, noise, alpha), torch.full((1, 2, 3), want))
