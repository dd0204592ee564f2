"""Half-precision graphs: what is half, what is not, and how far skeletons move by it."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the Python package onnx to make a test graph")

import onnx
from engine_graph import make_feeds, make_graph
from onnx.reference import ReferenceEvaluator
from shipped import STEPS, WHOLE
from synthetic import BODY

from diffpose_ros.core import Camera, ModelError, People2D
from diffpose_ros.lifting import Lifter, LifterConfig
from diffpose_ros.onnxgraph.half_precision import half_share, to_half_blocks


def _in_half(path):
    """Runs a model's half graph, rounding whatever it says is half: ONNX Runtime leaves most of its
    casts out on a CPU and computes in single precision."""
    graph = to_half_blocks(path.read_bytes())
    names, evaluator = [o.name for o in graph.graph.output], ReferenceEvaluator(graph)

    def run(feeds):
        with np.errstate(over="ignore", invalid="ignore"):  # the reference's sigmoid tries two ways
            return dict(zip(names, evaluator.run(None, dict(feeds)), strict=True))

    return run


def _walk(path, run=None, frames=10):
    """Skeletons (F, 2, 17, 3) of two swaying people, streamed through a lifter."""
    camera = Camera(np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]]), 1280, 720)
    lifter = Lifter(LifterConfig(model=path, backend="onnxruntime"))
    if run is not None:
        lifter.backend.run = run
    coco = [9, 9, 9, 9, 9, 11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3]
    out = []
    for i in range(frames):
        body = BODY.copy()
        body[[3, 13], 2] += 0.2 * np.sin(0.2 * i)
        body[[6, 16], 2] -= 0.2 * np.sin(0.2 * i)
        xyz = body[coco] + np.array([[[-0.8, 0, 4.0]], [[0.9, 0, 5.0 + 0.02 * i]]])
        image = xyz @ camera.matrix.T
        people = People2D(
            xy=image[..., :2] / image[..., 2:], score=np.full((2, 17), 0.9), track_id=np.array([1, 2])
        )
        out.append([s.xyz - s.root for s in lifter.lift(people, camera, (i + 1) * 33_000_000).skeletons])
    lifter.close()
    return np.array(out)


@pytest.mark.parametrize("path", [*STEPS, *WHOLE])
def test_half_precision_moves_shipped_skeletons_by_less_than_a_millimetre(path):
    full, got = _walk(path), _walk(path, _in_half(path))
    assert full.shape == (10, 2, 17, 3)
    assert 1e-5 < np.linalg.norm(full - got, axis=-1).mean() < 1e-3


@pytest.mark.parametrize("path", WHOLE)
def test_the_residual_stream_of_shipped_encoders_stays_in_full_precision(path):
    half = onnx.shape_inference.infer_shapes(to_half_blocks(path.read_bytes())).graph
    types = {v.name: v.type.tensor_type.elem_type for v in half.value_info}
    sums = [n for n in half.node if n.op_type == "Add" and n.name.endswith("_sum")]
    assert len(sums) == 8  # two in each of the four blocks
    made = {name: node for node in half.node for name in node.output}
    for node in sums:
        assert types[node.output[0]] == onnx.TensorProto.FLOAT
        product = made[made[node.input[0]].input[0]]  # behind the cast
        assert product.op_type == "Gemm"
        assert types[product.output[0]] == onnx.TensorProto.FLOAT16


def test_half_precision_moves_the_skeleton_by_less_than_a_millimetre():
    graph = make_graph()
    for people in (1, 3):
        feeds = make_feeds(people)
        full, half = _run(_bytes(graph), feeds), _run(_bytes(to_half_blocks(graph)), feeds)
        assert full.keys() == half.keys()
        moved = np.linalg.norm(full["mean"] - half["mean"], axis=-1)
        assert 0 < moved.mean() < 1e-3


def test_half_graphs_keep_names_types_and_metadata():
    graph = make_graph()
    half = to_half_blocks(graph)
    for side in ("input", "output"):
        assert [str(v) for v in getattr(half.graph, side)] == [str(v) for v in getattr(graph.graph, side)]
    assert half.metadata_props == graph.metadata_props


def test_half_graphs_hold_most_products_in_half_and_half_the_bytes():
    graph = make_graph()
    half = to_half_blocks(graph)
    assert half_share(graph) == 0
    assert half_share(half) > 0.6
    assert half.ByteSize() < 0.6 * graph.ByteSize()


def test_layers_to_and_from_coordinates_and_norms_stay_in_full_precision():
    half = onnx.shape_inference.infer_shapes(to_half_blocks(make_graph()))
    types = {v.name: v.type.tensor_type.elem_type for v in half.graph.value_info}
    types |= {t.name: t.data_type for t in half.graph.initializer}
    widths = {t.name: t.dims for t in half.graph.initializer}
    for node in half.graph.node:
        if node.op_type in ("Softmax", "LayerNormalization", "ReduceMean"):
            assert types.get(node.input[0], 1) == onnx.TensorProto.FLOAT, node.op_type
        if node.op_type == "MatMul" and 3 in widths.get(node.input[1], ()):
            assert types[node.input[1]] == onnx.TensorProto.FLOAT


def test_a_mask_that_half_cannot_hold_does_no_harm():
    """The graph masks with -1e9; a row whose ring is empty must not become NaN."""
    feeds = make_feeds(2)
    feeds["age"][:] = -1.0
    assert np.isfinite(_run(_bytes(to_half_blocks(make_graph())), feeds)["mean"]).all()


def test_weights_that_steps_share_stay_shared_in_half():
    """Exporters name a shared weight anew for each step, or keep it in a Constant node."""
    graph = make_graph()
    plain = to_half_blocks(graph)
    wide = [t for t in graph.graph.initializer if list(t.dims) == [64, 128]]
    for tensor in wide[1:]:
        graph.graph.initializer.remove(tensor)
        alias = onnx.helper.make_node("Identity", [wide[0].name], [tensor.name])
        graph.graph.node.insert(0, alias)
    square = next(t for t in graph.graph.initializer if list(t.dims) == [64, 64])
    graph.graph.initializer.remove(square)
    graph.graph.node.insert(0, onnx.helper.make_node("Constant", [], [square.name], value=square))
    half = to_half_blocks(graph)
    assert half_share(half) == half_share(plain)
    saved = plain.ByteSize() - half.ByteSize()
    assert saved > 0.9 * (len(wide) - 1) * 64 * 128 * 2
    feeds = make_feeds(2)
    full, got = _run(_bytes(graph), feeds), _run(_bytes(half), feeds)
    np.testing.assert_allclose(got["mean"], full["mean"], atol=1e-3)


def test_shapes_read_from_half_tensors_stay_readable():
    """Exporters compute target shapes from tensors; a half tensor must still have one to read."""
    graph = make_graph()
    product = next(n for n in graph.graph.node if n.op_type == "MatMul" and n.input[0] != "points")
    graph.graph.node.append(onnx.helper.make_node("Shape", [product.output[0]], ["seen"]))
    graph.graph.output.append(onnx.helper.make_tensor_value_info("seen", 7, [None]))
    feeds = make_feeds(2)
    full, half = _run(_bytes(graph), feeds), _run(_bytes(to_half_blocks(graph)), feeds)
    assert full["seen"].tolist() == half["seen"].tolist()


def test_a_graph_without_blocks_is_refused():
    value = onnx.helper.make_tensor_value_info("x", 1, [2])
    other = onnx.helper.make_tensor_value_info("y", 1, [2])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"])], "g", [value], [other])
    with pytest.raises(ModelError, match="no block to convert to FP16"):
        to_half_blocks(onnx.helper.make_model(graph))


def test_bytes_that_are_no_graph_are_refused():
    with pytest.raises(ModelError, match="cannot read the graph to convert"):
        to_half_blocks(b"\x08not onnx")


def _bytes(graph) -> bytes:
    return graph.SerializeToString()


def _run(graph: bytes, feeds: dict) -> dict:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))
