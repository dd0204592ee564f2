"""The second stage: what learns, from which history, around which mixture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: training needs it")

from diffpose_ros.core import ConfigError, ModelError
from diffpose_ros.core.typed_config import from_mapping
from diffpose_ros.data.virtual.augment import rotation_from_vector
from diffpose_ros.methods.diffusion.network import LifterNetworkConfig
from diffpose_ros.training.build import build
from diffpose_ros.training.config import TrainingConfig
from diffpose_ros.training.diffusion import DiffusionTask, into_next_view


def run(content: dict):
    return build(from_mapping(TrainingConfig, content))


@pytest.fixture(params=["diffpose", "starpose"])
def lifter(plan, request):
    """A lifter's run on a context encoder of a few steps."""
    list(run(plan("context", steps=3)).trainer.run())
    return run(plan(request.param))


def test_gradients_reach_denoiser_and_history_but_not_the_frozen_context(lifter) -> None:
    batch = lifter.trainer.dataset[0]
    net = lifter.lifter
    with torch.no_grad():
        for p in net.parameters():  # some start at zero and would pass no gradient on
            p.add_(0.02 * torch.randn_like(p))
    total, parts = lifter.trainer.loss(batch, 0)
    total.backward()
    assert torch.isfinite(total)
    assert all(np.isfinite(v) for v in parts.values())
    assert all(p.grad is None for p in net.context.parameters())
    moved = [n for n, p in net.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert any(n.startswith("denoiser.") for n in moved)
    assert any(n.startswith("history.") for n in moved) == (net.history is not None)
    assert not any(n.startswith("context.") for n in lifter.trainer.trainable)


def test_what_learns_drops_out_and_the_frozen_encoder_does_not(plan) -> None:
    list(run(plan("context", steps=3)).trainer.run())
    content = plan("starpose")
    content["lifter"]["denoiser"]["dropout"] = 0.5
    job = run({**content, "rollouts": 0.5})
    net, batch = job.lifter, job.trainer.dataset[0]
    modes, dropped = [], []
    net.context.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    net.denoiser.blocks[0].dropout.register_forward_hook(
        lambda module, given, out: dropped.append((module.training, bool((out == 0).any())))
    )
    for step in range(3):  # with rollouts and without
        job.trainer.loss(batch, step)
        assert net.training
        assert dropped[-1] == (True, True), "the pass that learns"
        assert not any(d for d in dropped[:-1]) or all(a == b for a, b in dropped)
    assert set(modes) == {False}
    assert (False, False) in dropped, "its own answers of before come as they would online"


def test_the_lifter_learns_around_the_answer_it_will_get(lifter) -> None:
    """StarPose's plan mirrors (see ``plan``): so does its frozen encoder, as it will online."""
    net = lifter.lifter
    mirrored = net.history is not None
    assert net.config.context.mirror == mirrored
    seen = []
    net.context.register_forward_pre_hook(lambda module, _: seen.append(module.copies))
    lifter.trainer.loss(lifter.trainer.dataset[0], 0)
    assert set(seen) == {1 + mirrored}


def test_the_loss_falls(lifter) -> None:
    batch = lifter.trainer.dataset[0]
    net = lifter.lifter
    optimiser = torch.optim.Adam(lifter.trainer.trainable.values(), lr=3e-3)
    losses = []
    for _ in range(30):
        torch.manual_seed(0)  # the same k, component, noise and history in every step
        total, _ = lifter.trainer.loss(batch, 0)
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        losses.append(float(total.detach()))
    assert losses[-1] < 0.9 * losses[0]
    assert all(torch.isfinite(p).all() for p in net.parameters())


def test_the_context_encoder_is_the_pretrained_one(lifter, plan) -> None:
    from safetensors.torch import load_file

    given = load_file(plan(lifter.lifter.config.kind)["context"])
    for name, tensor in lifter.lifter.context.state_dict().items():
        assert torch.equal(tensor, given[name]), name


def test_the_mixture_is_fitted_to_the_encoders_errors(lifter) -> None:
    net = lifter.lifter
    assert float(net.mixture_weight.sum()) == pytest.approx(1.0, abs=1e-4)
    assert (net.mixture_std > 0).all()
    assert float(net.mixture_mean[:, 1:].abs().max()) > 1e-3


def test_a_context_encoder_that_is_missing_is_named(plan) -> None:
    with pytest.raises(ModelError, match=r"context/model\.safetensors: no such checkpoint"):
        run(plan("diffpose"))


def test_symmetry_can_be_trained_on(plan) -> None:
    list(run(plan("context", steps=1)).trainer.run())
    ready = run(plan("diffpose") | {"loss": {"symmetry": 1.0}})
    assert isinstance(ready.trainer.loss, DiffusionTask)
    _, parts = ready.trainer.loss(ready.trainer.dataset[0], 0)
    assert parts["symmetry"] > 0


def test_poses_are_carried_into_the_next_frames_view() -> None:
    rng = np.random.default_rng(0)
    turn = rotation_from_vector(rng.normal(0, 0.4, (2, 4, 3)))
    pose = rng.normal(0, 0.3, (2, 4, 17, 3))
    moved = into_next_view(torch.from_numpy(pose), torch.from_numpy(turn)).numpy()
    assert moved.shape == (2, 3, 17, 3)
    for b in range(2):
        for t in range(3):
            for j in (0, 5, 16):
                real = np.linalg.inv(turn[b, t]) @ pose[b, t, j]
                assert moved[b, t, j] == pytest.approx(turn[b, t + 1] @ real, abs=1e-9)


def test_the_standard_process_starts_around_the_hip_and_not_around_the_context(plan) -> None:
    list(run(plan("context", steps=3)).trainer.run())
    content = plan("diffpose")
    content["lifter"] |= {"initial": "standard", "components": 1}
    net = run(content).lifter
    pose, log_sigma = torch.randn(2, 17, 3), torch.randn(2, 17, 3)
    points, view = torch.rand(2, 21, 3), torch.zeros(2, 6)
    centre, width = net.origin(pose, log_sigma, points, view)
    assert not centre.any()
    assert width.unique().numel() == 1
    assert not net.mixture_mean.any()
    assert (net.mixture_std == 1).all()
    usual = run(plan("diffpose")).lifter
    assert torch.equal(usual.origin(pose, log_sigma, points, view)[0], pose)


@pytest.mark.parametrize("initial", ["detector", "histogram"])
def test_the_papers_initial_distributions_train_and_run(plan, initial) -> None:
    from diffpose_ros.methods.diffusion.export import check_parity, export_onnx

    list(run(plan("context", steps=3)).trainer.run())
    content = plan("starpose")
    content["lifter"] |= {"initial": initial}
    job = run(content)
    assert float(job.lifter.mixture_std[:, 1:, :2].max()) < 20  # keypoints say where x and y are
    list(job.trainer.run())
    path = export_onnx(job.lifter.eval(), Path(content["output"]) / "m.onnx", name="m", steps=2)
    assert check_parity(job.lifter, path, steps=2) < 1e-3


@pytest.mark.parametrize(
    ("change", "text"),
    [({"initial": "heatmap"}, "initial: expected context, detector, histogram or standard"),
     ({"initial": "standard"}, "expected 1 component, got 5")],
)  # fmt: skip
def test_an_initial_distribution_that_does_not_exist_is_refused(change, text) -> None:
    with pytest.raises(ConfigError, match=text):
        LifterNetworkConfig(**change)


class TestRollouts:
    @pytest.fixture
    def task(self, plan) -> DiffusionTask:
        list(run(plan("context", steps=3)).trainer.run())
        job = run({**plan("starpose"), "rollouts": 0.25})
        self.batch = job.trainer.dataset[0]
        assert isinstance(job.trainer.loss, DiffusionTask)
        return job.trainer.loss

    def test_the_configured_share_of_the_steps_learns_from_them(self, task, monkeypatch) -> None:
        steps = []
        plain = task._rolled_out
        monkeypatch.setattr(task, "_rolled_out", lambda batch: steps.append(now) or plain(batch))
        for now in range(8):
            total, _ = task(self.batch, now)
            assert torch.isfinite(total)
        assert steps == [0, 4]

    def test_they_are_what_the_lifter_answers_online_and_training_goes_on(self, task) -> None:
        from diffpose_ros.training.rollout import rollout

        task(self.batch, 0)
        before = [m.training for m in task.network.modules()]
        answers = task._rolled_out(self.batch)
        assert [m.training for m in task.network.modules()] == before
        online = rollout(task.network, self.batch, guidance=(0, 0, 0, 0), steps=(50, 0), hypotheses=1)
        assert torch.equal(answers, online.mean)
        assert answers.shape == self.batch["pose"].shape

    @pytest.mark.parametrize("share", [-0.1, 1.5])
    def test_a_share_out_of_range_is_refused(self, plan, share) -> None:
        with pytest.raises(ConfigError, match=rf"rollouts: expected a share from 0 to 1, got {share}"):
            run({**plan("starpose"), "rollouts": share})

    def test_a_lifter_without_history_has_nothing_to_roll_out(self, plan) -> None:
        with pytest.raises(ConfigError, match="rollouts: task diffpose has no history to roll out"):
            run({**plan("diffpose"), "rollouts": 0.5})
