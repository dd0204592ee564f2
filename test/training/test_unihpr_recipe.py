"""The whole recipe of a UniHPR model at a tiny size: it ends in a folder that embeds, lifts and decodes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: training needs it")
pytest.importorskip("onnx", reason="onnx is not installed: export needs it")

from safetensors.torch import load_file

from diffpose_ros.core import Camera, ConfigError, InputError, ModelError, People2D
from diffpose_ros.lifting import Lifter, LifterConfig
from diffpose_ros.methods.registry import read_spec
from diffpose_ros.methods.unihpr.embedder import Embedder, body_part
from diffpose_ros.training.recipe import Recipe, load_recipe, parse_recipe
from diffpose_ros.training.stages import RecipeRun
from diffpose_ros.training.unihpr_pictures import load_pictures

STAGES = ["encoder run 1", "views", "encoders", "decoder", "pictures", "calibration", "model"]
FEATURES = 6


@pytest.fixture
def content(mocap: Path, tmp_path: Path) -> dict:
    quick = {"steps": 3, "batch": 32, "warmup": 1, "save_every": 1, "compile": False}
    return {
        "name": "tiny", "data": str(mocap), "output": str(tmp_path / "out"),
        "clips": {"hold_out_subjects": ["s2"]},
        "encoder": {
            "model": {"width": 8, "body": 16, "depth": 1, "heads": 2, "keys": 4, "window": 5},
            "runs": [{"optimiser": quick | {"steps": 1, "batch": 2}, "synthesis": {"frames": 8}}],
        },
        "unihpr": {
            "window": 5, "views": {"batches": 2, "segments": 4, "apart": 1}, "synthesis": {"frames": 16},
            "embedding": {"body": 6, "turn": 4, "width": 16, "blocks": 1}, "encoders": quick,
            "decoder": {"width": 16, "blocks": 1, "steps": 2, "hypotheses": 3}, "decoding": quick,
            "pictures": {"file": str(pictures(tmp_path / "pictures.npz")), "optimiser": quick, "judged": 0.5},
        },
        "calibration": {"batches": 1, "batch": 2},
    }  # fmt: skip


def pictures(path: Path, **other) -> Path:
    rng = np.random.default_rng(0)
    fields = {
        "features": rng.normal(size=(20, FEATURES)), "skeleton": rng.normal(0, 0.3, (20, 17, 3)),
        "points": rng.normal(0, 0.5, (20, 21, 3)), "view": rng.normal(0, 0.3, (20, 6)),
        "person": np.arange(20) % 4,
    }  # fmt: skip
    np.savez(path, **{k: v for k, v in (fields | other).items() if v is not None})
    return path


@pytest.fixture
def recipe(content: dict) -> Recipe:
    return parse_recipe(content, "tiny.yaml")


def test_the_whole_recipe_ends_in_a_model_that_embeds_lifts_and_decodes(recipe: Recipe) -> None:
    work = RecipeRun(recipe)
    assert [s.name for s in work.stages] == STAGES
    assert work.run()
    folder = Path(recipe.output) / "tiny" / "model"
    assert {f.name for f in folder.iterdir()} - {"lock", "stage.json"} == {
        "MODEL_CARD.md", "config.yaml", "model.safetensors",
        "model.onnx", "skeleton.onnx", "decoder.onnx", "picture.onnx",
    }  # fmt: skip
    spec = read_spec(folder / "model.onnx")
    assert (spec.name, spec.kind, spec.steps, spec.hypotheses, spec.body, spec.turn) == (
        "tiny", "unihpr", 2, 3, 6, 4,
    )  # fmt: skip
    card = (folder / "MODEL_CARD.md").read_text()
    assert "- encoders: 3 steps" in card and "held out, people: s2." in card
    assert "10 rendered pictures of builds left out, among 20 skeletons" in card
    _lifts(folder)
    _stands_alone(folder)
    again: dict[str, str] = {}
    assert RecipeRun(recipe).run(lambda stage, step, text: again.setdefault(stage.name, text) and None)
    assert set(again.values()) == {"done before"}
    other = parse_recipe({"name": "x", "data": "x", "unihpr": {}}, "x")
    assert RecipeRun(other).stages[-1].name == "model"
    (folder / "skeleton.onnx").write_bytes((folder / "decoder.onnx").read_bytes())
    with Embedder(folder) as embedder, pytest.raises(ModelError, match=r"skeleton\.onnx: belongs to another"):
        embedder.skeletons(np.random.default_rng(0).normal(size=(1, 17, 3)))


def _lifts(folder: Path) -> None:
    lifter = Lifter(LifterConfig(model=folder, backend="onnxruntime", keep_hypotheses=True))
    camera = Camera.from_fov(640, 480)
    rng = np.random.default_rng(0)
    body = rng.uniform([-0.3, -0.9, 3.9], [0.3, 0.9, 4.1], (2, 17, 3)) @ camera.matrix.T
    people = People2D(
        xy=body[..., :2] / body[..., 2:], score=np.full((2, 17), 0.9), track_id=np.array([7, 3])
    )
    for frame in range(3):
        result = lifter.lift(people, camera, (1 + frame) * 10**8)
    assert result.embeddings.shape == (2, 10) and len(result.skeletons) == 2
    np.testing.assert_allclose(np.linalg.norm(result.embeddings, axis=1), 1.0, atol=1e-5)
    lifter.reset()
    both = lifter.lift(people, camera, 10**9)
    lifter.reset()
    alone = lifter.lift(people.take([1]), camera, 2 * 10**9)
    np.testing.assert_allclose(alone.embeddings[0], both.embeddings[1], atol=1e-5)
    assert np.abs(both.embeddings[0] - both.embeddings[1]).max() > 1e-4
    assert result.hypotheses[0].xyz.shape == (3, 17, 3)
    lifter.close()


def _stands_alone(folder: Path) -> None:
    pose = np.random.default_rng(1).normal(0, 0.3, (5, 17, 3))
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    with Embedder(folder) as embedder:
        found = embedder.skeletons(pose)
        other = embedder.skeletons(1.3 * pose @ turn.T + 2.0)
        np.testing.assert_allclose(body_part(other, 6), body_part(found, 6), atol=1e-3)
        assert np.abs(other - found).max() > 1e-3  # the second part is the viewer's
        poses = embedder.poses(found, "skeleton")
        assert poses.shape == (5, 3, 17, 3) and np.isfinite(poses).all()
        assert np.abs(embedder.poses(found, "picture") - poses).max() > 0
        assert embedder.poses(found[0], hypotheses=7).shape == (7, 17, 3)
        assert embedder.pictures(np.zeros((2, 3, FEATURES))).shape == (2, 3, 10)
        assert embedder.skeletons(np.zeros((0, 17, 3))).shape == (0, 10)
        for call, text in (
            (lambda: embedder.skeletons(np.zeros((2, 16, 3))), r"skeletons: expected \(\.\.\., 17, 3\)"),
            (lambda: embedder.skeletons(np.full((2, 17, 3), np.nan)), "2 of 2 have joints that are not"),
            (lambda: embedder.skeletons(np.ones((1, 17, 3))), "lie in one point"),
            (lambda: embedder.pictures(np.zeros((2, 5))), r"features: expected finite .*, 6\)"),
            (lambda: embedder.poses(np.zeros((2, 9))), r"embedding: expected finite .*, 10\)"),
        ):
            with pytest.raises(InputError, match=text):
                call()
        with pytest.raises(ConfigError, match="source: expected one of keypoints, skeleton, picture"):
            embedder.poses(found, "text")


def test_parts_that_were_stopped_end_where_unbroken_ones_do(recipe: Recipe, tmp_path: Path) -> None:
    whole = replace(recipe, output=str(tmp_path / "whole"))
    assert RecipeRun(whole).run(until="encoders")
    for _ in range(20):
        if RecipeRun(recipe).run(until="encoders", stop_after_s=0.0):
            break
    name = Path("tiny") / "encoders" / "model.safetensors"
    expected, found = (load_file(Path(r.output) / name) for r in (whole, recipe))
    assert all(torch.equal(expected[n], found[n]) for n in expected)


def test_encoders_and_decoder_learn(recipe: Recipe) -> None:
    from diffpose_ros.methods.unihpr.config import UniHprConfig
    from diffpose_ros.methods.unihpr.network import UniHpr
    from diffpose_ros.training.unihpr_tasks import DecoderTask, Encoders
    from diffpose_ros.training.unihpr_views import hear

    work, section = RecipeRun(recipe), recipe.unihpr
    torch.manual_seed(0)
    network = UniHpr(UniHprConfig(recipe.encoder.model, section.embedding, section.decoder))
    rng = np.random.default_rng(0)
    made = hear(network.eval(), work.library, rng, section.views, section.synthesis)
    assert made["token"].shape == (2, 8, 8, 16)  # cameras, runs, frames of a run, numbers
    batch = {n: v.flatten(1, 2).float() for n, v in made.items()}
    true = network.skeletons(batch["truth"])[..., :6]
    torch.testing.assert_close(true[0], true[1], atol=1e-4, rtol=0)  # both cameras see one body
    encoders = Encoders(network, section.loss)
    network.context.requires_grad_(False)
    for task, module in ((encoders, encoders), (DecoderTask(network), network.decoder)):
        optimiser = torch.optim.Adam(module.parameters(), 5e-3)
        losses = []
        for step in range(25):
            loss, _ = task(batch, step)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:3])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"features": None}, "features missing"),
        ({"skeleton": np.zeros((20, 17))}, "skeleton: expected finite numbers, 3 axes and 20 rows"),
        ({"view": np.full((20, 6), np.nan)}, "view: expected finite numbers"),
        ({"person": np.arange(3)}, "person: expected finite numbers, 1 axes and 20 rows"),
    ],
)
def test_pictures_that_are_none_are_refused(tmp_path: Path, change: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        load_pictures(pictures(tmp_path / "bad.npz", **change))


def test_nobody_is_both_learnt_from_and_judged_by(tmp_path: Path) -> None:
    learnt, judged = load_pictures(pictures(tmp_path / "p.npz")).split(0.25)
    assert len(learnt) == 15 and len(judged) == 5
    assert not set(learnt.person) & set(judged.person)


def test_the_shipped_recipe_is_read() -> None:
    recipe = load_recipe(Path(__file__).parents[2] / "config" / "training" / "unihpr.yaml")
    assert recipe.encoder.checkpoint == "baseline"
    assert recipe.unihpr.loss.tau == pytest.approx(1 / 14)
    assert [s.name for s in RecipeRun(recipe).stages] == [s for s in STAGES[1:] if s != "pictures"]


def test_a_lifter_and_an_embedding_in_one_recipe_are_refused(content: dict) -> None:
    with pytest.raises(ConfigError, match="lifter, unihpr: expected one of them, got both"):
        parse_recipe(content | {"lifter": {}}, "tiny.yaml")
