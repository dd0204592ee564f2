"""From hypotheses to one pose: JPMA, with an estimated root."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core import Camera, ConfigError, People2D
from diffpose_ros.geometry.root import MEASURED_H36M
from diffpose_ros.lifting import Lifter, LifterConfig
from diffpose_ros.methods.protocol import Observed, Poses
from diffpose_ros.methods.reduce import jpma

CAMERA = Camera.from_fov(640, 480)
RNG = np.random.default_rng(3)
TRUE = RNG.uniform([-0.3, -0.9, -0.2], [0.3, 0.9, 0.2], (2, 17, 3))
TRUE[:, 0] = 0
PLACE = np.array([[0.2, 0.1, 4.0], [-0.5, 0.0, 6.0]])


def seen(score: float = 0.9) -> Observed:
    at = TRUE + PLACE[:, None]
    rays = np.zeros((2, 21, 2))
    rays[:, :17] = at[..., :2] / at[..., 2:]
    return Observed(10**9, CAMERA, rays, np.full((2, 21), score))


def spread(n: int = 6) -> np.ndarray:
    """Hypotheses, of whose joints one each lies sideways at the truth."""
    out = TRUE[:, None] + RNG.normal(0, 0.08, (2, n, 17, 3)) * (np.arange(17) > 0)[:, None]
    right = RNG.integers(n, size=(2, 17))
    for p in range(2):
        for j in range(17):
            out[p, right[p, j], j, :2] = TRUE[p, j, :2]
            out[p, right[p, j], j, 2] = TRUE[p, j, 2]
    return out


def poses(hypotheses: np.ndarray) -> Poses:
    return Poses(hypotheses.mean(1), np.broadcast_to(1e-3 * np.eye(3), (2, 17, 3, 3)), hypotheses)


def test_the_hypothesis_on_the_ray_is_taken_joint_by_joint() -> None:
    before = poses(spread())
    after = jpma(before, seen())
    off = np.linalg.norm((after.mean - TRUE)[..., :2], axis=-1)
    was = np.linalg.norm((before.mean - TRUE)[..., :2], axis=-1)
    assert off[:, MEASURED_H36M].mean() < 0.7 * was[:, MEASURED_H36M].mean()
    np.testing.assert_array_equal(after.mean[:, ~MEASURED_H36M], before.mean[:, ~MEASURED_H36M])
    assert (np.linalg.eigvalsh(after.covariance) > 0.99e-3).all()
    assert np.trace(after.covariance, axis1=-2, axis2=-1).sum() > 6e-3 * 17


def test_what_nobody_sees_and_what_is_not_finite_stays_as_it_is() -> None:
    before = poses(spread())
    np.testing.assert_array_equal(jpma(before, seen(0.0)).mean, before.mean)
    broken = spread()
    broken[1, 2, 4] = np.nan
    mean = np.nanmean(broken, axis=1)
    after = jpma(Poses(mean, before.covariance, broken), seen())
    np.testing.assert_array_equal(after.mean[1], mean[1])
    assert np.abs(after.mean[0] - mean[0]).max() > 0
    alone = Poses(before.mean, before.covariance)
    assert jpma(alone, seen()) is alone


@pytest.mark.parametrize("model", ["diffpose", "zedo"])
def test_every_method_with_hypotheses_can_be_reduced(model: str) -> None:
    answers = []
    at = TRUE[:1] + PLACE[:1, None]
    xy = (at @ CAMERA.matrix.T)[..., :2] / at[..., 2:]
    for reduce in ("mean", "jpma"):
        lifter = Lifter(LifterConfig(model=model, backend="onnxruntime", reduce=reduce))
        people = People2D(xy=xy, score=np.full((1, 17), 0.9), track_id=np.array([1]))
        result = lifter.lift(people, CAMERA, 10**9)
        answers.append(result.skeletons[0].xyz)
        assert result.hypotheses is None
        lifter.close()
    assert np.abs(answers[0] - answers[1]).max() > 1e-4


def test_one_hypothesis_leaves_no_choice() -> None:
    with pytest.raises(ConfigError, match=r"jpma chooses among hypotheses, and .*'baseline' gives one"):
        Lifter(LifterConfig(model="baseline", reduce="jpma"))
    with pytest.raises(ConfigError, match="reduce: expected one of mean, jpma, got 'best'"):
        LifterConfig(reduce="best")
