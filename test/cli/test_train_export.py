"""``diffpose_ros train`` and ``export``, from motion capture to a model that lifts."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

pytest.importorskip("torch", reason="torch is not installed: training needs it")
pytest.importorskip("onnx", reason="onnx is not installed: export needs it")
pytest.importorskip("pydantic", reason="pydantic is not installed: training needs it")

from diffpose_ros.core import Camera, People2D, TrackState
from diffpose_ros.lifting import Lifter, LifterConfig
from diffpose_ros.methods.diffusion.network import LifterNetwork

RECIPE = {
    "name": "tiny",
    "optimiser": {"steps": 2, "batch": 2, "warmup": 1, "save_every": 1},
    "synthesis": {"frames": 8},
    "encoder": {"model": {"width": 16, "body": 32, "depth": 1, "heads": 2, "keys": 4, "window": 5}},
    "lifter": {
        "model": {"denoiser": {"width": 16, "depth": 1}, "window": 5, "schedule": {"diffusion_steps": 8},
                  "history": {"width": 8, "depth": 1, "heads": 2, "length": 4}, "components": 2, "steps": 3},
    },
    "calibration": {"batches": 1, "batch": 2, "guidance": False},
}  # fmt: skip


@pytest.fixture
def recipe(tmp_path, mocap):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, "data": str(mocap), "output": str(tmp_path / "out")}))
    return path


def test_training_leaves_models_that_lift(call, recipe, mocap, tmp_path, monkeypatch):
    # test_stages.py has the graphs with fewer steps, seconds each.
    monkeypatch.setattr(LifterNetwork, "other_steps", ())
    done = call("train", recipe, "--plan")
    assert (done.code, done.err) == (0, "")
    assert [line.split("  ")[0] for line in done.out.splitlines()] == [
        "encoder run 1", "tiny run 1", "calibration", "model"
    ]  # fmt: skip
    assert done.out.count("not begun") == 4

    done = call("train", recipe, "--no-compile", "--stop-after", 0, "--name", "mine")
    assert done.code == 0
    assert "stopped at step 1 of 'encoder run 1'" in done.out
    done = call("train", recipe, "--no-compile", "--name", "mine")
    assert (done.code, done.err) == (0, "")
    assert "encoder run 1: resuming at step 1" in done.out
    assert f"done: {tmp_path}/out/mine/model" in done.out
    folder = tmp_path / "out" / "mine" / "model"
    assert "# mine" in (folder / "MODEL_CARD.md").read_text()
    assert call("train", recipe, "--name", "mine", "--plan").out.count(" done ") == 4

    done = call("train", recipe, "--no-compile", "--name", "mine", "--batch", 3)
    assert done.code == 1
    assert "settings.optimiser.batch = 2, now it is 3" in done.err
    assert done.err.count("\n") == 1

    done = call("export", folder, "--output", tmp_path / "graphs", "--steps", 3, "--name", "other")
    assert done.code == 0
    assert "3 steps" in done.out
    started = Lifter(LifterConfig(model=tmp_path / "graphs" / "model.onnx", backend="onnxruntime"))
    assert (started.method.name, started.method.levels[0].steps) == ("other", 3)
    done = call("export", folder, "--baseline", mocap, "--output", tmp_path / "plain")
    assert (done.code, done.err) == (0, "")
    assert "the first stage of `starpose`" in (tmp_path / "plain" / "MODEL_CARD.md").read_text()
    plain = Lifter(LifterConfig(model=tmp_path / "plain", backend="onnxruntime"))
    assert (plain.method.kind, len(plain.method.levels)) == ("baseline", 1)
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
        (("train", "nowhere.yaml"), "recipe nowhere.yaml: cannot be read (No such file"),
        (("export", "nowhere"), "nowhere/config.yaml: missing; expected a folder with"),
        (("export", "x", "--baseline", "m.npz"), "--baseline: expected --output for its folder"),
        (("train", "{recipe}", "--data", "gone.npz"), "gone.npz: no such file"),
        (("train", "{recipe}", "--until", "x"), "until: expected one of: encoder run 1, tiny run 1"),
    ],
    ids=["train", "export", "baseline", "data", "stage"],
)
def test_what_is_not_there_is_named_in_one_line(call, recipe, words, text):
    done = call(*(str(recipe) if w == "{recipe}" else w for w in words))
    assert done.code == 1
    assert text in done.err
    assert done.err.count("\n") == 1
