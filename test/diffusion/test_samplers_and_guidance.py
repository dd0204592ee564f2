"""Samplers and guidance in torch: closed forms against autograd, DDIM against what it must return."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: training and export need it")

from diffpose_ros.core import H36M17  # noqa: E402
from diffpose_ros.diffusion.samplers import diffuse, sample_ddim  # noqa: E402
from diffpose_ros.diffusion.schedules import Schedule, ddim_steps  # noqa: E402
from diffpose_ros.methods.diffusion.stpg import Guidance, GuidanceInputs  # noqa: E402

ALPHAS = Schedule().alphas()


def given(people: int = 2, seed: int = 0) -> GuidanceInputs:
    g = torch.Generator().manual_seed(seed)
    weight = torch.rand(people, 1, 17, generator=g, dtype=torch.float64)
    weight[:, :, 10] = 0.0
    return GuidanceInputs(
        rays=0.1 * torch.randn(people, 1, 17, 2, generator=g, dtype=torch.float64),
        weight=weight,
        previous=0.3 * torch.randn(people, 1, 17, 3, generator=g, dtype=torch.float64),
        has_previous=torch.ones(people, 1, 1, dtype=torch.float64),
        bone_mean=0.2 + 0.1 * torch.rand(people, 1, 16, generator=g, dtype=torch.float64),
        has_bones=torch.ones(people, 1, 1, dtype=torch.float64),
    )


@pytest.mark.parametrize("which", range(4), ids=["reprojection", "symmetry", "bones", "variation"])
def test_closed_form_gradients_are_autograds(which: int) -> None:
    torch.manual_seed(3)
    guide, against = Guidance().double(), given()
    pose = (0.3 * torch.randn(2, 5, 17, 3, dtype=torch.float64)).requires_grad_()
    energy = guide.energies(pose, against)[which]
    (automatic,) = torch.autograd.grad(energy.sum(), pose)
    closed = guide.gradients(pose, against)[which]
    assert torch.allclose(closed, automatic, atol=1e-6, rtol=1e-4)
    assert closed.abs().max() > 1e-4


def test_zero_weights_leave_the_pose_alone() -> None:
    pose = 0.3 * torch.randn(2, 5, 17, 3, dtype=torch.float64)
    pose = pose - pose[..., :1, :]
    moved = Guidance().double()(pose, given(), torch.zeros(4, dtype=torch.float64))
    assert torch.allclose(moved, pose)


@pytest.mark.parametrize("which", range(4), ids=["reprojection", "symmetry", "bones", "variation"])
def test_guidance_lowers_its_energy(which: int) -> None:
    torch.manual_seed(4)
    guide, against = Guidance(limit_m=10.0).double(), given()
    pose = 0.1 * torch.randn(2, 3, 17, 3, dtype=torch.float64)
    pose = pose - pose[..., :1, :]
    weights = torch.zeros(4, dtype=torch.float64)
    weights[which] = 0.05
    before = guide.energies(pose, against)[which]
    after = guide.energies(guide(pose, against, weights), against)[which]
    assert (after < before).all()


def test_one_bad_keypoint_cannot_fold_a_body() -> None:
    against = given()
    against.rays[:, :, 16] = 50.0
    guide = Guidance(limit_m=0.03).double()
    pose = 0.3 * torch.randn(2, 5, 17, 3, dtype=torch.float64)
    pose = pose - pose[..., :1, :]
    moved = guide(pose, against, torch.ones(4, dtype=torch.float64))
    assert (moved - pose).norm(dim=-1).max() < 2 * 0.03 + 1e-9


def test_masked_joints_do_not_pull() -> None:
    against = given()
    against.weight.zero_()
    pose = 0.3 * torch.randn(2, 5, 17, 3, dtype=torch.float64)
    assert Guidance().double().gradients(pose, against)[0].abs().max() == 0


def test_left_and_right_bones_are_paired() -> None:
    guide = Guidance()
    pose = torch.randn(1, 1, 17, 3)
    mirrored = pose[:, :, list(H36M17.flip)] * torch.tensor([-1.0, 1.0, 1.0])
    _, a = guide.lengths(pose)
    _, b = guide.lengths(mirrored)
    assert torch.allclose(a.sort().values, b.sort().values, atol=1e-6)


def test_a_perfect_denoiser_is_followed_to_the_truth() -> None:
    truth, mean = torch.randn(2, 5, 17, 3), 0.1 * torch.randn(17, 3)
    start = diffuse(truth, mean, torch.randn(2, 5, 17, 3), ALPHAS[50])
    for steps in (1, 2, 5):
        out = sample_ddim(lambda h, k: truth, start, mean, ALPHAS, ddim_steps(50, steps))
        assert torch.allclose(out, truth)


def test_ddim_keeps_the_noise_of_a_known_gaussian() -> None:
    """For N(0, v) data the exact denoiser is linear, and DDIM must carry unit noise to width sqrt(v)."""
    v = 0.25

    def exact(h: torch.Tensor, k: int) -> torch.Tensor:
        a = ALPHAS[k]
        return h * (a**0.5 * v / (a * v + 1 - a))

    torch.manual_seed(0)
    start = torch.randn(4000, 1, 1, 1)
    out = sample_ddim(exact, start, torch.zeros(1), ALPHAS, ddim_steps(50, 25))
    assert out.std().item() == pytest.approx(v**0.5, rel=0.1)


def test_keeping_the_centre_moves_all_hypotheses_together() -> None:
    torch.manual_seed(0)
    start, mean = torch.randn(2, 5, 17, 3), torch.zeros(1)
    steps = ddim_steps(50, 5)

    def drifting(h: torch.Tensor, k: int) -> torch.Tensor:
        return 0.5 * h + (1.0 - k / 50)  # a bias that grows as the steps go on

    free = sample_ddim(drifting, start, mean, ALPHAS, steps)
    kept = sample_ddim(drifting, start, mean, ALPHAS, steps, keep_centre=True)
    first = drifting(start, 50).mean(dim=1)
    assert torch.allclose(kept.mean(dim=1), first, atol=1e-5)
    assert not torch.allclose(free.mean(dim=1), first, atol=0.1)
    shift = kept - free
    assert torch.allclose(shift, shift[:, :1].expand_as(shift), atol=1e-5)
    once = ddim_steps(50, 1)
    assert torch.equal(
        sample_ddim(drifting, start, mean, ALPHAS, once, keep_centre=True),
        sample_ddim(drifting, start, mean, ALPHAS, once),
    )


def test_eq_7_moves_from_truth_to_component() -> None:
    clean, mean, noise = torch.ones(3), torch.full((3,), 5.0), torch.zeros(3)
    assert torch.allclose(diffuse(clean, mean, noise, 1.0), clean)
    assert torch.allclose(diffuse(clean, mean, noise, 0.25), torch.full((3,), 3.0))
