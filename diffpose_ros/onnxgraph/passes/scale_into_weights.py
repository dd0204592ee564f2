"""A factor behind a product becomes part of its weights.

Before: x -> Gemm(W, b) -> Mul(s)
After:  x -> Gemm(s W, s b)
"""

from __future__ import annotations

import numpy as np

from diffpose_ros.onnxgraph.passes.graph import (
    Graph,
    attribute,
    attributes,
    constant,
    made_by,
    only_use,
    per_column,
)


def scale_into_weights(graph: Graph) -> int:
    """Rewrite all it can; returns how many. The factor is one number, or one per column."""
    done = 0
    for node in graph.nodes:
        if node.op_type != "Mul":
            continue
        for value, other in (node.inputs, node.inputs[::-1]):
            factor, product = constant(other), made_by(value, "MatMul", "Gemm")
            if factor is None or product is None or value is None or not only_use(value):
                continue
            weight = constant(product.inputs[1])
            if weight is None or weight.ndim != 2 or attribute(product, "transB", 0):
                continue
            if attribute(product, "beta", 1.0) != 1.0:
                continue
            if not per_column(factor, weight.shape[1]) or graph.dims(value) != graph.dims(node.outputs[0]):
                continue
            factor = factor.reshape(-1)
            inputs = [product.inputs[0], np.asarray(weight * factor, weight.dtype)]
            if len(product.inputs) > 2:
                bias = constant(product.inputs[2])
                if bias is None or bias.shape not in ((), weight.shape[1:]):
                    continue
                inputs.append(np.asarray(bias * factor, bias.dtype))
            made = graph.make(
                product, product.op_type, inputs, [graph.dims(value)], **attributes(product)
            )
            graph.replace_node(node, made)
            done += 1
            break
    graph.drop_unused()
    return done
