"""Cameras from everywhere, and parts that are missing: what is drawn is what the recipe says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffpose_ros.core import ConfigError
from diffpose_ros.data.clips import bodies, load_clips
from diffpose_ros.data.virtual.camera import CameraConfig, place, project
from diffpose_ros.data.virtual.missing import PARTS, MissingConfig, draw_missing

EXCERPT = Path(__file__).with_name("cmu_excerpt.npz")
TIMES = np.arange(30) / 30.0


@pytest.fixture(scope="module")
def body() -> np.ndarray:
    return np.repeat(bodies(load_clips(EXCERPT)[:1])[0][None, :30], 600, axis=0)


def cameras(body: np.ndarray, **options):
    still = {"moving": 0.0, "roll_std": 0.0, "off_centre": 0.0, "distance": (3.0, 8.0), **options}
    return place(body, TIMES, np.random.default_rng(4), CameraConfig(**still))


def angles(found) -> tuple[np.ndarray, np.ndarray]:
    """Pitch (up is positive) and roll of the first frames, degrees."""
    up, ahead = found.up[:, 0], found.rotation[:, 0, 2]
    return np.degrees(np.arcsin(ahead[:, 1])), np.degrees(np.arctan2(-up[:, 0], -up[:, 1]))


def test_pitches_are_uniform_and_cameras_stay_above_the_floor(body: np.ndarray) -> None:
    found = cameras(body, pitched=1.0, pitch_deg=(-75.0, 20.0))
    pitch, roll = angles(found)
    assert pitch.min() == pytest.approx(-75, abs=1.5) and 2 < pitch.max() < 20
    below = pitch[pitch < 0]
    assert np.quantile(below, 0.5) == pytest.approx(-37.5, abs=5)
    assert found.position[..., 1].min() > 0 and np.abs(roll).max() < 0.1
    away = np.linalg.norm(found.position[:, 0] - body[:, :, 0].mean(1), axis=-1)
    assert away.max() < 8.1


def test_rolls_reach_as_far_as_they_may_and_few_cameras_hang(body: np.ndarray) -> None:
    _, roll = angles(cameras(body, rolled=1.0, roll_deg=45.0))
    assert np.abs(roll).max() < 45.1 and roll.std() == pytest.approx(45 / np.sqrt(3), rel=0.1)
    _, hanging = angles(cameras(body, upside_down=0.1))
    assert (np.abs(hanging) > 179).mean() == pytest.approx(0.1, abs=0.04)
    _, none = angles(cameras(body))
    assert np.abs(none).max() < 1e-4


def test_travelling_cameras_move_as_fast_as_they_may_and_keep_the_person_in_view(body: np.ndarray) -> None:
    found = cameras(body, travelling=1.0, travel_mps=(0.5, 1.5))
    speed = np.linalg.norm(found.position[:, -1] - found.position[:, 0], axis=-1) / (TIMES[-1] - TIMES[0])
    assert np.quantile(speed, 0.02) > 0.45 and np.quantile(speed, 0.98) < 1.6
    seen = project(found, body)
    assert seen.visible[:, :, 0].mean() > 0.98
    assert np.abs(np.linalg.det(found.rotation) - 1).max() < 1e-5


def test_without_the_new_options_nothing_is_drawn_anew(body: np.ndarray) -> None:
    rng = np.random.default_rng(7)
    place(body[:5], TIMES, rng, CameraConfig())
    again = np.random.default_rng(7)
    place(body[:5], TIMES, again, CameraConfig(pitch_deg=(-10.0, 5.0), roll_deg=5.0, travel_mps=(1.0, 2.0)))
    assert rng.random() == again.random()


def test_cameras_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="pitch_deg: expected"):
        CameraConfig(pitch_deg=(20.0, -75.0))
    with pytest.raises(ConfigError, match="pitch_deg: expected at most 85"):
        CameraConfig(pitch_deg=(0.0, 89.0))
    with pytest.raises(ConfigError, match="rolled: expected"):
        CameraConfig(rolled=2.0)


def test_parts_are_missing_all_along_or_for_seconds() -> None:
    times = np.arange(0, 20, 1 / 30)
    rng = np.random.default_rng(0)
    whole = draw_missing(800, times[:30], rng, MissingConfig(whole=0.25))
    assert (whole.all(1) == whole.any(1)).all()
    assert whole.any((1, 2)).mean() == pytest.approx(0.25, abs=0.04)
    kinds = {tuple(np.flatnonzero(w[0])) for w in whole if w.any()}
    assert kinds == {tuple(sorted(part)) for part in PARTS.values()}
    spells = draw_missing(60, times, rng, MissingConfig(episodes_per_s=0.05, episode_s=2.0))
    on = spells.any(2)
    ends = (on[:, :-1] & ~on[:, 1:]).sum()
    assert on.mean() == pytest.approx(1 - np.exp(-0.1), abs=0.03)
    assert on.sum() / 30 / ends == pytest.approx(2.0, rel=0.35)
    assert not draw_missing(5, times, rng, MissingConfig()).any()
