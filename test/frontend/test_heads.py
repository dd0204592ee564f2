"""Decoding of the heads: on heads that are drawn by hand, where the answer is known."""

import numpy as np
import pytest

from diffpose_ros.frontend.tracked.heads import Prior, decode

H = W = 48
FLAT = np.ones((H, W), np.float32)


def heads(joints, *, center=(24, 24), offset=(0.25, -0.5), height=0.8, sigma=1.0):
    """Heads of one crop: joint k peaks at cell joints[k] = (y, x)."""
    joints = np.asarray(joints)
    grid = np.indices((H, W)).transpose(1, 2, 0)
    apart = ((grid[None] - joints[:, None, None]) ** 2).sum(-1)
    heatmap = (height * np.exp(-apart / (2 * sigma**2))).astype(np.float32)[None]
    c = np.zeros((1, 1, H, W), np.float32)
    c[0, 0][center] = 0.9
    regress = np.zeros((1, 34, H, W), np.float32)
    regress[0, :, center[0], center[1]] = (joints - center).reshape(-1)
    off = np.zeros((1, 34, H, W), np.float32)
    off[0, 0::2], off[0, 1::2] = offset
    return [heatmap, c, regress, off]


JOINTS = [(10 + k, 12 + 2 * (k % 8)) for k in range(17)]


def test_a_keypoint_is_its_cell_and_offset_as_a_share_of_the_crop():
    seen = decode(*heads(JOINTS), FLAT)
    want = (np.array(JOINTS)[:, ::-1] + (-0.5, 0.25)) / 48
    np.testing.assert_allclose(seen.at[0], want, atol=1e-6)
    np.testing.assert_allclose(seen.score[0], 0.8, atol=1e-6)


def test_several_crops_are_decoded_as_one_by_one():
    one, two = heads(JOINTS), heads([(y + 5, x + 3) for y, x in JOINTS], center=(30, 20))
    both = decode(*[np.concatenate(pair) for pair in zip(one, two, strict=True)], FLAT)
    for i, single in enumerate((one, two)):
        alone = decode(*single, FLAT)
        np.testing.assert_allclose(both.at[i], alone.at[0])
        np.testing.assert_allclose(both.spread[i], alone.spread[0], rtol=1e-5)


def two_bodies():
    """Two people: peaks everywhere twice, 20 cells apart, the right one a little lower."""
    left, right = heads(JOINTS, center=(24, 14)), heads([(y, x + 18) for y, x in JOINTS], center=(24, 33))
    right[0] *= 0.9
    right[1] *= 0.9
    return [a + b if i < 3 else a for i, (a, b) in enumerate(zip(left, right, strict=True))]


def test_the_centre_s_weight_chooses_between_two_bodies():
    weight = FLAT.copy()
    weight[:, :24] = 0.1
    assert decode(*two_bodies(), FLAT).at[0, 0, 0] < 0.4
    assert decode(*two_bodies(), weight).at[0, 0, 0] > 0.5


def test_the_track_s_prior_chooses_the_limb_that_is_expected():
    seen = heads(JOINTS)
    y, x = JOINTS[9]
    far = np.exp(-((np.indices((H, W)) - np.array([y + 14, x])[:, None, None]) ** 2).sum(0) / 2)
    seen[0][0, 9] = np.maximum(0.5 * seen[0][0, 9], far)  # a better peak elsewhere
    seen[2][0, 18, 24, 24] = y + 8 - 24  # where the rough guess is between both
    assert decode(*seen, FLAT).at[0, 9, 1] > (y + 10) / H
    at = (np.array(JOINTS)[:, ::-1] / 48)[None]
    known = np.ones((1, 17), bool)
    prior = Prior(at, known, np.array([0.08]))
    assert decode(*seen, FLAT, prior).at[0, 9, 1] == pytest.approx((y + 0.25) / H)
    known[0, 9] = False
    assert decode(*seen, FLAT, prior).at[0, 9, 1] > (y + 10) / H


def two_peaks(second):
    """Heads whose joint 0 peaks with 1 at cell (20, 16) and with ``second`` at (20, 20), the rough guess
    between both."""
    seen = heads(JOINTS, offset=(0.0, 0.0))
    seen[0][0, 0] = 0.0
    seen[0][0, 0, 20, [16, 20]] = 1.0, second
    seen[2][0, :2, 24, 24] = 20 - 24, 18 - 24
    return seen


@pytest.mark.parametrize(("second", "column"), [(0.48, 16), (0.52, 20)])
def test_a_prior_halves_what_lies_one_standard_deviation_off(second, column):
    """It has the middle of the cell at the second peak, and is four cells wide."""
    at = np.tile((20.5 / W, 20.5 / H), (1, 17, 1))
    prior = Prior(at, np.ones((1, 17), bool), np.array([4 / W]))
    assert decode(*two_peaks(second), FLAT, prior).at[0, 0, 0] == pytest.approx(column / W)


def test_the_spread_is_that_of_the_squared_heatmap():
    """A second peak half as high, four cells off, counts a quarter."""
    spread = decode(*two_peaks(0.5), FLAT).spread[0, 0]
    np.testing.assert_allclose(spread, np.diag([(0.25 * 4**2) / 1.25 / W**2, 0.0]), atol=1e-9)


def test_a_prior_that_knows_nothing_changes_nothing():
    prior = Prior(np.zeros((1, 17, 2)), np.ones((1, 17), bool), np.array([np.inf]))
    np.testing.assert_array_equal(decode(*heads(JOINTS), FLAT, prior).at, decode(*heads(JOINTS), FLAT).at)


def test_wide_and_double_peaks_are_doubtful_along_their_direction():
    narrow = decode(*heads(JOINTS, offset=(0, 0)), FLAT).spread[0, 5]
    wide = decode(*heads(JOINTS, offset=(0, 0), sigma=3.0), FLAT).spread[0, 5]
    assert wide[0, 0] > 3 * narrow[0, 0]
    double = heads(JOINTS, offset=(0, 0))
    double[0][0, 5, :, 8:] = np.maximum(double[0][0, 5, :, 8:], 0.95 * double[0][0, 5, :, :-8])
    spread = decode(*double, FLAT).spread[0, 5]
    assert spread[0, 0] > 2 * narrow[0, 0]
    assert spread[1, 1] == pytest.approx(narrow[1, 1], rel=0.2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("head", range(4))
def test_heads_that_are_not_numbers_show_nobody(head, value):
    broken = heads(JOINTS)
    broken[head][0, 0, 3, 3] = value
    seen = decode(*broken, FLAT)
    assert (seen.score == 0).all()
    assert np.isfinite(seen.at).all()
    assert np.isfinite(seen.spread).all()


def test_one_broken_crop_leaves_the_others_alone():
    both = [np.concatenate([a, a]) for a in heads(JOINTS)]
    both[0][0, 0, 0, 0] = np.nan
    seen = decode(*both, FLAT)
    assert (seen.score[0] == 0).all()
    np.testing.assert_allclose(seen.score[1], 0.8, atol=1e-6)


def test_covariances_are_symmetric_and_positive():
    spread = decode(*heads(JOINTS), FLAT).spread[0]
    np.testing.assert_allclose(spread, spread.transpose(0, 2, 1))
    assert (np.linalg.eigvalsh(spread) >= 0).all()
