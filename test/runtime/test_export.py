"""The exported graph is the network: with masks, with and without guidance, for any number of people."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: training and export need it")
onnx = pytest.importorskip("onnx", reason="onnx is not installed: export needs it")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from diffpose_ros.core.resources import weights_path  # noqa: E402
from diffpose_ros.methods.diffusion.context_encoder import ContextConfig, ContextEncoder  # noqa: E402
from diffpose_ros.methods.diffusion.export import OPSET, StepGraph, example_inputs, export_onnx  # noqa: E402
from diffpose_ros.methods.diffusion.graformer import DenoiserConfig  # noqa: E402
from diffpose_ros.methods.diffusion.hpim import HistoryConfig  # noqa: E402
from diffpose_ros.methods.diffusion.network import LifterNetwork, LifterNetworkConfig  # noqa: E402
from diffpose_ros.methods.registry import read_spec  # noqa: E402
from diffpose_ros.onnxgraph.fuse import fuse  # noqa: E402


def network(history: bool, temporal: bool = True) -> LifterNetwork:
    torch.manual_seed(0)
    net = LifterNetwork(
        LifterNetworkConfig(
            context=ContextConfig(width=32, body=48, depth=2, window=9, temporal=temporal, mirror=history),
            denoiser=DenoiserConfig(width=32, depth=2),
            history=HistoryConfig(width=16, depth=1, length=5) if history else None,
            guidance=(0.5, 0.5, 0.1, 0.1),
        )
    )
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return net.eval()


@pytest.fixture(scope="module", params=[False, True], ids=["diffpose", "starpose"])
def exported(request, tmp_path_factory):
    net = network(request.param)
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    return net, export_onnx(net, path, name="tiny")


@pytest.fixture(scope="module")
def session(exported):
    """One session for all tests: optimising the graph takes seconds."""
    return ort.InferenceSession(str(exported[1]), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("people", [1, 3, 17])
@pytest.mark.parametrize("guided", [True, False], ids=["guided", "unguided"])
@pytest.mark.parametrize("masked", [True, False], ids=["masked", "all seen"])
def test_parity_with_torch(exported, session, people: int, guided: bool, masked: bool) -> None:
    net, _ = exported
    graph = StepGraph(net, net.config.steps)
    inputs = example_inputs(graph, people)
    if not guided:
        inputs["guidance"] = torch.zeros(4)
    if masked:
        inputs["points"][:, 3:9] = 0.0
        inputs["age"][:, :5] = -1.0
        inputs["previous_age"][0] = -1.0
        inputs["bone_mean"][0] = -1.0
        if "history_age" in inputs:
            inputs["history_age"][0] = -1.0
    with torch.no_grad():
        expected = graph(*inputs.values())
    found = session.run(graph.output_names, {k: v.numpy() for k, v in inputs.items()})
    for name, a, b in zip(graph.output_names, found, expected, strict=True):
        assert np.abs(a - b.numpy()).max() < 1e-4, name
    assert found[0].shape == (people, 17, 3)


def test_a_loaded_graph_puts_no_weights_together_frame_by_frame(exported, tmp_path) -> None:
    """Fused weights are put together when the file is loaded, not whenever somebody is seen."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(str(exported[1]), options, providers=["CPUExecutionProvider"])
    loaded = onnx.load(options.optimized_model_filepath).graph
    constant = {i.name for i in loaded.initializer}
    assert sum(n.op_type == "Gemm" for n in loaded.node) > 20
    assert [n.name for n in loaded.node if n.op_type == "Gemm" and n.input[1] not in constant] == []


class EncoderFrame(torch.nn.Module):
    """One frame of a context encoder, with what goes in and out side by side."""

    def __init__(self, config: ContextConfig) -> None:
        super().__init__()
        self.encoder = ContextEncoder(config)

    def forward(self, points, view, age, *cache):
        pairs = list(zip(cache[0::2], cache[1::2], strict=True))
        feature, pose, _, new = self.encoder.step(points, view, age, pairs)
        return (feature, pose, *(t for pair in new for t in pair))


def test_one_frame_of_the_encoder_is_about_a_hundred_nodes(tmp_path) -> None:
    """As ONNX Runtime runs it; each node costs a microsecond or more of a frame of two milliseconds."""
    config = ContextConfig(width=8, body=32, window=9, mirror=True)
    frame = EncoderFrame(config).eval()
    inputs = [torch.randn(2, 21, 3), torch.randn(2, 6), torch.rand(2, 9)]
    for block in frame.encoder.looking_back:
        inputs += [torch.randn(2, h, 9, d) for h, d in (block.time.key_shape, block.time.value_shape)]
    names = [f"in_{i}" for i in range(len(inputs))]
    path = tmp_path / "frame.onnx"
    with torch.no_grad():
        torch.onnx.export(
            frame, tuple(inputs), str(path), dynamo=False, opset_version=OPSET, input_names=names,
            dynamic_axes={n: {0: "people"} for n in names},
        )  # fmt: skip
        expected = frame(*inputs)
    fused = fuse(onnx.load(str(path)))
    options = ort.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "loaded.onnx"), 3
    loaded = ort.InferenceSession(
        fused.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    assert len(onnx.load(options.optimized_model_filepath).graph.node) <= 104
    found = loaded.run(None, {n: t.numpy() for n, t in zip(names, inputs, strict=True)})
    for a, b in zip(found, expected, strict=True):
        assert np.abs(a - b.numpy()).max() < 1e-5


SHIPPED = {
    "diffpose/model": 730, "diffpose/model_2": 445, "diffpose/model_1": 346,
    "starpose/model": 914, "starpose/model_2": 629, "starpose/model_1": 530,
}  # fmt: skip
"""Most nodes of the shipped graphs, besides the ``Cast`` of weights that a runtime folds."""


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_graphs_stay_small(name: str) -> None:
    graph = onnx.load(str(weights_path(f"{name}.onnx"))).graph
    weights = {t.name for t in graph.initializer}
    nodes = [n for n in graph.node if not (n.op_type == "Cast" and n.input[0] in weights)]
    assert len(nodes) <= SHIPPED[name]


def test_fewer_hypotheses_and_shorter_rings_need_no_other_file(exported, session) -> None:
    net, _ = exported
    graph = StepGraph(net, net.config.steps)
    inputs = {k: v.numpy() for k, v in example_inputs(graph, 2).items()}
    inputs["noise"] = inputs["noise"][:, :3]
    inputs["age"] = inputs["age"][:, :4]
    for s in graph.state():
        if s["ring"] == "context":
            cut = [slice(None)] * (len(s["shape"]) + 1)
            cut[s["slot_axis"] + 1] = slice(0, 4)
            inputs[s["input"]] = np.ascontiguousarray(inputs[s["input"]][tuple(cut)])
    out = dict(zip(graph.output_names, session.run(None, inputs), strict=True))
    assert out["hypotheses"].shape == (2, 3, 17, 3)


def test_empty_slots_may_hold_anything_finite(exported, session) -> None:
    net, _ = exported
    graph = StepGraph(net, net.config.steps)
    inputs = {k: v.numpy() for k, v in example_inputs(graph, 2).items()}
    inputs["age"] = inputs["age"].copy()
    inputs["age"][:, 2:5] = -1.0
    a = session.run(["mean"], inputs)[0]
    for s in graph.state():
        if s["ring"] == "context":
            cut = [slice(None)] * (len(s["shape"]) + 1)
            cut[s["slot_axis"] + 1] = slice(2, 5)
            inputs[s["input"]] = inputs[s["input"]].copy()
            inputs[s["input"]][tuple(cut)] = 7.0
    assert np.allclose(a, session.run(["mean"], inputs)[0], atol=1e-6)


def test_metadata_is_what_the_runtime_reads(exported) -> None:
    net, path = exported
    spec = read_spec(path)
    assert spec.kind == net.config.kind
    assert spec.steps == 5
    assert spec.hypotheses == 5
    assert spec.guidance == pytest.approx((0.5, 0.5, 0.1, 0.1))
    model = onnx.load(str(path))
    meta = json.loads(model.metadata_props[0].value)
    assert [i.name for i in model.graph.input][-len(meta["state"]) :] == [s["input"] for s in meta["state"]]


def test_covariance_is_symmetric_and_positive(exported, session) -> None:
    net, _ = exported
    graph = StepGraph(net, net.config.steps)
    out = session.run(["covariance"], {k: v.numpy() for k, v in example_inputs(graph, 3).items()})[0]
    assert np.allclose(out, np.swapaxes(out, -1, -2), atol=1e-7)
    assert np.linalg.eigvalsh(out).min() > 0


@pytest.mark.parametrize("history", [False, True], ids=["diffpose", "starpose"])
def test_a_frame_based_encoder_exports_without_caches_of_its_own(tmp_path, history: bool) -> None:
    net = network(history, temporal=False)
    path = export_onnx(net, tmp_path / "model.onnx", name="frame", steps=1)
    spec = read_spec(path)
    assert set(spec.rings) == ({"history"} if history else set())
    graph = StepGraph(net, 1)
    inputs = example_inputs(graph, 3)
    assert "age" not in inputs
    with torch.no_grad():
        expected = graph(*inputs.values())
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(graph.output_names, {k: v.numpy() for k, v in inputs.items()})
    for name, a, b in zip(graph.output_names, found, expected, strict=True):
        assert np.abs(a - b.numpy()).max() < 1e-4, name
