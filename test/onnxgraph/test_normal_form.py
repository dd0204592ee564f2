"""Graphs as converters like them compute what they did."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed: engines in half precision need it")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from diffpose_ros.onnxgraph.normal_form import fold_constants, sums_apart  # noqa: E402


def graph(nodes, **constants):
    """(2, 3) in as ``x``, (2, 4) in as ``r``, ``y`` out."""
    made = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3]),
         helper.make_tensor_value_info("r", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model):
    rng = np.random.default_rng(0)
    feeds = {k: rng.normal(size=(2, n)).astype("f") for k, n in (("x", 3), ("r", 4))}
    onnx.checker.check_model(model)
    return ReferenceEvaluator(model).run(["y"], feeds)[0]


def weights():
    rng = np.random.default_rng(1)
    return {k: rng.normal(size=(3, 2)).astype("f") for k in ("a", "b")}


def test_weights_that_are_put_together_become_one_constant():
    model = graph(
        [helper.make_node("Neg", ["b"], ["minus"]),
         helper.make_node("Concat", ["a", "minus"], ["both"], axis=1),
         helper.make_node("MatMul", ["x", "both"], ["p"]),
         helper.make_node("Add", ["p", "r"], ["y"])],
        **weights(),
    )  # fmt: skip
    before = run(model)
    fold_constants(model)
    assert [n.op_type for n in model.graph.node] == ["MatMul", "Add"]
    assert "both" in {t.name for t in model.graph.initializer}
    np.testing.assert_allclose(run(model), before, rtol=1e-6)


def test_a_graph_without_such_weights_stays_as_it_is():
    model = graph(
        [helper.make_node("RandomNormal", [], ["dice"], shape=[4]),  # reads nothing, yet is no constant
         helper.make_node("Add", ["r", "dice"], ["y"])],
        **weights(),
    )  # fmt: skip
    before = model.SerializeToString()
    assert fold_constants(model).SerializeToString() == before


@pytest.mark.parametrize("residual", [True, False], ids=["residual", "bias"])
def test_a_product_gives_its_residual_back_and_keeps_its_bias(residual):
    model = graph(
        [helper.make_node("Gemm", ["x", "w", "r" if residual else "c"], ["y"], alpha=0.5)],
        w=np.random.default_rng(2).normal(size=(3, 4)).astype("f"), c=np.arange(4, dtype="f"),
    )  # fmt: skip
    before = run(model)
    sums_apart(model)
    assert [n.op_type for n in model.graph.node] == (["Gemm", "Add"] if residual else ["Gemm"])
    np.testing.assert_allclose(run(model), before, rtol=1e-6)


def test_a_scaled_residual_stays_inside():
    model = graph([helper.make_node("Gemm", ["x", "w", "r"], ["y"], beta=2.0)], w=np.ones((3, 4), "f"))
    before = run(model)
    assert [n.op_type for n in sums_apart(model).graph.node] == ["Gemm"]
    np.testing.assert_allclose(run(model), before)
