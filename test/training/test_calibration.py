"""From trained weights to a model's folder: calibrated, exported, described."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch", reason="torch is not installed: training needs it")
pytest.importorskip("onnx", reason="onnx is not installed: export needs it")

from small_network import small_network

from diffpose_ros.core import ModelError
from diffpose_ros.data.clips import Clip
from diffpose_ros.data.virtual.synthesis import SynthesisConfig
from diffpose_ros.methods.diffusion.checkpoint import load_network
from diffpose_ros.methods.diffusion.network import FEWER_STEPS
from diffpose_ros.methods.registry import read_spec
from diffpose_ros.training.calibration import calibrate, held_out, write_graphs, write_weights
from diffpose_ros.training.choose_guidance import SHAKING, SPEED, choose_guidance
from diffpose_ros.training.model_card import StageLog, licence_of, model_card, time_spent
from diffpose_ros.training.recipe import parse_recipe


@pytest.fixture(scope="module")
def views(library):
    config = SynthesisConfig(frames=12)
    return held_out(library, config, batches=2, batch=6), held_out(
        library, config, batches=2, batch=6, seed=778
    )


@pytest.fixture(scope="module")
def calibrated(views):
    """A network, and what its calibration measured. Nothing below changes it."""
    network = small_network()
    return network, calibrate(network, views[0])


def coverage(network, batches, steps: int = 5, hypotheses: int = 5) -> float:
    from diffpose_ros.diffusion.schedules import ddim_steps
    from diffpose_ros.training.rollout import rollout

    inside = []
    visit = tuple(ddim_steps(network.config.schedule.diffusion_steps, steps))
    for batch in batches:
        out = rollout(network, batch, steps=visit, hypotheses=hypotheses)
        sigma = torch.diagonal(out.covariance, dim1=-2, dim2=-1).sqrt()
        inside.append(((out.mean - batch["pose"]).abs() <= sigma)[:, 6:, 1:].float())
    return float(torch.cat(inside).mean())


def test_calibration_brings_the_covariance_to_one_sigma(views, calibrated) -> None:
    # The bodies are the same two clips in all views, so other views of them must agree as well.
    network, result = calibrated
    assert result.coverage_after == pytest.approx(0.683, abs=0.05)
    assert coverage(network, views[0]) == pytest.approx(result.coverage_after, abs=0.01)
    assert coverage(network, views[1]) == pytest.approx(0.683, abs=0.15)
    assert result.mpjpe_mm > 0


def test_samplers_with_fewer_steps_are_calibrated_for_themselves(views, calibrated) -> None:
    network, _ = calibrated
    for steps in FEWER_STEPS:
        assert network.calibration(steps) > 0
        assert coverage(network, views[0], steps) == pytest.approx(0.683, abs=0.05)
    assert network.calibration(5) == network.calibration(3) == 0


@pytest.mark.parametrize("hypotheses", [1, 2, 3])
def test_few_hypotheses_do_not_promise_more_than_many(views, calibrated, hypotheses: int) -> None:
    assert coverage(calibrated[0], views[0], hypotheses=hypotheses) == pytest.approx(0.683, abs=0.05)


def test_held_out_views_repeat_and_are_not_training_views(library) -> None:
    config = SynthesisConfig(frames=6)
    a, b = (held_out(library, config, batches=1, batch=2)[0] for _ in range(2))
    assert torch.equal(a["points"], b["points"])
    assert a["times_s"].diff().mean() == pytest.approx(1 / 30, rel=0.1)


def test_a_model_folder_holds_what_the_runtime_reads(tmp_path) -> None:
    network = small_network("diffpose")
    files = write_weights(network, tmp_path / "out")
    graphs = dict(write_graphs(network, tmp_path / "out", name="mine"))
    assert list(graphs.values()) == [5, 2, 1]
    assert sorted(f.name for f in (*files, *graphs)) == sorted(f.name for f in (tmp_path / "out").iterdir())
    assert len(files) + len(graphs) == 5
    assert [read_spec(tmp_path / "out" / f"model{s}.onnx").steps for s in ("", "_2", "_1")] == [5, 2, 1]
    spec = read_spec(tmp_path / "out" / "model.onnx")
    assert (spec.kind, spec.name) == ("diffpose", "mine")
    back = load_network(tmp_path / "out")
    assert not back.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, back.state_dict()[name]), name
    assert back.config == network.config


def _no_config(folder) -> None:
    (folder / "config.yaml").unlink()


def _torn(folder) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


def _wider(folder) -> None:
    content = yaml.safe_load((folder / "config.yaml").read_text())
    content["context"]["width"] = 32
    (folder / "config.yaml").write_text(yaml.safe_dump(content))


def _no_mapping(folder) -> None:
    (folder / "config.yaml").write_text("- 1\n")


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (_no_config, r"config\.yaml: missing; expected a folder with"),
        (_torn, r"model\.safetensors: not a readable safetensors file"),
        (_wider, r"model\.safetensors: does not fit config\.yaml"),
        (_no_mapping, r"config\.yaml: expected a mapping of keys to values, got list; not a lifter's"),
    ],
    ids=["no configuration", "torn weights", "another size", "not a mapping"],
)
def test_a_spoilt_folder_is_refused_with_one_clear_line(saved, spoil, text: str) -> None:
    spoil(saved)
    with pytest.raises(ModelError, match=text) as caught:
        load_network(saved)
    assert "\n" not in str(caught.value)


@pytest.fixture
def saved(tmp_path):
    from safetensors.torch import save_file

    network = small_network()
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    data = network.config.to_mapping()
    data["guidance"] = list(data["guidance"])
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(data))
    assert load_network(tmp_path).config == network.config
    return tmp_path


def test_the_card_says_what_the_model_learnt_from_and_for_how_long(tmp_path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(
        "".join(
            f'{{"step": {s}, "loss": 1.0, "seconds": {t}}}\n'
            for s, t in [(1, 60.0), (2, 300.0), (3, 10.0), (4, 300.0)]
        )
    )
    assert time_spent(log) == (4, 600.0), "a second sitting starts its clock anew"
    recipe = parse_recipe(
        {"name": "mine", "data": ["somewhere/mocap.npz"], "lifter": {"model": {"history": {}}},
         "clips": {"hold_out_subjects": ["s9"]}}, "mine.yaml",
    )  # fmt: skip
    network = small_network().config
    body = np.zeros((60, 17, 3))
    clips = [Clip(n, f"of {n}", "", 30.0, body, source=s) for n, s in (("a", "CMU asf/amc"), ("b", "X"))]
    measured = {"mpjpe_mm": 50.0, "coverage_before": 0.4, "coverage_after": 0.68, "held_out_clips": 7}
    text = model_card(
        recipe, network, 12345, measured, clips=clips,
        logs=[StageLog("denoiser", log), StageLog("context encoder", tmp_path / "none.jsonl")],
    )  # fmt: skip
    assert text.startswith("# mine\n")
    for said in ("12,345 parameters", "mocap.npz: 2 clips", "denoiser: 4 steps, 10 minutes", "StarPose",
                 "68 % after", "mocap.cs.cmu.edu", "Not evaluated yet", "mirror image", "7 held-out clips",
                 "held out, people: s9", "name no known source"):  # fmt: skip
        assert said in text, said
    assert "somewhere" not in text
    assert "context encoder: " not in text
    scored = model_card(
        recipe, replace(network, history=None), 1, {**measured, "held_out_clips": 0}, clips=clips[:1],
        logs=[], scores={"MPJPE mm": 41.234},
    )  # fmt: skip
    assert "- MPJPE mm: 41.2" in scored
    assert "StarPose" not in scored
    assert "of the clips trained on" in scored
    assert "name no known source" not in scored


def test_every_source_is_acknowledged() -> None:
    body = np.zeros((2, 17, 3))
    clips = [Clip("a", "", "", 30.0, body, source=s) for s in ("CMU via cgspeed BVH", "ACCAD BVH")]
    assert "NSF EIA-0196217" in licence_of(clips)
    assert "Ohio State University, CC BY 3.0" in licence_of(clips)
    assert "Ohio" not in licence_of(clips[:1])


def test_views_are_finite(views) -> None:
    assert all(np.isfinite(t.numpy()).all() for batch in views[0] for t in batch.values())


def test_guidance_keeps_only_what_lowers_the_error(views) -> None:
    network = small_network()
    choice = choose_guidance(network, views[0][:1])
    costs = {w: error + SPEED * speed + SHAKING * shake for w, error, speed, shake in choice.table}
    assert costs[choice.weights] == min(costs.values())
    assert network.config.guidance == choice.weights
    assert (0.0, 0.0, 0.0, 0.0) in costs
