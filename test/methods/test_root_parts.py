"""The parts of the root stage by their formulas: filter updates, the floor as a ruler, doubt about a size."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from diffpose_ros.methods.root import kalman
from diffpose_ros.methods.root.floor import ANKLE_NOISE_M, RAY_NOISE, floor_depth
from diffpose_ros.methods.root.size import PATIENCE_OF_OLD_S, PATIENCE_S, SizeDoubt

SPREAD = np.random.default_rng(0).normal(size=(3, 3))
COVARIANCE = SPREAD @ SPREAD.T + np.eye(3)
H = np.array([1.0, 0.0, 1.0])
"""The sum of the first and the last state is observed."""


def updated(innovation, noise, *, gate=1e9, held=None):
    state, covariance = [1.0, 2.0, 3.0], COVARIANCE.tolist()
    kalman.observe(state, covariance, (0, 2), innovation, noise, gate=gate, held=held)
    return np.array(state), np.array(covariance)


@pytest.mark.parametrize("held", [None, 0, 1])
def test_an_update_is_kalmans_and_schmidts_where_a_state_is_held(held):
    state, covariance = updated(0.7, 0.5, held=held)
    gain = COVARIANCE @ H / (H @ COVARIANCE @ H + 0.5)
    if held is not None:
        gain[held] = 0.0
    keep = np.eye(3) - np.outer(gain, H)
    np.testing.assert_allclose(state, [1.0, 2.0, 3.0] + 0.7 * gain)
    np.testing.assert_allclose(covariance, keep @ COVARIANCE @ keep.T + 0.5 * np.outer(gain, gain))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_wild_value_pulls_as_one_at_the_gate_of_its_own_width(sign):
    """Its variance becomes that of which it lies two standard deviations out."""
    predicted = float(H @ COVARIANCE @ H)
    state, _ = updated(sign * 100.0, 0.5, gate=4.0)
    np.testing.assert_allclose(state - [1.0, 2.0, 3.0], sign * 100.0 * COVARIANCE @ H / (100.0**2 / 4.0))
    assert kalman.variance_of_sum(COVARIANCE.tolist(), (0, 2)) == pytest.approx(predicted)
    assert kalman.bounded(0.5, 1.0, 6.0, 4.0) == 0.5  # within two standard deviations of sqrt(1.5)
    assert kalman.bounded(0.5, 1.0, 8.0, 4.0) == pytest.approx(1.0)


ANKLE = {"up": (0.0, -1.0, 0.0), "camera_height": 1.4}
"""Ankles stand 0.1 m over the floor: 1.3 m below such a camera."""


def test_a_foot_on_the_floor_tells_the_roots_depth():
    """The foot's ray falls to 0.1 m over the floor at 5 m; the pose has it at 4 m and the root at 4.2 m."""
    rays = [(0.1, 1.3 / 5), (0.1, 1.3 / 8)]
    found = floor_depth(**ANKLE, rays=rays, score=(0.9, 0.9), feet_z=(4.0, 4.0), root_z=4.2)
    foot = 4.912  # 4.912 / 4 times as large as the pose, so its ankle is 0.123 m over the floor
    assert foot == pytest.approx((1.4 - 0.1 * foot / 4) / 0.26, abs=1e-3)
    assert found.log_depth == pytest.approx(log(foot * 4.2 / 4), abs=1e-3)
    assert found.variance == pytest.approx((RAY_NOISE / 0.26) ** 2 + (ANKLE_NOISE_M / 1.277) ** 2, rel=1e-3)
    assert (found.fall, found.reach) == pytest.approx((1.3 / 5 + 0.1 / 4, 1.4 / 4))
    swapped = floor_depth(**ANKLE, rays=rays[::-1], score=(0.9, 0.9), feet_z=(4.0, 4.0), root_z=4.2)
    assert swapped == found  # the raised foot seems to stand farther away


def test_a_camera_that_looks_down_measures_along_its_own_axis():
    """Turned by 30 degrees: the floor under the axis is 1.3 m / sin 30 away."""
    up = (0.0, -np.cos(np.pi / 6), -np.sin(np.pi / 6))
    depth, *_ = floor_depth(up, 1.4, [(0.0, 0.0)] * 2, (0.9, 0.9), (2.6, 2.6), 2.6)
    assert depth == pytest.approx(log(2.6))
    rolled, *_ = floor_depth((-0.6, -0.8, 0.0), 1.4, [(0.2, 0.1), (0, 0)], (0.9, 0.9), (6.5, 6.5), 6.5)
    assert rolled == pytest.approx(log(1.3 / (0.6 * 0.2 + 0.8 * 0.1)))


@pytest.mark.parametrize(
    ("changes", "foot"),
    [({"score": (0.2, 0.9)}, 1), ({"feet_z": (0.05, 10.0)}, 1), ({"rays": [(0, -0.2), (0, 0.13)]}, 1),
     ({"score": (0.2, 0.2)}, None), ({"camera_height": 0.15}, None), ({"rays": [(0, 0.02)] * 2}, None)],
)  # fmt: skip
def test_feet_that_say_nothing_are_left_out(changes, foot):
    given = {**ANKLE, "rays": [(0, 0.26), (0, 0.13)], "score": (0.9, 0.9), "feet_z": (10, 10), "root_z": 10}
    found = floor_depth(**{**given, **changes})
    assert found is None if foot is None else found[0] == pytest.approx(log(10.0))


def patience(size, *, believed=0.0, stature=1.7, floor_s=0.0, seconds=60.0, dt=0.05):
    """Seconds until the believed size is given up, ``None`` if it is not."""
    doubt = SizeDoubt([0.0, 0.0, 0.0])
    for i in range(round(seconds / dt)):
        if doubt.update(size(i), believed, stature, 1e-4, dt if i else 0.0, floor_s):
            assert doubt.mean == pytest.approx(0.3, abs=0.05)
            doubt = SizeDoubt(doubt.numbers())
            return (i + 1) * dt
    return None


def test_a_floor_that_says_the_same_is_believed_after_a_while():
    assert patience(lambda i: 0.3) == pytest.approx(PATIENCE_S, abs=0.11)
    assert patience(lambda i: 0.3, floor_s=2.0) == pytest.approx(PATIENCE_OF_OLD_S, abs=0.11)


def test_a_floor_that_agrees_or_wavers_or_speaks_of_giants_is_not():
    assert patience(lambda i: 0.3, believed=0.27) is None  # less than 6 percent apart
    assert patience(lambda i: 0.3 + 0.3 * (-1) ** i) is None
    assert patience(lambda i: 0.3, stature=0.75) is None  # 0.56 m tall
    assert patience(lambda i: 0.3, stature=3.0) is None  # 2.22 m
    assert patience(lambda i: 0.3, stature=2.7) is not None  # 2.00 m: the size is a divisor
