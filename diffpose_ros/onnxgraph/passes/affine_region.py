"""Whatever is linear in a few numbers per row is one product.

Before: x (P, 2, 17, 6) -> Split, Add, Gather, Sub, Mul, ... -> y (P, 17, 3), z (P, 17, 3)
After:  x -> Reshape (P, 204) -> Gemm -> Split -> Reshape

The matrix is found by running the region on the unit vectors. It is written out only if that saves nodes and
it has at most ``LARGEST`` entries.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator

from diffpose_ros.onnxgraph.passes.dims import Dims, fixed
from diffpose_ros.onnxgraph.passes.graph import Graph, attribute, constant, made_by

LARGEST = 1 << 16
"""Entries of a matrix worth having: such a product takes as long as a few small nodes."""

_MOVES = {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Gather", "Split", "Concat", "Identity"}
_SUMS = {"Add", "Sub", "Neg", "ReduceSum", "ReduceMean"}
_PRODUCTS = {"Mul", "Div", "MatMul", "Gemm"}


@dataclass
class _Region:
    """Nodes that are linear in ``source``, in order, and what others read of them."""

    source: ir.Value
    nodes: list[ir.Node] = field(default_factory=list)

    def results(self) -> list[ir.Value]:
        own = set(self.nodes)
        return [v for n in self.nodes for v in n.outputs
                if v.is_graph_output() or any(u.node not in own for u in v.uses())]  # fmt: skip

    def trim(self) -> None:
        """Leave off nodes at the end that give what is needed from what is needed anyway."""
        while True:
            results, read = set(self.results()) | {self.source}, {v for n in self.nodes for v in n.inputs}
            spare = [n for n in self.nodes if set(n.outputs) <= results - read and _reads_only(n, results)]
            if not spare:
                return
            self.nodes.remove(spare[-1])


def _reads_only(node: ir.Node, values: set[ir.Value]) -> bool:
    return all(v in values or constant(v) is not None for v in node.inputs if v is not None)


def affine_region(graph: Graph) -> int:
    """Rewrite the regions that save most first; returns how many."""
    done = 0
    sources = [*graph.ir.inputs, *(v for node in graph.nodes for v in node.outputs)]
    while True:
        order = {node: i for i, node in enumerate(graph.nodes)}
        found = [(_saving(graph, r), r) for v in sources if (r := _grow(graph, v, order))]
        found = [pair for pair in found if pair[0] > 0]
        if not found:
            return done
        _replace(graph, max(found, key=lambda pair: pair[0])[1])
        sources = [region.source for _, region in found]
        done += 1


def _grow(graph: Graph, source: ir.Value, order: dict[ir.Node, int]) -> _Region | None:
    """All nodes that are linear in ``source``, without those that save nothing."""
    dims = graph.dims(source)
    if not dims or isinstance(dims[0], int) or (fixed(dims[1:]) or LARGEST) >= LARGEST:
        return None
    if graph.type(source) != np.float32:
        return None
    before = made_by(source, "Reshape", "Transpose", "Unsqueeze", "Squeeze")
    outer = None if before is None else graph.dims(before.inputs[0])
    if outer and outer[0] == dims[0] and fixed(outer[1:]) and constant(before.inputs[0]) is None:  # type: ignore[union-attr]
        return None  # its region is part of the one that begins there
    inside: set[ir.Value] = {source}
    nodes: set[ir.Node] = set()
    todo = [u.node for u in source.uses()]
    while todo:
        node = min(todo, key=order.__getitem__)
        todo = [n for n in todo if n is not node]
        if node in nodes or not _linear(graph, node, inside, dims):
            continue
        nodes.add(node)
        inside.update(node.outputs)
        todo.extend(u.node for v in node.outputs for u in v.uses())
    region = _Region(source, sorted(nodes, key=order.__getitem__))
    region.trim()
    return region if len(region.nodes) > 1 else None


def _linear(graph: Graph, node: ir.Node, inside: set[ir.Value], rows: Dims) -> bool:
    """Whether a node is linear in region values, row by row, and reads nothing else but constants."""
    op = node.op_type
    if node.domain or op not in _MOVES | _SUMS | _PRODUCTS:
        return False
    for value in node.outputs:
        out = graph.dims(value)
        if not out or out[0] != rows[0] or fixed(out[1:]) is None:
            return False
    of_region = [v in inside for v in node.inputs]
    if not _reads_only(node, inside):
        return False
    if not of_region[0] and op not in ("Add", "Sub", "Mul", "MatMul"):
        return False
    rank = len(graph.dims(node.outputs[0]) or ())
    first = graph.dims(node.inputs[0]) or ()
    if op in _PRODUCTS and sum(of_region) != 1:
        return False
    if op in ("Add", "Sub", "Mul", "Div"):
        return all(v in inside or _broadcasts(v, rank) for v in node.inputs)
    if op in ("MatMul", "Gemm"):
        matrix = constant(node.inputs[1 if of_region[0] else 0])
        plain = all(attribute(node, k, 0) == 0 for k in ("transA", "transB"))
        return matrix is not None and matrix.ndim == 2 and plain and (of_region[0] or rank > 2)
    if op == "Transpose":
        return bool(attribute(node, "perm", [1])[0] == 0)
    if op in ("Gather", "Split", "Concat"):
        axis = attribute(node, "axis", 0)
        return bool(axis % len(first) != 0)
    if op in ("ReduceSum", "ReduceMean", "Slice", "Squeeze", "Unsqueeze"):
        at = 3 if op == "Slice" else 1
        axes = constant(node.inputs[at]) if len(node.inputs) > at else None
        size = rank if op == "Unsqueeze" else len(first)
        return axes is not None and all(a % size != 0 for a in axes.reshape(-1))
    return True


def _broadcasts(value: ir.Value | None, rank: int) -> bool:
    """Whether a constant is the same for all rows."""
    known = constant(value)
    return known is not None and (known.ndim < rank or known.shape[0] == 1)


def _saving(graph: Graph, region: _Region) -> int:
    """Nodes less than now, if the region were one product."""
    results = region.results()
    entries = _width(graph, region.source) * sum(_width(graph, v) for v in results)
    ranks = [len(graph.dims(v) or ()) for v in (region.source, *results)]
    saved = len(region.nodes) - 1 - (len(results) > 1) - sum(rank != 2 for rank in ranks)
    return saved if entries <= LARGEST else 0


def _width(graph: Graph, value: ir.Value) -> int:
    """Numbers per row."""
    return fixed((graph.dims(value) or ())[1:]) or 0


def _replace(graph: Graph, region: _Region) -> None:
    results, at = region.results(), region.nodes[0]
    matrix, bias = _matrix(graph, region, results)
    rows = (graph.dims(region.source) or ())[0]
    widths = [_width(graph, v) for v in results]
    flat = graph.reshape(at, region.source, (rows, len(matrix)))
    made = graph.make(at, "Gemm", [flat, matrix, bias], [(rows, sum(widths))])
    if len(results) > 1:
        sizes = np.array(widths, np.int64)
        made = graph.make(at, "Split", [made[0], sizes], [(rows, w) for w in widths], axis=1)
    for old, part in zip(results, made, strict=True):
        new = graph.reshape(at, part, graph.dims(old) or ())
        assert new is not None, "one dynamic size"
        graph.replace(old, new)
    graph.drop_unused()


def _matrix(
    graph: Graph, region: _Region, results: list[ir.Value]
) -> tuple[np.ndarray, np.ndarray]:
    """What the region does: y = x M + b, for rows x and the results side by side."""
    width, dims = _width(graph, region.source), graph.dims(region.source) or ()
    names = {region.source} | {v for n in region.nodes for v in n.inputs if v is not None}
    kept = [ir.to_proto(n) for n in region.nodes]
    constants = [
        onnx.numpy_helper.from_array(c.astype(np.float64) if c.dtype == np.float32 else c, str(v.name))
        for v in names if (c := constant(v)) is not None
    ]  # fmt: skip
    part = onnx.helper.make_graph(
        kept, "region", [onnx.helper.make_empty_tensor_value_info(str(region.source.name))],
        [onnx.helper.make_empty_tensor_value_info(str(v.name)) for v in results], constants,
    )  # fmt: skip
    opset = [onnx.helper.make_opsetid("", graph.ir.opset_imports.get("", 20))]
    run = ReferenceEvaluator(onnx.helper.make_model(part, opset_imports=opset)).run
    units = np.concatenate([np.zeros((1, width)), np.eye(width)]).reshape(-1, *dims[1:])
    said = run(None, {str(region.source.name): units})
    rows = np.concatenate([np.reshape(y, (width + 1, -1)) for y in said], axis=1)
    return (rows[1:] - rows[0]).astype(np.float32), rows[0].astype(np.float32)
