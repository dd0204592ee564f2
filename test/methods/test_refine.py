"""Refinement by the rays: it helps where they are good, leaves poses alone where they shake, stays honest."""

from __future__ import annotations

import numpy as np
import pytest

from diffpose_ros.core import Camera, People2D
from diffpose_ros.history import PeopleState, Rows
from diffpose_ros.lifting import Lifter, LifterConfig
from diffpose_ros.methods.protocol import Observed, Poses
from diffpose_ros.methods.refine import Refiner

S = 10**9
CAMERA = Camera.from_fov(1280, 720)
RNG = np.random.default_rng(4)
BODY = RNG.uniform([-0.3, -0.9, -0.3], [0.3, 0.9, 0.3], (3, 17, 3))
BODY[:, 0] = 0
PLACE = np.array([[0.3, 0.2, 4.0], [-1.0, 0.0, 6.0], [0.5, 0.3, 3.0]])
SIGMA = 0.03


class Stream:
    """Frame after frame of people whose pose a lifter has wrong by the same, with rays of any noise."""

    def __init__(self, people: int = 3, noise_m: float = 0.0, wrong: float = SIGMA, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.refiner, self.n, self.noise_m = Refiner(), people, noise_m
        self.people = PeopleState(8, dict(self.refiner.state()))
        self.off = self.rng.normal(0, wrong, (people, 17, 3)) * (np.arange(17) > 0)[:, None]
        self.time = S

    def frame(self, score: float = 0.95, *, change=lambda rays: rays, hypotheses: bool = False) -> Poses:
        """The next refined poses."""
        self.time += S // 30
        truth = BODY[: self.n] + PLACE[: self.n, None]
        rays = truth[..., :2] / truth[..., 2:]
        rays = rays + self.rng.normal(0, 1, rays.shape) * self.noise_m / PLACE[: self.n, None, 2:]
        rays = np.concatenate([change(rays), np.zeros((self.n, 4, 2))], axis=1)
        scores = np.where(np.arange(21) < 17, score, 0.0) * np.ones((self.n, 1))
        self.people.bring_to_front(list(range(1, self.n + 1)), self.time)
        rows = Rows(self.people, slice(0, self.n), self.time)
        said = BODY[: self.n] + self.off
        covariance = np.broadcast_to(SIGMA**2 * np.eye(3), (self.n, 17, 3, 3))
        several = said[:, None] + np.zeros((1, 4, 1, 1)) if hypotheses else None
        out = self.refiner.refine(
            Poses(said, covariance, several), Observed(self.time, CAMERA, rays, scores), rows
        )
        assert rows.finite().all()
        rows.commit(out.finite())
        return out

    def error(self, poses: Poses) -> float:
        """Mean distance of the joints from the truth, m."""
        return float(np.linalg.norm(poses.mean - BODY[: self.n], axis=-1).mean())

    def before(self) -> float:
        return float(np.linalg.norm(self.off, axis=-1).mean())


def test_steady_rays_draw_a_wrong_pose_closer() -> None:
    stream = Stream()
    for _ in range(10):
        refined = stream.frame()
    assert stream.error(refined) < 0.8 * stream.before(), stream.error(refined) / stream.before()


def test_a_pose_that_is_right_stays() -> None:
    stream = Stream(wrong=0.0)
    for _ in range(10):
        refined = stream.frame()
    assert stream.error(refined) < 1e-6


def test_shaking_rays_hardly_move_a_pose() -> None:
    stream = Stream(noise_m=0.02, wrong=0.0)
    for _ in range(30):
        refined = stream.frame()
    assert stream.error(refined) < 0.0015


def test_rays_that_stop_shaking_are_believed_within_a_second() -> None:
    stream = Stream(noise_m=0.02)
    for _ in range(20):
        stream.frame()
    stream.noise_m = 0.0
    for _ in range(45):
        refined = stream.frame()
    assert stream.error(refined) < 0.85 * stream.before(), stream.error(refined) / stream.before()


class Remembered:
    """One person whose rays have kept still and were known to shake before."""

    first, dt_s = np.array([False]), np.array([0.1])

    def __init__(self, rays, variance) -> None:
        past = np.concatenate([rays[:, None].repeat(3, 1), np.ones((len(rays), 3, 17, 1))], axis=-1)
        self.arrays = {"refine.rays": past, "refine.noise": np.array([[variance, 9.0]])}

    def __getitem__(self, name):
        return self.arrays[name]

    def keep(self, **values) -> None:
        self.kept = values


def test_shaking_is_measured_as_the_variance_that_it_is() -> None:
    """By the middle one of thirteen joints' third differences, of 300 people: a median errs by 5 %."""
    rng = np.random.default_rng(0)
    rows = Remembered(np.zeros((300, 17, 2)), 0.0)
    rows.first, rows.dt_s = np.zeros(300, bool), np.full(300, 1 / 30)
    rows.arrays["refine.rays"][..., :2] = 0.003 * rng.standard_normal((300, 3, 17, 2))
    rows.arrays["refine.noise"] = np.tile([0.0, 9.0], (300, 1))
    points = np.concatenate([0.003 * rng.standard_normal((300, 17, 2)), np.zeros((300, 4, 2))], axis=1)
    seen = Observed(S, CAMERA, points, (np.arange(21) < 17) * np.ones((300, 21)))
    poses = Poses(np.tile(BODY[:1], (300, 1, 1)), np.broadcast_to(1e-3 * np.eye(3), (300, 17, 3, 3)))
    Refiner().refine(poses, seen, rows)
    assert rows.kept["refine.noise"][:, 0].mean() == pytest.approx(0.003**2, rel=0.12)


@pytest.mark.parametrize("depth", [2.0, 8.0])
@pytest.mark.parametrize("told", [None, 0.02, 0.001])
def test_how_far_the_covariance_shrinks_follows_from_depth_and_shaking(depth: float, told: float) -> None:
    """The noise is 1.2 cm, and twelve times what the rays shake by, at that distance, or what the detector
    tells if that is more; two fifths of what a Kalman update would take off beside the ray are taken."""
    truth = BODY[:1] + np.array([0.0, 0.0, depth])
    rays = truth[..., :2] / truth[..., 2:]
    before, shakes = 0.03**2, 1e-6
    shaking = shakes * np.exp(-0.1 / 0.3)  # nothing shook in this frame
    covariance = None if told is None else np.tile(told**2 * np.eye(2), (1, 21, 1, 1))
    points = np.concatenate([rays, np.zeros((1, 4, 2))], axis=1)
    seen = Observed(S, CAMERA, points, (np.arange(21) < 17) * np.ones((1, 21)), covariance=covariance)
    poses = Poses(BODY[:1], np.broadcast_to(before * np.eye(3), (1, 17, 3, 3)))
    after = Refiner().refine(poses, seen, Remembered(rays, shakes))
    noise = max(0.012**2 + 144 * shaking * depth**2, ((told or 0.0) * depth) ** 2)
    wrist = 16
    ray = np.append(rays[0, wrist], 1.0)
    ray /= np.linalg.norm(ray)
    beside = np.eye(3) - np.outer(ray, ray)
    left = before - 0.4 * (before - before * noise / (before + noise))
    expected = left * beside + before * np.outer(ray, ray)
    np.testing.assert_allclose(after.covariance[0, wrist], expected, rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(after.mean, BODY[:1], atol=1e-6)


def test_nothing_happens_before_it_is_known_whether_they_shake() -> None:
    stream = Stream()
    for _ in range(3):
        refined = stream.frame()
        assert np.abs(refined.mean - BODY - stream.off).max() < 1e-3


def test_low_scores_say_little() -> None:
    low, high = Stream(), Stream()
    for _ in range(8):
        a, b = low.frame(0.3), high.frame(0.95)
    assert low.error(a) > 0.9 * low.before() > high.error(b)


def test_one_wild_keypoint_pulls_no_harder_than_the_gate() -> None:
    def wild(rays):
        rays = rays.copy()
        rays[:, 13] += 0.5
        return rays

    stream = Stream()
    for _ in range(8):
        stream.frame()
    refined = stream.frame(change=wild)
    moved = np.linalg.norm(refined.mean - BODY - stream.off, axis=-1)
    assert moved[:, 13].max() < 0.1
    assert moved[:, [2, 5, 12, 16]].max() < 0.1


def test_the_covariance_shrinks_beside_the_rays_and_never_grows() -> None:
    stream = Stream()
    for _ in range(8):
        refined = stream.frame()
    left = np.linalg.eigvalsh(refined.covariance)
    assert left.min() > 0.0
    assert left.max() <= SIGMA**2 * (1 + 1e-9)
    assert left[:, [2, 5, 12, 16], 0].max() < 0.9 * SIGMA**2
    np.testing.assert_allclose(left[:, 10], SIGMA**2, rtol=1e-6)  # nothing is seen of the crown


def test_the_covariance_stays_honest() -> None:
    """Of many bodies, some two thirds of coordinates lie within one sigma, before and after."""
    inside = []
    for seed in range(25):
        stream = Stream(noise_m=0.002, seed=seed)
        for _ in range(8):
            refined = stream.frame()
        sigma = np.sqrt(np.diagonal(refined.covariance, axis1=-2, axis2=-1))
        inside.append((np.abs(refined.mean - BODY) <= sigma)[:, 1:])
    assert 0.64 < np.mean(inside) < 0.85


def test_people_do_not_touch_each_other() -> None:
    together = Stream()
    alone = Stream(people=1)
    alone.off = together.off[:1]
    for _ in range(8):
        a, b = together.frame(), alone.frame()
    np.testing.assert_allclose(a.mean[0], b.mean[0], atol=1e-9)


def test_hypotheses_go_with_their_mean() -> None:
    stream = Stream()
    for _ in range(8):
        refined = stream.frame(hypotheses=True)
    np.testing.assert_allclose(refined.hypotheses, np.repeat(refined.mean[:, None], 4, 1), atol=1e-9)


@pytest.mark.parametrize("what", ["nan", "unseen"])
def test_what_cannot_be_refined_is_left_as_it_is(what: str) -> None:
    stream = Stream()
    for _ in range(5):
        stream.frame()
    if what == "nan":
        stream.off[1] = np.nan
    refined = stream.frame(0.0 if what == "unseen" else 0.95)
    if what == "nan":
        assert np.isnan(refined.mean[1]).any()
        assert np.isfinite(refined.mean[[0, 2]]).all()
    else:
        np.testing.assert_allclose(refined.mean, BODY + stream.off)


def lifted(frames: int = 8, **settings: bool) -> list[np.ndarray]:
    """Poses (2, 17, 3) relative to the root that the baseline gives two people frame after frame."""
    xyz = BODY[:2] + PLACE[:2, None]
    image = xyz @ CAMERA.matrix.T
    people = People2D(
        xy=image[..., :2] / image[..., 2:], score=np.full((2, 17), 0.9), track_id=np.array([1, 2])
    )
    lifter = Lifter(LifterConfig(model="baseline", backend="onnxruntime", **settings))
    out = []
    for k in range(frames):
        result = lifter.lift(people, CAMERA, S + k * S // 30)
        out.append(np.stack([s.xyz - s.root for s in result.skeletons]))
    lifter.close()
    return out


def test_a_lifter_refines_only_when_asked_to() -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    plain, off, on = lifted(), lifted(refine=False), lifted(refine=True)
    np.testing.assert_array_equal(plain[-1], off[-1])
    assert np.abs(on[-1] - plain[-1]).max() > 1e-3
    assert np.isfinite(on[-1]).all()
