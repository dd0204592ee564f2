"""Bodies take the directions of the motion and keep their own lengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stick_body import stick_body

from diffpose_ros.data.clips import bodies, load_clips
from diffpose_ros.rendering.posing import pose

EXCERPT = Path(__file__).parents[1] / "data" / "cmu_excerpt.npz"
LIMBS = [(1, 2), (2, 3), (4, 5), (5, 6), (11, 12), (12, 13), (14, 15), (15, 16)]


@pytest.fixture(scope="module")
def motion() -> np.ndarray:
    return bodies(load_clips(EXCERPT)[:1])[0][::4].astype(np.float64)


def directions(joints: np.ndarray) -> np.ndarray:
    out = np.stack([joints[:, b] - joints[:, a] for a, b in LIMBS], axis=1)
    return out / np.linalg.norm(out, axis=-1, keepdims=True)


def test_limbs_point_where_those_of_the_motion_do(motion: np.ndarray) -> None:
    posed = pose(stick_body(), motion)
    cosine = (directions(posed.h36m17) * directions(motion[:, :17])).sum(-1)
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 0.1


def test_every_bone_turns_by_a_rotation_and_keeps_its_length(motion: np.ndarray) -> None:
    body = stick_body()
    posed = pose(body, motion)
    identity = posed.turns @ np.swapaxes(posed.turns, -1, -2)
    assert np.abs(identity - np.eye(3)).max() < 1e-9
    assert np.linalg.det(posed.turns).min() > 0.999
    parents = body.mesh.parents
    for b, parent in enumerate(parents):
        if parent >= 0:
            length = np.linalg.norm(posed.heads[:, b] - posed.heads[:, parent], axis=-1)
            np.testing.assert_allclose(length, np.linalg.norm(body.heads[b] - body.heads[parent]), atol=1e-5)


def test_shoulders_and_hips_stay_in_place_within_centimetres(motion: np.ndarray) -> None:
    """The trunk has five bones for the motion's two, so that its ends agree but nearly."""
    posed = pose(stick_body(), motion).h36m17
    for a, b in ((14, 11), (1, 4)):
        ours, theirs = posed[:, b] - posed[:, a], motion[:, b] - motion[:, a]
        cosine = (ours * theirs).sum(-1) / np.linalg.norm(ours, axis=-1) / np.linalg.norm(theirs, axis=-1)
        assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean() < 6


def test_knees_bend_backwards_and_feet_stay_on_the_ground(motion: np.ndarray) -> None:
    body = stick_body()
    posed = pose(body, motion)
    thigh, shank = posed.h36m17[:, 5] - posed.h36m17[:, 4], posed.h36m17[:, 6] - posed.h36m17[:, 5]
    left = posed.turns[:, body.mesh.bone("pelvis.L")][:, :, 0]
    axis = np.cross(thigh, shank)
    bent = np.linalg.norm(axis, axis=-1) > 0.03
    assert bent.any() and ((axis * left).sum(-1)[bent] > 0).mean() > 0.9
    lowest = np.quantile(posed.h36m17[:, [3, 6], 1], 0.02)
    assert abs(lowest - body.heads[body.mesh.bone("foot.L"), 1]) < 0.01


def test_the_skin_follows_the_bones(motion: np.ndarray) -> None:
    body = stick_body()
    posed = pose(body, motion[:1])
    corners = posed.vertices(0).reshape(-1, 6, 3)
    np.testing.assert_allclose(corners.mean(1), posed.heads[0], atol=1e-5)


def test_the_rest_pose_of_a_body_gives_that_body_back() -> None:
    body = stick_body()
    still = pose(body, np.concatenate([joints_of(body), body.keypoints[1:5]])[None])
    moved = still.heads[0] - still.h36m17[0, 0] + joints_of(body)[0]
    away = np.linalg.norm(moved - body.heads, axis=-1)
    fingers = np.array(["finger" in name for name in body.mesh.bones])
    assert away[~fingers].max() < 0.02


def joints_of(body) -> np.ndarray:
    at = {name: body.heads[i] for i, name in enumerate(body.mesh.bones)}
    out = np.zeros((17, 3))
    for side, leg, arm in (("R", 1, 14), ("L", 4, 11)):
        for i, name in enumerate(("upperleg01", "lowerleg01", "foot")):
            out[leg + i] = at[f"{name}.{side}"]
        for i, name in enumerate(("upperarm01", "lowerarm01", "wrist")):
            out[arm + i] = at[f"{name}.{side}"]
    out[0] = (out[1] + out[4]) / 2
    out[8] = out[0] + 0.857 * ((out[11] + out[14]) / 2 - out[0])
    out[7] = out[0] + 0.735 * (out[8] - out[0])
    out[9], out[10] = body.keypoints[0], at["head"] + [0, 0.2, 0]
    return out
