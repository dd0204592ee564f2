"""A told height and a measured depth are observations of a person's size, and each may be wrong."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from walker import POSE, UP, Watched, rays_of

from diffpose_ros.geometry.body_surface import at_sites, bone_behind_surface
from diffpose_ros.geometry.root import stature
from diffpose_ros.methods.root.body_size import ADULT_SCALE_NOISE, told, wrong

HEIGHT = float(stature(POSE))
ROOT = np.array([0.2, 0.1, 4.0])


def surface_of(pose, root):
    """(1, S) what a depth camera would measure of a pose at a root, exactly."""
    joints = (pose + root)[None]
    bone = bone_behind_surface(pose[None], at_sites(rays_of(pose, root)[None]))
    return at_sites(joints)[..., 2] - bone


def watch(watched, frames, **known):
    watched.known = known
    for _ in range(frames):
        placed = watched.see(POSE, rays_of(POSE, ROOT))
    return placed


def relative_variance(placed):
    return placed.covariance[0, 2, 2] / placed.root[0, 2] ** 2


def test_a_told_height_moves_an_adult_as_far_as_it_is_surer_than_anthropometry() -> None:
    size, variance = told(log(1.05), 0.01**2)
    share = ADULT_SCALE_NOISE**2 / (ADULT_SCALE_NOISE**2 + 0.01**2)
    assert size == pytest.approx(share * log(1.05), rel=0.02)
    assert variance == pytest.approx(share * 0.01**2, rel=0.05)


def test_of_a_child_the_told_height_alone_tells() -> None:
    size, variance = told(log(1.1 / 1.7), 0.02**2)
    assert size == pytest.approx(log(1.1 / 1.7), abs=1e-3)
    assert variance == pytest.approx(0.02**2, rel=0.01)


@pytest.mark.parametrize("size", [-0.9, -0.16, -0.13, -0.1, 0.0, 0.12])
def test_a_told_height_gives_the_mean_and_spread_of_adults_and_all_others(size) -> None:
    """Four of five are adults, the others of any size, evenly; what is told is a normal distribution."""
    at = np.linspace(-1.5, 0.5, 200_001)
    prior = 0.8 * np.exp(-0.5 * (at / 0.045) ** 2) / (0.045 * np.sqrt(2 * np.pi)) + 0.2 / 2.0
    weight = prior * np.exp(-0.5 * ((at - size) / 0.03) ** 2)
    weight /= weight.sum()
    mean = weight @ at
    given = told(size, 0.03**2)
    assert given[0] == pytest.approx(mean, abs=1e-4)
    assert given[1] == pytest.approx(weight @ (at - mean) ** 2, rel=1e-3)


def test_a_belief_is_doubted_when_something_speaks_against_it() -> None:
    assert wrong(0.0, 0.02**2) < 0.01
    assert wrong(0.02, 0.02**2) < 0.01
    assert wrong(0.1, 0.02**2) > 0.9


def test_the_covariance_says_how_sure_a_told_height_is() -> None:
    exact, usual, vague = (
        relative_variance(watch(Watched(), 1, person_height=HEIGHT, person_height_stddev=stddev))
        for stddev in (0.001, 0.02, 0.1)
    )
    assert usual - exact == pytest.approx((0.02 / HEIGHT) ** 2, rel=0.1)
    assert 0.03**2 < vague - exact < ADULT_SCALE_NOISE**2


@pytest.mark.parametrize("wrongly", [0.9, 1.1])
def test_depth_overrules_a_wrong_height(wrongly) -> None:
    watched, depth = Watched(), surface_of(POSE, ROOT)
    first = watch(watched, 1, person_height=wrongly * HEIGHT, depth=depth)
    assert first.root[0] == pytest.approx(ROOT, abs=0.05)
    placed = watch(watched, 60, person_height=wrongly * HEIGHT, depth=depth)
    assert placed.root[0] == pytest.approx(ROOT, abs=0.03)
    assert placed.scale[0] == pytest.approx(1.0, abs=0.02)
    # and stays overruled where the depth camera sees nothing any more
    placed = watch(watched, 60, person_height=wrongly * HEIGHT)
    assert placed.root[0] == pytest.approx(ROOT, abs=0.10)


def test_a_right_height_makes_a_noisy_first_depth_harmless() -> None:
    """A depth that is 10 percent off in one frame is soon forgotten."""
    off = surface_of(POSE, ROOT) * 1.1
    watched = Watched()
    watch(watched, 1, person_height=HEIGHT, depth=off)
    placed = watch(watched, 60, person_height=HEIGHT, depth=surface_of(POSE, ROOT))
    assert placed.root[0] == pytest.approx(ROOT, abs=0.05)
    assert placed.scale[0] == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(("stddev", "least", "most"), [(0.005, 0.0, 0.025), (0.2, 0.035, 0.06)])
def test_the_floor_counts_beside_a_told_height_as_much_as_each_is_sure(stddev, least, most) -> None:
    """The floor has the person 4 percent smaller than is said."""
    height = ROOT[1] + 0.85 + 0.10
    known = {"person_height": HEIGHT * 1.04, "person_height_stddev": stddev}
    placed = watch(Watched(), 60, up=UP, camera_height=float(height), **known)
    smaller = 1.0 - placed.root[0, 2] / (ROOT[2] * 1.04)
    assert least < smaller < most
