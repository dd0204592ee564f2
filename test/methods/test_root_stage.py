"""Where people stand, over time: steady, quick, honest, and not to be fooled."""

from __future__ import annotations

import numpy as np
import pytest
from walker import DT, HIP_M, POSE, UP, Watched, follow, rays_of, walk

from diffpose_ros.core import H36M17, Surroundings
from diffpose_ros.methods.root import RootStage, ScaleSource
from diffpose_ros.methods.root.stage import STANCE_GAIN
from diffpose_ros.methods.root.track import FIRST_SPEED_MPS, Track
from diffpose_ros.methods.root.upright import Lean

HEIGHT = 1.4
"""Of the camera, m."""
FLOOR = {"up": UP, "camera_height": HEIGHT}


def on_floor(x, z, *, size=1.0, lift=0.0):
    """The hip of somebody who stands on the floor, or ``lift`` metres over it."""
    return np.array([x, HEIGHT - HIP_M * size - lift, z])


def standing(frames, root):
    return np.repeat(POSE[None], frames, axis=0), np.repeat(root[None], frames, axis=0)


def test_somebody_who_stands_still_stands_still() -> None:
    places, speeds, _ = follow(Watched(), *standing(150, on_floor(0.4, 5.0)), noise=0.004)
    settled = places[60:]
    assert settled[:, 2].std() < 0.012
    assert np.linalg.norm(speeds[60:], axis=1).mean() < 0.10
    assert np.linalg.norm(np.diff(settled, axis=0), axis=1).mean() / DT < 0.10
    assert settled.mean(axis=0) == pytest.approx(on_floor(0.4, 5.0), abs=0.12)


@pytest.mark.parametrize("velocity", [(1.5, 0, 0), (0, 0, 1.5), (0, 0, -1.5), (0.8, 0, -0.8)])
def test_somebody_who_walks_has_that_velocity(velocity) -> None:
    poses = walk(velocity, 90)
    roots = on_floor(-1.0, 7.0) + np.arange(90)[:, None] * DT * np.array(velocity)
    places, speeds, _ = follow(Watched(), poses, roots, noise=0.003)
    assert speeds[45:].mean(axis=0) == pytest.approx(velocity, abs=0.25)
    assert np.linalg.norm(places[45:] - roots[45:], axis=1).mean() < 0.25


@pytest.mark.parametrize(("direction", "lag_s"), [((1.0, 0, 0), 0.1), ((0, 0, -1.0), 0.25)])
def test_a_start_and_a_stop_are_followed(direction, lag_s) -> None:
    speed = np.zeros(150)
    speed[45:105] = 1.5
    velocity = speed[:, None] * np.array(direction)
    roots = on_floor(-0.8, 6.5) + np.cumsum(velocity * DT, axis=0)
    places, _, _ = follow(Watched(), walk(velocity, 150), roots, noise=0.002)
    behind = (roots - places) @ np.array(direction)
    assert np.abs(behind[45:] - behind[40:45].mean()).max() / 1.5 < lag_s


@pytest.mark.parametrize("speed", [1.5, 3.0])
def test_who_turns_on_the_spot_and_goes_back_is_not_lost(speed) -> None:
    velocity = np.zeros((135, 3))
    velocity[:, 0] = np.where(np.arange(135) // 45 % 2 == 0, speed, -speed)
    roots = on_floor(-1.5, 5.0) + np.cumsum(velocity * DT, axis=0)
    places, _, _ = follow(Watched(), walk(velocity, 135), roots, noise=0.003)
    off = np.linalg.norm(places - roots, axis=1)
    assert off.max() < 0.2 * speed
    assert off.mean() < 0.05 * speed


def test_an_identity_that_goes_over_to_somebody_else_is_found_there() -> None:
    poses, roots = standing(75, on_floor(-1.0, 5.0))
    roots = roots + np.where(np.arange(75) < 60, 0.0, 2.2)[:, None] * np.array([1.0, 0, 0])
    places, _, _ = follow(Watched(), poses, roots, noise=0.003)
    assert np.linalg.norm(places - roots, axis=1)[65:].max() < 0.1


def test_a_wild_keypoint_moves_nobody() -> None:
    watched = Watched()
    poses, roots = standing(60, on_floor(0.2, 6.0))
    before, _, _ = follow(watched, poses, roots, noise=0.002)
    rays = rays_of(POSE, roots[0])
    rays[H36M17.index("right_wrist")] = (0.64, 0.36)
    assert np.linalg.norm(watched.see(POSE, rays).root[0] - before[-1]) < 0.10


def test_exchanged_sides_in_one_frame_move_nobody() -> None:
    watched = Watched()
    poses, roots = standing(60, on_floor(0.2, 6.0))
    before, _, _ = follow(watched, poses, roots, noise=0.002)
    rays = rays_of(POSE, roots[0])[list(H36M17.flip)]
    assert np.linalg.norm(watched.see(POSE, rays).root[0] - before[-1]) < 0.15


@pytest.mark.parametrize("size", [0.55, 0.65, 0.75, 1.1])
def test_the_floor_tells_how_large_and_how_far_somebody_is(size) -> None:
    root = on_floor(0.3, 5.0 * size, size=size)
    far, _, _ = follow(Watched(), *standing(75, root), noise=0.002, size=size)
    assert far[-1, 2] == pytest.approx(5.0, rel=0.02)  # as of a body of the lifter's size
    places, _, placed = follow(Watched(**FLOOR), *standing(75, root), noise=0.002, size=size)
    assert places[-1] == pytest.approx(root, abs=0.05 * 5 * size)
    assert placed.scale[0] == pytest.approx(size, rel=0.05)
    assert placed.source == (ScaleSource.FLOOR,)
    assert np.linalg.norm(places - root, axis=1).mean() < 0.26  # the first frame counts, too


def test_a_jump_is_a_jump_and_no_distance() -> None:
    frames = 90
    height = np.zeros(frames)
    flight = np.arange(17) * DT  # 0.57 s in the air, 0.4 m high
    height[45:62] = np.maximum(0, 2.8 * flight - 0.5 * 9.81 * flight**2)
    roots = np.array([on_floor(0.0, 5.0, lift=h) for h in height])
    places, _, _ = follow(Watched(**FLOOR), np.repeat(POSE[None], frames, 0), roots, noise=0.002)
    risen = -(places[:, 1] - places[44, 1])
    assert risen.max() == pytest.approx(height.max(), rel=0.2)
    assert np.abs(places[40:, 2] - 5.0).max() < 0.25


def test_stairs_are_no_distance() -> None:
    frames = 240
    height = np.repeat([0.0, 0.17, 0.34, 0.51], 60)
    roots = np.array([on_floor(0.0, 5.0, lift=h) for h in height])
    places, _, placed = follow(Watched(**FLOOR), np.repeat(POSE[None], frames, 0), roots, noise=0.002)
    assert np.abs(places[30:80, 2] - 5.0).max() < 0.25
    assert placed.scale[0] < 1.35  # a body of 1.7 m does not become a giant of 2.3 m


def test_a_known_height_makes_the_place_metric() -> None:
    places, _, placed = follow(Watched(person_height=1.6), *standing(30, on_floor(0, 4.0)))
    assert placed.source == (ScaleSource.PERSON_HEIGHT,)
    free, _, prior = follow(Watched(), *standing(30, on_floor(0, 4.0)))
    assert prior.source == (ScaleSource.BODY_PRIOR,)
    assert places[-1, 2] / free[-1, 2] == pytest.approx(placed.scale[0], rel=0.01)
    assert placed.covariance[0, 2, 2] < prior.covariance[0, 2, 2]


def test_a_pose_that_grows_and_shrinks_by_turns_does_not_make_the_size_flicker() -> None:
    """The lifter's statures go through a low-pass of a second before they are compared with the height."""
    watched, scales = Watched(person_height=1.6), []
    for k in range(60):
        said = POSE * (1.04 if k % 2 else 0.96)
        scales.append(watched.see(POSE, rays_of(POSE, on_floor(0.0, 4.0)), said=said).scale[0])
    assert np.ptp(scales[40:]) < 0.01


@pytest.mark.parametrize(("speed", "surely"), [(0.0, 1.0), (0.2, 16 / 17), (0.4, 0.5), (0.8, 1 / 17)])
def test_a_foot_stands_less_surely_the_faster_it_moves(speed, surely) -> None:
    """Half as surely at 0.4 m/s; the other foot is high in the air."""
    track = Track([0.0] * Track.NUMBERS)
    track.begin((0.0, 0.0, 4.0), 0.01)
    track.depth_covariance[1][1] = track.bearing_covariance[2] = 1e-12  # the hip is known to stand still
    swinging = (2.0, 0.0, 0.0)
    right, left = RootStage._stance(track, [(speed / STANCE_GAIN, 0.0, 0.0), swinging], [0.9, 0.4])
    assert right == pytest.approx(surely, abs=1e-3)
    assert left < 0.01


def test_a_size_is_metric_when_it_was_measured_or_given() -> None:
    metric = {source for source in ScaleSource if source.metric}
    assert metric == {ScaleSource.PERSON_HEIGHT, ScaleSource.FLOOR, ScaleSource.DEPTH}


def test_joints_that_no_detector_sees_do_not_place_anybody() -> None:
    """Hip, spine and thorax are means of others, and the crown has no keypoint."""
    watched, root = Watched(), on_floor(0.2, 5.0)
    rays = rays_of(POSE, root)
    rays[[H36M17.index(j) for j in ("hip", "spine", "thorax", "head_top")]] += 0.05
    assert watched.see(POSE, rays).root[0] == pytest.approx(root, abs=1e-3)


def test_of_somebody_new_nothing_is_known_of_the_velocity() -> None:
    track = Track([0.0] * Track.NUMBERS)
    track.begin((0.0, 0.0, 4.0), 0.01)
    np.testing.assert_allclose(track.velocity_covariance(), FIRST_SPEED_MPS**2 * np.eye(3), atol=1e-12)


def test_who_cannot_be_placed_in_one_frame_is_found_again() -> None:
    watched = Watched()
    before, _, _ = follow(watched, *standing(30, on_floor(0, 4.0)))
    hidden = watched.see(POSE, np.full((17, 2), np.nan), np.zeros(17))
    assert np.isnan(hidden.root).all()
    assert np.isnan(hidden.velocity).all()
    after, _, _ = follow(watched, *standing(1, on_floor(0, 4.0)))
    assert after[0] == pytest.approx(before[-1], abs=0.05)


def test_feet_that_stand_are_told_from_feet_that_swing() -> None:
    velocity = np.array([1.3, 0, 0])
    poses = walk(velocity, 75)
    roots = on_floor(-1.0, 5.0) + np.arange(75)[:, None] * DT * velocity
    watched = Watched()
    contact = np.array(
        [watched.see(p, rays_of(p, r)).contact[0] for p, r in zip(poses, roots, strict=True)]
    )
    right_stands = (np.arange(75) * DT / 0.5) % 2 < 1
    # the frames of touching down and lifting off belong to neither
    middle = np.abs((np.arange(75) * DT / 0.5) % 1 - 0.5) < 0.35
    settled = middle & (np.arange(75) > 30)
    assert (contact[settled & right_stands, 0] > 0.5).mean() > 0.9
    assert (contact[settled & ~right_stands, 0] < 0.5).mean() > 0.9


def test_its_covariance_covers_people_of_the_size_it_expects() -> None:
    from diffpose_ros.methods.root.stage import BODY_SCALE_NOISE

    rng = np.random.default_rng(3)
    inside = []
    for person in range(40):
        size = 1 + BODY_SCALE_NOISE * rng.normal()
        root = on_floor(rng.uniform(-1, 1), rng.uniform(3, 8) * size, size=size)
        watched = Watched()
        _, _, placed = follow(watched, *standing(20, root), noise=0.003, seed=person, size=size)
        sigma = np.sqrt(np.diagonal(placed.covariance[0]))
        inside.append(np.abs(placed.root[0] - root) < sigma)
    assert np.mean(inside, axis=0)[2] > 0.6
    assert np.mean(inside) > 0.6


def tilted(degrees, axis):
    """Up of a camera that is level, wrong by so many degrees of ``pitch`` or ``roll``."""
    return Surroundings.of_angles(*((degrees, 0) if axis == "pitch" else (0, degrees))).up


def fooled_by(degrees, axis):
    """How far a tilted floor moves somebody who comes nearer, (F,) m, and the last answer."""
    roots = on_floor(0.3, 6.0) + np.linspace(0, 1.5, 90)[:, None] * np.array([0.3, 0, -1.0])
    poses = walk((0.15, 0, -0.5), 90)
    free, _, _ = follow(Watched(), poses, roots, noise=0.002)
    fooled, _, placed = follow(
        Watched(up=tilted(degrees, axis), camera_height=HEIGHT), poses, roots, noise=0.002
    )
    return np.linalg.norm(fooled - free, axis=1), placed


@pytest.mark.parametrize("axis", ["pitch", "roll"])
@pytest.mark.parametrize("degrees", [-20, -12, 12, 20])
def test_a_floor_that_is_tilted_much_moves_nobody(degrees, axis) -> None:
    """Nor makes it a child of an adult, who stands upright on no floor but the true one."""
    moved, placed = fooled_by(degrees, axis)
    assert (moved[45:] if (axis, degrees) == ("pitch", 12) else moved).max() < 0.15
    assert placed.source == (ScaleSource.BODY_PRIOR,)
    assert placed.floor_refused.tolist() == [True]


@pytest.mark.parametrize(("axis", "degrees"), [("pitch", -8), ("pitch", -5), ("pitch", 5), ("pitch", 8)])
def test_a_floor_that_is_tilted_a_little_is_noticed_when_somebody_comes_nearer(degrees, axis) -> None:
    moved, placed = fooled_by(degrees, axis)
    assert moved[-5:].max() < 0.15
    assert placed.floor_refused.tolist() == [True]
    assert 0.98 < placed.scale[0] < 1.02


def test_a_child_or_a_tilted_floor_is_a_doubt_that_the_covariance_says() -> None:
    """Standing still, by 5 degrees: nothing tells one from the other."""
    roots = standing(45, on_floor(0.3, 6.0))
    _, _, placed = follow(Watched(up=tilted(5, "pitch"), camera_height=HEIGHT), *roots, noise=0.002)
    off = 6.0 - placed.root[0, 2]
    assert off > 1.0
    assert off < 2.3 * np.sqrt(placed.covariance[0, 2, 2])


def test_a_floor_that_fits_is_not_refused() -> None:
    roots = on_floor(0.3, 6.0) + np.linspace(0, 1.5, 90)[:, None] * np.array([0.3, 0, -1.0])
    _, _, placed = follow(Watched(**FLOOR), walk((0.15, 0, -0.5), 90), roots, noise=0.002)
    assert placed.floor_refused.tolist() == [False]
    assert placed.source == (ScaleSource.FLOOR,)


@pytest.mark.parametrize(("leans_deg", "least", "most"), [(8, 1.5, 4.0), (20, 0.0, 4.0), (-8, -4.0, -1.5)])
def test_how_far_a_body_leans_tells_a_tilted_floor_from_a_child(leans_deg, least, most) -> None:
    """Most people lean by two degrees, some by ten: the first say much, the second cannot say everything."""
    lean = Lean([0.0] * 3)
    angle = np.radians(leans_deg)
    for k in range(45):
        lean.update((0.0, -1.3 * np.cos(angle), 1.3 * np.sin(angle)), 1.33, (0.0, 0.0), UP.tolist(), k and DT)
    assert least < lean.tilt_rather_than_none(np.radians(8)) < most


def test_somebody_who_bends_says_nothing_of_gravity() -> None:
    lean = Lean([0.0] * 3)
    for _ in range(60):
        lean.update((0.0, -0.3, 1.0), 1.33, (0.0, 0.0), UP.tolist(), DT)
    assert not lean.known
    for _ in range(60):
        lean.update((0.0, -1.3, 0.0), 1.33, (0.0, 0.0), UP.tolist(), DT)
    assert lean.known
    assert not lean.wrong
