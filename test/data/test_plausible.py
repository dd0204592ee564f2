"""Motion and benchmark files that are well formed and wrong: one line says what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffpose_ros.core import COCO17, H36M17, Camera, InputError, Surroundings
from diffpose_ros.data import benchmark
from diffpose_ros.data.clips import bodies, load_clips
from diffpose_ros.data.sequence import Sequence
from diffpose_ros.data.virtual.synthesis import MotionLibrary

EXCERPT = Path(__file__).with_name("cmu_excerpt.npz")
COCO_ORDER = [9, 9, 9, 10, 10, 11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3]


def archive(path: Path, change) -> Path:
    with np.load(EXCERPT) as file:
        arrays = {name: file[name] for name in file.files}
    for name in ("h36m17", "coco17"):
        if name in arrays:
            arrays[name] = change(arrays[name].copy())
    arrays.pop("up_axis", None)
    np.savez(path, **arrays)
    return path


def no_number(joints: np.ndarray) -> np.ndarray:
    joints[7, 3, 1] = np.nan
    return joints


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (no_number, r"h36m17: expected finite numbers, got NaN"),
        (
            lambda j: j[:, :16],
            r"h36m17: expected floats of shape \(frames, 17, 3\).*got float32 \(\d+, 16, 3\)",
        ),
        (lambda j: j[:, COCO_ORDER], r"expected Human3.6M's 17 joints in their order .*the right thigh"),
        (lambda j: j[:, list(H36M17.flip)], r"knees bend forwards and noses point backwards"),
        (lambda j: j * np.float32([-1, 1, 1]), r"or the axes are left-handed"),
        (
            lambda j: j @ np.float32([[1, 0, 0], [0, -1, 0], [0, 0, -1]]),
            r"people stand along -y; turn the data",
        ),
        (
            lambda j: j @ np.float32([[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
            r"people stand along x; turn the data",
        ),
        (lambda j: j * np.float32(100), r"expected metres, got a body .* centimetres, divide by 100"),
        (lambda j: j * np.float32(1000), r"millimetres, divide by 1000"),
        (lambda j: j * np.float32(0), r"expected metres, got a body 0 m large"),
    ],
    ids=["NaN", "16 joints", "COCO", "sides", "left-handed", "y down", "x up", "cm", "mm", "a point"],
)
def test_motion_that_is_wrong_is_refused_in_one_line(change, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said) as refused:
        load_clips(archive(tmp_path / "motion.npz", change))
    assert "motion.npz" in str(refused.value) and "\n" not in str(refused.value)


def test_z_up_is_turned_and_a_whole_file_is_taken(tmp_path: Path) -> None:
    turn = np.float32([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    clips = load_clips(archive(tmp_path / "z.npz", lambda j: j @ turn.T))
    assert {c.up_axis for c in clips} == {"z"}
    np.testing.assert_allclose(bodies(clips)[0], bodies(load_clips(EXCERPT))[0], atol=1e-4)


def test_one_frame_is_no_motion() -> None:
    clip = load_clips(EXCERPT)[0]
    short = type(clip)(clip.name, clip.subject, clip.action, clip.fps, clip.h36m17[:1])
    with pytest.raises(InputError, match="expected 2 frames or more to learn from, got 1"):
        MotionLibrary.from_clips([short])


def recorded(path: Path, up: np.ndarray | None) -> Path:
    clip = load_clips(EXCERPT)[0]
    skeleton = clip.h36m17 * [1, -1, -1] + [0, 1, 5]
    keypoints = np.zeros((len(clip), len(COCO17), 3))
    camera = Camera(np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), 640, 480)
    benchmark.to_benchmark(path, [
        Sequence(name="a", subject="b", action="", camera=camera, fps=30.0, keypoints=keypoints,
                 skeleton=skeleton, around=Surroundings(up=np.array([0.0, -1, 0]))),
    ])  # fmt: skip
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    if up is not None:
        np.savez(path, **{**arrays, "up": up})
    return path


@pytest.mark.parametrize(
    ("up", "said"),
    [
        (np.array([[0, 1.0, 0]]), r"sequence 0: up: expected the direction against gravity .*head down"),
        (np.array([[0, -9.81, 0]]), r"sequence 0: up: expected a unit vector, got one of length 9.81"),
        (np.zeros((1, 3)), r"expected a unit vector, got one of length 0"),
        (np.array([0, -1.0, 0]), r"up: expected numbers of shape \(1, 3\), got float64 \(3,\)"),
        (np.array([["y", "y", "y"]]), r"up: expected numbers of shape \(1, 3\), got <U1"),
        (np.array([[0, np.nan, -1.0]]), r"up: expected finite numbers, or NaN in all of a sequence's"),
        (np.array([[0, -np.inf, 0]]), r"up: expected finite numbers, or NaN in all of a sequence's"),
    ],
    ids=["down", "m/s2", "zero", "one for all", "text", "partly", "infinite"],
)
def test_a_wrong_up_is_refused_in_one_line(up: np.ndarray, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        benchmark.load(recorded(tmp_path / "bench.npz", up))


def test_a_right_up_and_an_unknown_one_are_taken(tmp_path: Path) -> None:
    assert benchmark.load(recorded(tmp_path / "a.npz", None))[0].around.up is not None
    unknown = benchmark.load(recorded(tmp_path / "b.npz", np.full((1, 3), np.nan)))
    assert unknown[0].around.up is None


def test_one_handstand_among_others_is_no_wrong_up(tmp_path: Path) -> None:
    upright = benchmark.load(recorded(tmp_path / "a.npz", None))[0]
    turned = replace(upright, skeleton=upright.skeleton * [1, -1, 1])
    benchmark.to_benchmark(tmp_path / "b.npz", [upright, turned])
    assert len(benchmark.load(tmp_path / "b.npz")) == 2
    benchmark.to_benchmark(tmp_path / "c.npz", [upright, turned, turned])
    with pytest.raises(InputError, match=r"sequence 1: up: .*head down"):
        benchmark.load(tmp_path / "c.npz")
