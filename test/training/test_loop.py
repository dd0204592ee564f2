"""The training loop: resumable to the step, averaged, logged, deterministic."""

from __future__ import annotations

import json
import math
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: training needs it")
pytest.importorskip("safetensors", reason="safetensors is not installed: training needs it")

from safetensors.torch import load_file, save_file

from diffpose_ros.core import ModelError
from diffpose_ros.core.typed_config import from_mapping
from diffpose_ros.training.build import build
from diffpose_ros.training.config import OptimiserConfig, TrainingConfig
from diffpose_ros.training.loop import _left_alone, learning_rate


def job(content: dict, output: Path):
    return build(from_mapping(TrainingConfig, content | {"output": str(output)}))


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_run_that_was_stopped_ends_where_an_uninterrupted_one_does(plan, tmp_path, optimiser: str) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    content = plan(optimiser=optimiser)
    assert [p.step for p in job(content, whole).trainer.run()] == [1, 2, 3, 4, 5, 6]
    for progress in job(content, parts).trainer.run():
        if progress.step == 3:
            break
    resumed = job(content, parts).trainer
    assert resumed.step == 3
    assert [p.step for p in resumed.run()] == [4, 5, 6]
    for name in ("model", "resume"):
        expected = load_file(whole / f"{name}.safetensors")
        found = load_file(parts / f"{name}.safetensors")
        assert expected.keys() == found.keys()
        for key, tensor in expected.items():
            assert torch.equal(tensor, found[key]), key


def test_muon_moves_the_blocks_matrices_and_adamw_all_the_rest(plan, tmp_path) -> None:
    trainer = job(plan(optimiser="muon"), tmp_path / "run").trainer
    adamw, muon = trainer.optimisers
    moved = [[p for g in o.param_groups for p in g["params"]] for o in (adamw, muon)]
    names = {id(p): n for n, p in trainer.trainable.items()}
    assert sorted(names[id(p)] for m in moved for p in m) == sorted(trainer.trainable)
    assert all(p.dim() == 2 and names[id(p)].startswith("blocks.") for p in moved[1])
    assert "blocks.0.mlp.up.weight" in {names[id(p)] for p in moved[1]}
    assert "embed.weight" in {names[id(p)] for p in moved[0]}


def test_another_seed_is_another_run(plan, tmp_path) -> None:
    a = [p.loss for p in job(plan(steps=2), tmp_path / "a").trainer.run()]
    b = [p.loss for p in job(plan(steps=2), tmp_path / "b").trainer.run()]
    c = [p.loss for p in job(plan(steps=2, seed=1), tmp_path / "c").trainer.run()]
    assert a == b
    assert a != c


def test_the_average_lags_behind_the_weights_and_is_what_is_shipped(plan, tmp_path) -> None:
    run = job(plan(), tmp_path / "run")
    assert all(math.isfinite(p.loss) for p in run.trainer.run())
    shipped = load_file(tmp_path / "run" / "model.safetensors")
    moved = {n: p for n, p in run.module.named_parameters() if not torch.equal(p, shipped[n])}
    assert len(moved) > len(list(run.module.parameters())) / 2
    assert all(torch.equal(run.trainer.average[n], shipped[n]) for n in moved)


def test_every_step_leaves_a_line_in_the_log(plan, tmp_path) -> None:
    list(job(plan(), tmp_path / "run").trainer.run())
    lines = [json.loads(x) for x in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in lines] == [1, 2, 3, 4, 5, 6]
    assert all(entry["seconds"] >= 0 and math.isfinite(entry["loss"]) for entry in lines)
    assert {"pose", "velocity", "acceleration", "bone", "nll", "mpjpe_mm"} <= lines[0].keys()


def test_a_time_limit_saves_and_stops(plan, tmp_path) -> None:
    assert [p.step for p in job(plan(), tmp_path / "run").trainer.run(stop_after_s=0.0)] == [1]
    assert job(plan(), tmp_path / "run").trainer.step == 1


@pytest.mark.parametrize("when", ["in a step", "between steps"])
def test_an_interruption_saves_the_last_whole_step(plan, tmp_path, when: str) -> None:
    trainer = job(plan(save_every=100), tmp_path / "run").trainer
    steps = 0

    @contextmanager
    def shield():
        nonlocal steps
        yield
        steps += 1
        if when == "in a step" and steps == 2:
            raise KeyboardInterrupt

    def watch() -> None:
        for progress in trainer.run(shield=shield):
            if when == "between steps" and progress.step == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch()
    resumed = job(plan(save_every=100), tmp_path / "run").trainer
    assert resumed.step == 2
    list(resumed.run())
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6]


def test_the_log_forgets_steps_that_were_lost(plan, tmp_path) -> None:
    list(job(plan(), tmp_path / "run").trainer.run(stop_after_s=0.0))
    with (tmp_path / "run" / "log.jsonl").open("a") as log:
        log.write('{"step": 2, "loss": 9.0}\n{"step": 3, "lo')
    list(job(plan(), tmp_path / "run").trainer.run())
    lines = [json.loads(x) for x in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in lines] == [1, 2, 3, 4, 5, 6]
    assert lines[1]["loss"] != 9.0


def test_who_makes_batches_does_not_hear_ctrl_c(plan, tmp_path) -> None:
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        _left_alone(0)
        assert {signal.getsignal(s) for s in before} == {signal.SIG_IGN}
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _scribble(path: Path) -> None:
    path.write_text("weights")


def _foreign(path: Path) -> None:
    save_file({"step": torch.tensor(3), "weight.other": torch.zeros(2)}, path)


def _other_size(path: Path) -> None:
    state = load_file(path)
    state["weight.pose"] = torch.zeros(3, 99)
    save_file(state, path)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (_truncate, "not a readable safetensors checkpoint"),
        (_scribble, "not a readable safetensors checkpoint"),
        (_foreign, "made for another network"),
        (_other_size, "made for another network"),
    ],
    ids=["truncated", "not safetensors", "foreign", "another size"],
)
def test_a_checkpoint_that_cannot_be_resumed_is_named(plan, tmp_path, spoil, text: str) -> None:
    list(job(plan(steps=1), tmp_path / "run").trainer.run())
    spoil(tmp_path / "run" / "resume.safetensors")
    with pytest.raises(ModelError, match=rf"resume\.safetensors: {text}") as caught:
        job(plan(), tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_the_learning_rate_rises_then_falls_to_a_fiftieth() -> None:
    config = OptimiserConfig(steps=100, warmup=10, learning_rate=1.0)
    rates = [learning_rate(step, config) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[100] == pytest.approx(0.02)
