"""What runs MoveNet: both runtimes see the same people, and `auto` takes the faster one."""

import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from diffpose_ros.core import BackendError
from diffpose_ros.frontend import networks
from diffpose_ros.frontend.detectors import MoveNet, MoveNetConfig
from diffpose_ros.frontend.detectors.movenet import bundled_model
from diffpose_ros.frontend.networks import OpenVinoNetwork, choose

PICTURE = Path(__file__).with_name("people.jpg")

needs_weights = pytest.mark.skipif(
    not bundled_model().is_file(), reason=f"the MoveNet weights are missing: {bundled_model()}"
)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(PICTURE))[..., ::-1])


@pytest.fixture
def machine(monkeypatch):
    """Pretends that OpenVINO is installed, on a CPU of these capabilities."""

    def pretend(*capabilities: str, installed: bool = True) -> None:
        monkeypatch.setattr(networks, "find_spec", lambda name: "here" if installed else None)
        monkeypatch.setattr(networks, "cpu_capabilities", lambda: list(capabilities))

    return pretend


@needs_weights
@pytest.mark.parametrize(
    ("capability", "median", "p90"),
    [
        # shares of a body's diagonal
        pytest.param("FP32", 1e-4, 1e-3, id="f32"),
        pytest.param("BF16", 0.005, 0.02, id="bf16"),
    ],
)
def test_both_runtimes_see_the_same_people(picture, machine, capability, median, p90):
    pytest.importorskip("openvino", reason="openvino is not installed")
    if capability == "BF16" and "BF16" not in networks.cpu_capabilities():
        pytest.skip("this CPU has no bfloat16")
    machine("FP32", capability)
    a = MoveNet(MoveNetConfig(runtime="onnxruntime")).detect(picture)
    other = MoveNet(MoveNetConfig(runtime="openvino"))
    assert f" in {'bf16' if capability == 'BF16' else 'f32'}: as asked" in other.reason
    b = other.detect(picture)
    assert len(a) == len(b) == 2
    a, b = a.take(np.argsort(a.xy[:, 11, 0])), b.take(np.argsort(b.xy[:, 11, 0]))
    np.testing.assert_allclose(a.person_score, b.person_score, atol=0.03)
    moved = []
    for i in range(2):
        both = (a.score[i] > 0.3) & (b.score[i] > 0.3)
        assert both.sum() >= 8
        diagonal = np.linalg.norm(np.ptp(a.xy[i][a.score[i] > 0], axis=0))
        moved.extend(np.linalg.norm(a.xy[i] - b.xy[i], axis=-1)[both] / diagonal)
    assert np.median(moved) < median
    assert np.quantile(moved, 0.9) < p90


# ---- auto


def test_auto_is_openvino_where_the_cpu_has_bfloat16(machine):
    machine("FP32", "INT8", "BF16")
    assert choose() == ("openvino", "this CPU has bfloat16, half the time of onnxruntime")


def test_auto_is_onnxruntime_where_the_cpu_has_no_bfloat16(machine):
    machine("FP32", "INT8")
    name, why = choose()
    assert name == "onnxruntime"
    assert "no bfloat16" in why


def test_auto_is_onnxruntime_where_openvino_is_not_installed(machine):
    machine("BF16", installed=False)
    assert choose() == ("onnxruntime", "openvino is not installed (pip install openvino)")


def test_auto_is_onnxruntime_where_openvino_does_not_start(machine, monkeypatch):
    def fail():
        raise RuntimeError("Exception from src/core.cpp:84:\nno CPU plugin\n\n")

    machine("BF16")
    monkeypatch.setattr(networks, "cpu_capabilities", fail)
    assert choose() == ("onnxruntime", "openvino does not start: no CPU plugin")


@needs_weights
def test_a_detector_says_what_runs_it_and_why(machine):
    machine("FP32", installed=False)
    pattern = r"^onnxruntime [\d.]+.*: openvino is not installed"
    assert re.match(pattern, MoveNet().reason)
    assert MoveNet(MoveNetConfig(runtime="onnxruntime")).reason.endswith(": as asked")


# ---- what may be missing, or change


@needs_weights
@pytest.mark.parametrize("package", ["onnxruntime", "openvino"])
def test_a_runtime_that_is_not_installed_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BackendError, match=f"not installed: pip install {package}$"):
        MoveNet(MoveNetConfig(runtime=package))


@needs_weights
def test_shapes_that_change_are_compiled_once_and_the_newest_are_kept(monkeypatch):
    pytest.importorskip("openvino", reason="openvino is not installed")
    monkeypatch.setattr(networks, "SHAPES_KEPT", 4)
    network = OpenVinoNetwork(bundled_model(), 1, "as asked", owner="movenet")
    compiled = []
    core = network._core

    class Counting:
        def compile_model(self, model, *args):
            compiled.append(tuple(model.input().shape)[1:3])
            return core.compile_model(model, *args)

    network._core = Counting()
    small, tall, wide = (128, 128), (160, 128), (128, 160)
    others = [(128, 192), (192, 128)]

    def run(height, width):
        return network.run(np.zeros((1, height, width, 3), np.int32))[0]

    first = run(*small)
    kept = first.copy()
    for shape in (tall, small, wide, tall):
        assert run(*shape).shape == (1, 6, 56)
    np.testing.assert_array_equal(first, kept)  # no later run writes into what was handed out
    assert compiled == [small, tall, wide]
    for shape in others:
        run(*shape)
    assert len(network._requests) == 4
    run(*tall)
    assert compiled == [small, tall, wide, *others]
    run(*small)  # the one unused for longest was dropped
    assert compiled == [small, tall, wide, *others, small]


@needs_weights
def test_an_image_size_that_changes_leaves_the_people_where_they_are(picture):
    pytest.importorskip("openvino", reason="openvino is not installed")
    movenet = MoveNet(MoveNetConfig(runtime="openvino"))
    before = movenet.detect(picture)
    tall = np.zeros((picture.shape[1], picture.shape[0], 3), np.uint8)
    assert len(movenet.detect(tall)) == 0
    after = movenet.detect(picture)
    np.testing.assert_array_equal(before.xy, after.xy)
    np.testing.assert_array_equal(before.score, after.score)
