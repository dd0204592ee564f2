"""A model file is checked before anything runs it; the error names the file and the reason."""

import json

import pytest

pytest.importorskip("onnx", reason="needs the Python package onnx to make a test graph")

import onnx
from onnx import helper
from synthetic import CONTEXT, HISTORY, metadata, write

from diffpose_ros.core import ModelError
from diffpose_ros.methods import catalog
from diffpose_ros.methods.model_file import METADATA_KEY
from diffpose_ros.methods.registry import METHODS, read_spec


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write(tmp_path_factory.mktemp("spec") / "model.onnx")


def test_reads_what_the_file_says(model):
    spec = read_spec(model)
    assert (spec.kind, spec.name, spec.steps, spec.hypotheses) == ("starpose", "synthetic", 5, 5)
    assert spec.guidance == (1.0, 1.0, 0.01, 0.01)
    assert {n: r.length for n, r in spec.rings.items()} == {"context": CONTEXT, "history": HISTORY}
    assert spec.age_inputs == {"age": "context", "history_age": "history"}
    assert spec.graph.sizes == {"hypotheses": 5, "context": CONTEXT, "history": HISTORY}
    assert spec.graph.shapes(3)["key_0"] == (3, 21, 3, CONTEXT)
    assert spec.graph.shapes(3, {"context": 9})["value_0"] == (3, 9, 21, 3)
    assert spec.graph.shapes(2, {"hypotheses": 4})["noise"] == (2, 4, 17, 3)
    assert spec.graph.shapes(2)["guidance"] == (4,)
    assert spec.graph.caches == {"key_0", "value_0", "past_0"}
    assert (spec.score_floor, spec.bone_window) == (0.1, 3)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.onnx: no such model file"):
        read_spec(tmp_path / "gone.onnx")


@pytest.mark.parametrize(
    "content", [b"", b"hello, I am text\n" * 9, b"\x89PNG\r\n\x1a\n" + bytes(60), bytes(100)],
    ids=["empty", "text", "png", "zeros"],
)  # fmt: skip
def test_a_file_that_is_not_onnx_is_refused(tmp_path, content):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.onnx: not an ONNX file, or truncated"):
        read_spec(path)


def test_a_truncated_file_is_refused_wherever_it_ends(model, tmp_path):
    whole = model.read_bytes()
    path = tmp_path / "cut.onnx"
    for end in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:end])
        with pytest.raises(ModelError, match=r"cut\.onnx"):
            read_spec(path)


def _with(model, tmp_path, text):
    proto = onnx.load(model)
    del proto.metadata_props[:]
    if text is not None:
        helper.set_model_props(proto, {METADATA_KEY: text})
    path = tmp_path / "changed.onnx"
    onnx.save(proto, path)
    return path


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (None, "not a lifter model: it has no 'diffpose_ros' metadata"),
        ("{", "metadata is not JSON"),
        ("[]", "expected model format 1, got None"),
        (json.dumps(metadata(format=2)), "expected model format 1, got 2"),
        (json.dumps(metadata(joint_set="coco17")), "joint_set: expected h36m17, got 'coco17'"),
        (json.dumps(metadata(joint_set="smpl24")), "joint_set: expected h36m17, got 'smpl24'"),
        (json.dumps(metadata(points=17)), "expected 21 input points, got 17"),
        (json.dumps(metadata(guidance=[1, 2])), "guidance: expected 4 weights, got 2"),
        (json.dumps({"format": 1}), f"kind: expected one of {', '.join(METHODS)}, got 'None'"),
        (json.dumps(metadata(kind="crystal")), "kind: expected one of .*, got 'crystal'"),
        (json.dumps({"format": 1, "kind": "diffpose"}), "incomplete or wrong metadata: KeyError"),
        (json.dumps(metadata(state=[])), "unknown .'key_0', 'value_0', 'past_0'|has no cache"),
        (json.dumps(metadata(rings={})), "cache 'key_0' names an unknown ring 'context'"),
        (
            json.dumps(metadata(rings={"context": {"length": 9, "max_length": 4, "age": "age"}})),
            "ring 'history'|length 9 of at most 4",
        ),
        (
            json.dumps(metadata(rings={"context": {"length": 10**9, "age": "age"}})),
            "length: expected a whole number, 1 to 4096, got 1000000000",
        ),
        (json.dumps(metadata(rings={"context": {"length": 9, "max_length": 1e9, "age": "a"}})), "max_length"),
        (json.dumps(metadata(rings=[])), "incomplete or wrong metadata"),
        (json.dumps(metadata(hypotheses=10**9)), "hypotheses: expected a whole number, 1 to 1000"),
        (json.dumps(metadata(steps=True)), "steps: expected a whole number"),
        (json.dumps(metadata(bone_window=10**12)), "bone_window: expected a whole number"),
        (json.dumps(metadata(score_floor=float("nan"))), "score_floor: expected a number, 0 to 1"),
        (json.dumps(metadata(guidance=[float("inf"), 0, 0, 0])), "guidance: expected weights of at most"),
        ("[" * 100_000, "metadata is not JSON"),
    ],
)
def test_wrong_metadata_is_refused(model, tmp_path, text, error):
    with pytest.raises(ModelError, match=rf"changed\.onnx: .*({error})"):
        read_spec(_with(model, tmp_path, text))


def test_other_inputs_are_refused(tmp_path):
    path = write(tmp_path / "other.onnx", extra_input="surprise")
    with pytest.raises(ModelError, match=r"other\.onnx: inputs are not a lifter's.*'surprise'"):
        read_spec(path)


def test_a_cache_shape_without_its_slot_axis_is_refused(model, tmp_path):
    meta = metadata()
    meta["state"][0]["slot_axis"] = 1
    with pytest.raises(ModelError, match=r"cache 'key_0' .* expected -1 on its slot axis 1"):
        read_spec(_with(model, tmp_path, json.dumps(meta)))


@pytest.mark.parametrize("size", [10**8, 0, -3, 2.5, "x"])
def test_a_cache_of_no_or_endless_size_is_refused(model, tmp_path, size):
    meta = metadata()
    meta["state"][0]["shape"] = [size, 21, 3, -1]
    meta["state"][0]["slot_axis"] = 3
    with pytest.raises(ModelError, match=r"cache 'key_0'|input 'key_0'"):
        read_spec(_with(model, tmp_path, json.dumps(meta)))


def test_an_input_of_another_shape_is_refused(model, tmp_path):
    meta = metadata()
    meta["state"][2]["shape"] = [16, -1, 3]
    with pytest.raises(ModelError, match=r"input 'past_0' has shape \(any, 17, any, 3\), expected"):
        read_spec(_with(model, tmp_path, json.dumps(meta)))


def test_models_are_found_by_name_folder_or_path(model, monkeypatch, tmp_path):
    monkeypatch.setattr(catalog, "WEIGHTS", tmp_path)
    (tmp_path / "mine").mkdir()
    named = tmp_path / "mine" / "model.onnx"
    named.write_bytes(model.read_bytes())
    assert catalog.find_model("mine") == named
    assert catalog.find_model(named.parent) == named
    assert catalog.find_model(str(model)) == model
    assert catalog.model_names() == ["mine"]
    with pytest.raises(ModelError, match="unknown model 'yours': expected one of mine, or a path"):
        catalog.find_model("yours")
    with pytest.raises(ModelError, match=r"x/y\.onnx: no such model file"):
        catalog.find_model("x/y.onnx")


def test_variants_with_fewer_steps_lie_beside_the_file(tmp_path):
    for name in ("model.onnx", "model_1.onnx", "model_2.onnx", "model_old.onnx"):
        (tmp_path / name).write_bytes(b"")
    assert list(catalog.step_variants(tmp_path / "model.onnx")) == [2, 1]
