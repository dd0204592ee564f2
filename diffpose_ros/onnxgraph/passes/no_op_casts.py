"""Conversions to what a tensor is already.

Before: x (float) -> Cast(to float) -> y
After:  x
"""

from __future__ import annotations

import onnx

from diffpose_ros.onnxgraph.passes.graph import Graph, attribute


def no_op_casts(graph: Graph) -> int:
    """Drop all it can; returns how many."""
    done = 0
    for node in graph.nodes:
        value = node.inputs[0] if node.inputs else None
        if node.op_type != "Cast" or value is None:
            continue
        if graph.type(value) == onnx.helper.tensor_dtype_to_np_dtype(attribute(node, "to", 0)):
            graph.replace_node(node, [value])
            done += 1
    return done
