"""A graph that is being rewritten: its nodes, its constants, the sizes of its tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from diffpose_ros.onnxgraph.passes.dims import Dims, measure, reshape_target


class Graph:
    """Wraps an ``onnx_ir`` graph for passes.

    Args:
        model: a valid model; it is not changed.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = ir.from_proto(model)
        self.ir = self.model.graph
        sizes = measure(model)
        values = [*self.ir.inputs, *(v for node in self.ir for v in node.outputs)]
        known = {v: sizes[v.name] for v in values if v.name in sizes}
        self._dims = {v: dims for v, (dims, _) in known.items()}
        self._types = {v: kind for v, (_, kind) in known.items()}
        self._names = {v.name for v in values} | set(self.ir.initializers)

    def to_proto(self) -> onnx.ModelProto:
        """The model as it is now, nodes in order."""
        self.ir.sort()
        return ir.to_proto(self.model)

    @property
    def nodes(self) -> list[ir.Node]:
        """The nodes as they are now; the list stays as it is while the graph changes."""
        return list(self.ir)

    def dims(self, value: ir.Value | None) -> Dims | None:
        """Sizes of a tensor; ``None`` where they are not known."""
        if value is None:
            return None
        known = constant(value)
        return known.shape if known is not None else self._dims.get(value)

    def type(self, value: ir.Value | None) -> np.dtype | None:
        """Type of a tensor's entries; ``None`` where it is not known."""
        known = constant(value)
        return known.dtype if known is not None else self._types.get(value)  # type: ignore[arg-type]

    def make(
        self,
        before: ir.Node,
        op: str,
        inputs: Sequence[ir.Value | np.ndarray | None],
        dims: Sequence[Dims | None],
        **attributes: Any,
    ) -> list[ir.Value]:
        """A new node in front of ``before``, with an output for each of ``dims``."""
        values = [self.constant(x) if isinstance(x, np.ndarray) else x for x in inputs]
        kind = np.dtype(np.int64) if op == "Shape" else self._common_type(values)
        outputs = [ir.Value(name=self._fresh(op.lower())) for _ in dims]
        node = ir.node(op, values, attributes, outputs=outputs, name=self._fresh(f"{op}_node"))
        self.ir.insert_before(before, node)
        for value, size in zip(outputs, dims, strict=True):
            if size is not None:
                self._dims[value] = size
            if kind is not None:
                self._types[value] = kind
        return outputs

    def reshape(self, before: ir.Node, value: ir.Value | None, dims: Dims) -> ir.Value | None:
        """``value`` in another shape; itself where nothing changes, ``None`` where numbers cannot say it."""
        now = self.dims(value)
        if now == dims:
            return value
        target = None if now is None else reshape_target(now, dims)
        if target is None:
            return None
        return self.make(before, "Reshape", [value, np.array(target, np.int64)], [dims])[0]

    def constant(self, value: np.ndarray) -> ir.Value:
        """A new constant."""
        name = self._fresh("constant")
        made = ir.Value(name=name, const_value=ir.tensor(value, name=name))
        made.shape, made.type = ir.Shape(value.shape), ir.TensorType(ir.DataType.from_numpy(value.dtype))
        self.ir.register_initializer(made)
        return made

    def replace(self, old: ir.Value, new: ir.Value) -> None:
        """Let everybody who reads ``old`` read ``new``. An output of the graph keeps its name."""
        if old.is_graph_output():
            if new.producer() is None or new.is_graph_output():  # it has a name to keep itself
                copy = ir.node("Identity", [new], name=self._fresh("Identity_node"))
                self.ir.append(copy)
                new = copy.outputs[0]
            name, old.name = old.name, self._fresh("was")
            new.name, new.shape, new.type = name, old.shape, old.type
        ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)

    def replace_node(self, node: ir.Node, new: Sequence[ir.Value | None]) -> None:
        """Put other tensors in the place of a node's outputs and drop the node."""
        for old, value in zip(node.outputs, new, strict=True):
            assert value is not None, "an output has something in its place"
            self.replace(old, value)
        self.ir.remove(node, safe=True)

    def drop_unused(self) -> None:
        """Remove nodes that nobody reads."""
        for node in reversed(self.nodes):
            if not any(v.uses() or v.is_graph_output() for v in node.outputs):
                self.ir.remove(node, safe=True)

    def _common_type(self, values: Sequence[ir.Value | None]) -> np.dtype | None:
        kinds = [kind for v in values if (kind := self.type(v)) is not None]
        return next((kind for kind in kinds if kind.kind == "f"), kinds[0] if kinds else None)

    def _fresh(self, hint: str) -> str:
        number = len(self._names)
        while f"{hint}_{number}" in self._names:
            number += 1
        self._names.add(f"{hint}_{number}")
        return f"{hint}_{number}"


def constant(value: ir.Value | None) -> np.ndarray | None:
    """What a constant holds, else ``None``."""
    if value is None or value.const_value is None or value.is_graph_input():
        return None
    return value.const_value.numpy()


def made_by(value: ir.Value | None, *ops: str) -> ir.Node | None:
    """The node that makes ``value`` if it is one of ``ops``."""
    node = None if value is None else value.producer()
    return node if node is not None and node.op_type in ops and node.domain == "" else None


def only_use(value: ir.Value) -> bool:
    """Whether one node reads ``value``, once, and nobody outside does."""
    return len(value.uses()) == 1 and not value.is_graph_output()


def reader(value: ir.Value) -> ir.Node:
    """The first node that reads ``value``."""
    return next(iter(value.uses())).node


def attribute(node: ir.Node, name: str, default: Any) -> Any:
    """An attribute's value."""
    found = node.attributes.get(name)
    return default if found is None else found.value


def attributes(node: ir.Node) -> dict[str, Any]:
    """All attributes, to make a node like this one."""
    return {name: a.value for name, a in node.attributes.items()}


def per_column(value: np.ndarray, columns: int) -> bool:
    """Whether a constant is one number, or one for each entry of the last axis, alike on all others."""
    return value.size == 1 or (value.size == columns and value.shape[-1] == columns)


def axis_of(node: ir.Node, rank: int, default: int = -1) -> int:
    """The node's ``axis``, counted from the front."""
    return int(attribute(node, "axis", default)) % rank

