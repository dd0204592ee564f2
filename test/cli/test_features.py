"""``features``: rendered people to what the picture encoder learns from."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs onnxruntime")
pytest.importorskip("torch", reason="torch is not installed: training needs it")

from diffpose_ros.frontend.picture_features import FEATURES
from diffpose_ros.rendering.dataset import ARRAYS
from diffpose_ros.training.unihpr_pictures import load_pictures

PEOPLE = Path(__file__).parents[1] / "frontend" / "people.jpg"


@pytest.fixture
def rendered(tmp_path):
    """A folder as `render` leaves it: a photograph with somebody in it, the same with the truth elsewhere,
    and a grey picture."""
    folder = tmp_path / "rendered"
    (folder / "truth").mkdir(parents=True)
    (folder / "pictures").mkdir()
    shutil.copy(PEOPLE, folder / "pictures" / "seen.jpg")
    height, width = cv2.imread(str(PEOPLE)).shape[:2]
    cv2.imwrite(str(folder / "pictures" / "grey.jpg"), np.full((height, width, 3), 128, np.uint8))
    names = ["pictures/seen.jpg", "pictures/seen.jpg", "pictures/grey.jpg"]
    count = len(names)
    arrays = {name: np.zeros(count) for name in ARRAYS}
    coco = np.full((count, 17, 3), 1e4)
    coco[0, :, :2] = _seen()
    camera = np.array([[500.0, 0, width / 2], [0, 500.0, height / 2], [0, 0, 1]])
    skeleton = np.random.default_rng(0).normal(0, 0.3, (count, 17, 3))
    skeleton[..., 2] += 4
    arrays |= {
        "picture": np.array(names), "build": np.array([4, 5, 6]), "coco": coco,
        "h36m17": skeleton,
        "camera_matrix": np.repeat(camera[None], count, 0), "others_row": np.zeros(0, int),
    }  # fmt: skip
    np.savez(folder / "truth" / "00000.npz", **arrays)
    return folder


def _seen():
    """Where the network sees the person in the middle, roughly."""
    from diffpose_ros.frontend.picture_features import SIZE, PictureFeatures

    rgb = np.ascontiguousarray(cv2.imread(str(PEOPLE))[..., ::-1])
    small = cv2.resize(rgb, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    _, seen = PictureFeatures().of(np.asarray(small, np.uint8)[None])
    return seen.at[0] * [rgb.shape[1], rgb.shape[0]]


def test_people_who_are_seen_are_kept_and_others_are_counted(call, rendered, tmp_path):
    out = tmp_path / "features.npz"
    outcome = call("features", rendered, "--output", out)
    assert outcome.code == 0, outcome.err
    assert "1 people, 2 pictures without one" in outcome.out.replace("\n", " ")
    found = load_pictures(out)
    assert found.features.shape == (1, FEATURES)
    assert found.person.tolist() == [4]
    assert np.linalg.norm(found.skeleton[0, 0]) == 0


def test_a_folder_without_pictures_is_refused(call, tmp_path):
    outcome = call("features", tmp_path, "--output", tmp_path / "out.npz")
    assert outcome.code != 0
    assert "found no truth/*.npz" in outcome.err
    assert not (tmp_path / "out.npz").exists()


def test_only_a_recipe_of_unihpr_learns_from_pictures(call, mocap, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"name: x\ndata: {mocap}\n")
    outcome = call("train", recipe, "--pictures", "features.npz", "--plan")
    assert outcome.code != 0
    assert "only a recipe with `unihpr` learns from pictures" in outcome.err
