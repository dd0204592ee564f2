"""A whole recipe at a tiny size: stages that end in a model which lifts, go on, are skipped, and refuse."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: training needs it")
pytest.importorskip("onnx", reason="onnx is not installed: export needs it")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from safetensors.torch import load_file

from diffpose_ros.core import ConfigError, InputError, ModelError
from diffpose_ros.methods.diffusion.checkpoint import load_network
from diffpose_ros.methods.registry import read_spec
from diffpose_ros.training import stage_record
from diffpose_ros.training.recipe import Recipe, parse_recipe
from diffpose_ros.training.stages import RecipeRun

STAGES = ["encoder run 1", "encoder run 2", "key compression", "encoder after the cut",
          "tiny run 1", "tiny run 2", "calibration", "model"]  # fmt: skip


@pytest.fixture
def content(mocap: Path, tmp_path: Path) -> dict:
    return {
        "name": "tiny", "data": str(mocap), "output": str(tmp_path / "out"),
        "clips": {"hold_out_subjects": ["s2"]},
        "optimiser": {"steps": 3, "batch": 2, "warmup": 1, "compile": False, "save_every": 1,
                      "precision": "float32"},
        "synthesis": {"frames": 8},
        "encoder": {
            "model": {"width": 8, "body": 16, "depth": 1, "heads": 2, "keys": 6, "window": 5},
            "runs": [{}, {"optimiser": {"seed": 1}}],
            "compression": {"keys": 3, "batches": 2, "run": {"optimiser": {"steps": 2}}},
        },
        "lifter": {
            "model": {
                "window": 5, "mirror": True, "denoiser": {"width": 8, "depth": 1, "heads": 2},
                "history": {"width": 8, "depth": 1, "heads": 2, "length": 4},
                "schedule": {"diffusion_steps": 5, "beta_end": 0.9},
                "components": 2, "hypotheses": 2, "steps": 3,
            },
            "runs": [{}, {"rollouts": 0.5}],
        },
        "calibration": {"batches": 1, "batch": 2, "guidance_batches": 1},
    }  # fmt: skip


@pytest.fixture
def recipe(content: dict) -> Recipe:
    return parse_recipe(content, "tiny.yaml")


class Told:
    """What a run said: the stages in order, and of each the first words and the last step."""

    def __init__(self) -> None:
        self.first: dict[str, str] = {}
        self.steps: dict[str, int] = {}

    def __call__(self, stage, step: int, text: str) -> None:
        self.first.setdefault(stage.name, text)
        self.steps[stage.name] = step


def test_the_whole_recipe_ends_in_a_model_that_loads_and_is_skipped_when_run_again(recipe) -> None:
    told = Told()
    work = RecipeRun(recipe)
    assert [s.name for s in work.stages] == STAGES
    assert work.run(told)
    assert list(told.first) == STAGES
    assert told.first["tiny run 1"] == "float32, as configured"
    folder = Path(recipe.output) / "tiny" / "model"
    assert {f.name for f in folder.iterdir()} - {"lock", "stage.json"} == {
        "MODEL_CARD.md", "config.yaml", "model.onnx", "model.safetensors", "model_1.onnx", "model_2.onnx",
    }  # fmt: skip
    network = load_network(folder)
    assert (network.config.kind, network.config.context.keys) == ("starpose", 3)
    assert [read_spec(folder / f"model{s}.onnx").steps for s in ("", "_2", "_1")] == [3, 2, 1]
    assert read_spec(folder / "model.onnx").name == "tiny"
    card = (folder / "MODEL_CARD.md").read_text()
    assert "- encoder after the cut: 2 steps" in card
    assert "1 held-out clips" in card
    found = stage_record.read(Path(recipe.output) / "encoder" / "keys").result
    assert 0.3 < found["kept"] <= 1.0

    before = {p: p.stat().st_mtime_ns for p in Path(recipe.output).rglob("*.safetensors")}
    again = Told()
    assert RecipeRun(recipe).run(again)
    assert set(again.first.values()) == {"done before"}
    assert {p: p.stat().st_mtime_ns for p in before} == before

    # Another model around the same encoder: only its own stages are to be done.
    model = replace(recipe.lifter.model, history=None)
    lifter = replace(recipe.lifter, model=model, runs=recipe.lifter.runs[:1])
    other = Told()
    assert RecipeRun(replace(recipe, name="other", lifter=lifter)).run(other, until="other run 1")
    assert [n for n, text in other.first.items() if text == "done before"] == STAGES[:4]
    assert other.steps["other run 1"] == 3


def test_without_a_lifter_it_ends_in_a_model_of_the_encoder_that_reads_gravity(content, tmp_path) -> None:
    del content["lifter"]
    content["encoder"] |= {"compression": None, "mirror": True}
    content["encoder"]["model"]["view"] = 9
    content["calibration"]["as_trained"] = True
    recipe = parse_recipe(content, "tiny.yaml")
    told = Told()
    assert RecipeRun(recipe).run(told)
    assert list(told.first) == ["encoder run 1", "encoder run 2", "model"]
    folder = Path(recipe.output) / "tiny" / "model"
    assert read_spec(folder / "model.onnx").kind == "baseline"
    text = (folder / "MODEL_CARD.md").read_text()
    assert "- encoder run 2: 3 steps" in text
    assert "virtual views of 1 held-out clips, by the recipe's cameras and detector" in text
    assert "uses gravity if known, mean of the answers" in text

    spec = read_spec(folder / "model.onnx")
    sizes = {"people": 1} | spec.windows()
    rng = np.random.default_rng(1)
    session = ort.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    feeds = {
        port.name: rng.normal(size=[d if isinstance(d, int) else sizes.get(d, 5) for d in port.shape])
        .astype(np.float32) for port in session.get_inputs()
    }  # fmt: skip
    assert feeds["view"].shape == (1, 9)
    answers = []
    for up in ((0, 0, 0), (0, -1, 0), (0, -0.8, -0.6)):
        feeds["view"][:, 6:] = up
        answers.append(session.run(["mean"], feeds)[0])
    assert min(np.abs(a - b).max() for a, b in itertools.combinations(answers, 2)) > 1e-5


def test_a_run_that_was_killed_ends_where_an_unbroken_one_does(recipe, tmp_path) -> None:
    whole = replace(recipe, output=str(tmp_path / "whole"))
    assert RecipeRun(whole).run(until="encoder run 2")

    class KilledError(Exception):
        pass

    def kill(stage, step: int, text: str) -> None:
        if stage.name == "encoder run 2" and step == 2:
            raise KilledError

    with pytest.raises(KilledError):
        RecipeRun(recipe).run(kill)
    told = Told()
    assert RecipeRun(recipe).run(told, until="encoder run 2")
    assert told.first == {"encoder run 1": "done before", "encoder run 2": "resuming at step 2"}
    name = Path("encoder") / "run-2" / "model.safetensors"
    expected, found = (load_file(Path(r.output) / name) for r in (whole, recipe))
    assert all(torch.equal(expected[n], found[n]) for n in expected)


def test_time_that_runs_out_saves_and_stops(recipe) -> None:
    told = Told()
    assert not RecipeRun(recipe).run(told, stop_after_s=0.0)
    assert told.steps == {"encoder run 1": 1}
    assert RecipeRun(recipe).run(Told(), until="encoder run 1")


def begun(recipe: Recipe) -> None:
    assert RecipeRun(recipe).run(until="encoder run 1")


def test_another_configuration_is_refused_with_the_key_and_its_two_values(recipe) -> None:
    begun(recipe)
    with pytest.raises(ConfigError) as caught:
        RecipeRun(recipe.tuned(learning_rate=0.5)).run()
    text = str(caught.value)
    assert "encoder/run-1: was made with settings.optimiser.learning_rate = 0.001, now it is 0.5" in text
    assert "--restart" in text
    assert "\n" not in text


def test_other_data_is_refused(recipe, mocap) -> None:
    begun(recipe)
    with np.load(mocap) as held:
        arrays = dict(held)
    arrays["h36m17"] = arrays["h36m17"] + np.float32(0.01)
    np.savez(mocap, **arrays)
    with pytest.raises(ConfigError, match=r"encoder/run-1: was made with data = .*, now it is "):
        RecipeRun(recipe).run()
    begun_anew = Told()
    assert RecipeRun(recipe).run(begun_anew, until="encoder run 1", restart=True)
    assert begun_anew.first["encoder run 1"] == "float32, as configured"


def test_another_checkpoint_below_is_refused(recipe) -> None:
    assert RecipeRun(recipe).run(until="encoder run 2")
    path = Path(recipe.output) / "encoder" / "run-1" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(ConfigError, match=r"encoder/run-2: was made with inputs\.run-1/model"):
        RecipeRun(recipe).run()


def test_what_changes_no_result_changes_nothing(recipe) -> None:
    begun(recipe)
    told = Told()
    assert RecipeRun(recipe.tuned(threads=2, save_every=50)).run(told, until="encoder run 1")
    assert told.first == {"encoder run 1": "done before"}


def test_two_runs_at_once_are_refused(recipe) -> None:
    with (
        stage_record.alone(Path(recipe.output) / "encoder" / "run-1"),
        pytest.raises(ConfigError, match="run-1: another run is at work here"),
    ):
        RecipeRun(recipe).run()


@pytest.mark.parametrize("spoil", ["{", json.dumps({"wanted": {}})], ids=["torn", "keys missing"])
def test_a_damaged_record_is_named(recipe, spoil: str) -> None:
    begun(recipe)
    (Path(recipe.output) / "encoder" / "run-1" / "stage.json").write_text(spoil)
    with pytest.raises(ModelError, match=r"stage\.json: not a stage's record"):
        RecipeRun(recipe).run()


def test_a_stage_that_does_not_exist_is_refused_with_those_there_are(recipe) -> None:
    with pytest.raises(ConfigError, match=r"until: expected one of: encoder run 1, .*model; got 'dance'"):
        RecipeRun(recipe).run(until="dance")


def test_clips_held_out_are_not_learnt_from(recipe) -> None:
    work = RecipeRun(recipe)
    assert [c.name for c in work.motions.train] == ["first"]
    assert [c.name for c in work.motions.held_out] == ["second"]
    assert len(work.library.body) == 70
    assert len(work.judging.body) == 50


def test_a_source_is_left_out_by_a_switch(content) -> None:
    content["clips"] = {"leave_out_sources": ["ACCAD BVH"]}
    with pytest.raises(InputError, match="leave_out_sources: no clip has 'ACCAD BVH'"):
        RecipeRun(parse_recipe(content, "tiny.yaml")).run()
