"""Half precision written into the ONNX graph: the blocks' matrix products in FP16, the rest FP32.

TensorRT 11 and TensorRT-RTX take precision from the graph alone (strong typing), TensorRT 10 can.
`half_regions` says what runs in half; here the graph is rewritten so that it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from diffpose_ros.core import BackendError, ModelError
from diffpose_ros.onnxgraph.fp16_weights import expand
from diffpose_ros.onnxgraph.half_regions import (
    MIN_WIDTH,
    PRODUCTS,
    Index,
    choose,
    index_graph,
    with_shapes,
)
from diffpose_ros.onnxgraph.normal_form import fold_constants, sums_apart

if TYPE_CHECKING:
    import onnx

HALF_LIMIT = float(np.finfo(np.float16).max)


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
        copy = sums_apart(fold_constants(expand(onnx.load_model_from_string(data))))
        index = index_graph(with_shapes(copy))
    except Exception as error:
        raise ModelError(f"cannot read the graph to convert it to FP16: {error}") from error
    half = choose(index)
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
    products = [n for n in inferred.node if n.op_type in PRODUCTS]
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


def _rewrite(onnx, graph: onnx.GraphProto, index: Index, half: set[int]) -> None:
    """Insert casts at the rims and half weights inside; the names of FP32 tensors stay."""
    made_half = {n for i in half for n in index.nodes[i].output}
    names = set(index.width) | {v.name for v in graph.input}
    names |= {n for node in index.nodes for n in node.output}
    weights: dict[int, str] = {}  # id of a constant -> its half version, shared as it is
    outputs = {v.name for v in graph.output}
    # Tensors that some node reads other than as data (for their shape, say): they keep a FP32 twin.
    otherwise = {n for i, x in enumerate(index.nodes) for n in x.input if n not in set(index.data(i))}
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
            order.append(onnx.helper.make_node("Cast", [name], [cast[name]], to=onnx.TensorProto.FLOAT16))
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
                order.append(onnx.helper.make_node("Cast", [cast[name]], [name], to=onnx.TensorProto.FLOAT))
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
