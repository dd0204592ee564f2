"""ZeDO as a method, with a small model made here: levels, people, memory, honesty."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: the model is made with it")
onnx = pytest.importorskip("onnx", reason="onnx is not installed: the model is made with it")
pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from diffpose_ros.core import Camera, ConfigError, ModelError, People2D, Surroundings
from diffpose_ros.lifting import Lifter, LifterConfig
from diffpose_ros.methods.registry import read_spec
from diffpose_ros.methods.zedo.contract import LoopConfig, pack
from diffpose_ros.methods.zedo.export import export_onnx
from diffpose_ros.methods.zedo.network import Zedo, ZedoConfig
from diffpose_ros.methods.zedo.prior import PriorConfig

S = 10**9
CAMERA = Camera.from_fov(1280, 720)
UPRIGHT = np.array([[0, 0, 0], [-.13, 0, 0], [-.13, .45, 0], [-.13, .87, .05], [.13, 0, 0], [.13, .45, 0],
    [.13, .87, -.1], [0, -.35, 0], [0, -.5, 0], [0, -.6, -.08], [0, -.75, 0], [.18, -.47, 0], [.25, -.2, .1],
    [.3, 0, -.1], [-.18, -.47, 0], [-.3, -.6, -.2], [-.2, -.8, -.3]])  # fmt: skip
COCO = [9, 9, 9, 9, 9, 11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3]
SIZE = float(sum(np.linalg.norm(UPRIGHT[b] - UPRIGHT[a]) for a, b in (
    (0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6), (0, 7), (7, 8), (8, 9), (9, 10), (8, 11), (11, 12),
    (12, 13), (8, 14), (14, 15), (15, 16))))  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prior that has learnt nothing, around six anchors of which one is right."""
    config = ZedoConfig(6, PriorConfig(width=16, blocks=1, frequencies=4, embedding=8), LoopConfig(4, 2, 3))
    network = Zedo(config)
    rng = np.random.default_rng(0)
    anchors = UPRIGHT + rng.normal(0, 0.1, (6, 17, 3)) * (np.arange(6) > 0)[:, None, None]
    network.anchors.copy_(torch.from_numpy(anchors))
    network.size.fill_(SIZE)
    return export_onnx(network, tmp_path_factory.mktemp("zedo") / "model.onnx", name="small")


def people(frame: int, places=((0.0, 0.3, 4.0),), rng: np.random.Generator | None = None) -> People2D:
    xyz = np.stack([UPRIGHT[COCO] + np.array(p) + [0.01 * frame, 0, 0] for p in places])
    image = xyz @ CAMERA.matrix.T
    xy = image[..., :2] / image[..., 2:]
    if rng is not None:
        xy = xy + rng.normal(0, 2, xy.shape)
    return People2D(xy=xy, score=np.full(xy.shape[:2], 0.9), track_id=np.arange(1, len(xy) + 1))


def lift(model: Path, frames: int = 6, places=((0.0, 0.3, 4.0),), around=None, **settings):
    lifter = Lifter(LifterConfig(model=model, backend="onnxruntime", **settings))
    extra = {} if around is None else {"around": around}
    out = [lifter.lift(people(k, places), CAMERA, S + k * S // 30, **extra) for k in range(frames)]
    lifter.close()
    return out


def relative(skeleton) -> np.ndarray:
    return skeleton.xyz - skeleton.root


def test_somebody_who_stands_like_an_anchor_is_lifted(model: Path) -> None:
    (skeleton,) = lift(model)[-1].skeletons
    assert np.linalg.norm(relative(skeleton) - UPRIGHT, axis=-1).mean() < 0.1
    assert np.linalg.norm(skeleton.root - [0.05, 0.3, 4.0]) < 0.4


def test_people_do_not_touch_each_other(model: Path) -> None:
    places = ((0.0, 0.3, 4.0), (1.2, 0.2, 5.0), (-1.0, 0.4, 3.5))
    together = lift(model, places=places)[-1].skeletons
    for i, place in enumerate(places):
        (alone,) = lift(model, places=(place,))[-1].skeletons
        np.testing.assert_allclose(relative(together[i]), relative(alone), atol=1e-5)
        np.testing.assert_allclose(together[i].covariance, alone.covariance, atol=1e-6)


def test_covariances_are_some_and_hypotheses_are_handed_out(model: Path) -> None:
    result = lift(model, keep_hypotheses=True)[-1]
    assert result.hypotheses[0].xyz.shape == (4, 17, 3)
    assert np.linalg.eigvalsh(result.skeletons[0].covariance).min() > 0
    assert (result.report.hypotheses, result.report.steps) == (4, 6)


def test_a_deadline_takes_iterations_then_hypotheses(model: Path) -> None:
    lifter = Lifter(LifterConfig(model=model, backend="onnxruntime", deadline_s=10.0))
    levels = [(x.hypotheses, x.steps) for x in lifter.method.levels]
    assert levels == [(4, 6), (4, 2), (2, 2)]
    assert lifter.method.levels[0].share == 1.0
    lifter.lift(people(0), CAMERA, S)
    hurried = lifter.lift(people(1), CAMERA, S + S // 30, deadline_s=1e-6)
    assert (hurried.report.hypotheses, hurried.report.steps) == (2, 2)
    assert hurried.report.degraded
    again = lifter.lift(people(2), CAMERA, S + 2 * S // 30)
    assert all(np.isfinite(s.xyz).all() for s in again.skeletons)
    lifter.close()


def test_the_next_frame_begins_where_the_last_one_ended(model: Path) -> None:
    """A still person's pose settles: single frames would give the same answer again and again."""
    lifter = Lifter(LifterConfig(model=model, backend="onnxruntime"))
    poses = [
        relative(lifter.lift(people(0), CAMERA, S + k * S // 30).skeletons[0]) for k in range(8)
    ]
    steps = [np.abs(b - a).max() for a, b in zip(poses, poses[1:], strict=False)]
    assert steps[0] > 1e-6
    assert steps[-1] < 0.5 * steps[0]
    lifter.reset()
    first = relative(lifter.lift(people(0), CAMERA, 100 * S).skeletons[0])
    np.testing.assert_allclose(first, poses[0], atol=1e-9)
    lifter.close()


@pytest.mark.parametrize(("settings", "second"), [({}, [2, 1, 1]), ({"steps": 6}, [2, 2, 2])])
def test_who_was_there_goes_on_with_one_run_and_who_begins_gets_all(
    model: Path, monkeypatch: pytest.MonkeyPatch, settings: dict, second: list
) -> None:
    lifter = Lifter(LifterConfig(model=model, backend="onnxruntime", **settings))
    batches: list[int] = []
    run = lifter.method._run
    monkeypatch.setattr(lifter.method, "_run", lambda p, now: batches.append(len(p)) or run(p, now))
    lifter.lift(people(0), CAMERA, S)
    assert batches == [1, 1, 1]
    batches.clear()
    lifter.lift(people(1, places=((0.0, 0.3, 4.0), (1.2, 0.2, 5.0))), CAMERA, S + S // 30)
    assert batches == second
    lifter.close()


def test_gravity_rights_a_rolled_camera(model: Path) -> None:
    c, s = np.cos(0.6), np.sin(0.6)
    roll = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    xyz = (UPRIGHT[COCO] + [0.0, 0.3, 4.0]) @ roll.T
    image = xyz @ CAMERA.matrix.T
    xy = (image[:, :2] / image[:, 2:])[None]
    seen = People2D(xy=xy, score=np.full((1, 17), 0.9), track_id=np.array([1]))
    error = {}
    for name, up in (("known", roll @ [0, -1.0, 0]), ("unknown", None)):
        lifter = Lifter(LifterConfig(model=model, backend="onnxruntime"))
        (skeleton,) = lifter.lift(seen, CAMERA, S, around=Surroundings(up=up)).skeletons
        error[name] = np.linalg.norm(relative(skeleton) - UPRIGHT @ roll.T, axis=-1).mean()
        lifter.close()
    assert error["known"] < 0.1 < error["unknown"]


def test_the_papers_setting_takes_a_thousand_iterations_from_one_start(model: Path) -> None:
    result = lift(model, frames=1, paper=True)[0]
    assert (result.report.hypotheses, result.report.steps) == (1, 1000)
    assert np.isfinite(result.skeletons[0].xyz).all()


def test_other_methods_have_no_setting_of_a_paper() -> None:
    with pytest.raises(ConfigError, match="paper: model 'baseline' has no"):
        Lifter(LifterConfig(model="baseline", backend="onnxruntime", paper=True))


def test_iterations_that_the_graph_does_not_divide_are_refused(model: Path) -> None:
    with pytest.raises(ModelError, match=r"steps: expected a multiple of 2, .* got 5"):
        lift(model, steps=5)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"anchors": "!"}, "incomplete or wrong metadata"),
        ({"anchors": pack(np.full((1, 17, 3), np.inf))}, "finite poses"),
        ({"size": 0}, "size: expected a number, 0.1 to 100"),
        ({"scale": [[1.0]]}, "scale: expected 17 x 3 numbers"),
        ({"loop": {"hypotheses": 10**9}}, "hypotheses: expected a whole number, 1 to 1000"),
        ({"loop": {"hypotheses": 2, "fresh": 2}}, "fresh: expected fewer than the 2 hypotheses"),
        ({"sde": {"beta_min": 5, "beta_max": 1}}, "beta_min"),
        ({"joint_set": "coco17"}, "expected joint set h36m17"),
    ],
)
def test_a_file_that_says_nonsense_is_named(model: Path, tmp_path: Path, change: dict, error: str) -> None:
    content = onnx.load(model)
    said = json.loads(content.metadata_props[0].value)
    content.metadata_props[0].value = json.dumps(said | change)
    onnx.save(content, tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=error) as caught:
        read_spec(tmp_path / "model.onnx")
    assert str(tmp_path) in str(caught.value)


def test_what_is_written_is_what_is_read(model: Path) -> None:
    spec = read_spec(model)
    assert spec.loop == LoopConfig(4, 2, 3)
    assert spec.size == pytest.approx(SIZE)
    np.testing.assert_allclose(spec.anchors[0], UPRIGHT, atol=1e-3)
    assert replace(spec.loop, runs=1).unrolled == 2
