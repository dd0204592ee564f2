"""Benchmarks made from motion capture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffpose_ros.core import COCO17, H36M17, InputError
from diffpose_ros.data.benchmark import load, to_benchmark
from diffpose_ros.data.clips import Clip, load_clips
from diffpose_ros.data.virtual.benchmark import record
from diffpose_ros.data.virtual.camera import CameraConfig
from diffpose_ros.data.virtual.detector_noise import NoiseConfig
from diffpose_ros.data.virtual.kinds import KINDS

EXCERPT = Path(__file__).parents[1] / "data" / "cmu_excerpt.npz"
EXACT = NoiseConfig(
    jitter=(1e-9, 1.1e-9), bias=0.0, bursts_per_s=(0.0, 0.0), swaps_per_s=(0.0, 0.0), blackout=0.0
)
CENTRED = CameraConfig(distance=(3.0, 6.0), off_centre=0.0, moving=0.0)


def walker(frames=30, fps=30.0, speed=1.0) -> Clip:
    body = np.random.default_rng(1).uniform([-0.3, 0, -0.2], [0.3, 1.7, 0.2], (17, 3))
    body[[0, 3, 6, 8, 10], 1] = 0.95, 0.08, 0.08, 1.4, 1.7
    path = np.arange(frames)[:, None, None] / fps * speed * np.array([1.0, 0, 0])
    return Clip("walk", "s1", "Walking", fps, body + path)


def test_every_clip_is_seen_by_every_camera():
    got = record([walker(), walker(fps=60.0)], seed=1, views=3)
    assert [s.name for s in got] == ["walk@0", "walk@1", "walk@2"] * 2
    assert [s.fps for s in got] == [30.0] * 3 + [60.0] * 3
    assert {(s.subject, s.action, len(s)) for s in got} == {("s1", "Walking", 30)}
    assert len({float(s.camera.matrix[0, 0]) for s in got}) == 6


def test_the_same_seed_gives_the_same_benchmark():
    one, two, other = (record([walker()], seed=s)[1] for s in (5, 5, 6))
    np.testing.assert_array_equal(one.keypoints, two.keypoints)
    assert not np.array_equal(one.keypoints, other.keypoints)


def test_without_noise_keypoints_are_the_skeletons_projection():
    for s in record([walker()], seed=2, views=4, camera=CENTRED, noise=EXACT):
        assert s.camera.matrix[:2, 2].tolist() == [s.camera.width / 2, s.camera.height / 2]
        pixels = s.skeleton @ s.camera.matrix.T
        pixels = pixels[..., :2] / pixels[..., 2:]
        for i, name in enumerate(COCO17.joints):
            if name in H36M17.joints:
                told = s.keypoints[:, i, 2] > 0
                want = pixels[:, H36M17.index(name)][told]
                np.testing.assert_allclose(s.keypoints[told, i, :2], want, atol=0.01)


def test_the_body_keeps_its_size_and_stands_before_the_camera():
    clip = walker()
    for s in record([clip], seed=3, views=5):
        assert s.skeleton[..., 2].min() > 0.3
        for a, b in H36M17.bones:
            length = np.linalg.norm(s.skeleton[:, a] - s.skeleton[:, b], axis=-1)
            want = np.linalg.norm(clip.h36m17[0, a] - clip.h36m17[0, b])
            np.testing.assert_allclose(length, want, rtol=1e-3)


def test_the_result_is_a_benchmark_file(tmp_path):
    made = record([walker()], seed=4, views=3, width=640)
    to_benchmark(tmp_path / "b.npz", made)
    got = load(tmp_path / "b.npz")
    assert {s.camera.width for s in got} == {640}
    np.testing.assert_allclose(got[2].keypoints, made[2].keypoints, atol=1e-3)


def test_a_walk_through_every_camera_is_refused():
    near = CameraConfig(distance=(0.5, 0.6), height=(0.9, 1.0), moving=0.0)
    with pytest.raises(InputError, match=r"clip 'walk': no camera within .* allow larger distances"):
        record([walker(frames=200, speed=10.0)], seed=1, camera=near)


@pytest.mark.parametrize("wrong", [{"views": 0}, {"width": 0}])
def test_no_views_and_no_image_are_refused(wrong):
    with pytest.raises(InputError, match="expected views and width above 0"):
        record([walker()], seed=1, **wrong)


def test_a_camera_that_stands_knows_gravity_and_its_height_and_one_that_moves_does_not():
    clip = walker()
    still = record([clip], seed=6, views=3, camera=CENTRED)
    for s in still:
        up, height = s.around.up, s.around.camera_height
        # The thorax hangs where it does in the motion, seen along gravity from the camera.
        np.testing.assert_allclose(s.skeleton[:, 8] @ up + height, clip.h36m17[:, 8, 1], atol=1e-4)
    moving = record([clip], seed=6, camera=CameraConfig(distance=(3.0, 6.0), moving=1.0))
    assert all(s.around.up is None and s.around.camera_height is None for s in moving)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_what_it_says(kind: str):
    clips = [c.middle(1.0) for c in load_clips(EXCERPT)]
    seen = record(clips, seed=7, views=3, kind=KINDS[kind], noise=NoiseConfig(kind="learnt", made_share=0.0))
    up = np.array([s.around.up for s in seen])
    pitch = np.degrees(np.arcsin(-up[:, 2]))  # how far the camera looks down
    roll = np.abs(np.degrees(np.arctan2(up[:, 0], -up[:, 1])))
    size = np.array([np.linalg.norm(s.skeleton[:, 8] - s.skeleton[:, 0], axis=-1).mean() for s in seen])
    adult = np.array([np.linalg.norm(c.h36m17[:, 8] - c.h36m17[:, 0], axis=-1).mean() for c in clips]).mean()
    feet = np.array([_inside(s, [3, 6]) for s in seen])
    hands = np.array([_inside(s, [11, 14]) for s in seen])
    assert (pitch.mean() > 15) == (kind == "above")
    assert (roll.mean() > 15) == (kind == "rolled")
    assert (size.mean() < 0.8 * adult) == (kind == "children")
    assert (feet.mean() < 0.25) == (kind == "close")
    assert hands.mean() > 0.8
    assert min(s.skeleton[..., 2].min() for s in seen) > 0.3


def _inside(s, joints) -> float:
    """The share of the joints' frames that lie in the picture."""
    pixels = s.skeleton[:, joints] @ s.camera.matrix.T
    pixels = pixels[..., :2] / pixels[..., 2:]
    return float(((pixels > 0) & (pixels < [s.camera.width, s.camera.height])).all(-1).mean())
