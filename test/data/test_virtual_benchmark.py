"""Benchmarks made from motion capture."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core import COCO17, H36M17, InputError
from diffpose_ros.data.benchmark import load, to_benchmark
from diffpose_ros.data.clips import Clip
from diffpose_ros.data.virtual.benchmark import record
from diffpose_ros.data.virtual.camera import CameraConfig
from diffpose_ros.data.virtual.detector_noise import NoiseConfig

EXACT = NoiseConfig(
    jitter=(1e-9, 1.1e-9), bias=0.0, bursts_per_s=(0.0, 0.0), swaps_per_s=(0.0, 0.0), blackout=0.0
)
CENTRED = CameraConfig(distance=(3.0, 6.0), off_centre=0.0, moving=0.0)


def walker(frames=30, fps=30.0, speed=1.0) -> Clip:
    body = np.random.default_rng(1).uniform([-0.3, 0, -0.2], [0.3, 1.7, 0.2], (17, 3))
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
