"""A product adds its result to what it is summed with.

Before: r + MatMul(x, W)
After:  Gemm(x, W, r)

Both have to be matrices of the same size: ``Gemm`` would repeat a smaller summand, and a larger one would
make the result larger than the product.
"""

from __future__ import annotations

from diffpose_ros.onnxgraph.passes.graph import Graph, constant, made_by, only_use


def residual_into_gemm(graph: Graph) -> int:
    """Rewrite all it can; returns how many."""
    done = 0
    for node in graph.nodes:
        if node.op_type != "Add":
            continue
        for value, other in (node.inputs, node.inputs[::-1]):
            product = made_by(value, "MatMul")
            if product is None or value is None or not only_use(value):
                continue
            size = graph.dims(value)
            if size is None or len(size) != 2 or graph.dims(other) != size or constant(other) is not None:
                continue
            made = graph.make(node, "Gemm", [*product.inputs, other], [size])
            graph.replace_node(node, made)
            done += 1
            break
    graph.drop_unused()
    return done
