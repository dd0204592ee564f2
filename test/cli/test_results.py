"""``diffpose_ros results`` on small random networks."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: test networks need it")
pytest.importorskip("onnx", reason="onnx is not installed: test networks need it")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from small_network import save_model

from diffpose_ros.core import Camera
from diffpose_ros.data.benchmark import Sequence, to_benchmark


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    camera = Camera(matrix=np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]]), width=1280, height=720)
    sequences = []
    for i in range(2):
        skeleton = rng.normal([0, 0, 4], [0.3, 0.6, 0.2], (17, 3)) + np.zeros((12, 1, 1))
        skeleton[..., 0] += np.linspace(0, 0.3, 12)[:, None]
        pixels = skeleton @ camera.matrix.T
        xy = pixels[..., :2] / pixels[..., 2:]
        keypoints = np.concatenate([xy, np.full((12, 17, 1), 0.9)], -1)
        sequences.append(Sequence(f"s{i}", f"p{i}", "walk", camera, 30.0, keypoints, skeleton))
    to_benchmark(tmp_path / "bench.npz", sequences)
    return tmp_path / "bench.npz"


def test_one_command_writes_page_and_plots(call, data, tmp_path):
    starpose = save_model(tmp_path / "starpose", "starpose", steps=(5, 1))
    diffpose = save_model(tmp_path / "diffpose", "diffpose")
    done = call(
        "results", "--data", data, "--quick", "--output", tmp_path / "docs" / "results.md",
        "--starpose", starpose, "--diffpose", diffpose, "--others",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    text = (tmp_path / "docs" / "results.md").read_text()
    for said in ("| Context encoder alone, no diffusion |", "| StarPose without STPG |", "### DDIM steps",
                 "| reprojection x 0 |", "### Drift", "| walk |"):  # fmt: skip
        assert said in text, said
    assert str(tmp_path) not in text
    assert "Not measured" not in text or "matplotlib" in text


def test_what_is_missing_is_named_in_one_line(call, data, tmp_path):
    done = call("results", "--data", tmp_path / "nowhere.npz")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "nowhere.npz: no such file" in done.err
    done = call("results", "--data", data, "--starpose", tmp_path / "none.onnx",
                "--output", tmp_path / "r.md")  # fmt: skip
    assert done.code == 1
    assert "none.onnx: no such model file" in done.err
    done = call("results", "--data", data, "--others", "zedo", "nobody", "--output", tmp_path / "r.md")
    assert done.code == 1
    assert "unknown model 'nobody'" in done.err
