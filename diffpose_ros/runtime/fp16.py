"""Half precision written into the ONNX graph: the blocks' matrix products in FP16, the rest FP32.

TensorRT 11 and TensorRT-RTX take precision from the graph alone (strong typing). What runs in half
is found by rule, so any model of the contract can be converted:

- *Seeds*: products of a constant matrix with features at least ``MIN_WIDTH`` wide on both sides.
  Layers that enter from, or leave to, coordinates are narrower: they stay FP32 and nothing
  spreads through them, so inputs, outputs, embeddings, DDIM arithmetic and guidance stay FP32.
- Every node *between* two seeds may run in half if its operator is safe there. Softmax, norms
  and reductions stay FP32.
- A half node that no longer sits between half nodes goes back to FP32. This leaves the residual
  stream and attention masks (whose -1e9 has no half) in FP32.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from diffpose_ros.core import BackendError, ModelError

if TYPE_CHECKING:
    import onnx

MIN_WIDTH = 32
"""Narrowest feature axis that counts as a hidden layer; joints (17), points (21), bones (16) and
coordinates (3) lie below."""

_ANY_SIZE = 3
"""Stands for people, hypotheses and slots while shapes are inferred; like none of the widths."""

HALF_LIMIT = float(np.finfo(np.float16).max)

_PRODUCTS = {"MatMul", "Gemm"}
_ARITHMETIC = {"Add", "Sub", "Mul", "Relu", "Gelu", "Erf", "Sigmoid", "Tanh", "Neg"}
_MOVES = {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "Concat", "Expand",
          "Gather", "Identity", "Flatten"}  # fmt: skip
_HALF_SAFE = _PRODUCTS | _ARITHMETIC | _MOVES
_DATA_INPUTS = {"Reshape": 1, "Squeeze": 1, "Unsqueeze": 1, "Slice": 1, "Split": 1, "Expand": 1,
                "Gather": 1}  # fmt: skip
"""Operators of which only the first inputs carry features; the others are shapes and indices."""


@dataclass
class _Index:
    """The graph's wiring.

    Attributes:
        nodes: the nodes, in order.
        producer: tensor -> index of the node that makes it.
        consumers: tensor -> indices of the nodes that read it as data.
        width: float tensor -> its last axis, 0 where unknown.
        constants: constant -> shape, float ones only, names of shared ones included.
        root: name of a shared constant -> the tensor it stands for.
        typed: every tensor whose type is known; what is not cannot be converted safely.
    """

    nodes: list
    producer: dict[str, int] = field(default_factory=dict)
    consumers: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    width: dict[str, int] = field(default_factory=dict)
    constants: dict[str, tuple[int, ...]] = field(default_factory=dict)
    root: dict[str, onnx.TensorProto] = field(default_factory=dict)
    typed: set[str] = field(default_factory=lambda: {""})  # "" stands for an input left out

    def data(self, i: int) -> list[str]:
        """Float tensors that node ``i`` reads as data, constants included."""
        node = self.nodes[i]
        names = node.input[: _DATA_INPUTS.get(node.op_type, len(node.input))]
        return [n for n in names if n in self.width]

    def before(self, i: int) -> list[int]:
        return [self.producer[n] for n in self.data(i) if n in self.producer]

    def after(self, i: int) -> list[int]:
        return [c for n in self.nodes[i].output for c in self.consumers[n]]


def to_half_blocks(model: bytes | onnx.ModelProto) -> onnx.ModelProto:
    """Convert a lifter graph; inputs, outputs and metadata keep their names and FP32.

    Args:
        model: a serialised model, or one already loaded (it is not changed).

    Returns:
        A checked model with FP16 blocks.

    Raises:
        ModelError: the graph has no block that could run in half, or is not valid ONNX.
        BackendError: the ``onnx`` package is missing.
    """
    onnx = _onnx()
    try:
        data = model if isinstance(model, bytes) else model.SerializeToString()
        copy = onnx.load_model_from_string(data)
        index = _index(onnx, _with_shapes(onnx, copy))
    except Exception as error:
        raise ModelError(f"cannot read the graph to convert it to FP16: {error}") from error
    half = _choose(index)
    if not half:
        raise ModelError(
            f"no block to convert to FP16: expected matrix products at least {MIN_WIDTH} wide; "
            "build this model with FP32"
        )
    _rewrite(onnx, copy.graph, index, half)
    onnx.checker.check_model(copy, full_check=True)
    return copy


def half_share(model: onnx.ModelProto) -> float:
    """Share of the matrix products that run in half, 0 to 1 (for logs and tests)."""
    onnx = _onnx()
    inferred = onnx.shape_inference.infer_shapes(model).graph
    half = {v.name for v in inferred.value_info if v.type.tensor_type.elem_type == 10}
    products = [n for n in inferred.node if n.op_type in _PRODUCTS]
    return sum(n.output[0] in half for n in products) / max(len(products), 1)


def _onnx():
    try:
        import onnx
        import onnx.checker
        import onnx.shape_inference
    except ImportError as error:
        raise BackendError(
            "FP16 engines need the Python package 'onnx', which is not installed: pip install onnx"
        ) from error
    return onnx


def _with_shapes(onnx, model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with every shape inferred for one choice of the dynamic sizes.

    Left dynamic, exporters' computed shapes hide the widths of most tensors from inference.
    """
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]
    for value in fixed.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.dim_value = _ANY_SIZE
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(fixed, data_prop=True)


def _index(onnx, model: onnx.ModelProto) -> _Index:
    graph = model.graph
    index = _Index(list(graph.node))
    for value in (*graph.input, *graph.output, *graph.value_info):
        tensor = value.type.tensor_type
        index.typed.add(value.name)
        if tensor.elem_type == onnx.TensorProto.FLOAT:
            dims = tensor.shape.dim
            index.width[value.name] = dims[-1].dim_value if dims else 0
    constants = {t.name: t for t in graph.initializer}
    for node in graph.node:  # in order, so that a shared constant's own name comes first
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = node.attribute[0].t
        elif node.op_type == "Identity" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
    for name, tensor in constants.items():
        index.typed.add(name)
        if tensor.data_type == onnx.TensorProto.FLOAT:
            index.constants[name], index.root[name] = tuple(tensor.dims), tensor
            index.width[name] = tensor.dims[-1] if tensor.dims else 0
    for i, node in enumerate(index.nodes):
        for name in node.output:
            index.producer[name] = i
    for i in range(len(index.nodes)):
        for name in index.data(i):
            index.consumers[name].append(i)
    return index


def _choose(index: _Index) -> set[int]:
    """Indices of the nodes that will run in half."""
    products = {i for i, n in enumerate(index.nodes) if n.op_type in _PRODUCTS}
    seeds = {i for i in products if _is_wide(index, i)}
    narrow = {i for i in products if i not in seeds and _has_constant(index, i)}
    down = _reach(seeds, index.after, narrow)
    up = _reach(seeds, index.before, narrow)
    half = {i for i in down & up if index.nodes[i].op_type in _HALF_SAFE} | seeds
    half = {
        i
        for i in half
        if all(n in index.width for n in index.nodes[i].output)
        and index.typed.issuperset(index.nodes[i].input)
    }
    return _settle(index, half)


def _has_constant(index: _Index, i: int) -> bool:
    return any(n in index.constants for n in index.nodes[i].input[:2])


def _is_wide(index: _Index, i: int) -> bool:
    """Whether node ``i`` multiplies wide features by a constant matrix, from either side."""
    node = index.nodes[i]
    left, right = node.input[:2]
    if right in index.constants:
        shape = index.constants[right]
        return len(shape) >= 2 and min(shape[-2:]) >= MIN_WIDTH
    if left in index.constants:
        return index.width.get(right, 0) >= MIN_WIDTH
    return False


def _reach(start: Iterable[int], step, walls: set[int]) -> set[int]:
    seen, todo = set(start), list(start)
    while todo:
        for j in step(todo.pop()):
            if j not in seen and j not in walls:
                seen.add(j)
                todo.append(j)
    return seen


def _settle(index: _Index, half: set[int]) -> set[int]:
    """Send arithmetic and moves at the rim of a half region back to FP32, until none is left."""
    half = set(half)
    changed = True
    while changed:
        changed = False
        for i in sorted(half):
            if index.nodes[i].op_type in _PRODUCTS:
                continue
            sources, sinks = index.before(i), index.after(i)
            if (
                not any(s in half for s in sources)
                or not sinks
                or not all(s in half for s in sinks)
            ):
                half.discard(i)
                changed = True
    return half


def _rewrite(onnx, graph: onnx.GraphProto, index: _Index, half: set[int]) -> None:
    """Insert casts at the rims and half weights inside; the names of FP32 tensors stay."""
    made_half = {n for i in half for n in index.nodes[i].output}
    names = set(index.width) | {v.name for v in graph.input}
    names |= {n for node in index.nodes for n in node.output}
    weights: dict[int, str] = {}  # id of a constant -> its half version, shared as it is
    outputs = {v.name for v in graph.output}
    # Tensors that some node reads other than as data (for their shape, say): they keep a FP32 twin.
    otherwise = {
        n for i, x in enumerate(index.nodes) for n in x.input if n not in set(index.data(i))
    }
    order: list = []
    cast: dict[str, str] = {}

    def fresh(name: str) -> str:
        candidate = f"{name}_half"
        while candidate in names:
            candidate += "_"
        names.add(candidate)
        return candidate

    def in_half(name: str) -> str:
        """Name of the half version of ``name``, made on first use."""
        if name in cast:
            return cast[name]
        tensor = index.root.get(name)
        if tensor is None:
            cast[name] = fresh(name)
            order.append(
                onnx.helper.make_node("Cast", [name], [cast[name]], to=onnx.TensorProto.FLOAT16)
            )
        elif id(tensor) in weights:
            cast[name] = weights[id(tensor)]
        else:
            cast[name] = weights[id(tensor)] = fresh(name)
            value = onnx.numpy_helper.to_array(tensor)
            value = np.clip(value, -HALF_LIMIT, HALF_LIMIT).astype(np.float16)
            graph.initializer.append(onnx.numpy_helper.from_array(value, cast[name]))
        return cast[name]

    for i, node in enumerate(index.nodes):
        new = onnx.NodeProto()
        new.CopyFrom(node)
        if i not in half:
            order.append(new)
            continue
        data = set(index.data(i))
        for k, name in enumerate(node.input):
            if name in data:
                new.input[k] = in_half(name)
        for k, name in enumerate(node.output):
            cast[name] = new.output[k] = fresh(name)
        order.append(new)
        for name in node.output:
            outside = any(c not in half for c in index.consumers[name])
            if outside or name in outputs or name in otherwise:
                order.append(
                    onnx.helper.make_node("Cast", [cast[name]], [name], to=onnx.TensorProto.FLOAT)
                )
    assert made_half <= set(cast), "every half output has a half name"
    del graph.node[:]
    graph.node.extend(order)
    del graph.value_info[:]  # types changed; whoever needs them infers them again
    _drop_unused(graph, outputs)
    used = {n for node in graph.node for n in node.input} | outputs
    kept = [t for t in graph.initializer if t.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _drop_unused(graph: onnx.GraphProto, outputs: set[str]) -> None:
    """Remove nodes nobody reads any more: names of constants that now live on in half."""
    nodes, used = list(graph.node), set(outputs)
    kept = []
    for node in reversed(nodes):
        if used.intersection(node.output):
            used.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
