"""Folders of rendered pictures: whole shards, resumed, the same for any number of workers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from stick_body import stick_body

pytest.importorskip("warp", reason="warp is not installed: pip install 'diffpose_ros[render]'")

from diffpose_ros.core import ConfigError, InputError, People2D
from diffpose_ros.data.clips import bodies, load_clips
from diffpose_ros.rendering import dataset, detect
from diffpose_ros.rendering.dataset import RenderConfig
from diffpose_ros.rendering.draw import SceneConfig, Studio

EXCERPT = Path(__file__).parents[1] / "data" / "cmu_excerpt.npz"
CONFIG = RenderConfig(
    seed=3, scene=SceneConfig(width=96, height=64, frames=2, builds=10), data=(str(EXCERPT),), per_shard=2
)


class OneBody:
    """Makes the same stick figure whoever is drawn."""

    def draw(self, rng: np.random.Generator, age_years: tuple[float, float]):
        return stick_body()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    clips = load_clips(EXCERPT)
    motion, offsets = bodies(clips)
    names = tuple(c.name for c in clips)
    for config in (CONFIG, replace(CONFIG, scene=replace(CONFIG.scene, crop=True))):
        studio = Studio(config.scene, motion, offsets, OneBody(), config.seed)
        monkeypatch.setitem(dataset._STUDIOS, config, (studio, names))
    dataset.claim_folder(tmp_path / "out", CONFIG, clips)
    return tmp_path / "out"


def test_truth_belongs_to_the_pictures(folder: Path) -> None:
    assert dataset.render(folder, CONFIG, 3) == 6
    truth = dataset.load_truth(folder)
    assert set(truth) == set(dataset.ARRAYS)
    assert truth["frame"].tolist() == [0, 1] * 3 and truth["scene"].tolist() == [0, 0, 1, 1, 2, 2]
    for name in truth["picture"]:
        assert cv2.imread(str(folder / name)).shape == (64, 96, 3)
    joints, matrix = truth["h36m17"].astype(np.float64), truth["camera_matrix"].astype(np.float64)
    pixels = np.einsum("nij,nkj->nki", matrix, joints)
    pixels = pixels[..., :2] / pixels[..., 2:]
    # The stick figure's shoulders, elbows, wrists, hips, knees and ankles are its joints.
    pairs = [(5, 11), (6, 14), (7, 12), (8, 15), (9, 13), (10, 16), (11, 4), (12, 1), (13, 5), (14, 2)]
    for coco, h36m in pairs:
        before = joints[:, h36m, 2] > 0.3
        np.testing.assert_allclose(truth["coco"][before, coco, :2], pixels[before, h36m], rtol=1e-3, atol=0.1)
    outside = (truth["coco"][..., 0] < -1) | (truth["coco"][..., 0] > 97)
    assert (truth["hidden"][outside] == 4).all()
    np.testing.assert_allclose(np.linalg.norm(truth["up"], axis=1), 1, atol=1e-5)
    assert (truth["split"] == np.where(truth["build"] % 10 == 9, "unseen", "train")).all()


def test_a_second_run_draws_what_is_missing_alone(folder: Path) -> None:
    dataset.render(folder, CONFIG, 4)
    first = {p.name: p.read_bytes() for p in folder.rglob("*.jpg")}
    lost = folder / "truth" / "00000.npz"
    lost.unlink()
    kept = (folder / "truth" / "00001.npz").stat().st_mtime_ns
    seen = []
    assert dataset.render(folder, CONFIG, 4, done=lambda scenes, pictures: seen.append(scenes)) == 8
    assert lost.exists() and (folder / "truth" / "00001.npz").stat().st_mtime_ns == kept
    assert {p.name: p.read_bytes() for p in folder.rglob("*.jpg")} == first and seen == [2, 2]


def test_a_shard_that_was_cut_short_by_the_count_is_completed(folder: Path) -> None:
    assert dataset.render(folder, CONFIG, 3) == 6
    assert dataset.render(folder, CONFIG, 4) == 8
    assert len(dataset.load_truth(folder)["picture"]) == 8


def test_a_folder_begun_with_other_settings_is_refused(folder: Path, tmp_path: Path) -> None:
    clips = load_clips(EXCERPT)
    dataset.claim_folder(folder, CONFIG, clips)
    with pytest.raises(ConfigError, match=r"was begun with seed 3, now it is 4; name another folder"):
        dataset.claim_folder(folder, replace(CONFIG, seed=4), clips)
    with pytest.raises(ConfigError, match=r"was begun with motions "):
        dataset.claim_folder(folder, CONFIG, clips[:1])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="expected an empty folder or one that a rendering began"):
        dataset.claim_folder(tmp_path / "full", CONFIG, clips)
    with pytest.raises(InputError, match=r"found no truth/\*\.npz"):
        dataset.load_truth(tmp_path / "full")
    assert dataset.read_config(folder) == CONFIG


def test_a_crop_shows_the_person_whole(folder: Path) -> None:
    crops = replace(CONFIG, scene=replace(CONFIG.scene, crop=True))
    studio, _ = dataset._STUDIOS[crops]
    taken = [next(studio.scene(n)) for n in range(6)]
    far = [t for t in taken if t.shot.h36m17[0, :, 2].min() > 0.5]
    assert far and all((t.shot.hidden[0] != 4).mean() > 0.7 for t in far)


def body_at(x: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.uniform(0, 40, (17, 2)) + np.array([x, 0]), np.full((17, 1), 3.0)], axis=1)


def test_a_detection_belongs_to_the_nearest_body() -> None:
    coco, hidden = np.stack([body_at(10), body_at(200)]), np.zeros((2, 17), np.int8)
    people = People2D(xy=np.stack([body_at(201)[:, :2], body_at(12)[:, :2]]), score=np.full((2, 17), 0.8))
    assert detect.match(people, coco, hidden) == 1
    assert detect.match(people, coco[::-1], hidden) == 0
    assert detect.match(people.take(np.array([0])), coco, hidden) is None
    assert detect.match(People2D.empty(), coco, hidden) is None


def test_a_shard_without_detections_says_what_to_run(folder: Path) -> None:
    with pytest.raises(InputError, match="diffpose_ros render --detect"):
        detect.load_detected(folder)
