"""The four energies of the guidance by their definitions, joint by joint."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from diffpose_ros.core import H36M17
from diffpose_ros.methods.diffusion.stpg import Guidance, GuidanceInputs

RNG = np.random.default_rng(0)
POSE, PREVIOUS = RNG.normal(0, 0.3, (2, 17, 3))
RAYS, WEIGHT, BONES = RNG.normal(0, 0.1, (17, 2)), RNG.uniform(0.1, 1, 17), RNG.uniform(0.1, 0.4, 16)


def energies(pose, *, remembered=1.0):
    one = torch.full((1, 1, 1), remembered, dtype=torch.float64)
    given = GuidanceInputs(
        rays=torch.tensor(RAYS)[None, None], weight=torch.tensor(WEIGHT)[None, None],
        previous=torch.tensor(PREVIOUS)[None, None], has_previous=one,
        bone_mean=torch.tensor(BONES)[None, None], has_bones=one,
    )  # fmt: skip
    return Guidance().double().energies(torch.tensor(pose)[None, None], given)[:, 0, 0].numpy()


@pytest.mark.parametrize("rate", [0.001, 0.25])
def test_a_move_is_the_rate_times_the_residuals_and_at_most_three_centimetres(rate):
    """The energies are means over about 17 joints, of squares: 17 / 2 makes a residual of a gradient."""
    one = torch.ones((1, 1, 1), dtype=torch.float64)
    given = GuidanceInputs(
        rays=torch.tensor(RAYS)[None, None], weight=torch.tensor(WEIGHT)[None, None],
        previous=torch.tensor(PREVIOUS)[None, None], has_previous=one,
        bone_mean=torch.tensor(BONES)[None, None], has_bones=one,
    )  # fmt: skip
    guidance, weights = Guidance(rate=rate).double(), torch.tensor([1.0, 2.0, 0.5, 0.7], dtype=torch.float64)
    pose = torch.tensor(POSE)[None, None]
    wanted = -rate * 8.5 * sum(w * g for w, g in zip(weights, guidance.gradients(pose, given), strict=True))
    size = wanted.norm(dim=-1, keepdim=True)
    assert (size.max() > 0.03) == (rate > 0.01)
    wanted = torch.where(size > 0.03, wanted / size * 0.03, wanted)
    got = guidance.move(pose, guidance.prepare(given, weights))
    np.testing.assert_allclose(got.numpy(), wanted.numpy(), atol=1e-12)


def length(pose, a, b):
    return np.linalg.norm(pose[a] - pose[b])


def test_reprojection_is_what_the_best_place_leaves():
    rows, right = [], []
    for (x, y, z), (u, v), w in zip(POSE, RAYS, np.sqrt(WEIGHT / WEIGHT.sum()), strict=True):
        rows += [[w, 0, -w * u], [0, w, -w * v]]
        right += [w * (u * z - x), w * (v * z - y)]
    _, left, *_ = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)
    assert energies(POSE)[0] == pytest.approx(left[0], rel=1e-6)


def test_symmetry_compares_each_left_bone_with_its_right_one():
    other = H36M17.flip
    pairs = [(a, b) for a, b in H36M17.bones if b in H36M17.left]
    off = [length(POSE, a, b) - length(POSE, other[a], other[b]) for a, b in pairs]
    assert energies(POSE)[1] == pytest.approx(np.mean(np.square(off)))
    assert energies(0.5 * (POSE + POSE[list(other)] * [-1, 1, 1]))[1] == pytest.approx(0.0, abs=1e-20)


def test_bones_are_compared_with_their_means_and_joints_with_where_they_were():
    off = [length(POSE, a, b) - mean for (a, b), mean in zip(H36M17.bones, BONES, strict=True)]
    assert energies(POSE)[2] == pytest.approx(np.mean(np.square(off)))
    share = {  # of joints that may move: limb ends
        "knee": 0.4, "elbow": 0.4, "ankle": 0.25, "wrist": 0.25, "nose": 0.8, "head": 0.8, "shoulder": 0.8,
    }  # fmt: skip
    still = [next((s for n, s in share.items() if n in joint), 1.0) for joint in H36M17.joints]
    moved = ((POSE - PREVIOUS) ** 2).sum(-1)
    assert energies(POSE)[3] == pytest.approx(np.mean(still * moved))
    assert energies(POSE, remembered=0.0)[2:].tolist() == [0.0, 0.0]
