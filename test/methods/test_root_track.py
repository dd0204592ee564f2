"""A person's filters against the textbook's matrices: prediction, each kind of observation, giving way."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest

from diffpose_ros.methods.root import track as t
from diffpose_ros.methods.root.track import DEPTH, FLOOR, FORESHORTENING, RATE, SIZE, Track

DT = 1 / 30
COVARIANCE = np.diag([0.04, 0.0, 0.0])
"""Of a root from its rays, m^2: it tells nothing but along x."""


def known(*, activity=2.0):
    """Somebody at about 4 m of whom everything is correlated with everything."""
    rng = np.random.default_rng(5)
    depth, bearing = 0.02 * rng.normal(size=(5, 5)), 0.003 * rng.normal(size=(2, 2))
    depth, bearing = depth @ depth.T + 1e-4 * np.eye(5), bearing @ bearing.T + 1e-6 * np.eye(2)
    track = Track([0.0] * Track.NUMBERS)
    track.depth = [log(4.0), -0.3, 0.01, -0.05, 0.02]
    track.depth_covariance = depth.tolist()
    track.bearing = [0.2, 0.1, -0.1, 0.05]
    track.bearing_covariance = [bearing[0, 0], bearing[0, 1], bearing[1, 1]]
    track.activity = activity
    return track


def square(track):
    """(2, 2) of one bearing and its rate."""
    value, both, rate = track.bearing_covariance
    return np.array([[value, both], [both, rate]])


def white(step, density):
    """(2, 2) what white acceleration of a density adds to place and speed in ``step`` seconds."""
    return density * np.array([[step**3 / 3, step**2 / 2], [step**2 / 2, step]])


@pytest.mark.parametrize(("speed", "share"), [(0.0, t.STILL_ACCELERATION), (2.0, 1.0)])
def test_a_step_is_that_of_constant_velocity_and_of_errors_that_fade(speed, share):
    track, step = known(activity=speed), 0.2
    before, covariance, bearing = np.array(track.depth), np.array(track.depth_covariance), square(track)
    track.move_on(step, speed, None)
    fade = exp(-step / t.FORESHORTENING_TIME_S)
    move = np.diag([1.0, 1.0, fade, 1.0, fade])
    move[DEPTH, RATE] = step
    noise = np.zeros((5, 5))
    added = white(step, (share * t.ACCELERATION / track.z) ** 2)
    noise[:2, :2] = added
    noise[FORESHORTENING, FORESHORTENING] = t.FORESHORTENING_NOISE**2 * (1 - fade**2)
    noise[FLOOR, FLOOR] = t.FLOOR_NOISE**2 * (1 - fade**2)
    np.testing.assert_allclose(track.depth, move @ before, rtol=1e-12)
    np.testing.assert_allclose(track.depth_covariance, move @ covariance @ move.T + noise, rtol=1e-9)
    turn = np.array([[1.0, step], [0.0, 1.0]])
    np.testing.assert_allclose(track.bearing, [0.2 + 0.1 * step, 0.1, -0.1 + 0.05 * step, 0.05])
    np.testing.assert_allclose(square(track), turn @ bearing @ turn.T + added, rtol=1e-9)


def observed(state, covariance, parts, innovation, noise, held=None):
    """State and covariance after an observation of the sum of ``parts``, by Kalman and Schmidt."""
    h = np.zeros(len(state))
    h[list(parts)] = 1.0
    gain = covariance @ h / (h @ covariance @ h + noise)
    if held is not None:
        gain[held] = 0.0
    keep = np.eye(len(state)) - np.outer(gain, h)
    return state + gain * innovation, keep @ covariance @ keep.T + noise * np.outer(gain, gain)


@pytest.mark.parametrize("size_known", [False, True])
@pytest.mark.parametrize(("age_s", "activity"), [(0.1, 2.0), (9.0, 2.0), (9.0, 0.0)])
def test_a_pose_is_seen_with_the_noise_of_its_age_and_of_a_walk(age_s, activity, size_known):
    """It tells depth, foreshortening and size in one; the size stays where nothing else tells the depth."""
    track = known(activity=activity)
    state, covariance, bearing = np.array(track.depth), np.array(track.depth_covariance), square(track)
    innovation, spread = 0.02, 0.003
    z = exp(state[[DEPTH, FORESHORTENING, SIZE]].sum() + innovation)
    rays = np.diag([(0.01 * z) ** 2, (0.01 * z) ** 2, (spread * z) ** 2])
    track.pose_observed((0.201 * z, -0.099 * z, z), rays, age_s, DT, size_known=size_known)
    often = 1.0 if activity else t.STILL_NOISE**2
    noise = often * (t.DEPTH_NOISE * (1 + t.FIRST_NOISE * exp(-age_s / t.SETTLING_S))) ** 2 + 2 * spread**2
    parts, held = (DEPTH, FORESHORTENING, SIZE), None if size_known else SIZE
    expected = observed(state, covariance, parts, innovation, noise, held)
    np.testing.assert_allclose(track.depth, expected[0], rtol=1e-9)
    np.testing.assert_allclose(track.depth_covariance, expected[1], rtol=1e-6, atol=1e-15)
    assert (track.depth[SIZE] == state[SIZE]) is not size_known
    noise = often * t.BEARING_NOISE**2 + spread**2  # what the rays say across is no better than along
    for first, value in ((0, 0.201), (2, -0.099)):
        expected = observed(np.array([0.2, 0.1, -0.1, 0.05][first : first + 2]), bearing, (0,),
                            value - (0.2, 0, -0.1)[first], noise)  # fmt: skip
        np.testing.assert_allclose(track.bearing[first : first + 2], expected[0], rtol=1e-9)
    np.testing.assert_allclose(square(track), expected[1], rtol=1e-6)


def test_a_standing_foot_tells_the_speed_along_and_across():
    track = known()
    state, covariance, bearing = np.array(track.depth), np.array(track.depth_covariance), square(track)
    velocity = (0.4, 0.1, -1.0)
    track.speed_observed(velocity, 0.6, 1.2, 1e9)
    expected = observed(state, covariance, (RATE,), -1.0 / 4 + 0.3, (1.2 / 4) ** 2, SIZE)
    np.testing.assert_allclose(track.depth, expected[0], rtol=1e-9)
    np.testing.assert_allclose(track.depth_covariance, expected[1], rtol=1e-6, atol=1e-15)
    rate = track.depth[RATE]
    for first, value in ((0, 0.4), (2, 0.1)):  # x = z u, so dx/dt = z (du/dt + u times the rate of log z)
        pair = np.array([0.2, 0.1, -0.1, 0.05][first : first + 2])
        z_new = exp(state[DEPTH])
        expected = observed(pair, bearing, (1,), value / z_new - pair[0] * rate - pair[1], (0.6 / z_new) ** 2)
        np.testing.assert_allclose(track.bearing[first : first + 2], expected[0], rtol=1e-6)
    np.testing.assert_allclose(square(track), expected[1], rtol=1e-6)


def test_floor_and_depth_image_tell_the_depth_itself():
    for see, parts in (("floor_observed", (DEPTH, FLOOR)), ("depth_observed", (DEPTH,))):
        track = known()
        state, covariance = np.array(track.depth), np.array(track.depth_covariance)
        told = state[list(parts)].sum() - 0.01
        getattr(track, see)(told, 0.02**2, 1e9)
        expected = observed(state, covariance, parts, -0.01, 0.02**2)
        np.testing.assert_allclose(track.depth, expected[0], rtol=1e-9)
        np.testing.assert_allclose(track.depth_covariance, expected[1], rtol=1e-6, atol=1e-15)


def test_another_size_takes_the_depth_with_it_and_its_doubt():
    track = known()
    before = np.array(track.depth_covariance)
    track.resize(-0.35, 0.03**2)
    assert track.depth[SIZE] == -0.35
    assert track.z == pytest.approx(4.0 * exp(0.30))  # smaller by the divisor e^-0.35, not e^-0.05
    change = np.array(track.depth_covariance) - before
    np.testing.assert_allclose(change[np.ix_([DEPTH, SIZE], [DEPTH, SIZE])],
                               0.03**2 * np.array([[1, -1], [-1, 1]]), rtol=1e-6)  # fmt: skip


def test_position_and_velocity_are_those_along_and_across_the_ray():
    track = known()
    u, v = 0.2, -0.1
    ray = np.array([u, v, 1.0])
    z, rate = 4.0, -0.3
    np.testing.assert_allclose(track.position(), z * ray)
    np.testing.assert_allclose(track.velocity(), z * np.array([0.1 + u * rate, 0.05 + v * rate, rate]))
    for given, along, across in (
        (track.position_covariance(), track.depth_covariance[DEPTH][DEPTH], track.bearing_covariance[0]),
        (track.velocity_covariance(), track.depth_covariance[RATE][RATE], track.bearing_covariance[2]),
    ):
        expected = z * z * (along * np.outer(ray, ray) + across * np.diag([1.0, 1.0, 0.0]))
        np.testing.assert_allclose(given, expected)


def followed(depths):
    """Depths that the filter has of somebody who is seen at these, 30 times a second."""
    track, out = Track([0.0] * Track.NUMBERS), []
    for k, z in enumerate(depths):
        if k:
            track.move_on(DT, 0.0, (0.0, 0.0, z))
            track.pose_observed((0.0, 0.0, z), COVARIANCE.tolist(), k * DT, DT, size_known=False)
        else:
            track.begin((0.0, 0.0, z), 0.01)
        out.append(track.z)
    return np.array(out)


def test_who_stays_elsewhere_is_believed_after_a_while_and_who_is_there_for_a_moment_is_not():
    for_long, now_and_then = np.full(75, 3.0), np.full(75, 3.0)
    for_long[45:] = 7.0
    now_and_then[45::3] = 7.0
    moved = followed(for_long)
    assert moved[48] < 4.0
    assert moved[60] == pytest.approx(7.0, rel=0.05)  # half a second later
    assert followed(now_and_then).max() < 4.0
