"""Where H_K stands: keypoints, scores and depth against what they must give."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: training and export need it")

from diffpose_ros.methods.diffusion.initial_distribution import (  # noqa: E402
    BEST_RAY,
    INITIAL,
    STANDARD_WIDTH_M,
    WORST_RAY,
    origin,
    ray_width,
    root,
)

APPARENT = 0.2


@pytest.fixture
def seen():
    """Poses 4 m away and what a perfect detector says of them: pose, log_sigma, points, view."""
    g = torch.Generator().manual_seed(1)
    pose = 0.3 * torch.randn(3, 17, 3, generator=g, dtype=torch.float64)
    pose = pose - pose[:, :1]
    placed = pose + torch.tensor([0.2, -0.1, 4.0], dtype=torch.float64)
    points = torch.ones(3, 21, 3, dtype=torch.float64)
    points[:, :17, :2] = placed[..., :2] / placed[..., 2:] / APPARENT
    view = torch.zeros(3, 6, dtype=torch.float64)
    view[:, 2] = torch.log(torch.tensor(APPARENT, dtype=torch.float64)) + 2.0
    log_sigma = torch.full_like(pose, -3.0)
    return pose, log_sigma, points, view


def test_the_root_of_a_perfect_view_is_found(seen) -> None:
    pose, _, points, _ = seen
    at = root(pose, points[:, :17, :2] * APPARENT, points[:, :17, 2:])
    assert torch.allclose(at, torch.tensor([0.2, -0.1, 4.0], dtype=torch.float64).expand_as(at))


def test_low_scores_are_wide() -> None:
    width = ray_width(torch.tensor([1.0, 0.5, 0.0]))
    assert width.tolist() == pytest.approx([BEST_RAY, (BEST_RAY * WORST_RAY) ** 0.5, WORST_RAY])


def test_the_detectors_x_and_y_stand_on_the_keypoints(seen) -> None:
    pose, log_sigma, points, view = seen
    wrong = pose.clone()
    wrong[:, 16, :2] += 0.1  # the encoder is mistaken about a wrist, the keypoint is not
    centre, width = origin("detector", wrong, log_sigma, points, view)
    assert (centre - pose)[:, 16].norm(dim=-1).max() < 0.03  # and not 0.14
    assert torch.equal(centre[..., 2], wrong[..., 2])
    assert width[:, 5, 0] == pytest.approx(BEST_RAY * 4.0, rel=0.1)
    assert torch.allclose(width[..., 2], log_sigma[..., 2].exp())


def test_the_detectors_width_follows_the_score_and_masked_joints_are_the_encoders(seen) -> None:
    pose, log_sigma, points, view = seen
    points[:, 13, 2], points[:, 14, 2] = 0.5, 0.0
    points[:, 14, :2] = 1e3
    centre, width = origin("detector", pose, log_sigma, points, view)
    assert (width[:, 13, :2] / width[:, 12, :2]).min() > 3
    assert torch.equal(centre[:, 14], pose[:, 14])
    assert torch.allclose(width[:, 14], log_sigma[:, 14].exp())


def test_the_histograms_depth_knows_nothing_of_the_context(seen) -> None:
    pose, log_sigma, points, view = seen
    centre, width = origin("histogram", pose, log_sigma, points, view)
    assert not centre[..., 2].any()
    assert (width[..., 2] == STANDARD_WIDTH_M).all()


@pytest.mark.parametrize("initial", INITIAL)
def test_the_root_is_at_zero_and_nothing_is_infinite_when_nobody_is_seen(seen, initial) -> None:
    pose, log_sigma, points, view = seen
    for weight in (1.0, 0.0):
        points[..., 2] = weight
        centre, width = origin(initial, pose, log_sigma, points, view)
        assert not centre[:, 0].any()
        assert torch.isfinite(centre).all()
        assert (width > 0).all()
