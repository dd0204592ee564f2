"""Rollouts: training's way to run a lifter on its own answers is the robot's."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: training needs it")
pytest.importorskip("onnx", reason="onnx is not installed: export needs it")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from small_network import save_model, small_network

from diffpose_ros.core import Camera
from diffpose_ros.data.virtual.synthesis import observe_sequence
from diffpose_ros.diffusion.noise import fixed_noise
from diffpose_ros.geometry.mapping import coco_to_points
from diffpose_ros.history import PeopleState, Rows
from diffpose_ros.methods.diffusion.step_inputs import StepInputs
from diffpose_ros.methods.protocol import Observed
from diffpose_ros.methods.registry import read_spec
from diffpose_ros.methods.virtual_camera import look, to_real_camera
from diffpose_ros.runtime.load import load_backend
from diffpose_ros.training.rollout import rollout

FRAME_NS = 31_250_000
CAMERA = Camera.from_fov(1280, 720)


def somebody(frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tangents (1, F, 17, 2), scores (1, F, 17), seconds (F,) of a person who moves and turns."""
    rng = np.random.default_rng(0)
    clock = np.arange(frames) * FRAME_NS * 1e-9
    body = rng.uniform([-0.3, -0.9, -0.2], [0.3, 0.8, 0.2], (17, 3))
    swing = 0.15 * np.sin(3 * clock[:, None, None] + rng.uniform(0, 6, (17, 3)))
    where = np.stack([0.6 * np.sin(clock), 0.1 * clock.clip(max=2), 4 + np.cos(clock)], -1)
    xyz = body + swing + where[:, None]
    score = rng.uniform(0.3, 1.0, (1, frames, 17))
    score[0, 5:9, 9] = 0.0
    return (xyz[None, ..., :2] / xyz[None, ..., 2:]), score, clock


def batch_of(tangents, score, clock) -> dict[str, torch.Tensor]:
    points, view, rotation, _ = observe_sequence(tangents, score, clock)
    fields = {"points": points, "view": view, "rotation": rotation, "times_s": clock}
    return {k: torch.from_numpy(np.asarray(v, np.float32)) for k, v in fields.items()}


def test_a_rollout_is_what_the_exported_graph_gives_online(tmp_path) -> None:
    spec, network = read_spec(save_model(tmp_path, "starpose")), small_network("starpose")
    backend = load_backend(spec.graph, "onnxruntime")
    inputs = StepInputs(
        spec, spec.windows(), 1, {5: fixed_noise(5)},
        np.asarray(spec.guidance, np.float32),
    )  # fmt: skip
    people = PeopleState(4, inputs.state(), spare=1)
    tangents, score, clock = somebody(20)
    expected = rollout(network, batch_of(tangents, score, clock)).mean[0].numpy()
    for i in range(20):
        now = 1_000_000_000 + i * FRAME_NS
        people.bring_to_front([1], now)
        rows = Rows(people, slice(0, 1), now)
        points, confidence = coco_to_points(tangents[:, i], score[:, i])
        view = look(Observed(now, CAMERA, points, confidence), rows)
        inputs.fill(view, rows)
        out = backend.run(inputs.feeds(rows, 1, 5))
        assert out["mean"][0] == pytest.approx(expected[i], abs=1e-4), f"frame {i}"
        pose = to_real_camera(out, view.rotation, keep_hypotheses=False).mean
        inputs.keep(rows, view, out, pose)
        rows.commit(np.array([True]))
    backend.close()


def test_what_a_rollout_gives(tmp_path) -> None:
    out = rollout(small_network(), batch_of(*somebody(6)), hypotheses=3)
    assert out.mean.shape == (1, 6, 17, 3)
    assert out.hypotheses.shape == (1, 6, 3, 17, 3)
    assert torch.allclose(out.hypotheses.mean(2), out.mean, atol=1e-6)
    assert torch.linalg.eigvalsh(out.covariance).min() > 0


def test_a_rollout_is_causal() -> None:
    tangents, score, clock = somebody(12)
    whole = rollout(small_network(), batch_of(tangents, score, clock))
    part = rollout(small_network(), batch_of(tangents[:, :7], score[:, :7], clock[:7]))
    assert torch.allclose(whole.mean[:, :7], part.mean, atol=1e-5)


def test_hundreds_of_frames_on_own_answers_do_not_drift_away() -> None:
    """For twice as long as the 256 entries that a cache keeps."""
    tangents, score, clock = somebody(500)
    batch = batch_of(tangents, score, clock)
    out = rollout(small_network(), batch, hypotheses=1, steps=(50, 0))
    assert torch.isfinite(out.mean).all()
    size = out.mean.norm(dim=-1).mean(dim=(0, 2))
    early, late = size[100:200].mean(), size[-100:].mean()
    assert float(late) < 2 * float(early) + 0.1
