"""Every backend answers as the torch network does, and streaming equals the whole clip."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the Python package torch")
pytest.importorskip("onnx", reason="needs the Python package onnx to export a test network")
pytest.importorskip("safetensors", reason="needs the Python package safetensors")

import torch
from small_network import WINDOW, save_model, small_network

from diffpose_ros.core import BackendError, ModelError
from diffpose_ros.methods.registry import graph_of
from diffpose_ros.runtime.load import load_backend, probe_backends

TOLERANCE_M = 1e-4


@pytest.fixture(scope="module", params=["starpose", "diffpose"])
def model(request, tmp_path_factory):
    return save_model(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def start(model):
    """Backends on the model, each started once."""
    started = {}

    def get(name):
        if name not in started:
            can = probe_backends(graph_of(model))[name]
            if not can.available:
                pytest.skip(can.reason)
            started[name] = load_backend(graph_of(model), name)
        return started[name]

    return get


def feeds(spec, people, *, guided=True, masked=False):
    made = spec.example_feeds(people, seed=people)
    if not guided:
        made["guidance"][:] = 0
    if masked:
        hidden = np.random.default_rng(0).random(made["points"].shape[:2]) < 0.4
        made["points"][hidden] = 0
        made["age"][0, ::2] = -1
        made["previous_age"][-1] = -1
        made["bone_mean"][-1] = -1
    return made


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("people", [1, 3, 17])
@pytest.mark.parametrize("guided", [True, False], ids=["guided", "unguided"])
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_answers_as_torch_does(start, name, people, guided, masked):
    ours = start(name)
    spec = ours.spec
    f = feeds(spec, people, guided=guided, masked=masked)
    a, b = ours.run(f), start("torch").run(f)
    for output in ("mean", "hypotheses"):
        np.testing.assert_allclose(a[output], b[output], atol=TOLERANCE_M)
    for output in spec.outputs:
        np.testing.assert_allclose(a[output], b[output], atol=1e-4, rtol=1e-3, err_msg=output)


def test_fewer_hypotheses_run_on_the_same_graph(start):
    f = start("torch").spec.example_feeds(2, {"hypotheses": 3})
    a, b = start("onnxruntime").run(f), start("torch").run(f)
    np.testing.assert_allclose(a["mean"], b["mean"], atol=TOLERANCE_M)


@pytest.mark.parametrize("kind", ["diffpose", "starpose"])
@pytest.mark.parametrize("frames", [4, 3 * WINDOW], ids=["ring not full", "ring wrapped"])
def test_streaming_equals_a_banded_pass_over_the_whole_clip(frames, kind):
    """The context encoder's features, frame by frame from ring caches, in whatever slot order."""
    network = small_network(kind)
    encoder, spans = network.context, torch.Generator().manual_seed(1)
    points = torch.randn(1, frames, 21, 3, generator=spans)
    view = torch.randn(1, frames, 6, generator=spans)
    times = torch.cumsum(0.02 + 0.03 * torch.rand(frames, generator=spans), 0)
    with torch.no_grad():
        feature, pose, _ = encoder(points, view, times)
        shapes = [(b.time.key_shape, b.time.value_shape) for b in encoder.blocks]
        caches = [(torch.zeros(1, h, WINDOW, d), torch.zeros(1, h, WINDOW, v)) for (h, d), (_, v) in shapes]
        stamps = torch.full((1, WINDOW), torch.nan)
        for t in range(frames):
            age = torch.nan_to_num(times[t] - stamps, nan=-1.0)
            got_feature, got_pose, _, new = encoder.step(points[:, t], view[:, t], age, caches)
            torch.testing.assert_close(got_feature, feature[:, t], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(got_pose, pose[:, t], atol=1e-4, rtol=1e-4)
            slot = t % WINDOW
            stamps[:, slot] = times[t]
            for (keys, values), (key, value) in zip(caches, new, strict=True):
                keys[:, :, slot], values[:, :, slot] = key[:, :, 0], value[:, :, 0]


def test_without_its_checkpoint_torch_says_what_is_missing(model, tmp_path):
    alone = tmp_path / "model.onnx"
    alone.write_bytes(model.read_bytes())
    with pytest.raises(BackendError, match=r"model.safetensors and config.yaml not found beside"):
        load_backend(graph_of(alone), "torch")


@pytest.mark.parametrize(
    ("file", "content", "error"),
    [
        ("model.safetensors", b"nothing", "not a readable safetensors file"),
        ("config.yaml", b"[1, 2]", ".*not a lifter's configuration"),
        ("config.yaml", b"{context: {colour: red}}", ".*not a lifter's configuration"),
    ],
)
def test_a_broken_checkpoint_is_named(model, tmp_path, file, content, error):
    for name in ("model.onnx", "model.safetensors", "config.yaml"):
        (tmp_path / name).write_bytes(model.with_name(name).read_bytes())
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ModelError, match=rf"{file}: {error}"):
        load_backend(graph_of(tmp_path / "model.onnx"), "torch")


@pytest.mark.parametrize("mirror", [True, False])
def test_a_checkpoint_whose_caches_are_not_the_files_is_refused(tmp_path, mirror):
    """Read with or without its mirror image, weights fit either way; the caches do not."""
    path = save_model(tmp_path, "diffpose" if mirror else "starpose")
    config = path.with_name("config.yaml")
    was, wanted = (f"mirror: {str(m).lower()}" for m in (not mirror, mirror))
    assert was in config.read_text()
    config.write_text(config.read_text().replace(was, wanted))
    with pytest.raises(ModelError, match=r"its inputs are not those of model.onnx; export .* again"):
        load_backend(graph_of(path), "torch")
