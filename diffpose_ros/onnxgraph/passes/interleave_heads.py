"""Heads side by side: one reshape in front of a split instead of one behind each part.

Before: x -> Gemm(W) -> Split -> (q, k, v), each -> Reshape (R, H, D_i)
After:  x -> Gemm(W') -> Reshape (R, H, sum D_i) -> Split -> (q, k, v)

W' has the columns of W in another order: those of the first head of all parts, those of the second, ...
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from diffpose_ros.onnxgraph.passes.dims import Dims
from diffpose_ros.onnxgraph.passes.graph import (
    Graph,
    attribute,
    attributes,
    axis_of,
    constant,
    made_by,
    only_use,
    reader,
)


def interleave_heads(graph: Graph) -> int:
    """Rewrite all it can; returns how many splits."""
    done = 0
    for split in graph.nodes:
        if split.op_type == "Split" and _interleave(graph, split):
            done += 1
    graph.drop_unused()
    return done


def _interleave(graph: Graph, split: ir.Node) -> bool:
    source = split.inputs[0]
    product = made_by(source, "Gemm", "MatMul")
    size = graph.dims(source)
    if product is None or source is None or size is None or not only_use(source):
        return False
    weight = constant(product.inputs[1])
    bias = constant(product.inputs[2]) if len(product.inputs) > 2 else None
    if weight is None or weight.ndim != 2 or attribute(product, "transB", 0):
        return False
    if len(product.inputs) > 2 and bias is None:
        return False
    if axis_of(split, len(size), 0) != len(size) - 1 or (bias is not None and bias.shape != weight.shape[1:]):
        return False
    readers = [reader(v) for v in split.outputs if only_use(v)]
    reshapes = [node for node in readers if node.op_type == "Reshape"]
    if len(reshapes) != len(split.outputs):
        return False
    parts = [graph.dims(r.inputs[0]) for r in reshapes]
    outs = [graph.dims(r.outputs[0]) for r in reshapes]
    heads = _heads(size, parts, outs)
    if heads is None:
        return False
    widths = [int(o[-1]) for o in outs]  # type: ignore[index, arg-type]
    starts = np.cumsum([0, *(h * w for h, w in zip([heads] * len(widths), widths, strict=True))])
    order = np.concatenate([
        np.arange(w) + start + h * w for h in range(heads) for w, start in zip(widths, starts, strict=False)
    ])  # fmt: skip
    inputs: list[ir.Value | np.ndarray | None] = [product.inputs[0], np.ascontiguousarray(weight[:, order])]
    if bias is not None:
        inputs.append(bias[order])
    together: Dims = (*outs[0][:-1], sum(widths))  # type: ignore[index]
    made = graph.make(split, product.op_type, inputs, [size], **attributes(product))[0]
    shaped = graph.reshape(split, made, together)
    if shaped is None:
        return False
    pieces = graph.make(
        split, "Split", [shaped, np.array(widths, np.int64)], outs, axis=len(together) - 1
    )
    for reshape, piece in zip(reshapes, pieces, strict=True):
        graph.replace_node(reshape, [piece])
    return True


def _heads(size: Dims, parts: list[Dims | None], outs: list[Dims | None]) -> int | None:
    """The number of heads that all parts are divided into, if it is the same and nothing else changes."""
    counts = set()
    for part, out in zip(parts, outs, strict=True):
        if part is None or out is None or outs[0] is None or out[:-1] != outs[0][:-1]:
            return None
        if not isinstance(part[-1], int) or not isinstance(out[-1], int) or part[-1] % out[-1]:
            return None
        counts.add(part[-1] // out[-1])
    return counts.pop() if len(counts) == 1 else None
