"""A learnt detector: errors as the model says, and in a recipe."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffpose_ros.core import ConfigError, InputError
from diffpose_ros.data.clips import bodies, load_clips
from diffpose_ros.data.virtual import learnt_noise as noise
from diffpose_ros.data.virtual.camera import CameraConfig, Views, place, project
from diffpose_ros.data.virtual.detector import observed
from diffpose_ros.data.virtual.detector_noise import NoiseConfig
from diffpose_ros.data.virtual.learnt_noise import DetectorModel, chain, corrupt, load_model
from diffpose_ros.data.virtual.missing import MissingConfig
from diffpose_ros.data.virtual.people import coco_keypoints

EXCERPT = Path(__file__).with_name("cmu_excerpt.npz")
TIMES = np.arange(36) / 30.0


@pytest.fixture(scope="module")
def seen() -> tuple[Views, Views]:
    body = np.repeat(bodies(load_clips(EXCERPT)[:1])[0][None, :36], 60, axis=0)
    still = CameraConfig(distance=(3.0, 6.0), moving=0.0, off_centre=0.0)
    cameras = place(body, TIMES, np.random.default_rng(0), still)
    return project(cameras, body), project(cameras, coco_keypoints(body, None))


def plain(**changes: object) -> DetectorModel:
    """A detector with nothing but jitter of 5 % and no correlation."""
    v, c = noise.VIEWS, noise.CONDITIONS
    model = DetectorModel(
        bias=np.zeros((v, c, 17, 2)), spread=np.full((v, c, 17), 0.05), correlation=np.eye(17),
        shares=np.array([0.2, 0.5, 0.3]), times_s=np.array([1.5, 0.1]), uneven=0.0, pixels=0.0,
        far=np.zeros((c, 17)), far_s=0.3, far_size=np.array([np.log(0.8), 0.1]), opposite=np.zeros(17),
        lost=np.zeros((c, 17)), lost_s=0.2, exchanged=np.zeros((v, 3)), exchanged_s=0.2,
        score=np.full((c, 17), 1.0), score_slope=np.full(c, -0.5), score_spread=np.array([0.3, 0.3]),
    )  # fmt: skip
    return replace(model, **changes)


def run(seen: tuple[Views, Views], model: DetectorModel, condition: int = noise.SEEN, seed: int = 1):
    body, coco = seen
    b, t = coco.tangents.shape[:2]
    where = np.full((b, t, 17), condition)
    xy, score = corrupt(
        coco.tangents, body.xyz[:, :, :17], where, np.full((b, t), 100.0), TIMES,
        np.random.default_rng(seed), model, np.ones(b),
    )  # fmt: skip
    size = noise.apparent_size(coco.tangents)[..., None, None]
    axes = noise.trunk_axes(coco.tangents)
    error = np.einsum("btik,btji->btjk", axes, (xy - coco.tangents) / size)
    return error, score


def test_jitter_has_the_spread_and_the_memory_of_the_model(seen: tuple[Views, Views]) -> None:
    error, score = run(seen, plain())
    assert (score > 0).all()
    assert error.std((0, 1, 3)) == pytest.approx(np.full(17, 0.05), rel=0.12)
    for lag in (1, 6):
        expected = 0.2 * np.exp(-lag / 30 / 1.5) + 0.5 * np.exp(-lag / 30 / 0.1)
        rho = (error[:, lag:] * error[:, :-lag]).mean() / (error**2).mean()
        assert rho == pytest.approx(expected, abs=0.03)


def test_errors_of_joints_hang_together(seen: tuple[Views, Views]) -> None:
    correlation = np.eye(17)
    correlation[11, 12] = correlation[12, 11] = 0.6
    error, _ = run(seen, plain(correlation=correlation))
    flat = error.transpose(2, 0, 1, 3).reshape(17, -1)
    rho = np.corrcoef(flat)
    assert rho[11, 12] == pytest.approx(0.6, abs=0.06) and abs(rho[5, 11]) < 0.08


def test_bias_is_a_mirror_image_when_somebody_looks_the_other_way(seen: tuple[Views, Views]) -> None:
    bias = np.zeros((noise.VIEWS, noise.CONDITIONS, 17, 2))
    bias[noise.SIDE, noise.SEEN, 7] = [0.2, -0.1]
    error, _ = run(seen, plain(bias=bias, spread=np.full((3, 4, 17), 1e-4)))
    view, mirrored = noise.facing(seen[0].xyz[:, :, :17])
    right, left = (view == noise.SIDE) & ~mirrored, (view == noise.SIDE) & mirrored
    assert right.any() and left.any()
    np.testing.assert_allclose(error[right][:, 7].mean(0), [0.2, -0.1], atol=0.002)
    np.testing.assert_allclose(error[left][:, 8].mean(0), [-0.2, -0.1], atol=0.002)
    assert np.abs(error[view != noise.SIDE]).max() < 0.01


def test_small_people_are_seen_worse(seen: tuple[Views, Views]) -> None:
    near, _ = run(seen, plain(pixels=0.0))
    far, _ = run(seen, plain(pixels=100.0))  # the people are 100 pixels large
    assert far.std() == pytest.approx(np.sqrt(2) * near.std(), rel=0.05)


def test_far_errors_and_lost_keypoints_are_as_frequent_and_as_long_as_said(
    seen: tuple[Views, Views],
) -> None:
    far = np.zeros((noise.CONDITIONS, 17))
    far[noise.SELF, 9] = 0.3
    error, _ = run(seen, plain(far=far), noise.SELF)
    off = np.linalg.norm(error, axis=-1) > 0.4
    assert off[..., 9].mean() == pytest.approx(0.3, abs=0.07) and not off[..., 5].any()
    lost = np.zeros((noise.CONDITIONS, 17))
    lost[noise.OTHERS, 15:] = 0.4
    _, score = run(seen, plain(lost=lost), noise.OTHERS)
    assert (score[..., 15:] == 0).mean() == pytest.approx(0.4, abs=0.08) and (score[..., :15] > 0).all()


def test_sides_are_exchanged_together(seen: tuple[Views, Views]) -> None:
    exchanged = np.zeros((noise.VIEWS, 3))
    exchanged[:, 1] = 0.2
    error, _ = run(seen, plain(exchanged=exchanged, spread=np.full((3, 4, 17), 1e-4)))
    away = np.linalg.norm(error, axis=-1) > 0.01
    legs = away[..., [13, 14, 15, 16]]
    assert legs.any(-1).mean() == pytest.approx(0.2, abs=0.06)
    assert (legs.sum(-1)[legs.any(-1)] >= 2).mean() > 0.95 and not away[..., :11].any()


def test_scores_fall_with_errors_and_weak_ones_are_not_reported(seen: tuple[Views, Views]) -> None:
    error, score = run(seen, plain())
    away = np.linalg.norm(error, axis=-1)
    assert score[away < 0.03].mean() > score[away > 0.12].mean() + 0.1
    _, weak = run(seen, plain(score=np.full((4, 17), -2.5)))
    assert (weak == 0).mean() > 0.5 and weak[weak > 0].min() >= 0.1


def test_a_chain_is_on_as_often_and_as_long_as_said() -> None:
    times = np.arange(3000) / 30.0
    on = chain(np.full((20, 3000, 1), 0.25), 0.5, times, np.random.default_rng(0))[..., 0]
    ends = (on[:, :-1] & ~on[:, 1:]).sum()
    assert on.mean() == pytest.approx(0.25, abs=0.02)
    assert on.sum() / 30 / ends == pytest.approx(0.5 / 0.75, rel=0.1)


def test_the_detector_of_the_package_is_there_and_is_no_toy() -> None:
    model = load_model()
    assert np.allclose(np.diag(model.correlation), 1, atol=1e-3)
    assert model.shares.sum() == pytest.approx(1, abs=1e-3)
    eyes, hips = model.spread[noise.FRONT, noise.SEEN, [1, 3]], model.spread[noise.FRONT, noise.SELF, 9]
    assert 0.01 < eyes.mean() < hips < 0.2, "hidden wrists err more than ears that are seen"
    assert (model.far[noise.SELF] >= model.far[noise.SEEN]).mean() > 0.7
    assert (model.score_slope < 0).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "No such file"), ("{}", "missing"), ("not json", "Expecting value"), ('{"bias": 3}', "missing")],
)
def test_a_damaged_file_is_refused_in_words(text: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "noise.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=f"noise.json: expected a detector's noise.*{said}"):
        load_model(path)
    content = json.loads(Path(noise.__file__).with_name("detector_noise.json").read_text())
    path.with_name("short.json").write_text(json.dumps({**content, "far": [[0.1] * 17]}))
    with pytest.raises(InputError, match=r"far: expected finite \(4, 17\), got \(1, 17\)"):
        load_model(path.with_name("short.json"))


def test_a_recipe_chooses_learnt_or_made_noise(seen: tuple[Views, Views]) -> None:
    body, coco = seen

    def report(seed: int = 3, **options):
        config = NoiseConfig(blackout=0.0, **options)
        rng = np.random.default_rng(seed)
        return observed(coco, body.xyz, TIMES, rng, config, MissingConfig())[1]

    made, learnt = report(), report(kind="learnt", made_share=0.0)
    assert not np.array_equal(made, learnt)
    always = [report(seed, kind="learnt", made_share=1.0) for seed in (3, 4)]
    for seed, score in zip((3, 4), always, strict=True):
        rng = np.random.default_rng(seed)
        rng.random()
        config = NoiseConfig(blackout=0.0)
        assert np.array_equal(score, observed(coco, body.xyz, TIMES, rng, config, MissingConfig())[1])
    with pytest.raises(ConfigError, match="kind: expected one of made, learnt, got 'real'"):
        NoiseConfig(kind="real")


@pytest.mark.parametrize("kind", ["made", "learnt"])
def test_parts_that_are_hidden_get_low_scores_or_none(seen: tuple[Views, Views], kind: str) -> None:
    body, coco = seen
    config = NoiseConfig(kind=kind, made_share=0.0, blackout=0.0, surer=(0.0, 0.01))
    clear = observed(coco, body.xyz, TIMES, np.random.default_rng(5), config, MissingConfig())[1]
    hidden = MissingConfig(whole=1.0)
    xy, score = observed(coco, body.xyz, TIMES, np.random.default_rng(5), config, hidden)
    assert np.isfinite(xy).all() and 0 <= score.min() <= score.max() <= 1
    assert score.mean() < clear.mean() - 0.05 and (score == 0).mean() > (clear == 0).mean() + 0.01
    assert (xy[score == 0] == 0).all()
