"""The recipe of a FinePOSE model at a tiny size, and the labels that it learns from."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: training needs it")
pytest.importorskip("onnx", reason="onnx is not installed: export needs it")

from safetensors.torch import load_file

from diffpose_ros.core import ConfigError
from diffpose_ros.data.clips import Clip
from diffpose_ros.methods.diffusion.context_encoder import ContextConfig
from diffpose_ros.methods.diffusion.graformer import DenoiserConfig
from diffpose_ros.methods.diffusion.network import LifterNetwork, LifterNetworkConfig
from diffpose_ros.methods.finepose.checkpoint import load_network
from diffpose_ros.methods.finepose.network import FinePoseNetwork
from diffpose_ros.methods.finepose.prompts import ACTION, ACTIONS, STANDARD
from diffpose_ros.methods.registry import read_spec
from diffpose_ros.training.action_labels import NO_LABEL, action_of, label_clip
from diffpose_ros.training.calibration import write_weights
from diffpose_ros.training.finepose import new_network
from diffpose_ros.training.prompted_views import read_views
from diffpose_ros.training.recipe import Recipe, load_recipe, parse_recipe
from diffpose_ros.training.stages import RecipeRun

STAGES = ["views", "tiny run 1", "tiny run 2", "calibration", "model"]


@pytest.fixture
def lifter(tmp_path: Path) -> Path:
    """A tiny DiffPose to start from; of its graph only the place is asked."""
    folder = tmp_path / "lifter"
    torch.manual_seed(0)
    config = LifterNetworkConfig(
        context=ContextConfig(width=16, body=32, depth=1, heads=2, window=5),
        denoiser=DenoiserConfig(width=16, depth=1),
    )
    write_weights(LifterNetwork(config), folder)
    (folder / "model.onnx").touch()
    return folder


@pytest.fixture
def content(mocap: Path, lifter: Path, tmp_path: Path) -> dict:
    return {
        "name": "tiny", "data": str(mocap), "output": str(tmp_path / "out"),
        "clips": {"hold_out_subjects": ["s2"]}, "synthesis": {"frames": 6, "long_frames": 6},
        "finepose": {
            "start": str(lifter), "steps": 2, "schedule": {"beta_schedule": "cosine", "diffusion_steps": 10},
            "hypotheses": 2, "views": {"batches": 3, "batch": 4, "frames": 4},
            "runs": [
                {"optimiser": {"steps": 4, "warmup": 1, "save_every": 1, "compile": False}},
                {"optimiser": {"seed": 1}},
            ],
        },
        "calibration": {"batches": 1, "batch": 2},
    }  # fmt: skip


@pytest.fixture
def recipe(content: dict) -> Recipe:
    return parse_recipe(content, "tiny.yaml")


def test_the_whole_recipe_ends_in_a_model(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FinePoseNetwork, "other_steps", ())
    told: dict[str, str] = {}
    work = RecipeRun(recipe)
    assert [s.name for s in work.stages] == STAGES
    assert work.run(lambda stage, step, text: told.setdefault(stage.name, text) and None)
    folder = Path(recipe.output) / "tiny" / "model"
    assert {f.name for f in folder.iterdir()} - {"lock", "stage.json"} == {
        "MODEL_CARD.md", "config.yaml", "model.onnx", "model.safetensors",
    }  # fmt: skip
    spec = read_spec(folder / "model.onnx")
    assert (spec.name, spec.kind, spec.steps, spec.hypotheses) == ("tiny", "finepose", 2, 2)
    card = (folder / "MODEL_CARD.md").read_text()
    assert "- tiny run 2: 4 steps" in card
    assert "| walking | " in card
    assert "held out, people: s2." in card
    again: dict[str, str] = {}
    assert RecipeRun(recipe).run(lambda stage, step, text: again.setdefault(stage.name, text) and None)
    assert set(again.values()) == {"done before"}

    first, last = (load_file(folder.parent / name / "model.safetensors") for name in ("run-1", "model"))
    frozen = [n for n in first if n.startswith("context.")]
    assert all(torch.equal(first[n].half(), last[n].half()) for n in frozen)
    moved = [n for n in first if n.startswith("denoiser.table") and n in last]
    assert not any(torch.equal(first[n].half(), last[n].half()) for n in moved)


def test_a_run_that_was_stopped_ends_where_an_unbroken_one_does(recipe: Recipe, tmp_path: Path) -> None:
    whole = replace(recipe, output=str(tmp_path / "whole"))
    assert RecipeRun(whole).run(until="tiny run 1")
    while not RecipeRun(recipe).run(until="tiny run 1", stop_after_s=0.0):
        pass
    name = Path("tiny") / "run-1" / "model.safetensors"
    expected, found = (load_file(Path(r.output) / name) for r in (whole, recipe))
    assert all(torch.equal(expected[n], found[n]) for n in expected)


def test_it_begins_as_the_lifter_it_starts_from(recipe: Recipe, lifter: Path) -> None:
    from diffpose_ros.methods.diffusion.checkpoint import load_network as load_lifter

    network, begun = new_network(recipe.finepose), load_lifter(lifter)
    noisy, known = torch.randn(3, 2, 17, 3), torch.randn(3, 17, begun.config.condition_width)
    k = torch.tensor([2.0, 5.0, 9.0])
    told = network.clean(noisy, known, k, network.unknown.repeat(3, 1))
    torch.testing.assert_close(told, begun.clean(noisy, known, k), atol=1e-6, rtol=1e-5)


def test_views_say_what_a_robot_would(recipe: Recipe) -> None:
    assert RecipeRun(recipe).run(until="views")
    views = read_views(Path(recipe.output) / "tiny" / "views", 0)
    prompt = views["prompt"]
    assert prompt.shape == (4, 4, len(STANDARD))
    for name in STANDARD.words:
        assert torch.equal(prompt[..., STANDARD.segment(name)].sum(-1), torch.ones(4, 4))
    assert (prompt[..., STANDARD.column(ACTION, "unknown")] == 1).all()
    assert (views["label"] == ACTIONS.index("walking")).all()


def test_a_lifter_with_a_history_is_no_start(content: dict) -> None:
    content["finepose"]["start"] = "starpose"
    with pytest.raises(ConfigError, match="expected a lifter without history, such as diffpose"):
        new_network(parse_recipe(content, "tiny.yaml").finepose)


def test_other_folders_are_no_checkpoint(lifter: Path) -> None:
    from diffpose_ros.core import ModelError

    with pytest.raises(ModelError, match="kind: expected finepose"):
        load_network(lifter)


def test_the_shipped_recipe_is_read() -> None:
    recipe = load_recipe(Path(__file__).parents[2] / "config" / "training" / "finepose.yaml")
    assert recipe.finepose.schedule.beta_schedule == "cosine"
    assert [r.told for r in recipe.finepose.runs] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("action", "word"),
    [
        ("walk", "walking"), ("WalkTurnLeft90", "walking"), ("WalkBackwards", "walking_backwards"),
        ("RunBackwards", "running"), ("SideStepLeft", "sidestepping"), ("PutDownBox", "lifting"),
        ("RunWithBox", "carrying"), ("basketball_signal", "gesturing"), ("basketball", "playing_ball"),
        ("michael jackson", "dancing"), ("martial arts", "fighting"), ("CartWheel", "acrobatics"),
        ("Lie", "lying"), ("RandomStuff", None), ("WalkBackwardsTurnForwards", None), ("", None),
    ],
)  # fmt: skip
def test_actions_of_many_names(action: str, word: str | None) -> None:
    assert action_of(action) == word


@pytest.mark.parametrize(
    ("name", "action", "counts"),
    [
        ("any", "WalkToCrouch", {"walking": 10, "crouching": 10, None: 10}),
        ("any", "WalkToHopToWalk1", {"walking": 20, "jumping": 10}),
        ("cmu_35_18", "run", {"running": 30}),
        ("cmu_35_01", "", {"walking": 30}),
        ("cmu_99_01", "", {None: 30}),
    ],
)
def test_labels_of_clips(name: str, action: str, counts: dict) -> None:
    standing = np.zeros((30, 17, 3), np.float32)
    standing[:, :, 1] = np.linspace(0, 1.7, 17)
    label = label_clip(Clip(name, "s", action, 30.0, standing))
    found = Counter(None if n == NO_LABEL else ACTIONS[n] for n in label.tolist())
    assert found == counts


def test_whoever_sits_on_something_to_climb_sits() -> None:
    body = np.zeros((4, 17, 3), np.float32)
    body[:, [1, 4]], body[:, [2, 5]], body[:, [3, 6]] = [0, 0.5, 0], [0, 0.5, 0.4], [0, 0.1, 0.4]
    body[:, 0], body[:, 8] = [0, 0.5, 0], [0, 1.0, 0]
    label = label_clip(Clip("cmu_01_07", "s", "", 30.0, body))
    assert set(label.tolist()) == {ACTIONS.index("sitting")}
    danced = label_clip(Clip("x", "s", "salsa", 30.0, body))
    assert set(danced.tolist()) == {ACTIONS.index("dancing")}
