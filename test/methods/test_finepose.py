"""FinePOSE: the network that prompts tell, its graph, and the method around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: networks need it")
pytest.importorskip("onnx", reason="onnx is not installed: export needs it")

from diffpose_ros.core import Camera, ConfigError, People2D
from diffpose_ros.lifting import Lifter, LifterConfig, check_prompt
from diffpose_ros.methods.diffusion.context_encoder import ContextConfig
from diffpose_ros.methods.diffusion.export import check_parity, example_inputs, export_onnx
from diffpose_ros.methods.diffusion.graformer import DenoiserConfig
from diffpose_ros.methods.finepose.checkpoint import load_network, step_graph, to_mapping
from diffpose_ros.methods.finepose.network import FinePoseConfig, FinePoseNetwork
from diffpose_ros.methods.finepose.prompts import ACTION, STANDARD
from diffpose_ros.methods.model_file import read_model_file
from diffpose_ros.methods.model_folder import write_checkpoint
from diffpose_ros.methods.registry import read_spec

CAMERA = Camera.from_fov(640, 480)
BODY = np.random.default_rng(0).uniform([-0.3, -0.9, 3.9], [0.3, 0.9, 4.1], (17, 3))


def small_network(seed: int = 0) -> FinePoseNetwork:
    """Random weights: what begins as zero would hide mistakes."""
    torch.manual_seed(seed)
    config = FinePoseConfig(
        context=ContextConfig(width=16, body=32, depth=1, heads=2, window=5, mirror=True),
        denoiser=DenoiserConfig(width=16, depth=1), components=1, steps=3,
    )  # fmt: skip
    network = FinePoseNetwork(config).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            told = "table" in name or "prompt_blocks" in name
            parameter += (0.1 if told else 0.03) * torch.randn_like(parameter)
    return network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("finepose")
    network = small_network()
    write_checkpoint(network, to_mapping(network), path)
    export_onnx(network, path / "model.onnx", name="small")
    return path


def lift(lifter: Lifter, frames: int = 3, ids: tuple[int, ...] = (1,)) -> np.ndarray:
    """What the method answers (P, 17, 3) in the last frame; random weights place nobody."""
    answers = []
    step = type(lifter.method).step
    lifter.method.step = lambda *args: answers.append(step(lifter.method, *args)) or answers[-1]
    seen = BODY @ CAMERA.matrix.T
    xy = np.stack([seen[:, :2] / seen[:, 2:]] * len(ids))
    lifter.reset()
    for frame in range(frames):
        people = People2D(xy=xy, score=np.full((len(ids), 17), 0.9), track_id=np.array(ids))
        lifter.lift(people, CAMERA, (1 + frame) * 10**8)
    return answers[-1].mean


def test_the_graph_answers_as_the_network(folder: Path) -> None:
    network = load_network(folder)
    assert check_parity(network, folder / "model.onnx", steps=3, people=4) < 1e-4
    spec = read_spec(folder / "model.onnx")
    assert (spec.kind, spec.steps, spec.vocabulary) == ("finepose", 3, STANDARD)
    assert step_graph(read_model_file(folder / "model.onnx")).input_names[8] == "prompt"


def test_all_that_prompts_teach_gets_gradients() -> None:
    network = small_network().train()
    weights = torch.rand(4, len(STANDARD))
    out = network.clean(
        torch.randn(4, 2, 17, 3), torch.randn(4, 17, network.config.condition_width),
        torch.full((4,), 9.0), weights,
    )  # fmt: skip
    out.square().sum().backward()
    for name, parameter in network.denoiser.table.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad.flatten(1) if parameter.dim() > 1 else parameter.grad).abs().sum() > 0, name
    assert (network.denoiser.table.modifiers.grad.abs().sum(dim=(1, 2)) > 0).all()
    assert (network.denoiser.table.words.grad.abs().sum(dim=(1, 2)) > 0).all()


def test_rows_belong_to_their_people() -> None:
    """Cross-attention folds hypotheses of a person: everyone hears their own prompts alone."""
    network = small_network()
    noisy, known = torch.randn(3, 4, 17, 3), torch.randn(3, 17, network.config.condition_width)
    weights, k = torch.rand(3, len(STANDARD)), torch.tensor([3.0, 9.0, 40.0])
    together = network.clean(noisy, known, k, weights)
    for i in range(3):
        alone = network.clean(noisy[i : i + 1], known[i : i + 1], k[i : i + 1], weights[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], atol=1e-5, rtol=1e-4)


def test_what_is_not_told_is_what_the_network_believes() -> None:
    network = small_network()
    graph = step_inputs(network)
    believed = run(network, graph, None)["action"]
    assert believed.sum(-1) == pytest.approx([1.0, 1.0])
    told = network.unknown.repeat(2, 1)
    told[:, STANDARD.segment(ACTION)] = 0.0
    filled = told.clone()
    filled[:, STANDARD.segment(ACTION)] = torch.nn.functional.pad(torch.from_numpy(believed), (1, 0))
    left, said = (run(network, graph, prompt)["mean"] for prompt in (told, filled))
    np.testing.assert_allclose(left, said, atol=1e-6)
    nothing = run(network, graph, network.unknown.repeat(2, 1))["mean"]
    np.testing.assert_allclose(run(network, graph, None)["mean"], nothing, atol=1e-7)
    assert np.abs(nothing - left).max() > 1e-5


def step_inputs(network: FinePoseNetwork) -> dict:
    from diffpose_ros.methods.diffusion.export import StepGraph

    return example_inputs(StepGraph(network, 3), 2)


def run(network: FinePoseNetwork, inputs: dict, prompt) -> dict[str, np.ndarray]:
    given = {**inputs, "prompt": prompt}
    if prompt is None:
        del given["prompt"]
    caches = [(given["key_0"], given["value_0"])]
    with torch.no_grad():
        out, *_ = network.step(given, caches, [], (50, 0))
    return {name: value.numpy() for name, value in out.items()}


def test_prompts_of_everyone_and_of_one(folder: Path) -> None:
    lifter = Lifter(LifterConfig(model=folder / "model.onnx", backend="onnxruntime"))
    inferred = lift(lifter, ids=(1, 2))
    np.testing.assert_allclose(inferred[0], inferred[1], atol=1e-6)
    lifter.set_prompt("2: lying")
    one = lift(lifter, ids=(1, 2))
    np.testing.assert_allclose(one[0], inferred[0], atol=1e-6)
    assert np.abs(one[1] - inferred[1]).max() > 1e-5
    lifter.set_prompt("lying")
    everyone = lift(lifter, ids=(1, 2))
    np.testing.assert_allclose(everyone, np.stack([one[1]] * 2), atol=1e-6)
    with pytest.raises(ConfigError, match="did you mean 'lying'"):
        lifter.set_prompt("lyin; 2: walking")
    np.testing.assert_allclose(lift(lifter, ids=(1, 2)), everyone, atol=1e-6)
    lifter.close()


def test_a_prompt_can_be_set_from_the_start(folder: Path) -> None:
    poses = []
    for prompt in ("", "lying", "unknown"):
        lifter = Lifter(LifterConfig(model=folder / "model.onnx", backend="onnxruntime", prompt=prompt))
        poses.append(lift(lifter))
        lifter.close()
    assert min(np.abs(a - b).max() for a, b in zip(poses, poses[1:] + poses[:1], strict=True)) > 1e-5
    with pytest.raises(ConfigError, match="there are: action: standing"):
        Lifter(LifterConfig(model=folder / "model.onnx", prompt="flying"))


def test_models_that_no_prompt_tells_say_so() -> None:
    with pytest.raises(ConfigError, match="'starpose' is not told by prompts; expected one of finepose"):
        Lifter(LifterConfig(model="starpose", prompt="walking"))
    lifter = Lifter(LifterConfig(model="diffpose", backend="onnxruntime"))
    lifter.set_prompt("")
    with pytest.raises(ConfigError, match="'diffpose' is not told by prompts"):
        lifter.set_prompt("walking")
    lifter.close()


def test_a_prompt_is_checked_before_a_model_is_loaded(folder: Path, tmp_path: Path) -> None:
    check_prompt(folder / "model.onnx", "walking; 3: lying")
    check_prompt("starpose", " ")
    check_prompt(tmp_path / "nothing.onnx", "whatever")
    with pytest.raises(ConfigError, match="no such word; did you mean 'walking'"):
        check_prompt(folder / "model.onnx", "walkin")
    with pytest.raises(ConfigError, match="'starpose' is not told by prompts"):
        check_prompt("starpose", "walking")
