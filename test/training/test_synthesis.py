"""Virtual views of motion capture: geometry that holds, noise that is bounded, batches that repeat."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from diffpose_ros.core import H36M17, InputError
from diffpose_ros.data.clips import Clip
from diffpose_ros.data.virtual import augment
from diffpose_ros.data.virtual.camera import CameraConfig, view
from diffpose_ros.data.virtual.detector_noise import NoiseConfig, detect
from diffpose_ros.data.virtual.synthesis import (
    LEG_M,
    SPINE_PART,
    MotionLibrary,
    SynthesisConfig,
    make_batch,
    one_convention,
    time_grid,
)


def test_a_batch_is_a_function_of_its_seed(library: MotionLibrary) -> None:
    config = SynthesisConfig(frames=20)
    a = make_batch(library, 4, np.random.default_rng((1, 2)), config)
    b = make_batch(library, 4, np.random.default_rng((1, 2)), config)
    c = make_batch(library, 4, np.random.default_rng((1, 3)), config)
    assert np.array_equal(a.points, b.points)
    assert not np.array_equal(a.points, c.points)


def test_shapes_units_and_masks(library: MotionLibrary) -> None:
    batch = make_batch(library, 8, np.random.default_rng(0), SynthesisConfig(frames=30))
    assert batch.points.shape == (8, 30, 21, 3)
    assert batch.view.shape == (8, 30, 9)
    assert (batch.view[..., 6:] == 0).all(), "nothing was told of gravity"
    assert batch.pose.shape == (8, 30, 17, 3)
    assert np.isfinite(batch.points).all()
    assert np.isfinite(batch.pose).all()
    assert np.allclose(batch.pose[:, :, 0], 0, atol=1e-5)
    assert (batch.points[..., 10, 2] == 0).all(), "COCO has no head top"
    masked = batch.points[..., 2] == 0
    assert (batch.points[masked] == 0).all()
    assert 0.3 < np.abs(batch.pose).max() < 2.0


def test_points_are_the_poses_projection_when_the_detector_is_perfect(
    library: MotionLibrary,
) -> None:
    perfect = NoiseConfig(jitter=(1e-6, 2e-6), bias=0.0, bursts_per_s=(0, 0), swaps_per_s=(0, 0),
                          blackout=0.0)  # fmt: skip
    config = SynthesisConfig(frames=10, noise=perfect)
    batch = make_batch(library, 6, np.random.default_rng(3), config)
    seen = batch.points[..., :17, 2] > 0
    rays = batch.points[..., :17, :2] * batch.scale[..., None, None]
    # Solve for the root that explains the right knee, then check the other limb joints.
    for b, t in [(0, 0), (3, 5), (5, 9)]:
        use = [j for j in (1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16) if seen[b, t, j]]
        if len(use) < 4:
            continue
        a = np.zeros((2 * len(use), 3))
        y = np.zeros(2 * len(use))
        for i, j in enumerate(use):
            for axis in (0, 1):
                u = rays[b, t, j, axis]
                a[2 * i + axis, axis], a[2 * i + axis, 2] = 1, -u
                y[2 * i + axis] = u * batch.pose[b, t, j, 2] - batch.pose[b, t, j, axis]
        root, *_ = np.linalg.lstsq(a, y, rcond=None)
        assert np.abs(a @ root - y).max() < 2e-3
        assert root[2] > 0.5


class TestBuilds:
    """Bones turned once and for all: other people, same motions."""

    def turned(self, library: MotionLibrary, spread: float = 0.1):
        times = np.arange(12) / 30
        body, _ = library.sample(6, times, np.random.default_rng(0), (1.0, 1.0))
        return body, augment.offset_bones(body, np.random.default_rng(1), spread)

    def test_bones_keep_their_length_and_the_root_its_path(self, library: MotionLibrary) -> None:
        body, other = self.turned(library)
        before, after = (np.linalg.norm(augment.bones(b)[:, :, 1:], axis=-1) for b in (body, other))
        assert np.allclose(before, after, atol=1e-5)
        assert np.array_equal(body[:, :, 0], other[:, :, 0])
        assert 0.01 < np.abs(body - other).max() < 0.5

    def test_the_offset_stays_for_the_whole_segment(self, library: MotionLibrary) -> None:
        body, other = self.turned(library)
        frame = augment.torso_frame(body)
        for j in (1, 7, 9, 11):
            a, b = (np.einsum("btji,btj->bti", frame, augment.bones(x)[:, :, j]) for x in (body, other))
            # One rotation for all frames keeps the angles between a bone's directions in any two.
            assert np.allclose(a @ a.swapaxes(1, 2), b @ b.swapaxes(1, 2), atol=1e-5)
            assert np.abs(a - b).max() > 1e-3

    def test_left_and_right_turn_as_mirror_images(self, library: MotionLibrary) -> None:
        body, _ = self.turned(library)
        body = body - body[:, :, :1]
        both = np.ones(len(body), dtype=bool)
        even = (0.5 * (body + augment.mirror(body, both))).astype(np.float32)
        other = augment.offset_bones(even, np.random.default_rng(1), 0.1)
        for right, left in ((1, 4), (2, 5), (3, 6)):  # what hangs on a spine that was turned does not
            assert np.allclose(other[:, :, right] * [-1, 1, 1], other[:, :, left], atol=1e-5)
            assert np.abs(other - even)[:, :, left].max() > 0.005

    def test_none_is_none(self, library: MotionLibrary) -> None:
        body, other = self.turned(library, 0.0)
        assert np.allclose(body, other, atol=1e-5)


def test_mirror_twice_is_nothing() -> None:
    body = np.random.default_rng(0).normal(size=(2, 3, 21, 3)).astype(np.float32)
    both = np.array([True, False])
    assert np.allclose(augment.mirror(augment.mirror(body, both), both), body)
    assert not np.allclose(augment.mirror(body, both)[0], body[0])


def test_bones_and_assemble_are_inverse() -> None:
    body = np.random.default_rng(0).normal(size=(2, 3, 21, 3)).astype(np.float32)
    assert np.allclose(augment.assemble(augment.bones(body)), body, atol=1e-5)


@pytest.mark.parametrize("change", ["crossover", "rotate_joints"])
def test_new_poses_keep_bone_lengths(library: MotionLibrary, change: str) -> None:
    rng = np.random.default_rng(1)
    body, _ = library.sample(6, np.arange(12) / 30, rng, (0.7, 1.4))
    new = getattr(augment, change)(body, rng, 0.9)
    assert not np.allclose(new, body, atol=1e-3)
    for a, b in H36M17.bones:
        if a in (8,) and change == "crossover":
            continue
        before = np.linalg.norm(body[:, :, a] - body[:, :, b], axis=-1)
        after = np.linalg.norm(new[:, :, a] - new[:, :, b], axis=-1)
        assert np.allclose(before, after, atol=1e-4), (a, b)


def test_other_bodies_stay_symmetric(library: MotionLibrary) -> None:
    rng = np.random.default_rng(2)
    body = augment.reshape_body(library.sample(6, np.arange(5) / 30, rng, (1, 1))[0], rng, 0.1)
    left = np.linalg.norm(body[:, :, 11] - body[:, :, 8], axis=-1)
    right = np.linalg.norm(body[:, :, 14] - body[:, :, 8], axis=-1)
    assert np.allclose(left, right, rtol=1e-3)
    height = body[:, 0, 10, 1] - body[:, 0, 3, 1]
    assert height.std() > 0.02


def test_the_body_is_in_front_of_every_camera(library: MotionLibrary) -> None:
    rng = np.random.default_rng(4)
    times = np.arange(10) / 30
    body, _ = library.sample(50, times, rng, (1, 1))
    seen = view(body, times, rng, CameraConfig())
    assert (seen.xyz[..., 2] > 0.2).mean() > 0.98
    assert 0.75 < seen.visible.mean() <= 1.0
    # Y down in the image: heads are above hips for cameras that look ahead.
    above = seen.tangents[:, :, 10, 1] < seen.tangents[:, :, 0, 1]
    assert above.mean() > 0.95


def test_a_worse_detector_is_worse(library: MotionLibrary) -> None:
    rng = np.random.default_rng(5)
    times = np.arange(30) / 30
    body, _ = library.sample(20, times, rng, (1, 1))
    seen = view(body, times, rng, CameraConfig(moving=0.0))
    truth, visible = seen.tangents[:, :, :17], seen.visible[:, :, :17]
    errors = []
    for jitter in ((0.005, 0.006), (0.05, 0.06)):
        config = dataclasses.replace(NoiseConfig(), jitter=jitter, bursts_per_s=(0, 0), swaps_per_s=(0, 0))
        xy, score = detect(truth, visible, times, np.random.default_rng(6), config)
        assert score.min() >= 0
        assert score.max() <= 1
        errors.append(np.linalg.norm(xy - truth, axis=-1)[score > 0].mean())
    assert errors[1] > 2 * errors[0]


def test_a_long_batch_holds_as_many_frames_in_fewer_segments(library: MotionLibrary) -> None:
    config = SynthesisConfig(frames=8, long_frames=32, long_share=1.0)
    batch = make_batch(library, 12, np.random.default_rng(0), config)
    assert batch.points.shape[:2] == (3, 32)
    short = make_batch(library, 12, np.random.default_rng(0), dataclasses.replace(config, long_share=0.0))
    assert short.points.shape[:2] == (12, 8)


def test_time_grids_increase() -> None:
    for seed in range(20):
        times = time_grid(SynthesisConfig(), np.random.default_rng(seed))
        assert (np.diff(times) > 0).all()


def test_no_motion_is_refused() -> None:
    with pytest.raises(InputError, match="expected one frame rate for all, got no clips"):
        MotionLibrary.from_clips([])


def test_a_single_frame_is_no_motion(library: MotionLibrary) -> None:
    clip = Clip("pose", "s", "", 30.0, library.body[:1, :17])
    with pytest.raises(InputError, match="clip 'pose': expected 2 frames or more to learn from, got 1"):
        MotionLibrary.from_clips([clip])


def test_an_odd_skeleton_is_brought_to_the_common_one(library: MotionLibrary) -> None:
    odd = 1.2 * library.body[:4]
    odd[:, 7] = odd[:, 0] + 0.25 * (odd[:, 8] - odd[:, 0])
    fixed = one_convention(odd)
    trunk = fixed[0, 8] - fixed[0, 0]
    assert np.allclose(fixed[0, 7] - fixed[0, 0], SPINE_PART * trunk, atol=1e-5)
    leg = np.linalg.norm(fixed[0, 1] - fixed[0, 2]) + np.linalg.norm(fixed[0, 2] - fixed[0, 3])
    assert leg == pytest.approx(LEG_M, abs=1e-3)


def test_a_common_skeleton_is_left_alone(library: MotionLibrary) -> None:
    common = library.body[:4].copy()
    common[:, 7] = common[:, 0] + SPINE_PART * (common[:, 8] - common[:, 0])
    assert one_convention(common) is common
