"""What happens to every part of a tensor alike happens once, before it is split.

Before: x -> Split -> (a, b);  a -> Op -> a', b -> Op -> b'
After:  x -> Op -> Split -> (a', b')

Op keeps the split axis apart: it works element by element with operands that are the same for all parts, or
it moves axes. Parts of equal heads are brought to that form by `interleave_heads`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from diffpose_ros.onnxgraph.passes.graph import (
    Graph,
    attribute,
    attributes,
    axis_of,
    constant,
    only_use,
)

_ELEMENTWISE = {"Add", "Sub", "Mul", "Div", "Neg", "Exp", "Sigmoid", "Tanh", "Relu", "Gelu", "Clip", "Where"}


def hoist_above_split(graph: Graph) -> int:
    """Rewrite all it can; returns how many splits."""
    done = 0
    for split in graph.nodes:
        if split.op_type != "Split":
            continue
        uses = [next(iter(v.uses())) for v in split.outputs if only_use(v)]
        nodes = [use.node for use in uses]
        if len(uses) < 2 or len(set(nodes)) != len(split.outputs):
            continue
        slots = {use.idx for use in uses}
        slot = slots.pop()
        if slots or not (_alike(nodes, slot) or all(n.op_type == "Transpose" for n in nodes)):
            continue
        if _hoist(graph, split, nodes, slot):
            done += 1
    return done


def _alike(nodes: list[ir.Node], slot: int) -> bool:
    """Whether all do the same with what stands in ``slot``."""
    first = nodes[0]
    for node in nodes[1:]:
        if node.op_type != first.op_type or node.domain or attributes(node) != attributes(first):
            return False
        if len(node.inputs) != len(first.inputs) or len(node.outputs) != 1:
            return False
        for i, (a, b) in enumerate(zip(first.inputs, node.inputs, strict=True)):
            if i != slot and a is not b and not _equal(a, b):
                return False
    return True


def _equal(a: ir.Value | None, b: ir.Value | None) -> bool:
    x, y = constant(a), constant(b)
    return x is not None and y is not None and x.shape == y.shape and bool(np.all(x == y))


def _hoist(graph: Graph, split: ir.Node, nodes: list[ir.Node], slot: int) -> bool:
    whole, node = split.inputs[0], nodes[0]
    dims = graph.dims(whole)
    parts = [graph.dims(v) for v in split.outputs]
    outs = [graph.dims(n.outputs[0]) for n in nodes]
    if dims is None or whole is None or None in parts or None in outs or len(split.inputs) < 2:
        return False
    axis = axis_of(split, len(dims), 0)
    new_axis = axis
    target: dict[str, Any] = attributes(node)  # type: ignore[assignment]
    if node.op_type == "Transpose":
        return _hoist_transposes(graph, split, nodes, axis)
    if node.op_type == "Reshape" and slot == 0:
        return _hoist_reshapes(graph, split, nodes, axis)
    if node.op_type in _ELEMENTWISE:
        for i, value in enumerate(node.inputs):
            size = graph.dims(value)
            if i == slot or value is None:
                continue
            back = len(dims) - axis  # the split axis, counted from the end
            if size is None or (len(size) >= back and size[-back] != 1):
                return False
        if any(o != p for o, p in zip(outs, parts, strict=True)):
            return False
    elif node.op_type == "Unsqueeze" and slot == 0:
        axes = constant(node.inputs[1])
        if axes is None or len(axes) != 1:
            return False
        at = int(axes[0]) % (len(dims) + 1)
        new_axis = axis + (at <= axis)
    else:
        return False
    out = list(outs[0] or ())
    if len(out) <= new_axis or out[new_axis] != (parts[0] or ())[axis]:
        return False
    out[new_axis] = dims[axis]
    # In front of the split all other operands have to be there; they stand before the first reader.
    first = min(nodes, key=graph.nodes.index)
    inputs = [whole if i == slot else v for i, v in enumerate(node.inputs)]
    made = graph.make(first, node.op_type, inputs, [tuple(out)], **target)[0]
    pieces = graph.make(first, "Split", [made, split.inputs[1]], outs, axis=new_axis)
    for old, piece in zip(nodes, pieces, strict=True):
        graph.replace_node(old, [piece])
    graph.drop_unused()
    return True


def _hoist_transposes(graph: Graph, split: ir.Node, nodes: list[ir.Node], axis: int) -> bool:
    """The commonest order of axes goes in front; parts that want another one are turned once more."""
    perms = [tuple(attribute(n, "perm", ())) for n in nodes]
    common = max(perms, key=perms.count)
    dims = graph.dims(split.inputs[0])
    if perms.count(common) < 2 or dims is None or not all(perms):
        return False
    parts = [graph.dims(v) or () for v in split.outputs]
    sizes = tuple(dims[i] for i in common)
    turned = graph.make(split, "Transpose", [split.inputs[0]], [sizes], perm=common)[0]
    pieces = graph.make(
        split, "Split", [turned, split.inputs[1]], [tuple(p[i] for i in common) for p in parts],
        axis=common.index(axis),
    )  # fmt: skip
    for node, piece, perm in zip(nodes, pieces, perms, strict=True):
        made = [piece]
        if perm != common:
            again = [common.index(i) for i in perm]
            made = graph.make(node, "Transpose", made, [graph.dims(node.outputs[0])], perm=again)
        graph.replace_node(node, made)
    graph.drop_unused()
    return True


def _hoist_reshapes(graph: Graph, split: ir.Node, nodes: list[ir.Node], axis: int) -> bool:
    """Reshapes that leave the last axis, along which the parts stand, as it is."""
    dims = graph.dims(split.inputs[0]) or ()
    parts = [graph.dims(v) or () for v in split.outputs]
    outs = [graph.dims(n.outputs[0]) or () for n in nodes]
    pairs = zip(parts, outs, strict=True)
    if axis != len(dims) - 1 or any(p[-1:] != o[-1:] or o[:-1] != outs[0][:-1] for p, o in pairs):
        return False
    whole = graph.reshape(split, split.inputs[0], (*outs[0][:-1], dims[-1]))  # type: ignore[arg-type]
    if whole is None:
        return False
    pieces = graph.make(split, "Split", [whole, split.inputs[1]], outs, axis=len(outs[0]) - 1)
    for node, piece in zip(nodes, pieces, strict=True):
        graph.replace_node(node, [piece])
    graph.drop_unused()
    return True
