"""The contract that all backends share, kept by TensorRT on a stand-in GPU.

Alone, and behind a fallback after it has taken over.
"""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the Python package onnx to make a test graph")

import test_backend_contract as contract
from fake_gpu import build_driver, install
from synthetic import write

from diffpose_ros.methods.registry import graph_of
from diffpose_ros.runtime.fallback import FallbackBackend
from diffpose_ros.runtime.load import load_backend
from diffpose_ros.runtime.protocol import BackendOptions
from diffpose_ros.runtime.tensorrt import backend as tensorrt_backend

ANYWHERE = [
    "test_answers_are_those_of_the_graph",
    "test_people_do_not_touch_each_other",
    "test_the_next_run_does_not_overwrite_the_last_answer",
    "test_inputs_are_not_written_and_read_where_they_are",
    "test_changes_made_between_two_runs_are_seen",
    "test_bucketed_rows_hold_the_people",
    "test_a_missing_input_is_named",
    "test_a_wrong_shape_is_named",
    "test_closing_twice_is_harmless_and_running_after_it_says_so",
]
globals().update({name: getattr(contract, name) for name in ANYWHERE})


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build_driver(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write(tmp_path_factory.mktemp("contract") / "model.onnx")


def started(model, monkeypatch, library, cache, behind_a_fallback):
    monkeypatch.setattr("diffpose_ros.runtime.tensorrt.background_build.build_aside", lambda *a: None)
    install(monkeypatch, library)
    options = BackendOptions(max_people=10, cache_dir=cache)
    if not behind_a_fallback:
        return tensorrt_backend.create(graph_of(model), options)
    backend = load_backend(graph_of(model), "tensorrt", options)
    assert backend.wait_ready(30.0)
    backend.run(contract.feeds(backend, 1))
    return backend


@pytest.fixture(params=[False, True], ids=["alone", "behind a fallback"])
def backend(request, model, monkeypatch, library, tmp_path):
    backend = started(model, monkeypatch, library, tmp_path, request.param)
    yield backend
    backend.close()


def test_it_says_what_serves_and_why(backend):
    assert backend.name == "tensorrt"
    assert backend.device == "Fake GPU"
    assert backend.reason.startswith("TensorRT 11.4.1.0 on Fake GPU (compute capability 8.9), fp32")


@pytest.mark.parametrize(("hypotheses", "window"), [(1, 6), (3, 6), (8, 6), (5, 1), (5, 12)])
def test_other_numbers_work_behind_a_fallback(model, monkeypatch, library, tmp_path, hypotheses, window):
    """An engine alone is compiled for its rings and for at most its N."""
    backend = started(model, monkeypatch, library, tmp_path, True)
    contract.test_other_numbers_of_hypotheses_and_slots_work(backend, hypotheses, window)
    assert backend.name == "tensorrt"
    backend.close()


@pytest.mark.parametrize(
    ("call", "code", "text"),
    [("cuGraphLaunch", 700, "ILLEGAL_ADDRESS"), ("cuMemcpyHtoDAsync_v2", 2, "OUT_OF_MEMORY")],
    ids=["device lost", "out of memory"],
)
def test_a_device_that_fails_mid_stream_is_left_and_taken_up_again(
    model, monkeypatch, library, tmp_path, caplog, call, code, text
):
    """No frame is lost, every change is told once, nothing stays allocated."""
    driver = install(monkeypatch, library).driver
    spec, options = graph_of(model), BackendOptions(max_people=2, cache_dir=tmp_path)
    backend = FallbackBackend(
        load_backend(graph_of(model), "onnxruntime"),
        lambda cancelled: tensorrt_backend.create(spec, options),
        name="tensorrt",
        first_retry_s=0.0,
    )
    feeds = contract.feeds(backend, 2)

    def frame():
        np.testing.assert_allclose(backend.run(feeds)["mean"], contract.reference(feeds), atol=1e-5)
        return backend.name

    assert backend.wait_ready(30.0)
    assert frame() == "tensorrt"
    caplog.clear()
    driver.fail(call, code)
    assert frame() == "onnxruntime"
    assert text in backend.reason
    driver.recover()
    assert driver.live == 0
    frame()  # starts the next attempt
    assert backend.wait_ready(30.0)
    assert frame() == "tensorrt"
    assert len([r for r in caplog.records if text in r.message]) == 1
    backend.close()
    assert driver.live == 0
