"""Pose vectors: what they forget, and what they keep."""

from __future__ import annotations

import numpy as np
import pytest
from taught_bodies import OPTICAL, bend, heading, raise_left, seen, sit, stand

from diffpose_ros.core import H36M17, InputError
from diffpose_ros.search import vectors
from diffpose_ros.search.vectors import distance, pose_vectors, variants

FLAT = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
"""Lays an upright body on its front: up turns forward, forward down."""


@pytest.mark.parametrize("turn", [0.0, 77.0, 180.0, -120.0])
@pytest.mark.parametrize("size", [0.6, 1.2])
def test_place_heading_and_size_are_gone(turn: float, size: float) -> None:
    once = pose_vectors(seen(raise_left()))
    other = pose_vectors(seen(raise_left(), turn=turn, size=size, at=(-2.0, 0.5, 9.0)))
    assert np.allclose(once, other, atol=1e-9)


def test_axes_are_forward_left_up_from_the_hip() -> None:
    made = pose_vectors(seen(raise_left(), turn=30.0))
    at = {name: made[H36M17.index(name)] for name in H36M17.joints}
    assert np.allclose(at["hip"], 0)
    assert at["thorax"][2] > 0.4 and np.allclose(at["thorax"][:2], 0, atol=1e-9)
    assert at["left_hip"][1] > 0.05 and at["right_hip"][1] < -0.05
    assert at["nose"][0] > 0.05
    assert at["left_wrist"][2] > at["head_top"][2] > at["right_wrist"][2]


def test_the_bones_are_those_of_an_average_body() -> None:
    made = pose_vectors(seen(sit(), size=0.7))
    lengths = [np.linalg.norm(made[a] - made[b]) for a, b in H36M17.bones]
    assert sum(lengths) == pytest.approx(vectors.BODY_M)


def test_a_known_up_says_who_lies() -> None:
    body = stand().joints()
    up = np.array([0.0, 0.0, 1.0])
    standing, lying = pose_vectors(body, up), pose_vectors(body @ FLAT.T, up)
    assert float(distance(standing, lying)) > 0.5
    for turn in (0.0, 50.0, 200.0):
        assert np.allclose(pose_vectors(body @ FLAT.T @ heading(turn).T, up), lying, atol=1e-9)
    crown = lying[H36M17.index("head_top")]
    assert crown[0] > 0.6 and abs(crown[2]) < 0.3, "on the front the head lies ahead, not above"


def test_back_front_and_sides_differ() -> None:
    body, turned = stand().joints(), []
    for facing in range(4):
        about_trunk = heading(90.0 * facing)
        turned.append(pose_vectors(body @ about_trunk.T @ FLAT.T, np.array([0.0, 0.0, 1.0])))
    apart = [float(distance(a, b)) for i, a in enumerate(turned) for b in turned[:i]]
    assert min(apart) > 0.5


def test_without_gravity_a_camera_may_look_down_by_25_degrees() -> None:
    pitch = np.radians(25.0)
    down = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    lying = stand().joints() @ FLAT.T
    for turn in range(0, 360, 45):
        level = lying @ heading(turn).T @ OPTICAL.T
        assert vectors.step_of(vectors.leans(level @ down.T)) == vectors.LYING
        assert np.allclose(
            pose_vectors(seen(sit(), turn=turn) @ down.T), pose_vectors(seen(sit())), atol=1e-9
        )


def test_a_lean_near_the_border_has_two_vectors() -> None:
    body, up = stand().joints(), np.array([0.0, 0.0, 1.0])

    def leaning(degrees: float) -> np.ndarray:
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return body @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T

    assert [len(variants(leaning(d), up)) for d in (0, 40, 55, 65, 90, 145, 170)] == [1, 1, 2, 2, 1, 2, 1]
    upright = pose_vectors(body, up)
    assert min(float(distance(v, upright)) for v in variants(leaning(65), up)) < 1e-9


def test_bending_is_seen_by_the_legs() -> None:
    straight, bent = pose_vectors(seen(stand())), pose_vectors(seen(bend(30.0)))
    assert float(distance(straight, bent)) > 0.15


def test_a_batch_is_each_of_it() -> None:
    poses = np.stack([seen(stand()), seen(sit(), turn=40), seen(raise_left())])
    assert np.allclose(pose_vectors(poses), [pose_vectors(p) for p in poses])


def test_upright_takes_the_lean_out() -> None:
    body, up = raise_left().joints(), np.array([0.0, 0.0, 1.0])
    lying = pose_vectors(body @ FLAT.T, up)
    assert np.allclose(vectors.upright(lying), pose_vectors(body, up), atol=1e-9)


@pytest.mark.parametrize(
    ("pose", "text"),
    [
        (np.zeros((16, 3)), r"expected \(\.\.\., 17, 3\)"),
        (np.zeros((17, 3)), "expected hips and thorax apart"),
        (np.full((17, 3), np.nan), "expected finite numbers"),
        (np.outer(np.arange(17.0), [0, 1, 0]), "expected the left and the right side apart"),
    ],
)
def test_what_is_no_pose_is_refused(pose: np.ndarray, text: str) -> None:
    with pytest.raises(InputError, match=text):
        pose_vectors(pose)


def test_distance_squares() -> None:
    a = np.zeros((17, 3))
    b = a.copy()
    b[3] = [0.0, 0.17, 0.0]
    assert float(distance(a, b)) == pytest.approx(0.17 / np.sqrt(17))


def test_who_hangs_upside_down_has_the_head_below():
    """The same body upright and turned over: heads and hips change places, the side that faces stays left."""
    upright = np.random.default_rng(0).normal(0, 0.3, (17, 3))
    upright[8] = upright[0] + [0.0, -0.5, 0.0]
    hanging = upright * [-1, -1, 1]
    a, b = pose_vectors(upright), pose_vectors(hanging)
    assert a[8, 2] > 0 > b[8, 2]
    np.testing.assert_allclose(b, a * [-1, 1, -1], atol=1e-9)
