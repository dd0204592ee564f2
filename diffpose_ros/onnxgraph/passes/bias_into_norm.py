"""What is added to a layer norm's result, column by column, becomes its bias.

Before: x -> LayerNormalization(g, b) -> Add(c)
After:  x -> LayerNormalization(g, b + c)
"""

from __future__ import annotations

import numpy as np

from diffpose_ros.onnxgraph.passes.graph import (
    Graph,
    attributes,
    constant,
    made_by,
    only_use,
    per_column,
)


def bias_into_norm(graph: Graph) -> int:
    """Rewrite all it can; returns how many. A norm that others read, too, stays as it is."""
    done = 0
    for node in graph.nodes:
        if node.op_type != "Add":
            continue
        for value, other in (node.inputs, node.inputs[::-1]):
            added, norm = constant(other), made_by(value, "LayerNormalization")
            if added is None or norm is None or value is None or not only_use(value) or len(norm.inputs) < 3:
                continue
            scale, bias = constant(norm.inputs[1]), constant(norm.inputs[2])
            if scale is None or bias is None or bias.ndim != 1 or not per_column(added, bias.size):
                continue
            if graph.dims(value) != graph.dims(node.outputs[0]):
                continue
            shifted = np.asarray(bias + added.reshape(-1), bias.dtype)
            made = graph.make(
                norm, "LayerNormalization", [norm.inputs[0], norm.inputs[1], shifted],
                [graph.dims(value)], **attributes(norm),
            )  # fmt: skip
            graph.replace_node(node, made)
            done += 1
            break
    graph.drop_unused()
    return done
