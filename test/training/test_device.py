"""Training on a GPU, as far as a machine without one can tell: on the meta device, whose tensors have
shapes and no values, and refuse to meet one of the CPU."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: training needs it")

from diffpose_ros.core import ConfigError  # noqa: E402
from diffpose_ros.core.typed_config import from_mapping
from diffpose_ros.training.build import build, pick_device  # noqa: E402
from diffpose_ros.training.config import TrainingConfig  # noqa: E402

ELSEWHERE = torch.device("meta")


class ByValue:
    """A table that is looked up by a tensor's value, which tensors of this device do not have."""

    def __getitem__(self, index):
        assert index.device == ELSEWHERE
        return torch.ones((), device=ELSEWHERE)


@pytest.mark.parametrize(
    ("task", "rollouts"), [("context", 0.0), ("diffpose", 0.0), ("starpose", 0.0), ("starpose", 1.0)]
)
def test_a_step_makes_nothing_on_the_cpu(plan, monkeypatch, task: str, rollouts: float) -> None:
    if task != "context":
        list(build(from_mapping(TrainingConfig, plan("context", steps=3))).trainer.run())
    job = build(from_mapping(TrainingConfig, {**plan(task, device="cpu"), "rollouts": rollouts}))
    trainer = job.trainer
    batch = trainer.dataset[0]
    monkeypatch.setattr(torch.Tensor, "__float__", lambda self: 0.0)  # a loss without a value
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # knows no such device
    trainer.module.to(ELSEWHERE)
    trainer.device = ELSEWHERE
    if task != "context":
        trainer.loss.alphas = trainer.loss.alphas.to(ELSEWHERE)
        job.lifter._buffers["covariance_few"] = ByValue()
    total, _ = trainer._loss(batch)
    assert total.device == ELSEWHERE
    total.backward()
    assert {p.grad.device for p in trainer.module.parameters() if p.grad is not None} == {ELSEWHERE}


def test_what_is_not_here_is_said() -> None:
    assert pick_device("cpu").type == "cpu"
    if torch.cuda.is_available():
        assert pick_device("auto").type == pick_device("cuda").type == "cuda"
        return
    assert pick_device("auto").type == "cpu"
    with pytest.raises(ConfigError, match="sees no CUDA GPU here; use cpu or auto"):
        pick_device("cuda")


def test_a_device_that_does_not_exist_is_refused(plan) -> None:
    with pytest.raises(ConfigError, match="device: expected auto, cpu or cuda, got 'tpu'"):
        from_mapping(TrainingConfig, plan(device="tpu"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_run_on_a_gpu_is_kept_and_resumed(plan) -> None:
    content = plan("context", device="cuda")
    for progress in build(from_mapping(TrainingConfig, content)).trainer.run():
        if progress.step == 3:
            break
    resumed = build(from_mapping(TrainingConfig, content)).trainer
    assert resumed.step == 3
    assert [p.step for p in resumed.run()] == [4, 5, 6]
