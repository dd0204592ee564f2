"""Half the size on disk, the same numbers: weights that FP16 can hold exactly are stored as FP16.

A compacted graph holds an FP16 initialiser and a ``Cast`` to FP32 in front of its use; every runtime
folds the two when it loads the file. Weights are rounded to FP16 before calibration and export
(:func:`round_weights`), so that nothing changes afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx
    from torch import nn

SMALLEST = 512
"""Tensors with fewer entries stay as they are."""
_SUFFIX = "_half"


def round_weights(network: nn.Module) -> None:
    """Round a network's large weights to the nearest FP16 number, in place; parameters stay FP32."""
    for parameter in network.parameters():
        if parameter.numel() >= SMALLEST:
            parameter.data.copy_(parameter.data.half().float())


def compact(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store exactly representable FP32 initialisers as FP16, in place.

    Args:
        model: a checked model.

    Returns:
        The same model.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or int(np.prod(tensor.dims)) < SMALLEST:
            continue
        value = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = value.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), value):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, name + _SUFFIX))
        casts.append(helper.make_node("Cast", [name + _SUFFIX], [name], f"{name}_cast",
                                      to=TensorProto.FLOAT))  # fmt: skip
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def expand(model: onnx.ModelProto) -> onnx.ModelProto:
    """Inverse of :func:`compact`, in place: all weights FP32 initialisers again."""
    from onnx import TensorProto, numpy_helper

    graph = model.graph
    half = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT16}
    kept = []
    for node in graph.node:
        stored = half.get(node.input[0]) if node.op_type == "Cast" else None
        if stored is None or stored.name != node.output[0] + _SUFFIX:
            kept.append(node)
            continue
        value = numpy_helper.to_array(stored).astype(np.float32)
        stored.CopyFrom(numpy_helper.from_array(value, node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)
    return model
