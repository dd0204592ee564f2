"""OKS: 1 for the same place, falling with distance by body size, blind to hidden joints."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffpose_ros.core import COCO17
from diffpose_ros.core.oks import extent, oks_matrix


def people(n=3, seed=0):
    return np.random.default_rng(seed).uniform(0, 200, (n, 17, 2))


ALL = np.ones((3, 17), dtype=bool)


def test_everyone_is_most_like_themselves():
    xy = people()
    oks = oks_matrix(xy, ALL, xy, ALL, extent(xy, ALL)[:, None])
    np.testing.assert_allclose(np.diag(oks), 1.0)
    assert (oks - np.eye(3) < 0.9).all()


def test_the_value_is_cocos():
    """One keypoint (the nose, sigma 0.026) moved by twice 2 sigma sqrt(area)."""
    xy = people(1)
    moved = xy.copy()
    moved[0, 0, 0] += 2 * (2 * 0.026 * 150)
    oks = oks_matrix(xy, ALL[:1], moved, ALL[:1], np.array([[150.0]]))
    assert oks[0, 0] == pytest.approx((16 + np.exp(-2.0)) / 17)


@pytest.mark.parametrize(
    ("joint", "sigma"),
    [("nose", 0.026), ("eye", 0.025), ("ear", 0.035), ("shoulder", 0.079), ("elbow", 0.072),
     ("wrist", 0.062), ("hip", 0.107), ("knee", 0.087), ("ankle", 0.089)],
)  # fmt: skip
def test_every_joint_has_cocos_spread(joint, sigma):
    """One sigma of COCO's evaluation (sigma 2 s sqrt(area) there) costs exp(-1/2) of that joint."""
    xy = people(1)
    for at in [j for j, name in enumerate(COCO17.joints) if name.endswith(joint)]:
        moved = xy.copy()
        moved[0, at] += np.array([0.6, 0.8]) * 2 * sigma * 150
        oks = oks_matrix(xy, ALL[:1], moved, ALL[:1], np.array([[150.0]]))
        assert oks[0, 0] == pytest.approx((16 + np.exp(-0.5)) / 17)


def test_joints_of_other_sets_have_one_spread():
    """0.08, about COCO's mean; a fifth joint that nobody shares does not count."""
    xy = np.zeros((1, 5, 2))
    moved = xy + np.array([2 * 0.08 * 100.0, 0.0])
    seen = np.array([[True, True, True, True, False]])
    oks = oks_matrix(xy, seen, moved, np.ones((1, 5), bool), np.array([[100.0]]))
    assert oks[0, 0] == pytest.approx(np.exp(-0.5))


@given(scale=st.floats(0.01, 100), seed=st.integers(0, 100))
def test_image_scale_does_not_matter(scale, seed):
    a, b = people(2, seed), people(2, seed + 1)
    seen = ALL[:2]
    one = oks_matrix(a, seen, b, seen, extent(a, seen)[:, None], spread=3)
    other = oks_matrix(
        a * scale, seen, b * scale, seen, extent(a * scale, seen)[:, None], spread=3
    )  # fmt: skip
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_hidden_joints_do_not_count():
    a, b = people(1), people(1)
    b[0, 9:] = 1e6
    seen = ALL[:1].copy()
    seen[0, 9:] = False
    assert oks_matrix(a, ALL[:1], b, seen, np.array([[100.0]]))[0, 0] == 1.0


def test_too_few_shared_joints_say_nothing():
    xy, seen = people(1), np.zeros((1, 17), dtype=bool)
    seen[0, :2] = True
    assert oks_matrix(xy, seen, xy, ALL[:1], np.array([[100.0]]))[0, 0] == 0.0


def test_extent_of_people_seen_whole_in_profile_and_not_at_all():
    xy = np.zeros((3, 17, 2))
    xy[0, 1] = 100, 200
    xy[1, 1] = 0, 300
    seen = ALL.copy()
    seen[2] = False
    whole, profile, hidden = extent(xy, seen)
    assert whole == pytest.approx(np.sqrt(100 * 200))
    assert profile == pytest.approx(np.sqrt(300 * 100))
    assert hidden == 0


def test_nobody():
    none = np.zeros((0, 17, 2))
    seen = np.zeros((0, 17), dtype=bool)
    assert extent(none, seen).shape == (0,)
    assert oks_matrix(none, seen, people(), ALL, np.zeros((0, 1))).shape == (0, 3)


def _standing(n: int = 17) -> tuple[np.ndarray, np.ndarray]:
    k = np.arange(n)
    return np.stack([30.0 * (k % 3), 20.0 * k], axis=-1)[None], np.ones((1, n), dtype=bool)


def test_a_shift_along_what_is_uncertain_matters_less_than_one_across() -> None:
    xy, seen = _standing()
    wide = np.broadcast_to(np.diag([60.0**2, 1.0]), (1, 17, 2, 2))
    along, across = (
        oks_matrix(xy, seen, xy + np.array(shift), seen, np.array([[100.0]]), covariance_b=wide)[0, 0]
        for shift in ((40.0, 0.0), (0.0, 40.0))
    )
    told_nothing = oks_matrix(xy, seen, xy + np.array((40.0, 0.0)), seen, np.array([[100.0]]))[0, 0]
    assert along > told_nothing
    assert along > across + 0.2


def test_a_covariance_is_added_to_cocos_spread_as_matrices_are() -> None:
    """Mean of the keypoints' densities over their heights, each weighed by how narrow it is: by hand."""
    rng = np.random.default_rng(1)
    a, b = people(1), people(1) + rng.normal(0, 15, (1, 17, 2))
    root = rng.normal(0, 8, (1, 17, 2, 2))
    covariance = root @ root.swapaxes(-1, -2)
    got = oks_matrix(a, ALL[:1], b, ALL[:1], np.array([[100.0]]), spread=2.0, covariance_b=covariance)
    sigmas = [0.026, *[0.025] * 2, *[0.035] * 2, *[0.079] * 2, *[0.072] * 2, *[0.062] * 2, *[0.107] * 2,
              *[0.087] * 2, *[0.089] * 2]  # fmt: skip
    near, weight = [], []
    for off, told, sigma in zip(a[0] - b[0], covariance[0], sigmas, strict=True):
        own = (2 * 2.0 * sigma * 100.0) ** 2
        both = own * np.eye(2) + told
        near.append(np.exp(-0.5 * off @ np.linalg.inv(both) @ off))
        weight.append(own / np.sqrt(np.linalg.det(both)))
    assert got[0, 0] == pytest.approx(np.average(near, weights=weight))


def test_what_is_uncertain_counts_for_less() -> None:
    xy, seen = _standing()
    moved = xy.copy()
    moved[0, :8] += 500.0
    covariance = np.tile(np.eye(2), (1, 17, 1, 1))
    sure = oks_matrix(xy, seen, moved, seen, np.array([[100.0]]), covariance_b=covariance)[0, 0]
    covariance[0, :8] *= 100.0**2
    unsure = oks_matrix(xy, seen, moved, seen, np.array([[100.0]]), covariance_b=covariance)[0, 0]
    assert sure == pytest.approx(9 / 17, abs=0.01)
    assert unsure > 0.7


def test_a_covariance_of_nothing_changes_nothing() -> None:
    xy, seen = _standing()
    size = np.array([[100.0]])
    plain = oks_matrix(xy, seen, xy + 7.0, seen, size)
    told = oks_matrix(xy, seen, xy + 7.0, seen, size, covariance_b=np.zeros((1, 17, 2, 2)))
    np.testing.assert_allclose(told, plain, rtol=1e-12)
