"""Sums and multiples of a few tensors, written with as few nodes as there are summands.

Before: m + a (c - m) + b ((h - m - d (c - m)) / e)
After:  p h + q c + r m                                 p, q, r worked out
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from diffpose_ros.onnxgraph.passes.graph import Graph, constant, only_use, reader

_LINEAR = ("Add", "Sub", "Mul", "Div", "Neg")


def weighted_sum(graph: Graph) -> int:
    """Rewrite where it saves nodes; returns how many sums."""
    done = 0
    for root in reversed(graph.nodes):
        if root.graph is None or not _is_sum(graph, root) or _is_part_of_a_sum(graph, root):
            continue
        weights, inner = _summands(graph, root)
        scaled = sum(w not in (1.0, -1.0) for w in weights.values())
        nodes = scaled + len(weights) - 1 + (not any(w == 1.0 for w in weights.values()) and not scaled)
        if 0.0 in weights.values() or nodes >= len(inner):
            continue
        graph.replace_node(root, [_written_out(graph, root, weights)])
        graph.drop_unused()
        done += 1
    return done


def _is_sum(graph: Graph, node: ir.Node) -> bool:
    """Whether a node is a sum of tensors or a multiple of one."""
    if node.op_type not in _LINEAR or node.domain or graph.type(node.outputs[0]) != np.float32:
        return False
    known = [constant(v) for v in node.inputs]
    if node.op_type in ("Mul", "Div"):
        at = [i for i, k in enumerate(known) if k is not None and k.size == 1]
        if len(at) != 1 or (node.op_type == "Div" and at != [1]):
            return False
        other = graph.dims(node.inputs[1 - at[0]])
        return other is not None and other == graph.dims(node.outputs[0])
    return all(k is None for k in known)


def _is_part_of_a_sum(graph: Graph, node: ir.Node) -> bool:
    return only_use(node.outputs[0]) and _is_sum(graph, reader(node.outputs[0]))


def _summands(graph: Graph, root: ir.Node) -> tuple[dict[ir.Value, float], set[ir.Node]]:
    """What a sum is made of, with weights, and the nodes that nobody else needs."""
    kept: set[ir.Node] = set()
    while True:
        weights: dict[ir.Value, float] = {}
        inner: set[ir.Node] = set()
        _collect(graph, root.outputs[0], 1.0, weights, inner, kept)
        needed = inner - _vanishing(root, inner)
        if not needed:
            return weights, inner
        kept |= needed


def _collect(
    graph: Graph, value: ir.Value, weight: float, weights: dict[ir.Value, float],
    inner: set[ir.Node], kept: set[ir.Node],
) -> None:  # fmt: skip
    """Take a sum apart: summands into ``weights``, the nodes between into ``inner``; none of ``kept``."""
    node = value.producer()
    if node is None or node in kept or not _is_sum(graph, node):
        weights[value] = weights.get(value, 0.0) + weight
        return
    inner.add(node)
    first, *rest = node.inputs
    assert first is not None, "sums have all their inputs"
    if node.op_type == "Neg":
        _collect(graph, first, -weight, weights, inner, kept)
        return
    second = rest[0]
    assert second is not None, "sums have all their inputs"
    if node.op_type in ("Add", "Sub"):
        _collect(graph, first, weight, weights, inner, kept)
        _collect(graph, second, -weight if node.op_type == "Sub" else weight, weights, inner, kept)
        return
    known = constant(second)
    tensor = first if known is not None else second
    known = constant(first) if known is None else known
    assert known is not None, "a multiple has a number"
    factor = float(known.reshape(-1)[0])
    scaled = weight * factor if node.op_type == "Mul" else weight / factor
    _collect(graph, tensor, scaled, weights, inner, kept)


def _vanishing(root: ir.Node, inner: set[ir.Node]) -> set[ir.Node]:
    """Which of the sum's nodes nobody would read any more."""
    gone = {root}
    while True:
        more = {n for n in inner - gone if not n.outputs[0].is_graph_output()
                and all(u.node in gone for u in n.outputs[0].uses())}  # fmt: skip
        if not more:
            return gone
        gone |= more


def _written_out(graph: Graph, root: ir.Node, weights: dict[ir.Value, float]) -> ir.Value:
    """The sum as a chain; what is only taken away comes last."""
    total: ir.Value | None = None
    rank = {1.0: 0, -1.0: 2}
    for value, weight in sorted(weights.items(), key=lambda term: rank.get(term[1], 1)):
        part = value
        if weight not in (1.0, -1.0) or (total is None and weight == -1.0):
            number = np.array(weight, np.float32)
            part = graph.make(root, "Mul", [value, number], [graph.dims(value)])[0]
            weight = 1.0
        if total is None:
            total = part
        else:
            sizes = _broadcast(graph, total, part)
            total = graph.make(root, "Add" if weight == 1.0 else "Sub", [total, part], [sizes])[0]
    assert total is not None, "a sum has summands"
    return total


def _broadcast(graph: Graph, a: ir.Value, b: ir.Value) -> tuple | None:
    """Sizes of a sum."""
    x, y = graph.dims(a), graph.dims(b)
    if x is None or y is None:
        return None
    rank = max(len(x), len(y))
    pairs = zip((1,) * (rank - len(x)) + x, (1,) * (rank - len(y)) + y, strict=True)
    return tuple(q if p == 1 else p for p, q in pairs)
