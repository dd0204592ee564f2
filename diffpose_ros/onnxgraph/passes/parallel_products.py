"""One product for several that share an operand.

Before: x -> Gemm(W1, b1), x -> Gemm(W2, b2)
After:  x -> Gemm([W1 W2], [b1 b2]) -> Split

Likewise for constants on the left of what they share, stacked as rows.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import onnx_ir as ir

from diffpose_ros.onnxgraph.passes.graph import Graph, attribute, constant


def merge_parallel_products(graph: Graph) -> int:
    """Rewrite all it can; returns how many groups."""
    groups: dict[tuple, list[ir.Node]] = defaultdict(list)
    for node in graph.nodes:
        if node.op_type not in ("MatMul", "Gemm") or graph.dims(node.outputs[0]) is None:
            continue
        left, right = (constant(v) for v in node.inputs[:2])
        if right is not None and right.ndim > 1 and left is None and _plain(node):
            key = (node.inputs[0], "right", right.shape[:-1])
        elif node.op_type == "MatMul" and left is not None and left.ndim == 2 and right is None:
            key = (node.inputs[1], "left", left.shape[1:])
        else:
            continue
        groups[key].append(node)
    done = 0
    for (_, side, _), nodes in groups.items():
        if len(nodes) < 2:
            continue
        _merge(graph, nodes, 1 if side == "right" else 0)
        done += 1
    return done


def _plain(node: ir.Node) -> bool:
    """Whether a Gemm is a product, perhaps with a constant bias, and nothing more."""
    if node.op_type == "MatMul":
        return True
    usual = {"transA": 0, "transB": 0, "alpha": 1.0, "beta": 1.0}
    odd = any(attribute(node, name, value) != value for name, value in usual.items())
    bias = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    weight = constant(node.inputs[1])
    return not odd and bias is not None and weight is not None and bias.shape == weight.shape[-1:]


def _bias(node: ir.Node, columns: int) -> np.ndarray:
    bias = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    return np.zeros(columns, np.float32) if bias is None else bias


def _merge(graph: Graph, nodes: list[ir.Node], at: int) -> None:
    first = nodes[0]
    axis = -1 if at == 1 else -2
    weights = [constant(n.inputs[at]) for n in nodes]
    sizes = [w.shape[axis] for w in weights if w is not None]
    together: list[ir.Value | np.ndarray | None] = list(first.inputs[:2])
    together[at] = np.concatenate(weights, axis=axis)  # type: ignore[arg-type]
    op = "Gemm" if any(n.op_type == "Gemm" for n in nodes) else "MatMul"
    if op == "Gemm":
        together.append(np.concatenate([_bias(n, s) for n, s in zip(nodes, sizes, strict=True)]))
    dims = list(graph.dims(first.outputs[0]) or ())
    dims[axis] = sum(sizes)
    product = graph.make(first, op, together, [tuple(dims)])[0]
    parts = graph.make(
        first, "Split", [product, np.array(sizes, np.int64)],
        [graph.dims(n.outputs[0]) for n in nodes], axis=axis % len(dims),
    )  # fmt: skip
    for node, part in zip(nodes, parts, strict=True):
        graph.replace_node(node, [part])
