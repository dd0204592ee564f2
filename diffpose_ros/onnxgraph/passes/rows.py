"""Linear layers see rows: one ``Gemm`` takes the bias along, where ``MatMul`` leaves it to a sum.

Before: x (R, J, C) -> MatMul(W) -> Add(b)
After:  x -> Reshape (R J, C) -> Gemm(W, b) -> Reshape (R, J, D)

The reshapes go away when `sink_reshapes` finds more of the like behind them.
"""

from __future__ import annotations

import onnx_ir as ir

from diffpose_ros.onnxgraph.passes.dims import Dims, reshape_target, times
from diffpose_ros.onnxgraph.passes.graph import (
    Graph,
    attributes,
    constant,
    made_by,
    only_use,
    per_column,
    reader,
)


def linear_to_rows(graph: Graph) -> int:
    """Rewrite all it can; returns how many."""
    done = 0
    for node in graph.nodes:
        weight, dims = constant(_input(node, 1)), graph.dims(_input(node, 0))
        if node.op_type != "MatMul" or weight is None or weight.ndim != 2 or dims is None or len(dims) < 2:
            continue
        last, bias = _bias_behind(node, weight.shape[1])
        if len(dims) == 2 and bias is None:
            continue
        count, width = times(dims[:-1]), weight.shape[1]
        if reshape_target((count, width), (*dims[:-1], width)) is None:
            continue  # the rows could not be told apart again
        rows = graph.reshape(last, node.inputs[0], (count, dims[-1]))
        assert rows is not None, "rows have one dynamic size"
        inputs = [rows, node.inputs[1], *([] if bias is None else [bias])]
        product = graph.make(last, "MatMul" if bias is None else "Gemm", inputs, [(count, width)])[0]
        graph.replace_node(last, [graph.reshape(last, product, (*dims[:-1], width))])
        done += 1
    graph.drop_unused()
    return done


def _input(node: ir.Node, at: int) -> ir.Value | None:
    return node.inputs[at] if len(node.inputs) > at else None


def _bias_behind(node: ir.Node, columns: int) -> tuple[ir.Node, ir.Value | None]:
    """The sum that adds a bias to a product, and the bias; else the product itself."""
    out = node.outputs[0]
    if only_use(out):
        after = reader(out)
        if after.op_type == "Add":
            other = next((v for v in after.inputs if v is not out), None)
            bias = constant(other)
            if bias is not None and bias.shape == (columns,):
                return after, other
    return node, None


_ELEMENTWISE = {"Add", "Sub", "Mul", "Div", "Neg", "Exp", "Sqrt", "Tanh", "Sigmoid", "Relu", "Gelu", "Erf",
                "Clip"}  # fmt: skip
_ALONG_LAST_AXIS = {"LayerNormalization", "Softmax", "Split", "Concat"}


def sink_reshapes(graph: Graph) -> int:
    """Work on rows for as long as nobody needs to tell them apart.

    Before: rows (R J, C) -> Reshape (R, J, C) -> LayerNormalization
    After:  rows -> LayerNormalization -> Reshape (R, J, C)

    For elementwise operators and those along the last axis, when all inputs are reshaped ones (constants may
    have one entry, or one per column) and one of them comes from rows. Returns how many were rewritten.
    """
    done = 0
    for node in graph.nodes:
        full = graph.dims(node.outputs[0])
        if node.op_type not in _ELEMENTWISE | _ALONG_LAST_AXIS or full is None or len(full) < 3:
            continue
        outs = [graph.dims(v) for v in node.outputs]
        inputs = _inputs_as_rows(graph, node, full)
        extra = attributes(node)
        if inputs is None or None in outs:
            continue
        if node.op_type in _ALONG_LAST_AXIS:
            default = -1 if node.op_type in ("LayerNormalization", "Softmax") else 0
            if extra.get("axis", default) % len(full) != len(full) - 1:
                continue
            extra["axis"] = -1
        rows = times(full[:-1])
        wide = [(rows, d[-1]) for d in outs if d]
        if any(reshape_target(w, d) is None for w, d in zip(wide, outs, strict=True) if d):
            continue
        flat = [
            graph.reshape(node, v, (rows, (graph.dims(v) or ())[-1]))
            if v is not None and constant(v) is None else v for v in inputs
        ]  # fmt: skip
        made = graph.make(node, node.op_type, flat, wide, **extra)
        shaped = [graph.reshape(node, v, d) for v, d in zip(made, outs, strict=True) if d]
        graph.replace_node(node, shaped)
        done += 1
    graph.drop_unused()
    return done


def _inputs_as_rows(graph: Graph, node: ir.Node, full: Dims) -> list[ir.Value | None] | None:
    """Inputs to be flattened, and constants that fit rows; ``None`` if there are others."""
    inputs: list[ir.Value | None] = []
    from_rows = False
    for i, value in enumerate(node.inputs):
        known, size = constant(value), graph.dims(value)
        if value is None or (known is not None and i > 0 and node.op_type in _ALONG_LAST_AXIS - {"Concat"}):
            inputs.append(value)  # a norm's weights, sizes of parts
        elif known is not None:
            if node.op_type == "Concat" or not isinstance(full[-1], int) or not per_column(known, full[-1]):
                return None
            inputs.append(graph.constant(known.reshape(-1)) if known.ndim > 1 else value)
        else:
            source = made_by(value, "Reshape")
            inner = None if source is None else graph.dims(source.inputs[0])
            if not inner or size is None or size[:-1] != full[:-1]:
                return None
            from_rows |= inner[-1] == size[-1] or node.op_type == "LayerNormalization"
            inputs.append(value)
    return inputs if from_rows else None


_RESHAPING = ("Reshape", "Unsqueeze", "Squeeze", "Flatten")


def merge_reshapes(graph: Graph) -> int:
    """One reshape for several, none for those that change nothing.

    Before: x -> Reshape -> Unsqueeze -> Reshape -> y
    After:  x -> Reshape -> y

    Returns how many were rewritten.
    """
    done = 0
    for node in graph.nodes:
        if node.op_type not in _RESHAPING:
            continue
        out, before = graph.dims(node.outputs[0]), graph.dims(node.inputs[0])
        if out is None or before is None:
            continue
        sources = [node.inputs[0]]
        while (inner := made_by(sources[-1], *_RESHAPING)) and graph.dims(inner.inputs[0]) is not None:
            sources.append(inner.inputs[0])
        if before != out:
            sources = sources[1:]
        ways = (graph.reshape(node, source, out) for source in reversed(sources))
        new = next((way for way in ways if way is not None), None)
        if new is None:
            continue
        graph.replace_node(node, [new])
        done += 1
    graph.drop_unused()
    return done
