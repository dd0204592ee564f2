"""A second layer's bias comes through the hidden layer, so that its product has room for a residual.

Before: r + Gemm(Gelu(Gemm(x, W1, b1)), W2, b2)
After:  Gemm(Gelu(Gemm(x, [W1 0], [b1 8])), [W2; B], r)      with 8 B summed over its rows = b2

Some more hidden units see nothing and always say 8, which Gelu leaves as it is.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from diffpose_ros.onnxgraph.passes.graph import (
    Graph,
    attribute,
    attributes,
    constant,
    made_by,
    only_use,
)

_UNITS = 8
"""More hidden units; eight, as wide products like it."""
_ALWAYS = 8.0


def bias_through_hidden(graph: Graph) -> int:
    """Rewrite all it can; returns how many."""
    done = 0
    for node in graph.nodes:
        if node.op_type != "Add":
            continue
        for value, residual in (node.inputs, node.inputs[::-1]):
            second = _plain_gemm(value)
            if second is None or value is None or residual is None or constant(residual) is not None:
                continue
            size = graph.dims(value)
            gelu = made_by(second.inputs[0], "Gelu")
            first = None if gelu is None else _plain_gemm(gelu.inputs[0])
            if gelu is None or first is None or not only_use(gelu.outputs[0]):
                continue
            if size is None or graph.dims(residual) != size:
                continue
            graph.replace_node(node, [_widened(graph, node, first, gelu, second, residual)])
            done += 1
            break
    graph.drop_unused()
    return done


def _plain_gemm(value: ir.Value | None) -> ir.Node | None:
    """The product with constant weights and bias that makes ``value``, which nobody else reads."""
    node = made_by(value, "Gemm")
    if node is None or value is None or not only_use(value) or len(node.inputs) < 3:
        return None
    usual = {"transA": 0, "transB": 0, "alpha": 1.0, "beta": 1.0}
    weight, bias = constant(node.inputs[1]), constant(node.inputs[2])
    fits = weight is not None and bias is not None and bias.shape == weight.shape[1:]
    return node if fits and all(attribute(node, k, v) == v for k, v in usual.items()) else None


def _widened(
    graph: Graph, at: ir.Node, first: ir.Node, gelu: ir.Node, second: ir.Node, residual: ir.Value
) -> ir.Value:
    up, up_bias, down, bias = (constant(v) for v in (*first.inputs[1:], *second.inputs[1:]))
    assert up is not None and up_bias is not None and down is not None and bias is not None
    rows = (graph.dims(second.outputs[0]) or ())[0]
    hidden = (rows, up.shape[1] + _UNITS)
    up = np.pad(up, [(0, 0), (0, _UNITS)])
    up_bias = np.pad(up_bias, (0, _UNITS), constant_values=_ALWAYS)
    # In two parts that half precision can hold, so that the matrix may be stored in it.
    carried = np.zeros((_UNITS, len(bias)), np.float32)
    carried[0] = (bias / _ALWAYS).astype(np.float16)
    carried[1] = ((bias - _ALWAYS * carried[0]) / _ALWAYS).astype(np.float16)
    x = graph.make(at, "Gemm", [first.inputs[0], up, up_bias], [hidden])[0]
    x = graph.make(at, "Gelu", [x], [hidden], **attributes(gelu))[0]
    both = np.concatenate([down, carried])
    return graph.make(at, "Gemm", [x, both, residual], [graph.dims(second.outputs[0])])[0]
