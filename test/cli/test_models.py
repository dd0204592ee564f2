"""``models``: what is in the box and what works here."""

import json

from diffpose_ros.cli.models import describe
from diffpose_ros.methods.catalog import model_names
from diffpose_ros.methods.registry import METHODS, VARIANTS, summary_of
from diffpose_ros.runtime.load import BACKENDS, probe_backends


def test_json_names_models_and_backends(call):
    outcome = call("models", "--json")
    assert outcome.code == 0, outcome.err
    content = json.loads(outcome.out)
    assert set(content["backends"]) == set(BACKENDS)
    for name, can in probe_backends().items():
        assert content["backends"][name] == {"works": can.available, "reason": can.reason}
    assert [m["name"] for m in content["models"]] == model_names()
    for model in content["models"]:
        assert model["summary"] == summary_of(model["name"], model["kind"])


def test_every_method_comes_with_a_model_and_every_model_has_its_line():
    kinds = {model: describe(model)["kind"] for model in model_names()}
    assert kinds == {name: name for name in METHODS} | {name: kind for name, (kind, _) in VARIANTS.items()}


def test_only_a_model_of_its_own_kind_has_a_variants_line():
    assert summary_of("baseline_people", "baseline") == VARIANTS["baseline_people"][1]
    assert summary_of("baseline_people", "starpose") == METHODS["starpose"].summary
    assert summary_of("my_own", "baseline") == METHODS["baseline"].summary


def test_files_with_fewer_steps_are_listed(call):
    steps = {m["name"]: m["steps"] for m in json.loads(call("models", "--json").out)["models"]}
    assert steps["starpose"] == [5, 2, 1]
    assert steps["baseline"] == [1]
    assert steps["finepose"] == [5, 10, 2, 1]
    assert steps["zedo"] == [8]


def test_the_tables_name_the_backends(call):
    out = call("models").out
    assert all(name in out for name in BACKENDS)
