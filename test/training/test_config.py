"""Training configurations: what is understood, and what is refused with one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch", reason="torch is not installed: training needs it")
pytest.importorskip("pydantic", reason="pydantic is not installed: training needs it")

from diffpose_ros.core import ConfigError
from diffpose_ros.core.typed_config import from_mapping
from diffpose_ros.training.build import build
from diffpose_ros.training.config import TrainingConfig
from diffpose_ros.training.recipe import load_recipe

SHIPPED = sorted((Path(__file__).resolve().parents[2] / "config" / "training").glob("*.yaml"))


def refuse(content: dict) -> str:
    with pytest.raises(ConfigError) as caught:
        build(from_mapping(TrainingConfig, content, "run.yaml"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nested_values_arrive_as_their_types(plan) -> None:
    content = plan()
    content["synthesis"] |= {"noise": {"jitter": [0.01, 0.02]}, "camera": {"off_centre": 1}}
    config = from_mapping(TrainingConfig, content)
    assert config.synthesis.noise.jitter == (0.01, 0.02)
    assert config.synthesis.camera.off_centre == 1.0
    assert config.optimiser.steps == 6
    assert config.optimiser.learning_rate == 1e-3, "what is not said keeps its default"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"modle": {}}, "run.yaml: modle: unknown key 'modle', expected one of clips, context, data"),
        ({"optimiser": {"setps": 1}},
         "run.yaml: optimiser.setps: unknown key 'setps' in optimiser, did you mean 'steps'?"),
        ({"optimiser": {"steps": "many"}}, "optimiser.steps: expected a whole number, got 'many'"),
        ({"optimiser": {"steps": 1.5}}, "optimiser.steps: expected a whole number, got 1.5"),
        ({"optimiser": {"compile": 1}}, "optimiser.compile: expected true or false, got 1"),
        ({"optimiser": {"steps": 0}}, "optimiser.steps: expected 1 or more, got 0"),
        ({"optimiser": {"learning_rate": "1e-3"}},
         "optimiser.learning_rate: expected a number, got '1e-3'; YAML takes this for text: write 0.001"),
        ({"optimiser": {"learning_rate": float("nan")}}, "optimiser.learning_rate: expected a finite number"),
        ({"optimiser": {"learning_rate": 0}}, "optimiser.learning_rate: expected above 0, got 0"),
        ({"optimiser": {"precision": "half"}},
         "optimiser.precision: expected auto, float32 or bfloat16, got 'half'"),
        ({"optimiser": {"optimiser": "moun"}}, "expected adamw or muon, got 'moun', did you mean 'muon'?"),
        ({"optimiser": [1]}, "optimiser: expected keys with values, got [1]"),
        ({"data": 3}, "data: expected a list, got 3"),
        ({"synthesis": {"noise": {"hiss": 1}}}, "synthesis.noise.hiss: unknown key 'hiss' in synthesis"),
        ({"synthesis": {"noise": {"jitter": [0.2, 0.1]}}},
         "synthesis.noise.jitter: expected from and to, rising, above 0, got 0.2, 0.1"),
        ({"synthesis": {"noise": {"jitter": [0.2]}}}, "synthesis.noise.jitter.1: missing"),
        ({"synthesis": {"drop": 2}}, "synthesis.drop: expected a share from 0 to 1, got 2"),
        ({"synthesis": {"rates_hz": {"fast": 1.0}}}, "rates_hz.fast: expected a number, got 'fast'"),
        ({"loss": {"x": "y"}}, "run.yaml: loss.x: expected a number, got 'y'"),
        ({"loss": {"poes": 1.0}},
         "loss: expected pose, velocity, acceleration, bone or nll, got 'poes', did you mean 'pose'?"),
        ({"loss": {"pose": -1.0}}, "loss.pose: expected 0 or more, got -1"),
        ({"task": "dance"}, "task: expected context, diffpose or starpose, got 'dance'"),
        ({"task": "diffpose", "lifter": {}}, "task diffpose: expected 'context'"),
        ({"encoder": {"body": 10, "heads": 4}}, "encoder.body: 10 is not a multiple of 4 heads"),
        ({"encoder": {"window": 999}}, "encoder.window: expected 1 to 243 frames, got 999"),
        ({"task": "starpose", "lifter": {}}, "a 'history' belongs to task starpose"),
        ({"task": "diffpose", "lifter": {"mirror": "yes"}}, "lifter.mirror: expected true or false, got"),
        ({"task": "diffpose", "lifter": {"denoiser": {"dropout": 1.0}}},
         "lifter.denoiser.dropout: expected from 0 to below 1, got 1"),
        ({"lifter": {"schedule": {"beta_schedule": "cosin"}}},
         "lifter.schedule.beta_schedule: expected linear or cosine, got 'cosin', did you mean 'cosine'?"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
def test_what_is_not_understood_is_refused(plan, change: dict, text: str) -> None:
    assert text in refuse(plan() | change)


def test_what_must_be_said_is_asked_for() -> None:
    assert refuse({"task": "context"}) == "run.yaml: data: missing (and 1 more)"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "No such file"), ("a: [1", "not a YAML file"),
        ("- 1", "expected a mapping of keys to values, got"),
        ("", "got nothing"), ("name: a\nname: b\n", "not a YAML file ('name' is given twice, line 2)"),
        ("base: run.yaml\n", "its bases go round in a ring"), ("base: [1]\n", "base: expected a file's name"),
    ],
    ids=["missing", "not yaml", "a list", "empty", "a key twice", "a ring", "a base that is no name"],
)  # fmt: skip
def test_a_file_that_is_no_recipe_is_named(tmp_path: Path, content, text: str) -> None:
    path = tmp_path / "run.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    assert "run.yaml" in str(caught.value)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


RECIPE = """
name: tiny
data: mocap.npz
optimiser: {steps: 5, learning_rate: 0.01}
encoder:
  runs:
    - {}
    - optimiser: {learning_rate: 0.005}
  compression: {keys: 4, run: {optimiser: {seed: 3}}}
lifter:
  runs:
    - optimiser: {steps: 7}
    - optimiser: {seed: 9}
"""


def test_each_run_says_what_differs_from_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RECIPE)
    recipe = load_recipe(tmp_path / "a.yaml")
    first, second = (r.optimiser for r in recipe.encoder.runs)
    assert (first.steps, first.learning_rate) == (5, 0.01)
    assert (second.steps, second.learning_rate) == (5, 0.005)
    again = recipe.encoder.compression.run.optimiser
    assert (again.steps, again.learning_rate, again.seed) == (5, 0.005, 3)
    first, second = (r.optimiser for r in recipe.lifter.runs)
    assert (first.steps, first.learning_rate, first.seed) == (7, 0.01, 0)
    assert (second.steps, second.seed) == (7, 9)
    assert recipe.data == ("mocap.npz",)


def test_a_recipe_says_what_differs_from_its_base(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RECIPE)
    (tmp_path / "b.yaml").write_text("base: a.yaml\nname: other\nencoder: {compression: null, runs: [{}]}\n")
    recipe = load_recipe(tmp_path / "b.yaml")
    assert (recipe.name, recipe.encoder.compression, len(recipe.encoder.runs)) == ("other", None, 1)
    assert recipe.optimiser.learning_rate == 0.01


@pytest.mark.parametrize(
    ("find", "replace", "text"),
    [
        ("{learning_rate: 0.005}", "{learning_rte: 0.005}",
         "a.yaml: encoder.runs.1.optimiser.learning_rte: unknown key 'learning_rte' in "
         "encoder.runs.1.optimiser, did you mean 'learning_rate'?"),
        ("keys: 4", "keys: 64", "a.yaml: encoder.compression.keys: expected at most the 16 of the model"),
        ("{steps: 7}", "{steps: 7}\n      rollouts: 0.5",
         "a.yaml: lifter.runs.0.rollouts: nothing but a lifter with a history has rollouts"),
        ("{seed: 9}", "{seed: 9}\n      loss: {x: 1.0}", "a.yaml: lifter.runs.1.loss.x: unknown term"),
        ("name: tiny", "name: a/b", "a.yaml: name: expected a name fit for a folder, got 'a/b'"),
        ("name: tiny", "name: encoder", "encoder.name: expected another name than the model's"),
        ("data: mocap.npz", "data: []", "a.yaml: data: expected at least one motion capture file"),
        ("encoder:", "clips: {hold_out: [a]}\nencoder:",
         "a.yaml: clips.hold_out: unknown key 'hold_out' in clips, did you mean"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_recipe_is_named(tmp_path: Path, find: str, replace: str, text: str) -> None:
    assert find in RECIPE
    (tmp_path / "a.yaml").write_text(RECIPE.replace(find, replace, 1))
    with pytest.raises(ConfigError) as caught:
        load_recipe(tmp_path / "a.yaml")
    assert text in str(caught.value)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_the_shipped_recipes_are_understood(path: Path) -> None:
    recipe = load_recipe(path)
    content = yaml.safe_load(path.read_text())
    assert recipe.name == content["name"] == path.stem
    without = ("encoder", "baseline_people", "zedo", "finepose", "unihpr")
    assert (recipe.lifter is None) == (path.stem in without)
    assert (recipe.zedo is not None) == (path.stem == "zedo")
    if recipe.lifter is not None:
        assert recipe.lifter.task == path.stem.removeprefix("frame_").removesuffix("_people")


def test_diffpose_and_starpose_share_their_encoder() -> None:
    by_name = {p.stem: load_recipe(p) for p in SHIPPED}
    assert by_name["diffpose"].encoder == by_name["starpose"].encoder == by_name["encoder"].encoder
    assert by_name["frame_diffpose"].encoder == by_name["frame_starpose"].encoder
    assert by_name["starpose"].encoder.compression.keys == 16
