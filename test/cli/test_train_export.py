"""``diffpose_ros train`` and ``export``, from motion capture to a model that lifts."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

pytest.importorskip("torch", reason="torch is not installed: training needs it")
pytest.importorskip("onnx", reason="onnx is not installed: export needs it")

from diffpose_ros.core import Camera, People2D, TrackState
from diffpose_ros.lifting import Lifter, LifterConfig


def write(path, mocap, **content):
    common = {
        "data": str(mocap), "output": str(path.with_suffix("")), "synthesis": {"frames": 8},
        "optimiser": {"steps": 2, "batch": 2, "warmup": 1, "precision": "float32", "save_every": 1},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(common | content))
    return path


def test_training_leaves_models_that_lift(call, mocap, tmp_path):
    context = write(
        tmp_path / "context.yaml", mocap, task="context",
        model={"width": 16, "body": 32, "depth": 1, "heads": 2, "window": 5},
    )  # fmt: skip
    done = call("train", context, "--no-compile")
    assert (done.code, done.err) == (0, "")
    assert "trained" in done.out

    lifter = write(
        tmp_path / "starpose.yaml", mocap, task="starpose",
        context=str(tmp_path / "context" / "model.safetensors"),
        model={"denoiser": {"width": 16, "depth": 1}, "window": 5,
               "history": {"width": 8, "depth": 1, "heads": 2, "length": 4}},
    )  # fmt: skip
    done = call("train", lifter, "--no-compile", "--stop-after", 0.01, "--steps", 400)
    assert done.code == 0
    assert "stopped at step" in done.out
    done = call("train", lifter, "--no-compile", "--name", "mine", "--steps", 2)
    assert (done.code, done.err) == (0, "")
    assert "resuming" in done.out
    folder = tmp_path / "starpose" / "model"
    assert "# mine" in (folder / "MODEL_CARD.md").read_text()

    done = call("export", folder, "--output", tmp_path / "graphs", "--steps", 3, "--name", "other")
    assert done.code == 0
    assert "3 steps" in done.out
    started = Lifter(LifterConfig(model=tmp_path / "graphs" / "model.onnx", backend="onnxruntime"))
    assert (started.spec.name, started.spec.steps) == ("other", 3)
    people = People2D(
        xy=np.random.default_rng(0).uniform(100, 400, (1, 17, 2)), score=np.ones((1, 17)),
        track_id=np.array([1]), age_s=np.zeros(1), state=np.array([TrackState.NEW]),
    )  # fmt: skip
    camera = Camera(matrix=np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), width=640, height=480)
    result = started.lift(people, camera, 1)
    # Two steps of training on noise: the answer is finite, whether or not a place fits it.
    assert result.report.failed == ()
    assert result.report.lifted + len(result.report.unplaced) == 1
    assert all(np.isfinite(s.xyz).all() for s in result.skeletons)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("train", "nowhere.yaml"), "training configuration nowhere.yaml: No such file"),
        (("export", "nowhere"), "nowhere/config.yaml: missing; expected a folder with"),
    ],
    ids=["train", "export"],
)
def test_what_is_not_there_is_named_in_one_line(call, words, text):
    done = call(*words)
    assert done.code == 1
    assert text in done.err
    assert done.err.count("\n") == 1
