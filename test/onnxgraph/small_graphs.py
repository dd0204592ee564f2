"""Small graphs, written as text, and what a pass makes of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from diffpose_ros.onnxgraph.fuse import clean
from diffpose_ros.onnxgraph.passes.graph import Graph

SIZES = {"n": 4, "m": 3, "w": 6}


def graph(text: str, **constants: np.ndarray) -> onnx.ModelProto:
    """``(inputs) => (outputs) { nodes }`` in ONNX's own syntax, with constants by name."""
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> g {text}')
    model.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in constants.items())
    onnx.checker.check_model(model, full_check=True)
    return model


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    """Random numbers."""
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype(np.float32)


def run(model: onnx.ModelProto) -> list[np.ndarray]:
    """All outputs, for random inputs; dynamic axes as ``SIZES`` says."""
    feeds = {}
    for i, value in enumerate(model.graph.input):
        dims = value.type.tensor_type.shape.dim
        shape = [SIZES[d.dim_param] if d.dim_param else d.dim_value for d in dims]
        feeds[value.name] = weights(*shape, seed=i)
    return ReferenceEvaluator(model).run(None, feeds)


def rewritten(model: onnx.ModelProto, *passes: Callable[[Graph], int]) -> list[str]:
    """Operators of the graph after ``passes``, checked to compute the same under the same names."""
    before = run(model)
    work = Graph(model)
    done = sum(each(work) for each in passes)
    clean(work)
    after = work.to_proto()
    onnx.checker.check_model(after, full_check=True)
    assert [v.name for v in after.graph.output] == [v.name for v in model.graph.output]
    for was, now in zip(before, run(after), strict=True):
        assert was.shape == now.shape
        np.testing.assert_allclose(now, was, atol=1e-5)
    if not done:
        assert [n.op_type for n in after.graph.node] == [n.op_type for n in model.graph.node]
    return [n.op_type for n in after.graph.node]
