"""The parts of pretended views by hand: what is in the picture, what hides what, which way somebody looks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from walker import POSE

from diffpose_ros.core import COCO17
from diffpose_ros.data.virtual import detector_noise, learnt_noise
from diffpose_ros.data.virtual.augment import rotation_from_vector
from diffpose_ros.data.virtual.camera import Cameras, project
from diffpose_ros.data.virtual.detector_noise import NoiseConfig, detect
from diffpose_ros.data.virtual.occlusion import hidden_by_self
from diffpose_ros.data.virtual.people import coco_keypoints

FACE = np.array([(0.03, -0.63, -0.08), (-0.03, -0.63, -0.08), (0.07, -0.6, 0.02), (-0.07, -0.6, 0.02)])
"""Left eye, right eye, left ear, right ear of somebody who faces the camera."""
BODY = np.concatenate([POSE, FACE])
J = {name: i for i, name in enumerate(COCO17.joints)}


def seen(turn_deg, at=(0.0, 0.0, 4.0)):
    """(1, 1, 21, 3) body and (1, 1, 17, 3) keypoints of somebody who turns to the right by so much: at 90
    degrees the left side is towards the camera."""
    body = BODY @ Rotation.from_euler("y", turn_deg, degrees=True).as_matrix().T + at
    body = body[None, None].astype(np.float32)
    return body, coco_keypoints(body, None)


@pytest.mark.parametrize(
    ("turn_deg", "hidden", "shown"),
    [
        (0, [], ["nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_wrist", "right_wrist"]),
        (180, ["nose", "left_eye", "right_eye"], ["left_ear", "right_ear", "left_wrist", "right_wrist"]),
        (90, ["right_ear", "right_elbow", "right_wrist"], ["nose", "left_ear", "left_elbow", "left_wrist"]),
        (-90, ["left_ear", "left_elbow", "left_wrist"], ["nose", "right_ear", "right_elbow", "right_wrist"]),
    ],
    ids=["front", "back", "left side", "right side"],
)
def test_a_body_hides_what_lies_behind_it(turn_deg, hidden, shown):
    behind = hidden_by_self(*seen(turn_deg))[0, 0]
    assert behind[[J[name] for name in hidden]].all()
    assert not behind[[J[name] for name in shown]].any()


@pytest.mark.parametrize(("aside_m", "hides"), [(0.06, True), (0.075, False)])
def test_a_shin_hides_what_is_no_farther_from_its_axis_than_it_is_thick(aside_m, hides):
    """6.5 cm of a body whose legs are 0.82 m long; these are 0.85 m."""
    body, keypoints = seen(0, at=(0.13, 0.0, 4.0))  # the right shin stands before x = 0
    keypoints[0, 0, J["left_wrist"]] = (aside_m * 4.4 / 4.035, 0.64 * 4.4 / 4.035, 4.4)
    assert hidden_by_self(body, keypoints)[0, 0, J["left_wrist"]] == hides


def test_only_what_lies_within_the_picture_is_visible():
    """The focal length is the width, and the picture nine sixteenths as high."""
    points = np.array([(0.49, 0, 1), (0.51, 0, 1), (0, 0.28, 1), (0, -0.29, 1), (0, 0, 0.1), (0, 0, -1)])
    cameras = Cameras(np.eye(3)[None, None], np.zeros((1, 1, 3)), np.ones(1), np.full(1, 9 / 16))
    views = project(cameras, points[None, None].astype(np.float32))
    assert views.visible[0, 0].tolist() == [True, False, True, False, False, False]


def test_a_rotation_vector_is_turned_into_its_matrix():
    vectors = np.random.default_rng(0).normal(size=(20, 3))
    np.testing.assert_allclose(rotation_from_vector(vectors), Rotation.from_rotvec(vectors).as_matrix())


@pytest.mark.parametrize(
    ("turn_deg", "view", "mirrored"),
    [(0, learnt_noise.FRONT, False), (180, learnt_noise.BACK, False), (-90, learnt_noise.SIDE, False),
     (90, learnt_noise.SIDE, True)],
)  # fmt: skip
def test_from_where_somebody_is_seen(turn_deg, view, mirrored):
    """Whoever turns the right side to the camera looks to the right in the image; the other is mirrored."""
    body, _ = seen(turn_deg)
    nose = body[0, 0, 9] - body[0, 0, 17:].mean(axis=0)
    if view == learnt_noise.SIDE:
        assert (nose[0] < 0) == mirrored
    got = learnt_noise.facing(body[:, :, :17])
    assert (got[0][0, 0], bool(got[1][0, 0])) == (view, mirrored)


def test_the_trunks_axes_are_right_and_down_of_somebody_upright():
    _, keypoints = seen(0)
    axes = learnt_noise.trunk_axes(keypoints[0, 0, :, :2])
    np.testing.assert_allclose(axes, np.eye(2), atol=1e-6)  # columns: right, down
    lying = keypoints[0, 0, :, :2] @ np.array([[0.0, 1], [-1, 0]])  # by a quarter, x to y
    np.testing.assert_allclose(learnt_noise.trunk_axes(lying), [[0, -1], [1, 0]], atol=1e-6)


def test_made_jitter_has_unit_variance_and_forgets_in_its_time():
    """At uneven steps, too: exp(- step / time constant) is left."""
    dt, tau = np.array([0.0, 0.05, 0.2, 0.1]), 0.15
    noise = detector_noise._correlated(np.random.default_rng(0), (40_000, 4), dt, np.full(40_000, tau))
    assert noise.std(axis=0) == pytest.approx(np.ones(4), rel=0.02)
    for k in (1, 2, 3):
        assert (noise[:, k] * noise[:, k - 1]).mean() == pytest.approx(np.exp(-dt[k] / tau), abs=0.02)


def test_made_exchanges_put_keypoints_where_the_other_side_is():
    times = np.arange(60) / 30
    truth = np.tile(seen(0)[1][..., :2] / 4.0, (20, 60, 1, 1)).astype(np.float32)
    config = NoiseConfig(jitter=(1e-9, 1.1e-9), bias=0.0, bursts_per_s=(0.0, 0.0), swaps_per_s=(2.0, 2.0),
                         blackout=0.0)  # fmt: skip
    xy, score = detect(truth, np.ones(truth.shape[:3], bool), times, np.random.default_rng(0), config)
    told = score > 0
    own, other = (np.abs(xy - t).max(axis=-1) < 1e-5 for t in (truth, truth[:, :, list(COCO17.flip)]))
    assert (own | other)[told].all()
    assert 0.02 < (other & ~own)[told].mean() < 0.4
