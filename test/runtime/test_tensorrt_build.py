"""Building engines: for real with TensorRT-RTX (no GPU needed), error paths on a stand-in."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the Python package onnx to make a test graph")

import onnx
from engine_graph import make_feeds, make_graph, save_graph
from fake_gpu import FakeTensorRT
from onnx.reference import ReferenceEvaluator
from synthetic import BODY

from diffpose_ros.cli.main import main
from diffpose_ros.core import BackendError, Camera, ConfigError, ModelError, People2D
from diffpose_ros.core.resources import WEIGHTS
from diffpose_ros.lifting import Lifter, LifterConfig
from diffpose_ros.methods.registry import graph_of
from diffpose_ros.onnxgraph.half_precision import half_share, to_half_blocks
from diffpose_ros.runtime.protocol import BackendOptions
from diffpose_ros.runtime.tensorrt.api import Flavour, find_flavour
from diffpose_ros.runtime.tensorrt.build import (
    GpuInfo,
    Recipe,
    buckets_for,
    build_plan,
    cached_plan,
    timing_file_name,
)
from diffpose_ros.runtime.tensorrt.cache import EngineCache

GPU = GpuInfo("NVIDIA L4", "8.9", "13.0")


def shipped(*patterns: str) -> list:
    """Files of the models in the box, one parameter each."""
    paths = sorted({p for pattern in patterns for p in WEIGHTS.glob(pattern)})
    missing = pytest.mark.skip(reason=f"no {' or '.join(patterns)} under {WEIGHTS}")
    return [pytest.param(p, id=f"{p.parent.name}-{p.stem}") for p in paths] or [
        pytest.param(Path(), id="none", marks=missing)
    ]


# One step is all of a graph but the repetition; the whole is built once, as robots run it. Every
# operation of a graph is built in single and in half precision, which takes ten seconds a build.
QUICK = [
    pytest.param(path.values[0], precision, id=f"{path.id}-{precision}", marks=path.marks)
    for name, precision in (("starpose", "fp32"), ("diffpose", "fp16"))
    for path in shipped(f"{name}/model_1.onnx")
]
STEPS = shipped("diffpose/model_1.onnx", "starpose/model_1.onnx")
WHOLE = shipped("starpose/model.onnx")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return graph_of(save_graph(tmp_path_factory.mktemp("model") / "tiny.onnx"))


@pytest.fixture
def rtx():
    pytest.importorskip("tensorrt_rtx", reason="needs the Python package tensorrt-rtx-cu13 (or -cu12)")
    return find_flavour(name="tensorrt_rtx")


@pytest.fixture
def fake():
    trt = FakeTensorRT(driver=None)
    return Flavour("tensorrt", trt, trt.__version__)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_rtx_builds_a_real_engine_without_a_gpu(model, rtx, precision):
    recipe = Recipe(model, max_people=2, precision=precision)
    assert len(build_plan(recipe, rtx)) > 100_000


@pytest.mark.parametrize(("path", "precision"), QUICK)
def test_rtx_builds_a_real_engine_from_the_shipped_graph(path, rtx, precision):
    spec = graph_of(path)
    recipe = Recipe(spec, max_people=1, precision=precision)
    assert len(build_plan(recipe, rtx)) > 100_000


@pytest.mark.slow
@pytest.mark.parametrize("path", WHOLE)
def test_rtx_builds_the_whole_unrolled_sampler(path, rtx):
    spec = graph_of(path)
    recipe = Recipe(spec, max_people=1, precision="fp16")
    assert len(build_plan(recipe, rtx)) > 100_000


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


@pytest.mark.parametrize(
    ("most", "buckets"),
    [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (10, (1, 2, 5, 10)), (50, (1, 2, 5, 10, 20, 50)),
     (64, (1, 2, 5, 10, 20, 50, 64))],
)  # fmt: skip
def test_profiles_end_at_the_most_people(most, buckets):
    assert buckets_for(most) == buckets


def test_no_people_is_refused():
    with pytest.raises(ConfigError, match="max_people: expected at least 1, got 0"):
        buckets_for(0)


@pytest.mark.parametrize(
    ("version", "flags"), [("10.13.0.35", 2), ("11.0.0.1", 0)], ids=["TensorRT 10", "TensorRT 11"]
)
def test_networks_are_strongly_typed_in_the_way_of_each_version(model, version, flags):
    trt = FakeTensorRT(driver=None, version=version)
    build_plan(Recipe(model, 1), Flavour("tensorrt", trt, version))
    assert trt.network_flags == [flags]


def test_a_graph_that_the_parser_refuses_is_told_with_its_node(model, fake):
    fake.trt.parse_error = "unsupported\n operator"
    with pytest.raises(BackendError, match=r"does not take tiny.onnx: unsupported operator \(node 7"):
        build_plan(Recipe(model, 1), fake)


def test_a_build_that_fails_is_told_with_tensorrts_reason(model, fake):
    fake.trt.build_error = "could not find any implementation"
    with pytest.raises(BackendError, match=r"cannot build tiny.onnx as fp32: could not find any"):
        build_plan(Recipe(model, 1), fake)


def test_a_builder_that_does_not_start_is_told(model, fake):
    fake.trt.no_start = True
    with pytest.raises(BackendError, match="cannot start its builder: CUDA initialization failure"):
        build_plan(Recipe(model, 1), fake)


def test_progress_is_told_and_an_interrupt_stops_the_build(model, fake):
    seen = []
    build_plan(Recipe(model, 1), fake, progress=lambda *step: seen.append(step))
    assert seen == [("Building engine", 0, 2), ("Building engine", 1, 2), ("Building engine", 2, 2)]

    def stop(*step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_plan(Recipe(model, 1), fake, progress=stop)


def test_rtx_progress_ends_where_it_should(model, rtx):
    last = {}
    build_plan(
        Recipe(model, 1),
        rtx,
        progress=lambda phase, done, total: last.update({phase: (done, total)}),
    )
    assert last
    assert all(done == total for done, total in last.values())


def test_the_timing_cache_is_kept_and_given_to_the_next_build(model, fake, tmp_path):
    cache = EngineCache(tmp_path)
    cached_plan(Recipe(model, 1), fake, GPU, cache)
    assert (tmp_path / timing_file_name(fake, GPU)).read_bytes() == b"timings:+"
    cached_plan(Recipe(model, 2), fake, GPU, cache)
    assert fake.trt.timings == [b"timings:", b"timings:+"]


def test_a_timing_cache_that_does_not_fit_is_started_anew(model, fake, tmp_path, caplog):
    path = tmp_path / "timing"
    path.write_bytes(b"of another version")
    build_plan(Recipe(model, 1), fake, timing_cache=path)
    assert "does not fit this TensorRT" in caplog.text
    assert path.read_bytes() == b"timings:+"


def test_without_any_tensorrt_the_error_says_what_to_install(monkeypatch):
    for module in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BackendError, match="TensorRT is not installed: pip install tensorrt"):
        find_flavour()


@pytest.mark.parametrize(
    ("sm", "works"),
    [("7.2", False), ("8.0", True), ("8.6", True), ("8.7", False), ("8.9", True), ("9.0", False),
     ("10.0", False), ("12.0", True), ("12.1", True)],
)  # fmt: skip
def test_rtx_knows_its_gpus(rtx, sm, works):
    assert rtx.supports(sm) is works


def test_a_gpu_that_only_tensorrt_proper_supports_is_told(rtx, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendError, match=r"does not run on compute capability 9\.0; install Tens"):
        find_flavour("9.0")


class TestCommand:
    """``diffpose_ros build-engine``."""

    def test_builds_then_finds(self, model, rtx, tmp_path, capsys):
        words = ["build-engine", str(model.path), "--max-people", "1", "--cache-dir", str(tmp_path)]
        assert main(words) == 0
        first = capsys.readouterr()
        assert "built in" in first.err
        assert main(words) == 0
        second = capsys.readouterr()
        assert "found in the cache" in second.err
        assert first.out == second.out == f"{next(tmp_path.glob('*.engine'))}\n"

    def test_writes_the_bare_engine(self, model, rtx, tmp_path, capsys):
        plan = tmp_path / "out" / "tiny.plan"
        words = ["build-engine", str(model.path), "--max-people", "1", "--fp16", "--quiet"]
        assert main([*words, "--cache-dir", str(tmp_path), "--output", str(plan)]) == 0
        assert next(tmp_path.glob("*.engine")).read_bytes().endswith(plan.read_bytes())
        assert capsys.readouterr() == ("", "")

    def test_options_of_the_backend_name_the_same_engine(self, model, rtx, tmp_path):
        """What a node asks for in the background is what it then looks for."""
        from diffpose_ros.cli.build_engine import _gpu
        from diffpose_ros.runtime.tensorrt.background_build import command

        cache = EngineCache(tmp_path)
        options = BackendOptions(max_people=2, sizes={"hypotheses": 3, "context": 5})
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        words = command(model, options, cache)
        subprocess.run(words, check=True, timeout=120, env=environment)
        assert cache.load(Recipe.of(model, options).key(rtx, _gpu())) is not None

    @pytest.mark.parametrize(
        ("words", "text"),
        [(["nowhere.onnx"], "no such model file"),
         (["{model}", "--size", "future=3"], "expected a size of tiny (hypotheses, context), got 'future'"),
         (["{model}", "--flavour", "tensorrt"], "tensorrt is not installed: pip install"),
         (["{junk}"], "not an ONNX file")],
        ids=["no model", "unknown ring", "no TensorRT", "not ONNX"],
    )  # fmt: skip
    def test_errors_are_one_line(self, model, tmp_path, monkeypatch, capsys, words, text):
        monkeypatch.setitem(sys.modules, "tensorrt", None)
        junk = tmp_path / "junk.onnx"
        junk.write_bytes(b"\xff" * 100)
        words = [w.format(model=model.path, junk=junk) for w in words]
        assert main(["build-engine", *words]) == 1
        error = capsys.readouterr().err.strip()
        assert text in error
        assert error.count("\n") == 0
        assert error.startswith("diffpose_ros build-engine: error: ")
