"""Graphs at half the size that compute the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed: export needs it")

from onnx import TensorProto, helper, numpy_helper

from diffpose_ros.onnxgraph.fp16_weights import SMALLEST, compact, expand


def graph(weight: np.ndarray):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, weight.shape[0]])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, weight.shape[1]])
    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    made = helper.make_graph([product], "g", [x], [y], [numpy_helper.from_array(weight, "w")])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.fixture
def exact():
    """Weights that FP16 holds."""
    return np.random.default_rng(0).normal(size=(32, 24)).astype(np.float16).astype(np.float32)


def test_what_fp16_holds_is_stored_in_half_and_computes_the_same(exact) -> None:
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    before = graph(exact).SerializeToString()
    small = compact(graph(exact))
    onnx.checker.check_model(small, full_check=True)
    after = small.SerializeToString()
    assert len(after) < 0.6 * len(before)
    x = np.random.default_rng(1).normal(size=(1, 32)).astype(np.float32)
    (expected,), (found,) = (
        ort.InferenceSession(m, providers=["CPUExecutionProvider"]).run(None, {"x": x})
        for m in (before, after)
    )
    assert np.array_equal(expected, found)


def test_what_fp16_would_change_or_is_small_stays(exact) -> None:
    for weight in (exact * np.float32(1.0001), exact * np.float32(1e6), exact[:4, : SMALLEST // 8]):
        before = graph(np.ascontiguousarray(weight)).SerializeToString()
        assert compact(graph(np.ascontiguousarray(weight))).SerializeToString() == before


def test_expanding_undoes_it(exact) -> None:
    assert expand(compact(graph(exact))) == graph(exact)


def test_rounded_weights_are_what_fp16_holds() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: training needs it")
    from diffpose_ros.onnxgraph.fp16_weights import round_weights

    torch.manual_seed(0)
    large, small = torch.nn.Linear(32, 32), torch.nn.Linear(4, 4)
    kept = small.weight.detach().clone()
    round_weights(torch.nn.Sequential(large, small))
    assert torch.equal(large.weight.half().float(), large.weight)
    assert torch.equal(small.weight, kept)
