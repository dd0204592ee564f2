"""`tools/check_gpu.sh`: says when there is no GPU, and leaves a table where there is one."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="needs the Python package onnx to make a test graph")

from engine_graph import save_graph
from fake_gpu import build_driver, install

from diffpose_ros.core import BackendError
from diffpose_ros.runtime.tensorrt.driver import Cuda

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def check_gpu():
    spec = importlib.util.spec_from_file_location("check_gpu", TOOLS / "check_gpu.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_gpu"] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    yield module
    del sys.modules["check_gpu"]


@pytest.fixture
def trt(monkeypatch, tmp_path):
    monkeypatch.setattr("diffpose_ros.runtime.tensorrt.background_build.build_aside", lambda *a: None)
    return install(monkeypatch, build_driver(tmp_path))


def has_gpu() -> bool:
    try:
        Cuda().close()
    except BackendError:
        return False
    return True


@pytest.mark.skipif(has_gpu(), reason="needs a machine without an NVIDIA GPU")
def test_without_a_gpu_it_says_so_and_exits_with_3():
    done = subprocess.run(
        [str(TOOLS / "check_gpu.sh")],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHON": sys.executable},
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr.startswith("check_gpu: nothing checked: no NVIDIA driver here")


def test_with_a_gpu_it_checks_and_leaves_a_table(check_gpu, trt, tmp_path, capsys):
    model, table = save_graph(tmp_path / "tiny.onnx"), tmp_path / "table.md"
    words = ["--model", str(model), "--max-people", "3", "--frames", "10", "--output", str(table)]
    assert check_gpu.main(words) == 0, capsys.readouterr().out
    text = table.read_text()
    assert "TensorRT 11.4.1.0 on Fake GPU" in text
    assert text.count("- pass: ") == 4
    for row in ("| fp32 |", "| fp16 |", "| 1 |", "| 2 |", "| 3 |"):
        assert row in text


def test_a_failed_check_fails_the_script(check_gpu, trt, tmp_path, monkeypatch):
    monkeypatch.setattr(check_gpu, "HALF_LIMIT_MM", 0.0)
    model, table = save_graph(tmp_path / "tiny.onnx"), tmp_path / "table.md"
    words = ["--model", str(model), "--max-people", "1", "--frames", "10", "--output", str(table)]
    assert check_gpu.main(words) == 1
    assert "**FAIL**: FP16 against FP32" in table.read_text()


def test_a_model_that_is_not_there_is_one_line(check_gpu, trt, capsys):
    assert check_gpu.main(["--model", "nowhere.onnx"]) == 1
    assert capsys.readouterr().err == "check_gpu: error: nowhere.onnx: no such model file\n"
