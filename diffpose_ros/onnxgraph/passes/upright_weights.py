"""A ``Gemm``'s constant matrix stands as it is multiplied, so that other passes find one form.

Before: x -> Gemm(W, transB=1)
After:  x -> Gemm(W transposed)
"""

from __future__ import annotations

import numpy as np

from diffpose_ros.onnxgraph.passes.graph import Graph, attribute, attributes, constant


def upright_weights(graph: Graph) -> int:
    """Rewrite all it can; returns how many."""
    done = 0
    for node in graph.nodes:
        if node.op_type != "Gemm" or not attribute(node, "transB", 0):
            continue
        weight = constant(node.inputs[1])
        if weight is None:
            continue
        inputs = [node.inputs[0], np.ascontiguousarray(weight.T), *node.inputs[2:]]
        extra = {k: v for k, v in attributes(node).items() if k != "transB"}
        graph.replace_node(node, graph.make(node, "Gemm", inputs, [graph.dims(node.outputs[0])], **extra))
        done += 1
    return done
