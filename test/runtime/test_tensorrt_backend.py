"""The TensorRT runner on a stand-in GPU: results, buckets, CUDA graphs, errors, memory."""

import sys
import threading

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("onnx", reason="needs the Python package onnx to make a test graph")

from engine_graph import HYPOTHESES, make_feeds, save_graph
from fake_gpu import build_driver, install

from diffpose_ros.core import BackendError, InputError
from diffpose_ros.methods.registry import graph_of
from diffpose_ros.runtime.protocol import Backend, BackendOptions
from diffpose_ros.runtime.tensorrt import backend as tensorrt_backend
from diffpose_ros.runtime.tensorrt import driver as cuda_driver
from diffpose_ros.runtime.tensorrt.backend import TensorRTBackend
from diffpose_ros.runtime.tensorrt.driver import Cuda, CudaError


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build_driver(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_graph(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture
def trt(library, monkeypatch):
    return install(monkeypatch, library)


@pytest.fixture
def driver(trt):
    return trt.driver


@pytest.fixture
def start(model, trt, tmp_path):
    """Starts backends on the stand-in and closes them."""
    started = []

    def start(**options):
        options = {"max_people": 5, "cache_dir": tmp_path / "cache"} | options
        backend = TensorRTBackend.start(graph_of(model), BackendOptions(**options))
        started.append(backend)
        return backend

    yield start
    for backend in started:
        backend.close()


@pytest.fixture(scope="module")
def expected(model):
    """What ONNX Runtime computes."""
    session = onnxruntime.InferenceSession(str(model))
    names = [o.name for o in session.get_outputs()]
    return lambda feeds: dict(zip(names, session.run(names, feeds), strict=True))


def assert_same(got, want):
    assert got.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, atol=1e-5, err_msg=name)


def test_it_is_a_backend_and_says_what_it_runs_on(start):
    backend = start()
    assert isinstance(backend, Backend)
    assert backend.device == "Fake GPU"
    assert backend.reason == ("TensorRT 11.4.1.0 on Fake GPU (compute capability 8.9), fp32")


@pytest.mark.parametrize("people", [1, 2, 3, 5], ids="{} people".format)
def test_results_are_those_of_the_graph(start, expected, people):
    feeds = make_feeds(people)
    assert_same(start().run(feeds), expected(feeds))


def test_more_people_than_the_largest_bucket_go_in_turns(start, expected):
    feeds = make_feeds(12)
    assert_same(start().run(feeds), expected(feeds))


@pytest.mark.parametrize("hypotheses", [1, 3])
def test_fewer_hypotheses_than_built_for_may_be_asked(start, expected, hypotheses):
    feeds = make_feeds(2)
    feeds["noise"] = np.ascontiguousarray(feeds["noise"][:, :hypotheses])
    assert_same(start().run(feeds), expected(feeds))


def test_rows_of_the_next_run_do_not_change_results_already_returned(start, expected):
    backend, first = start(), make_feeds(2, seed=1)
    result = backend.run(first)
    backend.run(make_feeds(2, seed=2))
    assert_same(result, expected(first))


def test_padding_left_from_a_run_with_nan_harms_nobody(start, expected):
    backend, bad = start(), make_feeds(5)
    bad["points"][:] = np.nan
    backend.run(bad)
    feeds = make_feeds(3)
    assert_same(backend.run(feeds), expected(feeds))


@pytest.mark.parametrize(("people", "rows"), [(1, 1), (2, 2), (3, 5), (5, 5), (9, 9)])
def test_rows_are_those_of_the_bucket(start, people, rows):
    assert start().rows(people) == rows


def test_caches_may_be_views_of_larger_arrays(start, expected):
    """The lifter binds the first rows of arrays that hold everyone, or every second one."""
    backend, feeds = start(), make_feeds(3)
    for step in (1, 2):
        large = {n: np.repeat(v, step, axis=0) for n, v in feeds.items() if n != "guidance"}
        views = {n: v[::step] for n, v in large.items()} | {"guidance": feeds["guidance"]}
        assert_same(backend.run(views), expected(feeds))


def test_a_run_is_one_graph_launch(start, driver):
    backend = start()
    backend.warm_up(5)
    before = driver.launches
    for people in (1, 2, 3, 5):
        backend.run(make_feeds(people))
    assert driver.launches - before == 4


def test_without_graph_capture_results_are_the_same(start, driver, expected, caplog):
    driver.fail("cuGraphInstantiateWithFlags", 801)
    backend, feeds = start(), make_feeds(2)
    assert_same(backend.run(feeds), expected(feeds))
    assert "no CUDA graph for 2 people" in caplog.text


def test_buffers_are_bound_once(start, driver):
    backend = start()
    backend.warm_up(5)
    live = driver.live
    for _ in range(20):
        backend.run(make_feeds(5))
    assert driver.live == live


def test_closing_gives_everything_back_and_may_be_repeated(start, driver):
    backend = start()
    backend.run(make_feeds(3))
    backend.close()
    backend.close()
    assert driver.live == 0
    with pytest.raises(BackendError, match="used after close"):
        backend.run(make_feeds(1))


def test_calls_from_two_threads_take_turns(start, expected):
    backend, results = start(), {}
    feeds = {seed: make_feeds(2, seed=seed) for seed in range(4)}
    threads = [
        threading.Thread(target=lambda s=seed: results.update({s: backend.run(feeds[s])})) for seed in feeds
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, result in results.items():
        assert_same(result, expected(feeds[seed]))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda f: f.pop("points"), r"expected inputs \['points'\]"),
        (lambda f: f.update(view=f["view"][:, :5]), r"'view': expected \(2, 6\)"),
        (lambda f: f.update(age=f["age"].astype(float)), "input 'age': expected float32"),
        (lambda f: f.update(noise=np.zeros((2, 9, 17, 3), np.float32)), "1 to 5 hypo"),
        (lambda f: f.update(key_0=f["key_0"][..., :4]), "input 'key_0': expected"),
        (lambda f: f.update(make_feeds(2, ring=4)), "for which this engine was built"),
    ],
    ids=["points", "view", "dtype", "noise", "cache", "window"],
)
def test_wrong_inputs_are_refused_in_one_line(start, change, text):
    feeds = make_feeds(2)
    change(feeds)
    with pytest.raises(InputError, match=text):
        start().run(feeds)


def test_device_memory_that_does_not_suffice_is_said(start, driver):
    backend = start()
    driver.limit_memory(1000)
    with pytest.raises(CudaError, match="CUDA_ERROR_OUT_OF_MEMORY") as error:
        backend.run(make_feeds(1))
    assert error.value.out_of_memory
    driver.limit_memory(-1)
    backend.close()
    assert driver.live == 0


def test_a_context_that_does_not_fit_is_said(start, trt):
    trt.no_context = True
    with pytest.raises(BackendError, match="no context for 1 people: out of device memory"):
        start().run(make_feeds(1))


@pytest.mark.parametrize("call", ["cuGraphLaunch", "cuEventSynchronize", "cuCtxSetCurrent"])
def test_a_device_lost_mid_stream_is_a_backend_error(start, driver, call):
    backend = start()
    backend.run(make_feeds(1))
    driver.fail(call, 700)
    with pytest.raises(BackendError, match="CUDA_ERROR_ILLEGAL_ADDRESS"):
        backend.run(make_feeds(1))


def test_a_run_that_tensorrt_refuses_gives_its_reason(start, trt, driver):
    driver.fail("cuStreamBeginCapture_v2", 801)  # run call by call, so that a run reaches TensorRT
    backend = start()
    backend.run(make_feeds(1))
    trt.fail_runs = 1
    with pytest.raises(BackendError, match="failed while running: device lost"):
        backend.run(make_feeds(1))


def test_an_engine_that_tensorrt_refuses_is_set_aside_and_rebuilt(start, trt, tmp_path, caplog):
    start().close()
    trt.refuse_plans = 1
    backend = start()
    assert trt.builds == 2
    assert backend.run(make_feeds(1))["mean"].shape == (1, 17, 3)
    assert list((tmp_path / "cache").glob("*.rejected"))
    assert "the plan was made by another version" in caplog.text


def test_an_engine_refused_when_fresh_is_not_built_for_ever(start, trt, driver):
    trt.refuse_plans = 10
    with pytest.raises(BackendError, match="new engine does not start: the plan was made by"):
        start()
    assert trt.builds == 1
    assert driver.live == 0


def test_a_second_start_loads_the_engine(start, trt):
    start().close()
    start()
    assert trt.builds == 1


@pytest.mark.parametrize("change", [{"max_people": 2}, {"sizes": {"hypotheses": 3}}, {"precision": "fp16"},
                                    {"sizes": {"context": 5}}], ids=str)  # fmt: skip
def test_other_options_are_another_engine(start, trt, change):
    start().close()
    start(**change)
    assert trt.builds == 2


def test_another_tensorrt_version_is_another_engine(start, trt):
    start().close()
    trt.__version__ = "11.5.0.1"
    start()
    assert trt.builds == 2


def test_a_cache_that_cannot_be_written_is_one_line_and_no_obstacle(start, trt, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    backend = start(cache_dir=blocked / "cache")
    assert backend.run(make_feeds(1))["mean"].shape == (1, 17, 3)
    assert [r for r in caplog.records if "cannot keep the engine" in r.message]


def test_probe_names_the_gpu(model, trt):
    found = tensorrt_backend.probe(graph_of(model))
    assert found.available
    assert (found.device, found.name) == ("Fake GPU", "tensorrt")


def test_probe_without_a_driver_says_so(model, monkeypatch):
    monkeypatch.setattr(cuda_driver, "LIBRARY", "libcuda-absent.so.9")
    found = tensorrt_backend.probe(graph_of(model))
    assert not found.available
    assert found.reason == "no NVIDIA driver here: libcuda-absent.so.9 cannot be loaded"


def test_probe_with_a_driver_but_no_working_gpu_says_so(model, driver):
    driver.fail("cuInit", 100)
    found = tensorrt_backend.probe(graph_of(model))
    assert not found.available
    assert found.reason.startswith("no NVIDIA GPU works here: the GPU failed: cuInit returned")


def test_probe_without_tensorrt_says_what_to_install(model, driver, monkeypatch):
    for module in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, module, None)
    found = tensorrt_backend.probe(graph_of(model))
    assert not found.available
    assert "pip install tensorrt" in found.reason


def test_a_gpu_the_driver_does_not_have_is_refused(driver):
    with pytest.raises(BackendError, match="no GPU 3: the NVIDIA driver reports 1"):
        Cuda(3)


def test_memory_that_does_not_suffice_for_every_bucket_is_found_at_the_start(model, trt, driver):
    driver.fail("cuMemHostAlloc", 2, after=5)
    with pytest.raises(BackendError, match="CUDA_ERROR_OUT_OF_MEMORY"):
        tensorrt_backend.create(graph_of(model), BackendOptions(max_people=10))
    assert driver.live == 0


def test_with_a_fallback_it_serves_at_once_and_takes_over(model, trt, tmp_path, monkeypatch):
    """The engine is built in this process here: what a second process would do is tested apart."""
    monkeypatch.setattr("diffpose_ros.runtime.tensorrt.background_build.build_aside", lambda *a: None)
    slow = _Slow(graph_of(model))
    options = BackendOptions(max_people=2, cache_dir=tmp_path, fallback=lambda: slow)
    backend = tensorrt_backend.create(graph_of(model), options)
    assert backend.name in ("slow", "tensorrt")
    assert backend.wait_ready(30.0)
    backend.run(make_feeds(1))
    assert backend.name == "tensorrt"
    backend.close()
    assert slow.closed


class _Slow:
    name, device, reason = "slow", "cpu", "slow but here"

    def __init__(self, spec):
        self.spec, self.closed = spec, False

    def rows(self, people):
        return people

    def run(self, feeds):
        return {"mean": np.zeros((feeds["points"].shape[0], 17, 3), np.float32)}

    def warm_up(self, people):
        pass

    def close(self):
        self.closed = True


def test_hypotheses_constant_matches_the_graph(model):
    assert graph_of(model).sizes["hypotheses"] == HYPOTHESES
