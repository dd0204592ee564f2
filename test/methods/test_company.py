"""People who stand on one floor tell of each other's size."""

from __future__ import annotations

import numpy as np
import pytest
from walker import CAMERA, DT, HIP_M, POSE, UP

from diffpose_ros.core import H36M17
from diffpose_ros.history import PeopleState, Rows
from diffpose_ros.methods.protocol import Observed, Poses
from diffpose_ros.methods.root import RootStage, ScaleSource
from diffpose_ros.methods.root.company import HEAD_GROWS

HEIGHT = 1.4
NOSE = H36M17.index("nose")
EARS = np.array([(0.0, 0, 0), (0, 0, 0), (0.0725, 0, 0.12), (-0.0725, 0, 0.12)])
"""Of an adult, from the nose: the eyes are not asked."""


def seen_of(size, root, head):
    """(21, 2) rays of somebody ``size`` times as large as the pose, whose head is ``head`` times so."""
    at = np.concatenate([POSE * size, POSE[NOSE] * size + EARS * head]) + root
    return at[:, :2] / at[:, 2:]


def together(people, *, frames=30, noise=0.002, up=None, faces=True, common_floor=True, spread=0.0):
    """The last answer about people (size, x, z, height of their floor, size of the head)."""
    stage, rng = RootStage(), np.random.default_rng(0)
    state = PeopleState(len(people), stage.state())
    for frame in range(frames):
        now = (frame + 1) * round(DT * 1e9)
        state.bring_to_front(list(range(len(people))), now)
        rows = Rows(state, slice(0, len(people)), now)
        rays = np.array(
            [seen_of(size, (x, HEIGHT - HIP_M * size - lift, z), head) for size, x, z, lift, head in people]
        )
        scores = np.ones((len(people), 21))
        scores[:, 17:] = faces
        rays += rng.normal(scale=noise, size=rays.shape)
        observed = Observed(now, CAMERA, rays, scores, up=up, common_floor=common_floor)
        covariance = np.broadcast_to(spread**2 * np.eye(3), (len(people), 17, 3, 3))
        poses = Poses(np.repeat(POSE[None], len(people), 0), covariance)
        placed = stage.place(poses, observed, rows)
        rows.commit(np.ones(len(people), dtype=bool))
    return placed


ADULT = (1.0, -1.0, 5.0, 0.0, 1.0)


def child(size, z=4.0):
    return (size, 1.0, z, 0.0, size ** (1 - HEAD_GROWS))


@pytest.mark.parametrize("up", [None, UP], ids=["nothing known", "gravity known"])
@pytest.mark.parametrize("size", [0.55, 0.65, 0.75])
def test_a_child_beside_an_adult_is_a_child(size, up) -> None:
    placed = together([ADULT, child(size)], up=up)
    assert placed.scale == pytest.approx([1.0, size], abs=0.06)
    assert placed.root[:, 2] == pytest.approx([5.0, 4.0], rel=0.08)
    assert placed.source == (ScaleSource.BODY_PRIOR,) * 2  # as good as the guess of the adult's size


def test_a_child_is_one_from_the_first_frame_on() -> None:
    assert together([ADULT, child(0.65)], frames=1).root[1, 2] == pytest.approx(4.0, rel=0.15)


def test_adults_of_different_size_are_adults() -> None:
    placed = together([ADULT, (1.06, 1.0, 4.0, 0.0, 1.02), (0.95, 0.0, 6.0, 0.0, 0.98)])
    assert placed.scale == pytest.approx([1.0, 1.0, 1.0], abs=0.02)


@pytest.mark.parametrize("lift", [0.3, 0.6])
def test_an_adult_on_a_stage_makes_nobody_a_child(lift) -> None:
    """The one on the floor says too much of the camera's height, as a child would, with an adult's head."""
    placed = together([ADULT, (1.0, 1.0, 5.0, lift, 1.0)])
    assert placed.scale == pytest.approx([1.0, 1.0], abs=0.12)
    assert abs(placed.root[0, 2] - 5.0) < np.sqrt(placed.covariance[0, 2, 2])


def test_what_is_not_sure_is_in_the_covariance() -> None:
    """Without a face it may be a child or somebody below a stage."""
    placed = together([ADULT, child(0.7)], faces=False)
    off = abs(placed.root[1, 2] - 4.0)
    assert off < 1.5 * np.sqrt(placed.covariance[1, 2, 2])
    assert placed.covariance[1, 2, 2] > 4 * placed.covariance[0, 2, 2]


def test_poses_that_are_not_sure_tell_less() -> None:
    """Poses that may be 10 cm off make adults say heights as different as a child does; 4 cm are nothing."""
    small = [ADULT, child(0.74)]
    exact, sure, unsure = (together(small, faces=False, spread=s).scale[1] for s in (0.0, 0.04, 0.10))
    assert exact < 0.85
    assert sure == pytest.approx(exact)
    assert unsure > 0.99


def test_somebody_alone_is_as_before() -> None:
    placed = together([child(0.65)])
    assert placed.scale.tolist() == [1.0]


def test_people_in_places_of_their_own_are_not_compared() -> None:
    placed = together([ADULT, child(0.65)], common_floor=False)
    assert placed.scale.tolist() == [1.0, 1.0]
