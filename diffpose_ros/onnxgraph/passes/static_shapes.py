"""Shapes as numbers: what ``Reshape`` and ``Expand`` are told is written down, not worked out in every run.

Before: x -> Shape -> Gather -> Unsqueeze -> Concat(., 17, 3) -> Reshape.target
After:  x -> Reshape(0, 17, 3)
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from diffpose_ros.onnxgraph.passes.dims import Dim, reshape_target
from diffpose_ros.onnxgraph.passes.graph import Graph, attribute, constant, made_by


def static_shapes(graph: Graph) -> int:
    """Rewrite all it can; returns how many."""
    done = 0
    for node in graph.nodes:
        if node.op_type not in ("Reshape", "Expand") or _is_short(node.inputs[1]):
            continue
        before, after = graph.dims(node.inputs[0]), graph.dims(node.outputs[0])
        if before is None or after is None or attribute(node, "allowzero", 0):
            continue
        if node.op_type == "Reshape":
            target = reshape_target(before, after)
        else:  # an axis that stays needs no size
            first = len(after) - len(before)
            kept = [i >= first and before[i - first] == d for i, d in enumerate(after)]
            wanted: list[Dim] = [1 if k else d for k, d in zip(kept, after, strict=True)]
            target = [d for d in wanted if isinstance(d, int)]
            target = target if len(target) == len(after) else None
        shape = None if target is None else graph.constant(np.array(target, np.int64))
        if shape is None:
            parts: list[Dim] = wanted if node.op_type == "Expand" else list(after)
            shape = _from_inputs(graph, node, parts)
        if shape is not None:
            node.replace_input_with(1, shape)
            done += 1
    return done


def _is_short(shape: ir.Value | None) -> bool:
    """Whether a shape is written down, or put together as here."""
    joined = made_by(shape, "Concat")
    parts = [shape] if joined is None else list(joined.inputs)
    sizes = [made_by(part, "Shape") for part in parts if constant(part) is None]
    return all(s is not None and "start" in s.attributes for s in sizes)


def _from_inputs(graph: Graph, node: ir.Node, wanted: list[Dim]) -> ir.Value | None:
    """Sizes put together from numbers and from axes of the graph's inputs; one may be left to -1."""
    axes = {
        d: (value, i)
        for value in reversed(graph.ir.inputs)
        for i, d in reversed(list(enumerate(graph.dims(value) or ())))
        if not isinstance(d, int)
    }
    missing = [d for d in wanted if not isinstance(d, int) and d not in axes]
    if len(missing) > (node.op_type == "Reshape"):
        return None
    spare = -1 if node.op_type == "Reshape" and not missing else None
    parts: list[ir.Value | np.ndarray] = []
    for d in wanted:
        if isinstance(d, int) or d in missing or spare:
            parts.append(np.array([d if isinstance(d, int) else -1], np.int64))
            spare = spare if isinstance(d, int) else None
        else:
            value, i = axes[d]
            parts.append(graph.make(node, "Shape", [value], [(1,)], start=i, end=i + 1)[0])
    parts = _joined(parts)
    if len(parts) == 1:
        return parts[0] if isinstance(parts[0], ir.Value) else graph.constant(parts[0])
    return graph.make(node, "Concat", parts, [(len(wanted),)], axis=0)[0]


def _joined(parts: list[ir.Value | np.ndarray]) -> list[ir.Value | np.ndarray]:
    """Neighbouring numbers as one constant."""
    out: list[ir.Value | np.ndarray] = []
    for part in parts:
        if out and isinstance(part, np.ndarray) and isinstance(out[-1], np.ndarray):
            out[-1] = np.concatenate([out[-1], part])
        else:
            out.append(part)
    return out
