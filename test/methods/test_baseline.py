"""The baseline: a model like any other, whose answers are the context encoder's own."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from diffpose_ros.core import Camera, ConfigError, ModelError, People2D
from diffpose_ros.lifting import Lifter, LifterConfig

S = 10**9
FRAME = S // 30
CAMERA = Camera.from_fov(1280, 720)


def frames(count, people=2):
    """People who sway, as the camera sees them; some keypoints hide."""
    rng = np.random.default_rng(2)
    body = rng.uniform([-0.3, -0.9, -0.1], [0.3, 0.9, 0.1], (17, 3))
    for k in range(count):
        xyz = body + [[[0.9 * i - 0.4, 0, 4 + 0.5 * i]] for i in range(people)]
        xyz = xyz + 0.1 * np.sin(0.3 * k + np.arange(17))[:, None]
        image = xyz @ CAMERA.matrix.T
        score = rng.uniform(0.4, 1, (people, 17))
        score[rng.random((people, 17)) < 0.05] = 0
        yield (
            S + k * FRAME,
            People2D(xy=image[..., :2] / image[..., 2:], score=score, track_id=np.arange(1, people + 1)),
        )


def lift(count=12, **settings):
    settings = {"model": "baseline", "backend": "onnxruntime", **settings}
    lifter = Lifter(LifterConfig(**settings))
    results = [lifter.lift(people, CAMERA, stamp) for stamp, people in frames(count)]
    lifter.close()
    return results


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_it_says_the_same_in_every_backend(backend):
    pytest.importorskip(backend, reason=f"needs {backend}")
    for a, b in zip(lift(), lift(backend=backend), strict=True):
        for x, y in zip(a.skeletons, b.skeletons, strict=True):
            np.testing.assert_allclose(x.xyz - x.root, y.xyz - y.root, atol=1e-4)
            np.testing.assert_allclose(x.covariance, y.covariance, atol=1e-5)


def test_it_is_the_encoder_that_starpose_looks_through():
    """Frame after frame with caches, it gives what the encoder makes of the whole clip."""
    torch = pytest.importorskip("torch", reason="needs torch")
    from diffpose_ros.core.resources import weights_path
    from diffpose_ros.data.virtual.synthesis import observe_sequence
    from diffpose_ros.methods.diffusion.checkpoint import load_network

    encoder = load_network(weights_path("starpose")).context
    clip = list(frames(12, people=1))
    xy = np.stack([people.xy for _, people in clip], axis=1)
    tangents = (xy - CAMERA.matrix[:2, 2]) / CAMERA.focal
    score = np.stack([people.score for _, people in clip], axis=1)
    times = np.arange(12) / 30
    points, view, rotation, _ = observe_sequence(tangents, score, times)
    with torch.inference_mode():
        _, pose, _ = encoder(*(torch.from_numpy(np.float32(v)) for v in (points, view, times)))
    expected = pose[0].numpy() @ rotation[0]
    lifter = Lifter(LifterConfig(model="baseline", backend="onnxruntime", min_keypoints=3))
    for k, (stamp, people) in enumerate(clip):
        (skeleton,) = lifter.lift(people, CAMERA, stamp).skeletons
        np.testing.assert_allclose(skeleton.xyz - skeleton.root, expected[k], atol=1e-4)
    lifter.close()


def test_its_only_hypothesis_is_the_pose():
    result = lift(3, keep_hypotheses=True)[-1]
    assert (result.report.hypotheses, result.report.steps) == (1, 1)
    for skeleton, kept in zip(result.skeletons, result.hypotheses, strict=True):
        np.testing.assert_allclose(kept.xyz[0], skeleton.xyz - skeleton.root, atol=1e-9)


def test_its_covariance_is_a_covariance():
    for skeleton in lift()[-1].skeletons:
        sigma = np.sqrt(np.linalg.eigvalsh(skeleton.covariance[1:]))
        assert sigma.min() > 0.001
        assert sigma.max() < 1.0


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"steps": 5}, "steps: expected 1, as model 'baseline' does not sample, got 5"),
        ({"hypotheses": 3}, "hypotheses: expected 1, .* got 3"),
        ({"window": 500}, "window: expected at most 243 frames, got 500"),
    ],
)
def test_what_it_cannot_do_is_refused(settings, error):
    with pytest.raises((ModelError, ConfigError), match=error):
        lift(1, **settings)


def test_a_deadline_finds_its_only_level():
    assert lift(3, deadline_s=0.0001)[-1].report.steps == 1


def test_calibration_scales_sigma_until_two_thirds_lie_within():
    torch = pytest.importorskip("torch", reason="needs torch")
    from diffpose_ros.methods.baseline.network import Baseline
    from diffpose_ros.methods.diffusion.context_encoder import ContextConfig
    from diffpose_ros.training.baseline import calibrate_sigma

    torch.manual_seed(0)
    network = Baseline(ContextConfig(width=8, body=16, depth=1, heads=2, window=9)).eval()
    batch = {
        "points": torch.rand(8, 40, 21, 3),
        "view": torch.rand(8, 40, 6),
        "times_s": torch.arange(40) / 30,
    }
    with torch.no_grad():
        _, pose, log_sigma = network.context(batch["points"], batch["view"], batch["times_s"])
    wide = torch.linspace(0.5, 3.0, 51).reshape(17, 3)
    batch["pose"] = pose + torch.randn_like(pose) * wide * torch.exp(log_sigma)
    measured = calibrate_sigma(network, [batch])
    assert measured.coverage_after == pytest.approx(0.683, abs=0.01)
    assert network.sigma_scale[1:].numpy() == pytest.approx(wide[1:].numpy(), rel=0.3)
    sigma = network.variance(log_sigma).sqrt()
    assert torch.allclose(sigma, torch.exp(log_sigma) * network.sigma_scale)
