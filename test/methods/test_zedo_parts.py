"""What ZeDO's loop is made of, each against another way to compute it."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core import ConfigError
from diffpose_ros.diffusion.sde import SubVP
from diffpose_ros.geometry.bones import bone_lengths
from diffpose_ros.methods.zedo import loop
from diffpose_ros.methods.zedo.anchors import Anchors, facing, level_axes
from diffpose_ros.methods.zedo.rays import distance, projection, solve_translation, translation, unit_rays

RNG = np.random.default_rng(3)
BODY = RNG.uniform([-0.3, -0.9, -0.3], [0.3, 0.9, 0.3], (4, 2, 17, 3))
PLACE = np.array([[0.3, 0.2, 4.0], [-1.0, 0.0, 6.0], [0.0, 0.5, 2.5], [2.0, -0.3, 5.0]])
AT = BODY[:, 0] + PLACE[:, None]
TANGENTS = AT[..., :2] / AT[..., 2:]
RAYS = unit_rays(TANGENTS)
WEIGHT = RNG.uniform(0.2, 1.0, (4, 17))


def test_the_translation_of_a_pose_that_fits_is_found_whatever_the_weights() -> None:
    found = translation(BODY[:, :1], RAYS, WEIGHT)
    np.testing.assert_allclose(found[:, 0], PLACE, atol=1e-6)


def test_the_translation_is_the_papers_where_all_joints_are_equally_far() -> None:
    """Eq. 6 in tangents: u T_z - T_x = x - u z and v T_z - T_y = y - v z; far away, depths are alike."""
    rays = TANGENTS[0] * 0.1 + RNG.normal(0, 1e-4, (17, 2))
    pose = BODY[0, 0]
    one, zero = np.ones(17), np.zeros(17)
    rows = np.concatenate([
        np.stack([-one, zero, rays[:, 0]], 1), np.stack([zero, -one, rays[:, 1]], 1)
    ])  # fmt: skip
    wanted = np.concatenate([pose[:, 0] - rays[:, 0] * pose[:, 2], pose[:, 1] - rays[:, 1] * pose[:, 2]])
    root = np.sqrt(np.tile(WEIGHT[0], 2))[:, None]
    papers = np.linalg.lstsq(root * rows, root[:, 0] * wanted, rcond=None)[0]
    found = translation(pose[None, None], unit_rays(rays)[None], WEIGHT[:1])[0, 0]
    np.testing.assert_allclose(found, papers, rtol=5e-3, atol=1e-3)


def test_the_translation_minimises_the_distances() -> None:
    weight = WEIGHT[:1]
    pose = BODY[:1, 1:]

    def cost(place: np.ndarray) -> float:
        return float((weight * distance(pose, place[None, None], RAYS[:1])[:, 0] ** 2).sum())

    best = translation(pose, RAYS[:1], weight)[0, 0]
    for step in 0.01 * np.concatenate([np.eye(3), -np.eye(3)]):
        assert cost(best + step) > cost(best)


def test_rays_that_are_all_the_same_give_a_finite_translation() -> None:
    same = np.broadcast_to([0.0, 0.0, 1.0], (1, 17, 3))
    assert np.isfinite(solve_translation(same, np.ones((1, 1, 17)))).all()


def test_the_projection_is_translate_then_move_each_joint() -> None:
    share = RNG.uniform(0, 1, (4, 3, 17))
    weight = RNG.uniform(0.1, 1, (4, 3, 17))
    matrix = projection(RAYS, weight, share)
    for k in range(3):
        place = translation(BODY, RAYS, weight[:, k])
        at = BODY + place[:, :, None]
        foot = (at * RAYS[:, None]).sum(-1, keepdims=True) * RAYS[:, None]
        expected = BODY + share[:, None, k, :, None] * (foot - at)
        found = BODY.reshape(4, 2, 51) @ matrix[:, k].swapaxes(1, 2)
        np.testing.assert_allclose(found.reshape(4, 2, 17, 3), expected, atol=1e-9)


def test_a_full_projection_ends_on_the_rays_and_keeps_a_pose_that_fits() -> None:
    every = np.ones((4, 1, 17))
    matrix = projection(RAYS, every, every)[:, 0]
    moved = (BODY.reshape(4, 2, 51) @ matrix.swapaxes(1, 2)).reshape(4, 2, 17, 3)
    place = translation(BODY, RAYS, np.ones((4, 17)))
    assert distance(moved, place, RAYS).max() < 1e-8
    np.testing.assert_allclose(moved[:, 0], BODY[:, 0], atol=1e-6)


def test_iterations_give_the_most_likely_pose() -> None:
    """Against the whole quadratic, minimised over 17 joints and the translation together."""
    spread = np.where(RNG.random((1, 17)) < 0.2, np.inf, RNG.uniform(0.01, 0.1, (1, 17)))
    clean, before = BODY[:1, 1], BODY[:1, :1]
    motion, level, trust = np.array([0.04]), np.array([[0.06]]), 0.5
    now = loop.optimise(RAYS[:1], spread, before, motion, level, trust=trust, size=4.0)
    found = now.projection[0, 0] @ clean.reshape(51) + now.offset[0, 0, 0]
    prior, stay = 1 / (trust * level[0, 0]) ** 2, 1 / motion[0] ** 2
    normal = np.zeros((54, 54))
    normal[:51, :51] = (prior + stay) * np.eye(51)
    right = np.concatenate([prior * clean.reshape(51) + stay * before.reshape(51), np.zeros(3)])
    for j in range(17):
        beside = np.eye(3) - np.outer(RAYS[0, j], RAYS[0, j])
        take = np.zeros((3, 54))
        take[:, 3 * j : 3 * j + 3] = take[:, 51:] = np.eye(3)
        normal += take.T @ beside @ take / min(spread[0, j], loop.UNSEEN_M) ** 2
    np.testing.assert_allclose(found, np.linalg.solve(normal, right)[:51], atol=1e-6)


def test_people_without_a_past_are_not_held_back() -> None:
    now = loop.optimise(
        RAYS, np.full((4, 17), 0.02), BODY, np.full(4, np.inf), np.full((4, 2), 0.1), trust=1.0, size=4.0
    )
    assert not now.offset.any()


def test_the_papers_iterations_keep_the_first_translation_and_denoise_in_small_steps() -> None:
    place = translation(BODY, RAYS, np.ones((4, 17))) + 0.1
    score = np.ones((4, 17))
    first = loop.as_printed(RAYS, score, place, SubVP(), 198, 4)
    for k, expected in ((0, place), (3, None)):
        moved = BODY.reshape(4, 2, 51) @ first.projection[:, k].swapaxes(1, 2) + first.offset[:, k]
        at = translation(BODY, RAYS, score) if expected is None else expected
        assert distance(moved.reshape(4, 2, 17, 3), at, RAYS).max() < 1e-8
    assert not first.size.any()
    last = loop.as_printed(RAYS, score, place, SubVP(), 996, 4)
    assert 0 < first.denoise.max() < 0.1
    assert last.noise_level[0, -1] < first.noise_level[0, 0] < 0.11


def test_noise_levels_fall_by_the_same_factor_each_time() -> None:
    levels = loop.noise_levels(np.array([0.4, 0.1]), 0.1, 3)
    np.testing.assert_allclose(levels, [[0.4, 0.2, 0.1], [0.1, 0.1, 0.1]])


@pytest.mark.parametrize(("number", "share"), [(0, 0.0382), (500, 0.0733)])
def test_a_thousandth_of_the_reverse_drift_goes_so_far(number: int, share: float) -> None:
    """beta (1 - exp(-2 B)) / sigma^2 / 1000, with beta 2.09, B 0.1095 and sigma 0.1037 at t = 0.1, and
    beta 1.095, B 0.029875 and sigma 0.02943 at t = 0.05."""
    rays = np.tile([0.0, 0.0, 1.0], (1, 17, 1))
    said = loop.as_printed(rays, np.ones((1, 17)), np.zeros((1, 1, 3)), SubVP(), number, 1)
    assert said.denoise[0, 0] == pytest.approx(share, abs=1e-4)


def test_noise_levels_fall_from_each_persons_own() -> None:
    levels = loop.noise_levels(np.array([0.1, 0.05]), 0.02, 4)
    np.testing.assert_allclose(levels[:, 0], [0.1, 0.05])
    np.testing.assert_allclose(levels[:, -1], 0.02)
    assert (np.diff(levels) < 0).all()
    np.testing.assert_allclose(loop.noise_levels(np.array([0.1]), 0.02, 1), 0.02)


def test_moments_are_those_of_the_weighted_hypotheses() -> None:
    weight = np.tile([0.25, 0.75], (4, 1))
    mean, covariance = loop.moments(BODY, weight)
    np.testing.assert_allclose(mean, 0.25 * BODY[:, 0] + 0.75 * BODY[:, 1])
    apart = BODY[:, 0] - BODY[:, 1]
    np.testing.assert_allclose(covariance, 0.1875 * apart[..., :, None] * apart[..., None, :])


def test_misfit_counts_no_keypoint_that_is_not_there_and_none_too_much() -> None:
    spread = np.full((4, 17), 0.02)
    spread[:, 5] = np.inf
    clean = BODY[:, :1].copy()
    clean[:, 0, 5] += 1.0
    assert loop.misfit(clean, RAYS, spread).max() < 1e-6
    spread[:, 5] = 0.02
    assert (loop.misfit(clean, RAYS, spread) <= 0.5 * 9 * 17).all()


@pytest.mark.parametrize("t", [1e-3, 0.05, 0.1, 0.4, 1.0])
def test_the_sub_vp_sde_is_the_solution_of_its_equations(t: float) -> None:
    """d alpha = - beta alpha / 2 dt; d sigma^2 = (beta (1 - e^{-2B}) - beta sigma^2) dt."""
    sde, h = SubVP(), 1e-6
    slope = (sde.alpha(t + h) - sde.alpha(t - h)) / (2 * h)
    assert slope == pytest.approx(-0.5 * sde.beta(t) * sde.alpha(t), rel=1e-4)
    slope = (sde.sigma(t + h) ** 2 - sde.sigma(t - h) ** 2) / (2 * h)
    gain = sde.beta(t) * -np.expm1(-2 * sde.integral(t))
    assert slope == pytest.approx(gain - sde.beta(t) * sde.sigma(t) ** 2, rel=1e-3, abs=1e-8)
    assert sde.time_of(sde.noise_level(t)) == pytest.approx(t, rel=1e-9)


def test_a_schedule_that_falls_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 < beta_min <= beta_max"):
        SubVP(2.0, 1.0)


UPRIGHT = np.array([[0, 0, 0], [-.13, 0, 0], [-.13, .45, 0], [-.13, .87, .05], [.13, 0, 0], [.13, .45, 0],
    [.13, .87, -.1], [0, -.35, 0], [0, -.5, 0], [0, -.6, -.08], [0, -.75, 0], [.18, -.47, 0], [.25, -.2, .1],
    [.3, 0, -.1], [-.18, -.47, 0], [-.3, -.6, -.2], [-.2, -.8, -.3]])  # fmt: skip
"""Somebody who looks at the camera (-z) and lifts the right arm."""
AHEAD = np.array([0.0, 0.0, 4.0])


def turned(pose: np.ndarray, yaw: float, pitch: float = 0.0) -> np.ndarray:
    c, s = np.cos(yaw), np.sin(yaw)
    out = pose @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T
    c, s = np.cos(pitch), np.sin(pitch)
    return out @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]).T


@pytest.mark.parametrize("yaw", [0.0, 0.8, 2.5, -1.9])
@pytest.mark.parametrize("place", [(0, 0, 4), (2, 0.5, 4), (-1, 2.5, 3)], ids=["ahead", "aside", "below"])
def test_an_anchor_is_found_in_its_direction(yaw: float, place: tuple[float, float, float]) -> None:
    others = UPRIGHT[None] + np.random.default_rng(5).normal(0, 0.12, (6, 17, 3))
    anchors = Anchors(np.concatenate([others, UPRIGHT[None]]))
    pose = turned(UPRIGHT, yaw)
    rays = (pose + place) / np.linalg.norm(pose + place, axis=-1, keepdims=True)
    found = anchors.begin(rays[None], np.ones((1, 17)), 3)
    assert found.shape == (1, 3, 17, 3)
    # Directions are 15 degrees apart, and views are compared under weak perspective.
    assert np.linalg.norm(found[0, 0] - pose, axis=-1).mean() < 0.12
    np.testing.assert_allclose(bone_lengths(found[0, 0]), bone_lengths(UPRIGHT), atol=1e-9)


def test_starts_differ_and_there_are_as_many_as_asked_for() -> None:
    anchors = Anchors(UPRIGHT[None], directions=24)
    rays = (UPRIGHT + AHEAD) / np.linalg.norm(UPRIGHT + AHEAD, axis=-1, keepdims=True)
    found = anchors.begin(rays[None], np.ones((1, 17)), 5)[0]
    apart = np.sqrt(((found[:, None] - found[None]) ** 2).sum((-1, -2)) / 17)
    assert apart[np.triu_indices(5, 1)].min() > 0.05
    assert anchors.begin(rays[None], np.ones((1, 17)), 40).shape == (1, 40, 17, 3)


def test_unseen_joints_decide_nothing() -> None:
    anchors = Anchors(np.stack([UPRIGHT, UPRIGHT * [1, 1, 1.3]]))
    rays = (UPRIGHT + AHEAD) / np.linalg.norm(UPRIGHT + AHEAD, axis=-1, keepdims=True)
    weight = np.ones((1, 17))
    weight[0, [3, 16]] = 0
    spoilt = rays.copy()
    spoilt[[3, 16]] = [0.7, 0.1, 0.7]
    one, other = (anchors.begin(r[None], weight, 2) for r in (rays, spoilt))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("up", [(0, -1, 0), (0.3, -0.9, 0.1), (0, 1, 0), (1, 0, 0)])
def test_level_axes_point_down(up: tuple[float, float, float]) -> None:
    unit = np.array(up) / np.linalg.norm(up)
    axes = level_axes(unit)
    np.testing.assert_allclose(axes @ unit, [0, -1, 0], atol=1e-9)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(axes) == pytest.approx(1.0)
    np.testing.assert_array_equal(level_axes(None), np.eye(3))


def test_facing_axes_look_at_the_person_with_x_level() -> None:
    axes = facing(RAYS, WEIGHT)
    np.testing.assert_allclose(axes @ axes.swapaxes(1, 2), np.broadcast_to(np.eye(3), (4, 3, 3)), atol=1e-9)
    np.testing.assert_allclose(axes[:, 0, 1], 0, atol=1e-9)
    assert (axes[:, 1, 1] > 0.5).all()
    straight_down = facing(np.broadcast_to([0.0, 1.0, 0.0], (1, 17, 3)), np.ones((1, 17)))
    assert np.isfinite(straight_down).all()
