"""The whole recipe of a ZeDO model at a tiny size: it ends in a folder that lifts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: training needs it")
pytest.importorskip("onnx", reason="onnx is not installed: export needs it")
pytest.importorskip("sklearn", reason="scikit-learn is not installed: k-means needs it")

from safetensors.torch import load_file

from diffpose_ros.core import Camera, ConfigError, People2D
from diffpose_ros.lifting import Lifter, LifterConfig
from diffpose_ros.methods.registry import read_spec
from diffpose_ros.training.recipe import Recipe, load_recipe, parse_recipe
from diffpose_ros.training.stages import RecipeRun

STAGES = ["prior run 1", "prior run 2", "anchors", "calibration", "model"]


@pytest.fixture
def content(mocap: Path, tmp_path: Path) -> dict:
    return {
        "name": "tiny", "data": str(mocap), "output": str(tmp_path / "out"),
        "clips": {"hold_out_subjects": ["s2"]},
        "zedo": {
            "prior": {"width": 32, "blocks": 1, "frequencies": 4, "embedding": 8},
            "runs": [
                {"optimiser": {"steps": 4, "batch": 16, "warmup": 1, "save_every": 1}},
                {"optimiser": {"seed": 1}},
            ],
            "anchors": 5, "anchor_poses": 40,
            "loop": {"hypotheses": 3, "unrolled": 2, "runs": 2},
        },
        "calibration": {"batches": 1, "batch": 2},
    }  # fmt: skip


@pytest.fixture
def recipe(content: dict) -> Recipe:
    return parse_recipe(content, "tiny.yaml")


def test_the_whole_recipe_ends_in_a_model_that_lifts(recipe: Recipe) -> None:
    told: dict[str, str] = {}
    work = RecipeRun(recipe)
    assert [s.name for s in work.stages] == STAGES
    assert work.run(lambda stage, step, text: told.setdefault(stage.name, text) and None)
    assert told["prior run 1"] == "float32"
    folder = Path(recipe.output) / "tiny" / "model"
    assert {f.name for f in folder.iterdir()} - {"lock", "stage.json"} == {
        "MODEL_CARD.md", "config.yaml", "model.onnx", "model.safetensors",
    }  # fmt: skip
    spec = read_spec(folder / "model.onnx")
    assert (spec.name, spec.kind, spec.steps, spec.hypotheses, len(spec.anchors)) == ("tiny", "zedo", 4, 3, 5)
    card = (folder / "MODEL_CARD.md").read_text()
    assert "- prior run 2: 4 steps" in card
    assert "held out, people: s2." in card

    lifter = Lifter(LifterConfig(model=folder / "model.onnx", backend="onnxruntime", keep_hypotheses=True))
    camera = Camera.from_fov(640, 480)
    body = np.random.default_rng(0).uniform([-0.3, -0.9, 3.9], [0.3, 0.9, 4.1], (17, 3)) @ camera.matrix.T
    xy = (body[:, :2] / body[:, 2:])[None]
    people = People2D(xy=xy, score=np.full((1, 17), 0.9), track_id=np.array([1]))
    for frame in range(3):
        result = lifter.lift(people, camera, (1 + frame) * 10**8)
        assert len(result.skeletons) == 1
    assert result.hypotheses[0].xyz.shape == (3, 17, 3)
    lifter.close()

    again: dict[str, str] = {}
    assert RecipeRun(recipe).run(lambda stage, step, text: again.setdefault(stage.name, text) and None)
    assert set(again.values()) == {"done before"}


def test_a_prior_that_was_stopped_ends_where_an_unbroken_one_does(recipe: Recipe, tmp_path: Path) -> None:
    whole = replace(recipe, output=str(tmp_path / "whole"))
    assert RecipeRun(whole).run(until="prior run 2")
    while not RecipeRun(recipe).run(until="prior run 2", stop_after_s=0.0):
        pass
    name = Path("tiny") / "prior-2" / "model.safetensors"
    expected, found = (load_file(Path(r.output) / name) for r in (whole, recipe))
    assert all(torch.equal(expected[n], found[n]) for n in expected)


def test_a_prior_learns(recipe: Recipe) -> None:
    from diffpose_ros.methods.zedo.prior import PosePrior
    from diffpose_ros.training.pose_prior import PoseDataset, ScoreTask, body_size

    library = RecipeRun(recipe).library
    torch.manual_seed(0)
    prior = PosePrior(recipe.zedo.prior)
    dataset = PoseDataset(library, prior, 64, 0, recipe.zedo.runs[0].poses, body_size(library))
    task, optimiser = ScoreTask(prior), torch.optim.Adam(prior.parameters(), 3e-3)
    losses = []
    for step in range(60):
        loss, _ = task(dataset[step], step)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:5])


def test_batches_hang_on_seed_and_step_alone(recipe: Recipe) -> None:
    from diffpose_ros.methods.zedo.prior import PosePrior
    from diffpose_ros.training.pose_prior import PoseDataset, body_size

    library = RecipeRun(recipe).library
    prior = PosePrior(recipe.zedo.prior)
    a, b = (PoseDataset(library, prior, 4, 0, recipe.zedo.runs[0].poses, body_size(library)) for _ in "ab")
    a[3], a[17]
    assert all(torch.equal(a[9][n], b[9][n]) for n in ("pose", "noise", "noise_level"))
    assert not torch.equal(a[9]["pose"], a[10]["pose"])


def test_the_shipped_recipe_is_read() -> None:
    recipe = load_recipe(Path(__file__).parents[2] / "config" / "training" / "zedo.yaml")
    assert [r.optimiser.optimiser for r in recipe.zedo.runs] == ["adamw"] * 2
    assert recipe.zedo.prior.width == 256


def test_a_lifter_and_zedo_in_one_recipe_are_refused(content: dict) -> None:
    with pytest.raises(ConfigError, match="zedo, lifter: expected one of them, got both"):
        parse_recipe(content | {"lifter": {}}, "tiny.yaml")
