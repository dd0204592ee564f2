"""A person as the network sees one: turned to the axis, divided by size, low-passed in time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffpose_ros.geometry.normalise import (
    MIRRORED_VIEW,
    TORSO,
    VIEW_SIZE,
    ViewState,
    observe,
    rotation_to_axis,
    upright,
)

TANGENT = st.floats(-3.0, 3.0)


def sight(seed=0, people=1, centre=(0.3, -0.2), size=0.1):
    rng = np.random.default_rng(seed)
    return centre + size * rng.normal(size=(people, 21, 2)), rng.uniform(0.3, 1.0, (people, 21))


def first(xy, score, age=0.0):
    p = len(xy)
    return observe(xy, score, np.zeros(p), None, np.ones(p, bool), np.full(p, age))


def then(xy, score, dt, before, age=1.0):
    p = len(xy)
    return observe(xy, score, np.full(p, dt), before, np.zeros(p, bool), np.full(p, age))


def torso_centre(xy, score):
    w = score[list(TORSO)]
    return (w[:, None] * xy[list(TORSO)]).sum(0) / w.sum()


def rms(xy, score, centre):
    seen = score > 0
    return np.sqrt(((xy[seen] - centre) ** 2).sum(-1).mean())


@given(TANGENT, TANGENT)
def test_the_virtual_camera_looks_at_the_person_by_the_shortest_turn(x, y):
    r = rotation_to_axis(np.array([x, y]))
    ray = np.array([x, y, 1.0]) / np.sqrt(x * x + y * y + 1)
    np.testing.assert_allclose(r @ ray, [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(r @ r.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(r) == pytest.approx(1.0)
    assert np.trace(r) == pytest.approx(1 + 2 * ray[2])  # turned by the angle to the axis, no more
    assert r[0, 1] == pytest.approx(r[1, 0])  # about an axis without roll


def test_the_torso_is_numbered_as_the_joint_set_says():
    from diffpose_ros.core import H36M17

    names = {H36M17.joints[i] for i in TORSO}
    assert names == {"left_hip", "right_hip", "left_shoulder", "right_shoulder"}


def test_a_first_frame_sets_centre_and_size():
    xy, score = sight(1)
    points, view, state = first(xy, score)
    centre = torso_centre(xy[0], score[0])
    scale = rms(xy[0], score[0], centre)
    np.testing.assert_allclose(state.centre[0], centre)
    np.testing.assert_allclose(state.scale[0], scale)
    assert points.dtype == view.dtype == np.float32
    assert view.shape == (1, VIEW_SIZE)
    np.testing.assert_allclose(view[0], [*centre, np.log(scale) + 2, 0, 1, 0, 0, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(points[0, :, 2], score[0], rtol=1e-6)


def test_points_are_the_turned_rays_over_the_size():
    xy, score = sight(2, centre=(0.8, 0.5))
    points, _, state = first(xy, score)
    turned = np.concatenate([xy[0], np.ones((21, 1))], 1) @ state.rotation[0].T
    np.testing.assert_allclose(
        points[0, :, :2] * state.scale[0], turned[:, :2] / turned[:, 2:], rtol=1e-5, atol=1e-7
    )
    # and back: the rays of the real camera
    back = np.concatenate([points[0, :, :2] * state.scale[0], np.ones((21, 1))], 1) @ state.rotation[0]
    np.testing.assert_allclose(back[:, :2] / back[:, 2:], xy[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dt", [0.01, 1 / 30, 0.1, 0.4, 2.0])
def test_later_frames_go_through_the_low_pass(dt):
    xy, score = sight(3)
    _, _, before = first(xy, score)
    moved = 1.4 * xy + 0.1
    _, view, after = then(moved, score, dt, before, age=0.7)
    gain = 1 - np.exp(-dt / 0.25)
    centre = torso_centre(moved[0], score[0])
    log = np.log(rms(moved[0], score[0], centre))
    np.testing.assert_allclose(after.centre[0], before.centre[0] + gain * (centre - before.centre[0]))
    np.testing.assert_allclose(after.log_scale[0], before.log_scale[0] + gain * (log - before.log_scale[0]))
    np.testing.assert_allclose(
        view[0],
        [*after.centre[0], after.log_scale[0] + 2, 10 * min(dt, 0.5), 0, np.tanh(0.7), 0, 0, 0],
        rtol=1e-6,
    )


def test_a_first_frame_ignores_what_was_before_and_its_dt():
    xy, score = sight(4)
    other = ViewState(np.array([[2.0, 2.0]]), np.array([3.0]))
    yes = np.ones(1, bool)
    points, view, state = observe(xy, score, np.array([0.3]), other, yes, np.zeros(1))
    want_points, want_view, want = first(xy, score)
    np.testing.assert_allclose(points, want_points, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(view, want_view, rtol=1e-6)
    np.testing.assert_allclose(state.centre, want.centre)


def test_time_that_runs_back_changes_nothing():
    xy, score = sight(5)
    _, _, before = first(xy, score)
    _, view, after = then(xy + 0.3, score, -0.1, before)
    np.testing.assert_array_equal(after.centre, before.centre)
    np.testing.assert_array_equal(after.log_scale, before.log_scale)
    assert view[0, 3] == 0


@settings(max_examples=30)
@given(st.sets(st.sampled_from([j for j in range(21) if j not in TORSO]), max_size=13), st.integers(0, 99))
def test_masked_points_are_zero_and_count_for_nothing(hidden, seed):
    xy, score = sight(seed)
    hidden = sorted(hidden)
    score[0, hidden] = 0
    wild = xy.copy()
    wild[0, hidden] = [50.0, -7.0]
    a, b = first(xy, score), first(wild, score)
    np.testing.assert_array_equal(a[0], b[0])
    np.testing.assert_array_equal(a[1], b[1])
    assert (a[0][0, hidden] == 0).all()


@pytest.mark.parametrize("left", [0, 1, 2, 3, 4])
def test_without_two_of_the_torso_every_point_makes_the_centre(left):
    xy, score = sight(6)
    score[0, list(TORSO[left:])] = 0
    _, _, state = first(xy, score)
    if left >= 2:
        centre = torso_centre(xy[0], score[0])
    else:
        centre = (score[0][:, None] * xy[0]).sum(0) / score[0].sum()
    np.testing.assert_allclose(state.centre[0], centre)


@pytest.mark.parametrize("count", [1, 3, 4])
def test_the_size_needs_four_points_unless_there_is_none_yet(count):
    xy, score = sight(7)
    _, _, before = first(*sight(8))
    score[0, count:] = 0
    _, _, after = then(xy, score, 0.1, before)
    assert (after.log_scale[0] == before.log_scale[0]) == (count < 4)
    assert (after.centre[0] != before.centre[0]).all()
    centre = (score[0][:, None] * xy[0]).sum(0) / score[0].sum()
    _, _, new = first(xy, score)
    assert new.scale[0] == pytest.approx(max(rms(xy[0], score[0], centre), 1e-3))


def test_somebody_unseen_stays_where_they_were():
    xy, score = sight(9)
    _, _, before = first(xy, score)
    points, view, after = then(xy + 1, 0 * score, 0.1, before)
    np.testing.assert_array_equal(after.centre, before.centre)
    np.testing.assert_array_equal(after.log_scale, before.log_scale)
    assert (points == 0).all()
    assert view[0, 4] == 0
    points, view, new = first(xy, 0 * score)
    assert (points == 0).all()
    assert new.centre.tolist() == [[0.0, 0.0]]
    assert new.scale[0] == pytest.approx(0.1)


@pytest.mark.parametrize("joint", [5, TORSO[1]])
def test_negative_scores_count_as_masked(joint):
    xy, score = sight(10)
    masked, negative = score.copy(), score.copy()
    masked[0, joint], negative[0, joint] = 0, -0.3
    for a, b in zip(first(xy, masked)[:2], first(xy, negative)[:2], strict=True):
        np.testing.assert_array_equal(a, b)


def test_wild_points_are_bounded_and_a_point_has_a_least_size():
    xy, score = sight(11)
    xy[0, 3] = [40.0, 0.0]
    _, _, before = first(*sight(12, size=0.01))
    points, _, _ = then(xy, score, 1e-6, before)
    assert points[0, 3, 0] == 10.0
    assert np.abs(points[..., :2]).max() <= 10.0
    _, view, state = first(np.zeros((1, 21, 2)), np.ones((1, 21)))
    assert state.scale[0] == pytest.approx(1e-3)
    assert view[0, 2] == pytest.approx(np.log(1e-3) + 2)


def test_rays_behind_the_virtual_camera_stay_finite():
    xy, score = sight(13, centre=(3.0, 0.0), size=0.01)
    xy[0, 16] = [-30.0, 0.0]
    points, _, _ = first(xy, score)
    assert np.isfinite(points).all()
    assert points[0, 16, 0] == -10.0


def test_people_do_not_mix_and_leading_shapes_are_kept():
    xy, score = sight(14, people=6)
    together = first(xy, score)
    for k in range(6):
        alone = first(xy[k : k + 1], score[k : k + 1])
        np.testing.assert_allclose(together[0][k], alone[0][0], rtol=1e-6)
        np.testing.assert_allclose(together[1][k], alone[1][0], rtol=1e-6)
    shaped = observe(
        xy.reshape(2, 3, 21, 2), score.reshape(2, 3, 21), np.zeros((2, 3)), None,
        np.ones((2, 3), bool), np.zeros((2, 3)),
    )  # fmt: skip
    np.testing.assert_allclose(shaped[0].reshape(6, 21, 3), together[0])
    np.testing.assert_allclose(shaped[1].reshape(6, VIEW_SIZE), together[1])
    assert shaped[1].shape == (2, 3, VIEW_SIZE)
    assert shaped[2].rotation.shape == (2, 3, 3, 3)


def test_a_mirrored_sight_has_the_mirrored_view():
    (xy, score), (later, _) = sight(15), sight(16)
    _, _, before = first(xy, score)
    points, view, _ = then(later, score, 0.1, before)
    _, _, before = first(xy * [-1, 1], score)
    mirrored, mirrored_view, _ = then(later * [-1, 1], score, 0.1, before)
    np.testing.assert_allclose(mirrored, points * [-1, 1, 1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mirrored_view, view * MIRRORED_VIEW, rtol=1e-6)
    assert set(np.abs(MIRRORED_VIEW)) == {1.0}


def about_z(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def level_up(pitch):
    """Up in a level camera that looks down by ``pitch``."""
    return np.array([0.0, -np.cos(pitch), -np.sin(pitch)])


@given(TANGENT, TANGENT, st.floats(-3.1, 3.1), st.floats(-0.6, 0.6))
def test_known_gravity_points_down_in_the_virtual_image(x, y, roll, pitch):
    turn = rotation_to_axis(np.array([x, y]))
    up = about_z(roll) @ level_up(pitch)
    flat = np.hypot(*(turn @ up)[:2])
    r = upright(turn, up)
    np.testing.assert_allclose(r @ r.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(r[2], turn[2], atol=1e-12)  # it looks where it did
    assert (r @ up)[2] == pytest.approx((turn @ up)[2])
    if flat > 0.3:
        np.testing.assert_allclose((r @ up)[:2], [0, -flat], atol=1e-9)
    if flat < 0.1:
        np.testing.assert_allclose(r, turn, atol=1e-12)


def test_of_unknown_gravity_nothing_is_made():
    turn = rotation_to_axis(np.array([[0.4, -0.2], [0.1, 0.3]]))
    up = np.array([[0.0, 0, 0], [0.6, -0.8, 0.0]])
    r = upright(turn, up)
    np.testing.assert_array_equal(r[0], turn[0])
    assert abs(r[1] - turn[1]).max() > 0.3


@pytest.mark.parametrize("roll", [0.3, -0.8, np.pi])
def test_a_rolled_camera_sees_what_a_level_one_sees(roll):
    xy, score = sight(6, people=3)
    up = level_up(0.2)
    turn = about_z(roll)
    rays = np.concatenate([xy, np.ones((3, 21, 1))], -1) @ turn.T
    p = len(xy)
    args = score, np.zeros(p), None, np.ones(p, bool), np.zeros(p)
    points, view, state = observe(xy, *args, up)
    rolled_points, rolled_view, rolled = observe(rays[..., :2], *args, turn @ up)
    np.testing.assert_allclose(rolled_points, points, atol=1e-6)
    np.testing.assert_allclose(rolled_view[:, 2:], view[:, 2:], atol=1e-6)  # rays differ, all else does not
    np.testing.assert_allclose(rolled.rotation @ turn, state.rotation, atol=1e-9)
    np.testing.assert_allclose(view[:, 6:], (state.rotation @ up), atol=1e-6)
    assert abs(view[:, 6]).max() < 1e-6
