"""Up and height of a fixed camera are learnt from people who walk before it, and of a moving one never."""

from __future__ import annotations

from math import radians

import numpy as np
import pytest

from diffpose_ros.core import H36M17, Skeleton, Surroundings
from diffpose_ros.lifting.camera_place import CameraPlace

DT, STEP_S = 1 / 15, 0.5
J = H36M17.index
UPRIGHT = {
    "spine": (0, 0.24, 0), "thorax": (0, 0.48, 0), "nose": (0, 0.6, 0.1), "head_top": (0, 0.75, 0),
    "left_shoulder": (-0.17, 0.46, 0), "left_elbow": (-0.2, 0.18, 0), "left_wrist": (-0.2, -0.06, 0),
    "right_shoulder": (0.17, 0.46, 0), "right_elbow": (0.2, 0.18, 0), "right_wrist": (0.2, -0.06, 0),
}  # fmt: skip


def walker(rng, frames):
    """Hips and feet of somebody who walks straight on, over a floor at y = 0: (F, 17, 3), (F, 2), (3,)."""
    angle, speed = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.4)
    velocity = speed * np.array([np.cos(angle), 0, np.sin(angle)])
    middle = np.array([rng.uniform(-1, 1), 0.95, rng.uniform(3.5, 5.5)])
    time = np.arange(frames) * DT
    path = middle + (time - time.mean())[:, None] * velocity
    body = np.repeat(path[:, None], 17, axis=1)
    for name, at in UPRIGHT.items():
        body[:, J(name)] += at
    contact = np.zeros((frames, 2))
    for k, (side, x) in enumerate((("right", 0.13), ("left", -0.13))):
        phase = (time / STEP_S + k) % 2
        stands = phase < 1
        contact[:, k] = stands
        off = np.where(stands, 0.5 - phase, phase - 1.5)[:, None] * STEP_S * velocity
        body[:, J(f"{side}_hip")] += (x, 0, 0)
        body[:, J(f"{side}_knee")] += 0.5 * off + (x, -0.43, 0.02)
        body[:, J(f"{side}_ankle")] += off + np.array([x, -0.85, 0])
        body[~stands, J(f"{side}_ankle")] += (0, 0.07, 0)
    return body, contact, velocity


def scene(around, *, people=3, seconds=12.0, seed=0, turn=lambda t: np.eye(3), slide=False):
    """Frames of skeletons: walkers, two at a time, as a lifter that errs sees them from a camera."""
    rng = np.random.default_rng(seed)
    up = around.up
    ahead = np.array([0, 0, 1.0]) - up[2] * up
    ahead /= np.linalg.norm(ahead)
    axes = np.stack([np.cross(up, ahead), up, ahead], axis=1)  # world to camera
    frames = round(seconds / DT)
    seen = [[] for _ in range(frames)]
    length = round(4.0 / DT)
    for person in range(people * round(seconds / 4.0)):
        begin = person // people * length
        body, contact, velocity = walker(rng, length)
        size, slow = np.exp(rng.normal(0, 0.04)), 0.0
        lean = np.radians(rng.normal(0, 2.5, 2))
        for k in range(min(length, frames - begin)):
            slow += DT * (-slow + 0.02 * rng.normal() / np.sqrt(DT))
            at = (body[k] - [0, around.camera_height, 0]) @ axes.T
            at = at @ turn((begin + k) * DT).T
            root = at[0].copy()
            at = root + (at - root) @ rotation(lean[0], 0, lean[1]).T
            at *= np.exp(slow + np.log(size))
            seen[begin + k].append(seen_as(at, person, axes @ velocity, np.zeros(2) if slide else contact[k]))
    return seen


def seen_as(xyz, track_id, velocity, contact):
    return Skeleton(
        xyz=xyz, covariance=np.tile(1e-4 * np.eye(3), (17, 1, 1)), score=np.ones(17), root=xyz[0],
        root_is_metric=False, track_id=track_id, velocity=velocity, contact=contact,
    )  # fmt: skip


def rotation(x, y, z):
    """(3, 3) of small angles about the axes, one after the other."""
    out = np.eye(3)
    for axis, angle in enumerate((x, y, z)):
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        out = turn @ out
    return out


def watch(frames, place=None, begin=0):
    """What was believed of up, frame by frame."""
    place, believed = place or CameraPlace(), []
    for k, skeletons in enumerate(frames):
        place.see(skeletons, 1_000_000_000 + round((begin + k) * DT * 1e9))
        believed.append(place.up)
    return place, believed


def wrong_deg(up, around):
    return float(np.degrees(np.arccos(np.clip(up @ around.up, -1, 1))))


@pytest.mark.parametrize(("pitch", "roll", "height"), [(0, 0, 1.2), (20, -8, 2.0), (35, 5, 3.0)])
def test_several_walkers_tell_up_and_height(pitch, roll, height) -> None:
    around = Surroundings.of_angles(pitch, roll, height)
    place, believed = watch(scene(around))
    first = next(k for k, up in enumerate(believed) if up is not None)
    assert 2.0 < first * DT < 9.0
    assert max(wrong_deg(up, around) for up in believed[first:] if up is not None) < 4.0
    assert wrong_deg(place.up, around) < 1.5
    assert place.camera_height == pytest.approx(height, rel=0.08)
    assert "looks down by" in place.said
    assert "+-" in place.said


def test_one_walker_takes_longer_than_three() -> None:
    around = Surroundings.of_angles(15, 0, 1.8)
    begun = []
    for people in (3, 1):
        place, believed = watch(scene(around, people=people, seconds=24.0, seed=4))
        begun.append(next(k for k, up in enumerate(believed) if up is not None))
        assert wrong_deg(place.up, around) < 2.5
    assert begun[1] > begun[0]


def test_nothing_is_said_of_people_who_stand() -> None:
    around = Surroundings.of_angles(10, 0, 1.5)
    frames = scene(around, seconds=4.0)
    place, believed = watch([frames[20]] * 200)
    assert believed == [None] * 200
    assert place.camera_height is None
    assert "not" in place.said or "nobody" in place.said


@pytest.mark.parametrize(
    ("turn", "why"),
    [
        (lambda t: rotation(0, 0, radians(5) * np.sin(1.5 * t)), "people sway by"),
        (lambda t: rotation(radians(1.5) * t, 0, 0), "degrees farther each second"),
    ],
)
def test_a_camera_that_rolls_or_nods_is_noticed(turn, why) -> None:
    place, _ = watch(scene(Surroundings.of_angles(10, 0, 1.5), turn=turn, seed=2))
    assert place.up is None
    assert why in place.said


def test_a_camera_that_begins_to_move_is_noticed_within_seconds() -> None:
    around = Surroundings.of_angles(10, 0, 1.5)
    place, _ = watch(scene(around))
    assert place.up is not None
    _, believed = watch(scene(around, slide=True, seconds=8.0), place, begin=180)
    assert believed[round(5.0 / DT)] is None
    assert "people slide before it" in place.said


def test_a_camera_that_was_turned_is_learnt_anew() -> None:
    before, after = Surroundings.of_angles(10, 0, 1.5), Surroundings.of_angles(28, 0, 1.5)
    place, _ = watch(scene(before))
    assert place.up is not None
    frames = scene(after, seconds=16.0, seed=5)
    place, believed = watch(frames, place, begin=400)
    assert any(up is None for up in believed)
    assert place.up is None or wrong_deg(place.up, after) < 3.0


def test_reset_forgets_everything() -> None:
    place, _ = watch(scene(Surroundings.of_angles(0, 0, 1.2)))
    assert place.up is not None
    place.reset()
    assert place.up is None
    assert place.camera_height is None
