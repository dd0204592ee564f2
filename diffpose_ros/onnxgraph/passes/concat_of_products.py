"""Several constant products of one tensor, side by side, are one product.

Before: Concat(x, A x, B x; last axis)      x (R, J, C), A and B (J, J)
After:  Reshape(K x)                        K (3 J, J): the rows of I, A and B in turn
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from diffpose_ros.onnxgraph.passes.graph import Graph, axis_of, constant, made_by, only_use


def concat_of_products(graph: Graph) -> int:
    """Rewrite all it can; returns how many."""
    done = 0
    for node in graph.nodes:
        size = graph.dims(node.outputs[0])
        if node.op_type != "Concat" or size is None or len(size) < 2:
            continue
        if axis_of(node, len(size)) != len(size) - 1:
            continue
        shared = _shared(graph, list(node.inputs))
        if shared is None:
            continue
        x, matrices = shared
        dims = graph.dims(x)
        if dims is None:
            continue
        rows = np.stack(matrices, axis=1).reshape(-1, matrices[0].shape[1])
        made = graph.make(node, "MatMul", [rows, x], [(*dims[:-2], len(rows), dims[-1])])[0]
        out = graph.reshape(node, made, size)
        if out is not None:
            graph.replace_node(node, [out])
            done += 1
    graph.drop_unused()
    return done


def _shared(graph: Graph, parts: list[ir.Value | None]) -> tuple[ir.Value, list[np.ndarray]] | None:
    """What all parts are products of, and the matrices on its left."""
    products = [p for v in parts if v is not None and only_use(v) and (p := made_by(v, "MatMul"))]
    x = products[0].inputs[1] if len(products) > 1 else None
    dims = graph.dims(x)
    if x is None or constant(x) is not None or dims is None or not isinstance(dims[-2], int):
        return None
    matrices = []
    for part in parts:
        product = made_by(part, "MatMul")
        if part is x:
            matrices.append(np.eye(dims[-2], dtype=np.float32))
        elif product in products and product is not None and product.inputs[1] is x:
            matrix = constant(product.inputs[0])
            if matrix is None or matrix.ndim != 2:
                return None
            matrices.append(matrix)
        else:
            return None
    return (x, matrices) if len({m.shape for m in matrices}) == 1 else None
