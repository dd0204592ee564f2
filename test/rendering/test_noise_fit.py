"""What is learnt from a detector that errs in a known way is that way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffpose_ros.core import InputError
from diffpose_ros.data.clips import bodies, load_clips
from diffpose_ros.data.virtual import learnt_noise as noise
from diffpose_ros.data.virtual.camera import CameraConfig, place, project
from diffpose_ros.data.virtual.learnt_noise import DetectorModel, load_model
from diffpose_ros.data.virtual.people import coco_keypoints
from diffpose_ros.rendering.noise_fit import SETTLE, fit_noise, save_noise

EXCERPT = Path(__file__).parents[1] / "data" / "cmu_excerpt.npz"
TIMES = np.arange(24) / 30.0


@pytest.fixture(scope="module")
def truth() -> DetectorModel:
    """The package's detector, with a few things made plainer so that few frames show them."""
    model = load_model()
    far, lost = np.full((4, 17), 0.02), np.full((4, 17), 0.01)
    far[noise.SELF], lost[noise.SELF] = 0.15, 0.1
    return replace(
        model, far=far, lost=lost, exchanged=np.zeros((3, 3)), opposite=np.zeros(17), uneven=0.2,
        score=np.full((4, 17), 1.0), score_slope=np.full(4, -0.6), score_spread=np.array([0.3, 0.3]),
    )  # fmt: skip


@pytest.fixture(scope="module")
def seen(truth: DetectorModel) -> dict[str, np.ndarray]:
    b, t = 160, len(TIMES)
    body = np.repeat(bodies(load_clips(EXCERPT)[:1])[0][None, :t], b, axis=0)
    config = CameraConfig(distance=(3.0, 6.0), moving=0.0, off_centre=0.0)
    cameras = place(body, TIMES, np.random.default_rng(0), config)
    people, coco = project(cameras, body), project(cameras, coco_keypoints(body, None))
    rng = np.random.default_rng(1)
    hidden = np.repeat(rng.random((b, 1, 17)) < 0.3, t, axis=1).astype(np.int64)
    size_px = noise.apparent_size(coco.tangents) * 800
    xy, score = noise.corrupt(
        coco.tangents, people.xyz[:, :, :17], hidden, size_px, TIMES, rng, truth, np.ones(b)
    )
    flat = (b * t,)
    return {
        "scene": np.repeat(np.arange(b), t), "frame": np.tile(np.arange(t), b), "found": np.ones(flat, bool),
        "coco": np.concatenate([coco.tangents * 800, coco.xyz[..., 2:]], -1).reshape(*flat, 17, 3),
        "keypoints": np.concatenate([xy * 800, score[..., None]], -1).reshape(*flat, 17, 3),
        "hidden": hidden.reshape(*flat, 17), "h36m17": people.xyz[:, :, :17].reshape(*flat, 17, 3),
    }  # fmt: skip


def test_spread_bias_and_frequencies_are_found_again(
    seen: dict[str, np.ndarray], truth: DetectorModel
) -> None:
    model = fit_noise(seen)
    for c in (noise.SEEN, noise.SELF):
        ratio = model.spread[:, c] / truth.spread[:, c]
        assert np.median(ratio) == pytest.approx(1.0, abs=0.15), c
        assert np.abs(model.bias[:, c] - truth.bias[:, c]).mean() < 0.02
    assert model.far[noise.SELF].mean() == pytest.approx(0.15, abs=0.05)
    assert model.far[noise.SEEN].mean() == pytest.approx(0.02, abs=0.02)
    assert model.lost[noise.SELF].mean() == pytest.approx(0.1, abs=0.04)
    assert model.far_size[0] == pytest.approx(truth.far_size[0], abs=0.2)
    assert model.score_slope[noise.SEEN] == pytest.approx(-0.6, abs=0.15)
    assert np.abs(model.score[noise.SEEN] - 1.0).mean() < 0.2
    assert model.score_spread == pytest.approx([0.3, 0.3], abs=0.12)


def test_what_hangs_together_is_found_again(seen: dict[str, np.ndarray], truth: DetectorModel) -> None:
    model = fit_noise(seen)

    def remembered(m: DetectorModel, lag: int) -> float:
        return float((m.shares[:2] * np.exp(-lag / 30 / m.times_s)).sum())

    for lag in (1, 4, 10):
        assert remembered(model, lag) == pytest.approx(remembered(truth, lag), abs=0.15)
    off = ~np.eye(17, dtype=bool)
    assert np.corrcoef(model.correlation[off], truth.correlation[off])[0, 1] > 0.7


def test_a_model_is_written_and_read_again(seen: dict[str, np.ndarray], tmp_path: Path) -> None:
    model = fit_noise(seen)
    save_noise(tmp_path / "noise.json", model, about="a test", frames=3840)
    again = load_model(tmp_path / "noise.json")
    np.testing.assert_allclose(again.bias, model.bias, atol=1e-4)
    assert again.far_s == pytest.approx(model.far_s, abs=1e-4)
    assert '"about": "a test"' in (tmp_path / "noise.json").read_text()


def test_too_little_to_learn_from_is_said(seen: dict[str, np.ndarray]) -> None:
    few = {name: value[:100] for name, value in seen.items()}
    with pytest.raises(InputError, match=r"expected 300 frames of videos or more .* got \d+; draw more"):
        fit_noise(few)
    settling = {**seen, "frame": np.minimum(seen["frame"], SETTLE - 1)}
    with pytest.raises(InputError, match="got 0"):
        fit_noise(settling)
