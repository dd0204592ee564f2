"""All passes together, and rows, which only together save nodes."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed: export needs it")
pytest.importorskip("onnxscript", reason="onnxscript is not installed: export needs it")

from small_graphs import graph, rewritten, run, weights  # noqa: E402

from diffpose_ros.onnxgraph.fuse import fuse  # noqa: E402
from diffpose_ros.onnxgraph.passes.dims import measure, reshape_target  # noqa: E402
from diffpose_ros.onnxgraph.passes.rows import linear_to_rows, merge_reshapes, sink_reshapes  # noqa: E402

ROWS = (linear_to_rows, sink_reshapes, merge_reshapes)


def test_a_chain_of_linear_layers_works_on_rows() -> None:
    model = graph(
        "(float[n,5,3] x) => (float[n,5,3] y) {"
        " p = MatMul(x, u) h = Add(p, b) g = Gelu(h) z = LayerNormalization <axis=-1> (g, s, b)"
        " s1 = Mul(z, half) q = MatMul(s1, v) y = Add(q, c) }",
        u=weights(3, 4), b=weights(4), s=weights(4), v=weights(4, 3), c=weights(3), half=np.float32(0.5),
    )  # fmt: skip
    inside = ["Gemm", "Gelu", "LayerNormalization", "Mul", "Gemm"]
    assert rewritten(model, *ROWS) == ["Reshape", *inside, "Reshape"]


def test_what_tells_rows_apart_sees_them_apart() -> None:
    """A constant per joint, and a product that mixes joints."""
    model = graph(
        "(float[n,5,3] x) => (float[n,5,4] y) {"
        " p = MatMul(x, u) h = Add(p, b) j = Add(h, joint) y = MatMul(mix, j) }",
        u=weights(3, 4), b=weights(4), joint=weights(5, 4), mix=weights(5, 5),
    )  # fmt: skip
    assert rewritten(model, *ROWS) == ["Reshape", "Gemm", "Reshape", "Add", "MatMul"]


def test_reshapes_in_a_row_are_one() -> None:
    model = graph(
        "(float[n,6] x) => (float[n,2,3] y, float[n,6] z) {"
        " a = Unsqueeze(x, one) b = Reshape(a, flat) y = Reshape(b, shape) z = Squeeze(a, one) }",
        one=np.array([1]), flat=np.array([-1]), shape=np.array([-1, 2, 3]),
    )  # fmt: skip
    assert sorted(rewritten(model, merge_reshapes)) == ["Identity", "Reshape"]


@pytest.mark.parametrize(
    ("before", "after", "target"),
    [
        (((2, 3), 6), ((2, 3), 2, 3), [-1, 2, 3]),
        (((2, 3), (5, 7), 6), ((2, 3), (5, 7), 2, 3), [-1, 0, 2, 3]),
        (((10, 21), 6), ((2, 3), (5, 7), 6), None),
        (((2, 3), (5, 7)), ((2, 3), (5, 7)), [-1, 0]),
        (((2, 3), (5, 7), 4), ((2, 3), (20, 28)), [0, -1]),
    ],
)  # fmt: skip
def test_reshape_targets(before: tuple, after: tuple, target: list | None) -> None:
    assert reshape_target(before, after) == target


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("(float[n] x) => (int64[1,w] y) { y = NonZero(x) }", "NonZero"),
        ("(int64[n] k) => (int64[n] y) { y = Neg(k) }", "k"),
    ],
    ids=["operator", "input"],
)  # fmt: skip
def test_graphs_whose_sizes_may_depend_on_values_are_refused(text: str, named: str) -> None:
    with pytest.raises(ValueError, match=f"sizes may depend on values, which is not supported: {named}"):
        measure(graph(text))


def test_an_attention_block_is_fused_whole() -> None:
    """Pre-normed attention with a residual, as a network writes it."""
    model = graph(
        "(float[n,5,8] x) => (float[n,5,8] y) {"
        " z = LayerNormalization <axis=-1> (x, g, b)"
        " q0 = MatMul(z, wq) q1 = Add(q0, b) q2 = Mul(q1, scale)"
        " k0 = MatMul(z, wk) k1 = Add(k0, b) v0 = MatMul(z, wv) v1 = Add(v0, b)"
        " q3 = Reshape(q2, heads) k3 = Reshape(k1, heads) v3 = Reshape(v1, heads)"
        " q4 = Transpose <perm=[0,2,1,3]> (q3) k4 = Transpose <perm=[0,2,3,1]> (k3)"
        " v4 = Transpose <perm=[0,2,1,3]> (v3) l = MatMul(q4, k4) a = Softmax(l) m = MatMul(a, v4)"
        " m1 = Transpose <perm=[0,2,1,3]> (m) m2 = Reshape(m1, flat) o = MatMul(m2, wo) y = Add(x, o) }",
        g=weights(8), b=weights(8, seed=1), wq=weights(8, 8), wk=weights(8, 8, seed=1),
        wv=weights(8, 8, seed=2), wo=weights(8, 8, seed=3), scale=np.float32(0.5),
        heads=np.array([-1, 5, 2, 4]), flat=np.array([-1, 5, 8]),
    )  # fmt: skip
    fused = fuse(model)
    onnx.checker.check_model(fused, full_check=True)
    for was, now in zip(run(model), run(fused), strict=True):
        np.testing.assert_allclose(now, was, atol=1e-5)
    ops = [n.op_type for n in fused.graph.node]
    assert ops.count("Gemm") + ops.count("MatMul") == 4
    assert len(ops) <= 15
    assert fuse(fused).graph.node == fused.graph.node
