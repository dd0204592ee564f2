"""Which nodes of a lifter graph may run in half precision, found by rule.

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
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

MIN_WIDTH = 32
"""Narrowest feature axis that counts as a hidden layer; joints (17), points (21), bones (16) and
coordinates (3) lie below."""

_ANY_SIZE = 3
"""Stands for people, hypotheses and slots while shapes are inferred; like none of the widths."""

PRODUCTS = {"MatMul", "Gemm"}
_ARITHMETIC = {"Add", "Sub", "Mul", "Relu", "Gelu", "Erf", "Sigmoid", "Tanh", "Neg"}
_MOVES = {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "Concat", "Expand",
          "Gather", "Identity", "Flatten"}  # fmt: skip
_HALF_SAFE = PRODUCTS | _ARITHMETIC | _MOVES
_DATA_INPUTS = {"Reshape": 1, "Squeeze": 1, "Unsqueeze": 1, "Slice": 1, "Split": 1, "Expand": 1,
                "Gather": 1}  # fmt: skip
"""Operators of which only the first inputs carry features; the others are shapes and indices."""


@dataclass
class Index:
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


def with_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with every shape inferred for one choice of the dynamic sizes.

    Left dynamic, exporters' computed shapes hide the widths of most tensors from inference.
    """
    import onnx.shape_inference

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


def index_graph(model: onnx.ModelProto) -> Index:
    """Wire up a graph whose shapes are known."""
    import onnx

    graph = model.graph
    index = Index(list(graph.node))
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


def choose(index: Index) -> set[int]:
    """Indices of the nodes that will run in half."""
    products = {i for i, n in enumerate(index.nodes) if n.op_type in PRODUCTS}
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


def _has_constant(index: Index, i: int) -> bool:
    return any(n in index.constants for n in index.nodes[i].input[:2])


def _is_wide(index: Index, i: int) -> bool:
    """Whether node ``i`` multiplies wide features by a constant matrix, from either side."""
    node = index.nodes[i]
    left, right = node.input[:2]
    if right in index.constants:
        shape = index.constants[right]
        return len(shape) >= 2 and min(shape[-2:]) >= MIN_WIDTH
    if left in index.constants:
        return index.width.get(right, 0) >= MIN_WIDTH
    return False


def _reach(start: Iterable[int], step: Callable[[int], list[int]], walls: set[int]) -> set[int]:
    seen, todo = set(start), list(start)
    while todo:
        for j in step(todo.pop()):
            if j not in seen and j not in walls:
                seen.add(j)
                todo.append(j)
    return seen


def _settle(index: Index, half: set[int]) -> set[int]:
    """Send arithmetic and moves at the rim of a half region back to FP32, until none is left."""
    half = set(half)
    changed = True
    while changed:
        changed = False
        for i in sorted(half):
            if index.nodes[i].op_type in PRODUCTS:
                continue
            sources, sinks = index.before(i), index.after(i)
            if not any(s in half for s in sources) or not sinks or not all(s in half for s in sinks):
                half.discard(i)
                changed = True
    return half
