"""What the network says in a person's virtual camera comes back in the axes of the real one.

Nothing here is symmetric: people stand aside, above and below, and the synthetic graph's covariance
has three different axes, none of them a coordinate's.
"""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the Python package onnx to make a test graph")

from synthetic import BODY, COVARIANCE
from views import FRAME, S, spy, standing

from diffpose_ros.core import H36M17
from diffpose_ros.core.surroundings import Surroundings
from diffpose_ros.geometry.mapping import coco_to_points
from diffpose_ros.geometry.root import root_translation, stature
from diffpose_ros.methods.root.body_size import told

PLACES = [[2.5, 0.5, 4.0], [-2.0, -0.8, 3.5], [0.3, 0.9, 3.0]]
TORSO = [H36M17.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("hip", "shoulder")]


def turn(ray):
    """The shortest turn of a ray onto the optical axis, by Rodrigues' formula: virtual = R @ real."""
    ray = ray / np.linalg.norm(ray)
    axis, cosine = np.cross(ray, [0, 0, 1]), ray[2]
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + k + k @ k / (1 + cosine)


def first_turn(place):
    """The virtual camera of somebody's first frame: it looks at the middle of the torso's rays."""
    torso = BODY[TORSO] + place
    return turn(np.append((torso[:, :2] / torso[:, 2:]).mean(0), 1.0))


@pytest.mark.parametrize("place", PLACES)
def test_the_covariance_is_turned_back(make, camera, place):
    (skeleton,) = make().lift(standing(camera, [place]), camera, S).skeletons
    r = first_turn(place)
    want = r.T @ COVARIANCE @ r
    assert np.abs(want - COVARIANCE).max() > 1e-4
    assert np.abs(want - r @ COVARIANCE @ r.T).max() > 1e-4
    np.testing.assert_allclose(skeleton.covariance, np.broadcast_to(want, (17, 3, 3)), atol=1e-8)


def test_everyones_covariance_is_turned_by_their_own_view(make, camera):
    around = Surroundings(common_floor=False)
    result = make().lift(standing(camera, PLACES), camera, S, around=around)
    for skeleton, place in zip(result.skeletons, PLACES, strict=True):
        r = first_turn(place)
        np.testing.assert_allclose(skeleton.covariance[7], r.T @ COVARIANCE @ r, atol=1e-8)


@pytest.mark.parametrize("place", PLACES)
def test_the_pose_is_turned_back(make, camera, place):
    """In depth the graph's answer is that of BODY, in the virtual camera and nowhere else."""
    (skeleton,) = make().lift(standing(camera, [place]), camera, S).skeletons
    r, pose = first_turn(place), skeleton.xyz - skeleton.root
    np.testing.assert_allclose((pose @ r.T)[:, 2], BODY[:, 2], atol=1e-6)
    assert np.abs(pose[:, 2] - BODY[:, 2]).max() > 0.05
    assert np.abs((pose @ r)[:, 2] - BODY[:, 2]).max() > 0.05


@pytest.mark.parametrize("place", PLACES)
def test_hypotheses_are_turned_back(make, camera, place):
    result = make(keep_hypotheses=True).lift(standing(camera, [place]), camera, S)
    (skeleton,), (kept,) = result.skeletons, result.hypotheses
    r, pose = first_turn(place), skeleton.xyz - skeleton.root
    around = (kept.xyz - pose) @ r.T
    # The graph adds 0.02 x the fixed noise, which is the same whoever asks.
    centre = make(keep_hypotheses=True).lift(standing(camera, [[0, 0, 4]]), camera, S)
    noise = centre.hypotheses[0].xyz - (centre.skeletons[0].xyz - centre.skeletons[0].root)
    noise = noise @ first_turn([0, 0, 4]).T
    assert np.abs(noise).max() > 0.01
    np.testing.assert_allclose(around, noise, atol=1e-6)


def test_the_last_pose_goes_in_turned_into_todays_view(make, camera):
    lifter = make()
    feeds = spy(lifter)
    first = lifter.lift(standing(camera, [[-2.0, 0.6, 4]]), camera, 0).skeletons[0]
    second = lifter.lift(standing(camera, [[2.0, -0.3, 4]]), camera, FRAME).skeletons[0]
    lifter.lift(standing(camera, [[1.0, -0.3, 4]]), camera, 2 * FRAME)
    assert (feeds[0]["previous_pose"][0] == 0).all()
    for fed, before in zip(feeds[1:], (first, second), strict=True):
        r = turn(np.append(fed["view"][0, :2].astype(float), 1.0))
        pose = before.xyz - before.root
        np.testing.assert_allclose(fed["previous_pose"][0], pose @ r.T, atol=1e-6)
        assert np.abs(pose - pose @ r.T).max() > 0.01


@pytest.mark.parametrize("roll", [0.5, -1.2, np.pi])
def test_what_a_rolled_camera_sees_is_lifted_as_from_a_level_one(make, camera, roll):
    """Where gravity is known. The pose, its covariance and its place are the level camera's, rolled."""
    c, s = np.cos(roll), np.sin(roll)
    rolled = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    up, people = np.array([0.0, -np.cos(0.1), -np.sin(0.1)]), standing(camera, [PLACES[0]])
    level = make().lift(people, camera, S, around=Surroundings(up)).skeletons[0]
    pixels = np.concatenate([people.xy, np.ones((1, 17, 1))], -1)
    pixels = pixels @ (camera.matrix @ rolled @ np.linalg.inv(camera.matrix)).T
    tilted = replace(people, xy=pixels[..., :2] / pixels[..., 2:])
    found = make().lift(tilted, camera, S, around=Surroundings(rolled @ up)).skeletons[0]
    np.testing.assert_allclose(found.xyz, level.xyz @ rolled.T, atol=1e-4)  # what a fit stops at
    np.testing.assert_allclose(found.covariance, rolled @ level.covariance @ rolled.T, atol=1e-6)
    blind = make().lift(tilted, camera, S).skeletons  # nobody, where no body explains the keypoints
    assert all(np.abs(one.xyz - level.xyz @ rolled.T).max() > 0.1 for one in blind)


def test_a_known_height_scales_the_covariance_and_the_hypotheses_with_the_pose(make, camera):
    settings = {"keep_hypotheses": True}
    free = make(**settings).lift(standing(camera, [PLACES[0]]), camera, S)
    fixed = make(person_height=1.2, **settings).lift(standing(camera, [PLACES[0]]), camera, S)
    a, b = free.skeletons[0], fixed.skeletons[0]
    factor = 1.2 / stature(a.xyz)
    assert factor < 0.8
    np.testing.assert_allclose(b.xyz - b.root, factor * (a.xyz - a.root), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(b.covariance, factor**2 * a.covariance, rtol=1e-9)
    np.testing.assert_allclose(fixed.hypotheses[0].xyz, factor * free.hypotheses[0].xyz, rtol=1e-9)
    # The root moves along its ray.
    np.testing.assert_allclose(b.root[:2] / b.root[2], a.root[:2] / a.root[2], atol=1e-6)
    np.testing.assert_allclose(b.root[2], factor * a.root[2], rtol=1e-6)
    # What the size is not known to stretches along the ray, and only then.
    assert a.root_covariance[2, 2] - b.root_covariance[2, 2] > 0.9 * (0.05 * a.root[2]) ** 2


def test_a_stature_is_smoothed_over_a_second(make, camera):
    """A known height scales by the low-passed stature of the poses, not by each frame's own."""
    heights = [1.0, 1.0, 1.25, 0.8, 1.1, 1.0, 0.9]
    free, fixed = make(), make(person_height=1.7)
    smooth = None
    for k, height in enumerate(heights):
        # Unlike bodies before the camera make the graph answer with unlike poses.
        people = standing(camera, [[0.2, 0, 4]], body_scale=height)
        bent = people.xy.copy()
        bent[:, 13:] += 40 * (height - 1) * np.array([0, 1.0])
        people = type(people)(xy=bent, score=people.score, track_id=people.track_id)
        a = free.lift(people, camera, S + k * 3 * FRAME).skeletons[0]
        b = fixed.lift(people, camera, S + k * 3 * FRAME).skeletons[0]
        now = float(stature(a.xyz))
        smooth = now if smooth is None else smooth + (1 - np.exp(-0.1)) * (now - smooth)
        ratio = np.linalg.norm(b.xyz[3] - b.root) / np.linalg.norm(a.xyz[3] - a.root)
        size, _ = told(np.log(1.7 / smooth), (0.02 / 1.7) ** 2)
        assert ratio == pytest.approx(np.exp(size), rel=1e-5)
        if k in (2, 3):
            assert abs(now / smooth - 1) > 1e-3


def test_points_that_are_means_of_others_do_not_place_a_person(make, camera):
    """Only what a detector measured counts: a hip that is the mean of two hips says nothing new."""
    people = standing(camera, [[0.6, 0.1, 4.0]])
    bent = people.xy + 30 * np.random.default_rng(3).normal(size=people.xy.shape)
    people = type(people)(xy=bent, score=people.score, track_id=people.track_id)
    (skeleton,) = make().lift(people, camera, S).skeletons
    rays, score = coco_to_points((people.xy - camera.matrix[:2, 2]) / camera.focal, people.score)
    pose = (skeleton.xyz - skeleton.root)[None]
    measured = np.array([j not in ("hip", "spine", "thorax", "head_top") for j in H36M17.joints])
    want, _ = root_translation(pose, rays[:, :17], score[:, :17] * measured)
    other, _ = root_translation(pose, rays[:, :17], score[:, :17])
    assert np.linalg.norm(want - other) > 0.03
    np.testing.assert_allclose(skeleton.root, want[0], atol=0.01)
