"""``models``: what is in the box."""

import json

from diffpose_ros.cli import models


def test_json_names_models_and_backends(call):
    outcome = call("models", "--json")
    assert outcome.code == 0, outcome.err
    content = json.loads(outcome.out)
    assert set(content["backends"]) == {"onnxruntime", "openvino", "tensorrt", "torch"}
    assert {m["name"] for m in content["models"]} == {
        p.parent.name for p in models.WEIGHTS.glob("*/model.onnx")
    }


def test_files_with_fewer_steps_are_listed(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("model.onnx", "model_1.onnx", "model_2.onnx"):
        (folder / name).write_bytes(b"x" * 1000)
    (model,) = models.shipped_models(tmp_path)
    assert (model["name"], model["steps"]) == ("mine", [5, 2, 1])


def test_the_tables_name_the_backends(call):
    out = call("models").out
    assert "onnxruntime" in out
    assert "openvino" in out
