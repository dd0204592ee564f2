"""``diffpose_ros ablate``: variants, going on where it stopped, the page."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

pytest.importorskip("torch", reason="torch is not installed: training needs it")
pytest.importorskip("safetensors", reason="safetensors is not installed: training needs it")

from diffpose_ros.core import ConfigError
from diffpose_ros.methods.diffusion.network import LifterNetwork
from diffpose_ros.training.ablation import load_plan

BASE = {
    "name": "encoder", "data": "nothing.npz", "output": "nowhere",
    "encoder": {"model": {"width": 16, "body": 32, "depth": 1, "heads": 2, "window": 5}},
    "optimiser": {"steps": 9, "batch": 2, "warmup": 1, "precision": "float32", "compile": False},
    "synthesis": {"frames": 8, "augment": {"shape_spread": 0.03}},
}  # fmt: skip


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(BASE))

    def write(**content):
        change = {"synthesis": {"augment": {"mirror": False}}}
        common = {"title": "Parts", "base": "base.yaml", "changes": {"optimiser": {"steps": 2}},
                  "variants": {"everything": None, "no mirroring": change}}  # fmt: skip
        path = tmp_path / "plan.yaml"
        path.write_text(yaml.safe_dump(common | content, sort_keys=False))
        return path

    return write


@pytest.fixture
def files(mocap, tmp_path):
    """The motions, and the same as a benchmark."""
    skeleton = np.load(mocap)["h36m17"] * [1, -1, 1] + [0.0, 1.0, 4.0]
    matrix = np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]])
    pixels = skeleton @ matrix.T
    keypoints = np.concatenate([pixels[..., :2] / pixels[..., 2:], np.ones((60, 17, 1))], axis=-1)
    np.savez(
        tmp_path / "val.npz", offsets=np.array([0, 60]), keypoints=keypoints.astype(np.float32),
        skeleton=skeleton.astype(np.float32), camera_matrix=matrix[None],
        image_size=np.array([1280, 720]), fps=np.array(30.0), names=np.array(["a"]),
        subject=np.array(["s"]), action=np.array(["walk"]),
    )  # fmt: skip
    return mocap, tmp_path / "val.npz"


def test_each_variant_is_trained_once_and_has_its_row(call, plan, files, tmp_path):
    words = ("ablate", plan(), "--data", files[0], "--benchmark", files[1],
             "--folder", tmp_path / "runs")  # fmt: skip
    alone = call(*words, "--only", "no mirroring")
    assert (alone.code, alone.err) == (0, "")
    table = tmp_path / "runs/plan/ablation.md"
    assert not table.exists()
    log = tmp_path / "runs/plan/no-mirroring/encoder/run-1/log.jsonl"
    before = log.read_text()
    done = call(*words)
    assert (done.code, done.err) == (0, "")
    assert log.read_text() == before
    lines = table.read_text().splitlines()
    assert lines[0] == "## Parts"
    rows = [r.split("|")[1].strip() for r in lines if r.startswith("| ")]
    assert rows == ["variant", "---", "everything", "no mirroring"]


def test_lifters_are_compared_as_they_run(call, plan, files, tmp_path, monkeypatch):
    pytest.importorskip("onnx", reason="onnx is not installed: export needs it")
    # One graph of each: those with fewer steps, seconds each, are not what is compared.
    monkeypatch.setattr(LifterNetwork, "other_steps", ())
    context = ("ablate", plan(variants={"all": None}), "--data", files[0], "--benchmark", files[1])
    assert call(*context, "--folder", tmp_path / "runs").code == 0
    model = {"denoiser": {"width": 16, "depth": 1}, "schedule": {"diffusion_steps": 8}, "steps": 3}
    lifter = BASE | {"name": "diffpose", "lifter": {"model": model},
                     "calibration": {"batches": 1, "batch": 2}}  # fmt: skip
    (tmp_path / "lifter.yaml").write_text(yaml.safe_dump(lifter))
    standard = {"lifter": {"model": {"initial": "standard", "components": 1}}}
    path = plan(base="lifter.yaml", variants={"DiffPose": None, "Stand-Diff": standard})
    done = call("ablate", path, "--data", files[0], "--benchmark", files[1], "--folder", tmp_path / "runs",
                "--encoder", tmp_path / "runs/plan/all/encoder/run-1/model.safetensors",
                "--output", tmp_path / "table.md", "--plot", tmp_path / "table.png")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: --plot needs it")
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")
    rows = [r for r in (tmp_path / "table.md").read_text().splitlines() if r.startswith("| ")]
    assert "min-of-N MPJPE" in rows[0]
    assert [r.split("|")[1].strip() for r in rows[2:]] == ["DiffPose", "Stand-Diff"]


def test_a_change_reaches_its_leaf_and_nothing_else(plan):
    change = {"synthesis": {"rates_hz": {10.0: 1.0}}}
    first, second = load_plan(plan(variants={"all": None, "slow": change})).variants
    (one,), (other,) = first.recipe.encoder.runs, second.recipe.encoder.runs
    assert one.optimiser.steps == other.optimiser.steps == 2
    assert other.synthesis.rates_hz == {10.0: 1.0}
    assert other.synthesis.augment == one.synthesis.augment
    assert one.synthesis.augment.shape_spread == 0.03


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"variants": {}}, "plan.yaml: variants: expected at least one"),
        ({"variants": {"odd": {"synthesis": {"augment": {"mirorr": 1}}}}},
         "variant 'odd': synthesis.augment.mirorr: unknown key 'mirorr' in synthesis.augment, did you mean"),
        ({"vairants": {}}, "plan.yaml: vairants: unknown key 'vairants', did you mean 'variants'?"),
        ({"base": "gone.yaml"}, r"gone.yaml: cannot be read \(No such file"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_plan_is_named(plan, content, text):
    with pytest.raises(ConfigError, match=text):
        load_plan(plan(**content))


def test_an_unknown_variant_is_refused_with_those_there_are(call, plan, files):
    done = call("ablate", plan(), "--benchmark", files[1], "--only", "no such")
    assert done.code == 1
    assert "no variant 'no such', expected one of: everything; no mirroring" in done.err


def test_only_and_a_table_contradict_each_other(call, plan, files, tmp_path):
    for words in (("--plot", tmp_path / "a.png"), ("--output", tmp_path / "a.md")):
        done = call("ablate", plan(), "--benchmark", files[1], "--only", "everything", *words)
        assert done.code == 1
        assert "--only trains variants and writes no table: leave out --output and --plot" in done.err
