"""One contract for all backends that are here: same answers, nothing kept, nothing overwritten."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the Python package onnx to make a test graph")

from synthetic import write

from diffpose_ros.core import BackendError, ConfigError, InputError, ModelError
from diffpose_ros.methods.registry import graph_of
from diffpose_ros.runtime import load
from diffpose_ros.runtime.load import load_backend, probe_backends
from diffpose_ros.runtime.protocol import Backend, BackendOptions

SYNTHETIC = ("onnxruntime", "openvino")  # torch runs its own checkpoints, not any ONNX file


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write(tmp_path_factory.mktemp("contract") / "model.onnx")


@pytest.fixture(params=SYNTHETIC)
def backend(request, model):
    can = probe_backends(graph_of(model))[request.param]
    if not can.available:
        pytest.skip(can.reason)
    started = load_backend(graph_of(model), request.param, BackendOptions(max_people=10))
    yield started
    started.close()


def feeds(backend, people, hypotheses=5, windows=None):
    sizes = {"hypotheses": hypotheses, **(windows or {})}
    return backend.spec.example_feeds(people, sizes, seed=people)


def reference(f):
    """The graph's mean, in numpy."""
    from synthetic import BODY

    xy = f["points"][:, :17] * [1, 1, 0]
    weight = np.where(f["age"] >= 0, np.exp(-f["age"]), 0)
    context = (f["value_0"][:, :, :17] * weight[..., None, None]).sum(1)
    shift = 0.001 * np.maximum(f["previous_age"], 0)
    return BODY + 0.02 * xy + 0.01 * context + shift[:, None, None] * [0, 0, 1]


def test_it_is_a_backend_and_says_why_it_serves(backend):
    assert isinstance(backend, Backend)
    assert backend.device == "cpu"
    assert backend.name in backend.reason
    assert "asked for" in backend.reason


@pytest.mark.parametrize("people", [1, 3, 7, 10, 17])
def test_answers_are_those_of_the_graph(backend, people):
    f = feeds(backend, people)
    out = backend.run(f)
    np.testing.assert_allclose(out["mean"], reference(f), atol=1e-5)
    np.testing.assert_allclose(out["hypotheses"], out["mean"][:, None] + 0.02 * f["noise"], atol=1e-6)
    assert out["covariance"].shape == (people, 17, 3, 3)
    assert set(out) == set(backend.spec.outputs)
    assert all(len(v) == people for v in out.values())


def test_people_do_not_touch_each_other(backend):
    f = feeds(backend, 5)
    together = backend.run(f)
    for i in (0, 4):
        alone = backend.run({n: v if n == "guidance" else v[i : i + 1] for n, v in f.items()})
        for name in alone:
            np.testing.assert_allclose(alone[name][0], together[name][i], atol=1e-6)


@pytest.mark.parametrize(("hypotheses", "window"), [(1, 6), (3, 6), (8, 6), (5, 1), (5, 12)])
def test_other_numbers_of_hypotheses_and_slots_work(backend, hypotheses, window):
    f = feeds(backend, 2, hypotheses, {"context": window})
    out = backend.run(f)
    np.testing.assert_allclose(out["mean"], reference(f), atol=1e-5)
    assert out["hypotheses"].shape[1] == hypotheses


def test_the_next_run_does_not_overwrite_the_last_answer(backend):
    first = backend.run(feeds(backend, 2))
    kept = {n: v.copy() for n, v in first.items()}
    other = feeds(backend, 2)
    other["points"] += 1
    backend.run(other)
    for name, value in first.items():
        np.testing.assert_array_equal(value, kept[name])


def test_inputs_are_not_written_and_read_where_they_are(backend):
    rows = backend.rows(3)
    big = {
        n: v if n == "guidance" else np.concatenate([np.zeros_like(v[:2]), v])
        for n, v in feeds(backend, rows).items()
    }
    views = {n: v if n == "guidance" else v[2:] for n, v in big.items()}
    before = {n: v.copy() for n, v in big.items()}
    out = backend.run(views)
    np.testing.assert_allclose(out["mean"], reference(views), atol=1e-5)
    for name, value in big.items():
        np.testing.assert_array_equal(value, before[name])


def test_read_only_inputs_are_as_good(backend):
    f = feeds(backend, 2)
    for value in f.values():
        value.flags.writeable = False
    np.testing.assert_allclose(backend.run(f)["mean"], reference(f), atol=1e-5)


def test_changes_made_between_two_runs_are_seen(backend):
    f = feeds(backend, 1)
    before = backend.run(f)["mean"].copy()
    f["points"][0, 0, 0] += 1.0
    after = backend.run(f)["mean"]
    assert after[0, 0, 0] - before[0, 0, 0] == pytest.approx(0.02, abs=1e-5)


def test_bucketed_rows_hold_the_people(backend):
    assert all(backend.rows(p) >= p for p in range(1, 60))
    backend.warm_up(3)
    f = feeds(backend, backend.rows(3))
    np.testing.assert_allclose(backend.run(f)["mean"], reference(f), atol=1e-5)


def test_a_missing_input_is_named(backend):
    f = feeds(backend, 1)
    del f["view"]
    with pytest.raises(InputError, match=r"expected inputs \['view'\], which were not given"):
        backend.run(f)


def test_a_wrong_shape_is_named(backend):
    f = feeds(backend, 2)
    f["key_0"] = f["key_0"][:1]
    with pytest.raises(InputError, match=r"input 'key_0': expected \(2, 21, 3, 6\), got \(1, 21"):
        backend.run(f)


def test_closing_twice_is_harmless_and_running_after_it_says_so(backend):
    f = feeds(backend, 1)
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="used after close"):
        backend.run(f)


def test_auto_picks_one_that_works_and_says_why(model):
    backend = load_backend(graph_of(model))
    assert backend.name in load.BACKENDS
    assert "best here" in backend.reason
    backend.close()


def test_auto_passes_over_what_does_not_start(model, monkeypatch):
    from diffpose_ros.runtime import onnxruntime as onnxruntime_backend

    def broken(spec, options):
        raise BackendError("no luck today")

    monkeypatch.setattr(load, "BACKENDS", {n: load.BACKENDS[n] for n in ("onnxruntime", "openvino")})
    monkeypatch.setattr(onnxruntime_backend, "create", broken)
    if not probe_backends()["openvino"].available:
        pytest.skip("needs openvino")
    backend = load_backend(graph_of(model))
    assert backend.name == "openvino"
    assert "no luck today" in backend.reason
    backend.close()


def test_no_backend_at_all_lists_what_is_missing(model, monkeypatch):
    from diffpose_ros.runtime import onnxruntime as onnxruntime_backend
    from diffpose_ros.runtime.protocol import Capabilities

    monkeypatch.setattr(load, "BACKENDS", {n: load.BACKENDS[n] for n in ("onnxruntime",)})
    monkeypatch.setattr(
        onnxruntime_backend, "probe",
        lambda spec: Capabilities("onnxruntime", False, "not installed (pip install it)"),
    )  # fmt: skip
    with pytest.raises(BackendError, match="no backend works here: onnxruntime: not installed"):
        load_backend(graph_of(model))
    with pytest.raises(BackendError, match="backend onnxruntime: not installed"):
        load_backend(graph_of(model), "onnxruntime")


def test_an_unknown_backend_is_refused(model):
    with pytest.raises(ConfigError, match="unknown backend 'magic', expected auto or one of"):
        load_backend(graph_of(model), "magic")


def test_a_graph_the_runtime_cannot_load_is_a_model_error(model, tmp_path):
    """The outline is sound and the operator inside is not."""
    import onnx

    proto = onnx.load(model)
    proto.graph.node[0].op_type = "NoSuchOperator"
    path = tmp_path / "odd.onnx"
    onnx.save(proto, path)
    with pytest.raises(ModelError, match=r"odd\.onnx: ONNX Runtime cannot load it"):
        load_backend(graph_of(path), "onnxruntime")


def test_a_provider_that_is_not_there_is_named(model):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("CUDA is here")
    with pytest.raises(BackendError, match="provider 'cuda' is not in this build"):
        load_backend(graph_of(model), "onnxruntime", BackendOptions(provider="cuda"))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"max_people": 0}, "max_people: expected at least 1, got 0"),
        ({"provider": "npu"}, "provider: expected one of cpu, cuda, tensorrt, got 'npu'"),
        ({"precision": "int8"}, "precision: expected one of fp32, fp16, got 'int8'"),
    ],
)
def test_options_are_checked(change, error):
    with pytest.raises(ConfigError, match=error):
        BackendOptions(**change)
