"""Building engines: for real with TensorRT-RTX (no GPU needed), error paths on a stand-in."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("onnx", reason="needs the Python package onnx to make a test graph")

from engine_graph import save_graph
from fake_gpu import FakeTensorRT
from shipped import WHOLE, shipped

from diffpose_ros.cli.main import main
from diffpose_ros.core import BackendError, ConfigError
from diffpose_ros.methods.registry import graph_of
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

# One step is all of a graph but the repetition; the whole is built once, as robots run it. Every
# operation of a graph is built in single and in half precision, which takes ten seconds a build.
QUICK = [
    pytest.param(path.values[0], precision, id=f"{path.id}-{precision}", marks=path.marks)
    for name, precision in (("starpose", "fp32"), ("diffpose", "fp16"))
    for path in shipped(f"{name}/model_1.onnx")
]


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
