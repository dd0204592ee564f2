"""Each pass: the same numbers, fewer nodes, and nothing where it does not apply."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed: export needs it")
pytest.importorskip("onnxscript", reason="onnxscript is not installed: export needs it")

from small_graphs import graph, rewritten, weights  # noqa: E402

from diffpose_ros.onnxgraph.passes.affine_region import LARGEST, affine_region  # noqa: E402
from diffpose_ros.onnxgraph.passes.bias_into_norm import bias_into_norm  # noqa: E402
from diffpose_ros.onnxgraph.passes.bias_through_hidden import bias_through_hidden  # noqa: E402
from diffpose_ros.onnxgraph.passes.concat_of_products import concat_of_products  # noqa: E402
from diffpose_ros.onnxgraph.passes.hoist_above_split import hoist_above_split  # noqa: E402
from diffpose_ros.onnxgraph.passes.interleave_heads import interleave_heads  # noqa: E402
from diffpose_ros.onnxgraph.passes.no_op_casts import no_op_casts  # noqa: E402
from diffpose_ros.onnxgraph.passes.parallel_products import merge_parallel_products  # noqa: E402
from diffpose_ros.onnxgraph.passes.residual_into_gemm import residual_into_gemm  # noqa: E402
from diffpose_ros.onnxgraph.passes.scale_into_weights import scale_into_weights  # noqa: E402
from diffpose_ros.onnxgraph.passes.static_shapes import static_shapes  # noqa: E402
from diffpose_ros.onnxgraph.passes.upright_weights import upright_weights  # noqa: E402
from diffpose_ros.onnxgraph.passes.weighted_sum import weighted_sum  # noqa: E402


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


# --- residual_into_gemm


@pytest.mark.parametrize("order", ["p, r", "r, p"])
def test_a_residual_goes_into_the_product(order: str) -> None:
    model = graph(
        "(float[n,3] x, float[n,4] r) => (float[n,4] y) { p = MatMul(x, w) y = Add(" + order + ") }",
        w=weights(3, 4),
    )
    assert rewritten(model, residual_into_gemm) == ["Gemm"]


@pytest.mark.parametrize(
    "text",
    [
        "(float[n,3] x, float[1,4] r) => (float[n,4] y) { p = MatMul(x, w) y = Add(p, r) }",
        "(float[1,3] x, float[n,4] r) => (float[n,4] y) { p = MatMul(x, w) y = Add(p, r) }",
        "(float[n,2,3] x, float[n,2,4] r) => (float[n,2,4] y) { p = MatMul(x, w) y = Add(p, r) }",
        "(float[n,3] x, float[n,4] r) => (float[n,4] y, float[n,4] p) { p = MatMul(x, w) y = Add(p, r) }",
        "(float[n,3] x, float[n,4] r) => (float[n,4] y) { p = MatMul(x, w) q = Add(p, r) y = Mul(p, q) }",
    ],
    ids=["summand repeated", "product repeated", "no matrix", "graph output", "read twice"],
)
def test_a_residual_stays_outside(text: str) -> None:
    assert "Gemm" not in rewritten(graph(text, w=weights(3, 4)), residual_into_gemm)


# --- bias_through_hidden


MLP = """(float[n,3] x, float[n,4] r) => (float[n,4] y) {
    a = Gemm(x, u, k) h = Gelu <approximate="tanh"> (a) p = Gemm(h, v, b) y = Add(r, p) }"""


@pytest.mark.parametrize("approximate", ["tanh", "none"])
def test_a_bias_comes_through_the_hidden_layer(approximate: str) -> None:
    text = MLP.replace("tanh", approximate)
    model = graph(text, u=weights(3, 5), k=weights(5), v=weights(5, 4), b=weights(4))
    assert rewritten(model, bias_through_hidden) == ["Gemm", "Gelu", "Gemm"]


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("float[n,4] r", "float[1,4] r"), ("(float[n,4] y)", "(float[n,4] y, float[n,5] h)"),
        ("(float[n,4] y)", "(float[n,4] y, float[n,4] p)"), ('Gelu <approximate="tanh"> (a)', "Sigmoid(a)"),
        ("Gemm(h, v, b)", "Gemm <alpha=2.0> (h, v, b)"),
    ],
    ids=["summand repeated", "hidden layer is read", "product is read", "saturates", "scaled"],
)  # fmt: skip
def test_a_bias_stays_where_it_is(was: str, now: str) -> None:
    model = graph(MLP.replace(was, now), u=weights(3, 5), k=weights(5), v=weights(5, 4), b=weights(4))
    assert len(rewritten(model, bias_through_hidden)) == 4


# --- scale_into_weights


FACTORS = [np.float32(0.25), weights(4), weights(1, 4)]


@pytest.mark.parametrize("factor", FACTORS, ids=["one number", "one per column", "a row"])
def test_a_factor_goes_into_weights_and_bias(factor: np.ndarray) -> None:
    model = graph(
        "(float[n,3] x) => (float[n,4] y) { p = Gemm(x, w, b) y = Mul(p, s) }",
        w=weights(3, 4), b=weights(4), s=np.asarray(factor),
    )  # fmt: skip
    assert rewritten(model, scale_into_weights) == ["Gemm"]


@pytest.mark.parametrize(
    ("text", "s"),
    [
        ("(float[4,3] x) => (float[4,4] y) { p = Gemm(x, w, b) y = Mul(p, s) }", weights(4, 1)),
        ("(float[n,3] x) => (float[1,n,4] y) { p = Gemm(x, w, b) y = Mul(p, s) }", weights(1, 1, 4)),
        ("(float[n,3] x) => (float[n,4] y, float[n,4] p) { p = Gemm(x, w, b) y = Mul(p, s) }", weights(4)),
        ("(float[n,3] x, float[n,4] b) => (float[n,4] y) { p = Gemm(x, w, b) y = Mul(p, s) }", weights(4)),
    ],
    ids=["per row", "more axes", "graph output", "bias is no constant"],
)
def test_a_factor_stays(text: str, s: np.ndarray) -> None:
    constants = {"w": weights(3, 4), "s": s} | ({} if "] b" in text else {"b": weights(4)})
    assert rewritten(graph(text, **constants), scale_into_weights) == ["Gemm", "Mul"]


# --- bias_into_norm


def test_what_is_added_to_a_norm_becomes_its_bias() -> None:
    text = "(float[n,5,4] x) => (float[n,5,4] y) { z = LayerNormalization(x, g, b) y = Add(z, c) }"
    model = graph(text, g=weights(4), b=weights(4), c=weights(1, 1, 4))
    assert rewritten(model, bias_into_norm) == ["LayerNormalization"]


@pytest.mark.parametrize("c", [weights(5, 4), weights(5, 1)], ids=["per joint and column", "per joint"])
def test_other_sums_behind_a_norm_stay(c: np.ndarray) -> None:
    text = "(float[n,5,4] x) => (float[n,5,4] y) { z = LayerNormalization(x, g, b) y = Add(z, c) }"
    model = graph(text, g=weights(4), b=weights(4), c=c)
    assert rewritten(model, bias_into_norm) == ["LayerNormalization", "Add"]


# --- upright_weights, no_op_casts


def test_weights_are_turned_upright() -> None:
    model = graph("(float[n,3] x) => (float[n,4] y) { y = Gemm <transB=1> (x, w) }", w=weights(4, 3))
    assert rewritten(model, upright_weights) == ["Gemm"]


def test_only_casts_that_change_something_stay() -> None:
    model = graph(
        "(float[n,3] x) => (float[n,3] y) {"
        " a = Cast <to=1> (x) b = Cast <to=11> (a) c = Neg(b) y = Cast <to=1> (c) }"
    )
    assert rewritten(model, no_op_casts) == ["Cast", "Neg", "Cast"]


def test_a_cast_that_is_all_there_is_becomes_an_identity() -> None:
    model = graph("(float[n,3] x) => (float[n,3] y) { y = Cast <to=1> (x) }")
    assert rewritten(model, no_op_casts) == ["Identity"]


# --- static_shapes


def test_shapes_are_written_down() -> None:
    model = graph(
        "(float[n,6,4] x) => (float[n,3,2,4] y) {"
        " s = Shape(x) n0 = Slice(s, zero, one) t = Concat <axis=0> (n0, rest) y = Reshape(x, t) }",
        zero=ints(0), one=ints(1), rest=ints(3, 2, 4),
    )  # fmt: skip
    assert rewritten(model, static_shapes) == ["Reshape"]


def test_two_dynamic_sizes_that_move_are_read_off_the_inputs() -> None:
    model = graph(
        "(float[n,m,2] x) => (float[m,n,2] y) {"
        " f = Reshape(x, flat) s = Shape(x) a = Gather(s, i0) b = Gather(s, i1) c = Gather(s, i2)"
        " t = Concat <axis=0> (b, a, c) y = Reshape(f, t) }",
        flat=ints(-1, 2), i0=ints(0), i1=ints(1), i2=ints(2),
    )  # fmt: skip
    assert rewritten(model, static_shapes) == ["Reshape", "Shape", "Concat", "Reshape"]


def test_an_axis_that_stays_needs_no_size_to_expand() -> None:
    model = graph(
        "(float[n,1,2] x) => (float[n,5,2] y) {"
        " s = Shape(x) a = Gather(s, i0) t = Concat <axis=0> (a, rest) y = Expand(x, t) }",
        i0=ints(0), rest=ints(5, 2),
    )  # fmt: skip
    assert rewritten(model, static_shapes) == ["Expand"]


# --- parallel_products, concat_of_products


def test_products_of_one_tensor_become_one() -> None:
    model = graph(
        "(float[n,3] x) => (float[n,4] a, float[n,2] b, float[n,5] c) {"
        " a = Gemm(x, u, k) b = MatMul(x, v) c = Gemm(x, w, l) }",
        u=weights(3, 4), v=weights(3, 2), w=weights(3, 5), k=weights(4), l=weights(5),
    )  # fmt: skip
    assert rewritten(model, merge_parallel_products) == ["Gemm", "Split"]


def test_constants_on_the_left_are_stacked() -> None:
    model = graph(
        "(float[n,3,w] x) => (float[n,4,w] a, float[n,2,w] b) { a = MatMul(u, x) b = MatMul(v, x) }",
        u=weights(4, 3), v=weights(2, 3),
    )  # fmt: skip
    assert rewritten(model, merge_parallel_products) == ["MatMul", "Split"]


@pytest.mark.parametrize(
    "second",
    ["MatMul(z, v)", "Gemm <transB=1> (x, t, k)", "Gemm <alpha=2.0> (x, v, k)", "Gemm(x, v, r)"],
    ids=["of another tensor", "turned", "scaled", "with a residual"],
)
def test_other_products_stay_apart(second: str) -> None:
    model = graph(
        "(float[n,3] x, float[n,3] z, float[n,2] r) => (float[n,4] a, float[n,2] b) {"
        f" a = MatMul(x, u) b = {second} }}",
        u=weights(3, 4), v=weights(3, 2), t=weights(2, 3), k=weights(2),
    )  # fmt: skip
    assert "Split" not in rewritten(model, merge_parallel_products)


def test_products_side_by_side_become_one() -> None:
    model = graph(
        "(float[n,5,2] x) => (float[n,5,6] y) {"
        " a = MatMul(u, x) b = MatMul(v, x) y = Concat <axis=-1> (x, a, b) }",
        u=weights(5, 5), v=weights(5, 5, seed=1),
    )  # fmt: skip
    assert rewritten(model, concat_of_products) == ["MatMul", "Reshape"]


@pytest.mark.parametrize(
    ("out", "axis", "also"),
    [("[n,15,2]", 1, ""), ("[n,5,6]", -1, ", float[n,5,2] a")],
    ids=["one below the other", "graph output"],
)
def test_other_concatenations_stay(out: str, axis: int, also: str) -> None:
    model = graph(
        f"(float[n,5,2] x) => (float{out} y{also}) {{"
        f" a = MatMul(u, x) b = MatMul(v, x) y = Concat <axis={axis}> (x, a, b) }}",
        u=weights(5, 5), v=weights(5, 5, seed=1),
    )  # fmt: skip
    assert rewritten(model, concat_of_products).count("MatMul") == 2


# --- weighted_sum


DDIM = """(float[n,3] h, float[n,3] c, float[1,3] m) => (float[n,3] y) {
    off = Sub(c, m) part = Mul(a, off) lost = Sub(h, m) rest = Sub(lost, part) eps = Div(rest, d)
    more = Mul(off, b) here = Add(m, more) noise = Mul(eps, e) y = Add(here, noise) }"""


def number(value: float) -> np.ndarray:
    return np.array(value, np.float32)


def test_a_sum_of_three_is_written_with_three_factors() -> None:
    model = graph(DDIM, a=number(0.9), b=number(0.7), d=number(0.4), e=number(0.6))
    assert sorted(rewritten(model, weighted_sum)) == ["Add", "Add", "Mul", "Mul", "Mul"]


def test_a_part_that_others_read_is_a_summand() -> None:
    text = DDIM.replace("(float[n,3] y) {", "(float[n,3] y, float[n,3] off) {")
    model = graph(text, a=number(0.9), b=number(0.7), d=number(0.4), e=number(0.6))
    assert rewritten(model, weighted_sum)[0] == "Sub"


@pytest.mark.parametrize(
    "nodes",
    [
        "y = Sub(h, c)", "p = Mul(h, c) y = Add(p, c)", "p = Mul(h, v) y = Add(p, c)",
        "p = Div(a, h) y = Add(p, c)",
    ],
    ids=["short already", "product of tensors", "factor per column", "number over tensor"],
)  # fmt: skip
def test_what_is_no_longer_than_its_summands_stays(nodes: str) -> None:
    model = graph(f"(float[n,3] h, float[n,3] c) => (float[n,3] y) {{ {nodes} }}", a=number(2), v=weights(3))
    assert len(rewritten(model, weighted_sum)) == nodes.count("=")


# --- hoist_above_split, interleave_heads


@pytest.mark.parametrize(
    ("op", "out"),
    [
        ("Sigmoid({})", "[n,2,4]"), ("Add({}, r)", "[n,2,4]"), ("Where(flag, low, {})", "[n,2,4]"),
        ("Transpose <perm=[1,0,2]> ({})", "[2,n,4]"), ("Unsqueeze({}, one)", "[n,1,2,4]"),
        ("Reshape({}, shape)", "[n,1,2,4]"),
    ],
    ids=["function", "sum", "mask", "transpose", "unsqueeze", "reshape"],
)  # fmt: skip
def test_what_all_parts_go_through_happens_once(op: str, out: str) -> None:
    model = graph(
        f"(float[n,2,8] x, float[n,2,1] r) => (float{out} a, float{out} b) {{ flag = Less(r, low)"
        f" p, q = Split <axis=2> (x, sizes) a = {op.format('p')} b = {op.format('q')} }}",
        sizes=ints(4, 4), one=ints(1), shape=ints(-1, 1, 2, 4), low=number(0.1),
    )  # fmt: skip
    ops = rewritten(model, hoist_above_split)
    assert ops[-1] == "Split"
    assert ops.count(op.split("(")[0].split(" ")[0]) == 1


def test_a_part_that_is_turned_further_is_turned_again() -> None:
    model = graph(
        "(float[n,2,3,12] x) => (float[n,3,2,4] a, float[n,3,4,2] b, float[n,3,2,4] c) {"
        " p, q, r = Split <axis=3> (x, sizes) a = Transpose <perm=[0,2,1,3]> (p)"
        " b = Transpose <perm=[0,2,3,1]> (q) c = Transpose <perm=[0,2,1,3]> (r) }",
        sizes=ints(4, 4, 4),
    )  # fmt: skip
    assert rewritten(model, hoist_above_split) == ["Transpose", "Split", "Transpose"]


@pytest.mark.parametrize(
    "nodes",
    [
        "a = Sigmoid(p) b = Exp(q)", "a = Add(p, s) b = Add(q, t)", "a = Add(p, u) b = Add(q, u)",
        "a = Softmax <axis=1> (p) b = Softmax <axis=1> (q)", "a = Sigmoid(p) c = Add(p, q) b = Sigmoid(c)",
    ],
    ids=["not alike", "other operands", "operand along the split", "not elementwise", "read twice"],
)  # fmt: skip
def test_what_differs_between_parts_stays_behind_the_split(nodes: str) -> None:
    model = graph(
        f"(float[n,8] x) => (float[n,4] a, float[n,4] b) {{ p, q = Split <axis=1> (x, sizes) {nodes} }}",
        sizes=ints(4, 4), s=number(1), t=number(2), u=weights(4),
    )  # fmt: skip
    assert rewritten(model, hoist_above_split)[0] == "Split"


@pytest.mark.parametrize("op", ["Gemm(x, w, b)", "MatMul(x, w)"])
def test_heads_are_reshaped_before_they_are_split(op: str) -> None:
    model = graph(
        "(float[n,6] x) => (float[n,2,3] q, float[n,2,3] k, float[n,2,5] v) {"
        f" z = {op} c, d, e = Split <axis=1> (z, sizes)"
        " q = Reshape(c, narrow) k = Reshape(d, narrow) v = Reshape(e, wide) }",
        w=weights(6, 22), b=weights(22), sizes=ints(6, 6, 10), narrow=ints(-1, 2, 3), wide=ints(-1, 2, 5),
    )  # fmt: skip
    assert rewritten(model, interleave_heads) == [op.split("(")[0], "Reshape", "Split"]


def test_parts_of_different_heads_are_split_first() -> None:
    model = graph(
        "(float[n,6] x) => (float[n,2,3] q, float[n,3,4] v) {"
        " z = Gemm(x, w) c, d = Split <axis=1> (z, sizes) q = Reshape(c, two) v = Reshape(d, three) }",
        w=weights(6, 18), sizes=ints(6, 12), two=ints(-1, 2, 3), three=ints(-1, 3, 4),
    )  # fmt: skip
    assert rewritten(model, interleave_heads) == ["Gemm", "Split", "Reshape", "Reshape"]


# --- affine_region


def test_what_is_linear_in_a_few_numbers_becomes_one_product() -> None:
    model = graph(
        "(float[n,2,5,3] x) => (float[n,5,3] y) {"
        " z = Add(x, bias) hip = Slice(z, zero, one, two) moved = Sub(z, hip)"
        " first, second = Split <axis=1> (moved, halves) flipped = Gather <axis=2> (second, swap)"
        " back = Mul(flipped, sign) both = Add(first, back) mean = Div(both, half) y = Squeeze(mean, one) }",
        bias=weights(5, 3), zero=ints(0), one=ints(1), two=ints(2), halves=ints(1, 1),
        swap=ints(0, 2, 1, 4, 3), sign=np.array([-1, 1, 1], np.float32), half=number(2),
    )  # fmt: skip
    assert rewritten(model, affine_region) == ["Reshape", "Gemm", "Reshape"]


def test_several_results_leave_one_product() -> None:
    model = graph(
        "(float[n,6] x) => (float[n,3] y, float[n,2] z) {"
        " a = Gather <axis=1> (x, some) b = Mul(a, s) c = Add(b, t) y = Sub(c, s)"
        " d = MatMul(c, w) z = Neg(d) }",
        some=ints(5, 0, 2), s=weights(3), t=weights(3, seed=1), w=weights(3, 2),
    )  # fmt: skip
    assert rewritten(model, affine_region) == ["Gemm", "Split"]


def test_a_result_that_the_region_reads_again_stays_inside() -> None:
    model = graph(
        "(float[n,6] x) => (float[n,6] a, float[n,2] y) {"
        " a = Mul(x, s) b = Add(a, t) c = Sub(b, s) d = Mul(c, t) y = MatMul(d, w) }",
        s=weights(6), t=weights(6, seed=1), w=weights(6, 2),
    )  # fmt: skip
    assert rewritten(model, affine_region) == ["Gemm", "Split"]


@pytest.mark.parametrize(
    "nodes",
    [
        "a = Mul(x, x) b = Add(a, s) c = Exp(b) y = Neg(c)",
        "a = ReduceSum(x, rows) b = Sub(x, a) y = Neg(b)",
        "a = Softmax <axis=0> (x) b = Transpose <perm=[1,0]> (a) c = Transpose <perm=[1,0]> (b) y = Exp(c)",
    ],
    ids=["not linear", "rows are mixed", "axes change places"],
)
def test_the_rest_stays_as_it_is(nodes: str) -> None:
    model = graph(f"(float[n,6] x) => (float[n,6] y) {{ {nodes} }}", s=weights(6), rows=ints(0))
    assert "Gemm" not in rewritten(model, affine_region)


def test_a_matrix_that_would_be_too_large_is_not_written_out() -> None:
    width = int(LARGEST**0.5) + 1
    size = f"float[n,{width}]"
    nodes = "a = Mul(x, s) b = Add(a, s) c = Neg(b) y = Add(c, s)"
    model = graph(f"({size} x) => ({size} y) {{ {nodes} }}", s=weights(width))
    assert rewritten(model, affine_region) == ["Mul", "Add", "Neg", "Add"]
