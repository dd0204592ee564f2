"""What each part of a training is worth: short trainings with one thing changed at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from diffpose_ros.core import ConfigError, InputError
from diffpose_ros.core.files import whole, write_text
from diffpose_ros.data import benchmark
from diffpose_ros.evaluation import report
from diffpose_ros.evaluation.context_only import run_encoder
from diffpose_ros.evaluation.protocol import Prediction
from diffpose_ros.evaluation.protocol_batched import GROUP, run_together
from diffpose_ros.evaluation.report import Scores
from diffpose_ros.lifting import Lifter, LifterConfig
from diffpose_ros.methods.diffusion.context_encoder import ContextEncoder
from diffpose_ros.onnxgraph.fp16_weights import round_weights
from diffpose_ros.training.build import Job, build, load_into
from diffpose_ros.training.calibration import calibrate, held_out, write_model
from diffpose_ros.training.config import TrainingConfig, from_mapping, read_yaml

SLOW_HZ = 10.0
Answer = Callable[[Sequence[benchmark.Sequence]], list[Prediction]]


@dataclass(frozen=True)
class Plan:
    """What is compared: a title, what to say of it, the variants, and the settings of all."""

    title: str
    about: str
    variants: list[Variant]


@dataclass(frozen=True)
class Variant:
    """One training: its name and its whole configuration."""

    name: str
    config: TrainingConfig


@dataclass(frozen=True)
class Outcome:
    """Scores of a variant, at the benchmark's own frame rate and at :data:`SLOW_HZ`."""

    name: str
    steps: int
    seconds: float
    scores: Scores
    slow: Scores


def load_plan(path: str | Path) -> Plan:
    """Read an ablation YAML: ``title``, ``about``, ``base``, ``changes`` for all, ``variants`` by name.

    A variant is a change of the base; one with a ``base`` of its own is a change of that.

    Raises:
        ConfigError: unreadable, or a variant is no valid configuration.
    """
    path = Path(path)
    content = read_yaml(path)
    unknown = set(content) - {"title", "about", "base", "changes", "variants"}
    if unknown or "base" not in content or not content.get("variants"):
        raise ConfigError(
            f"{path}: expected 'base', 'variants' and perhaps 'title', 'about', 'changes', "
            f"got {', '.join(content) or 'nothing'}"
        )
    variants = []
    for name, change in content["variants"].items():
        own = dict(change or {})
        base = read_yaml(path.parent / own.pop("base", content["base"]))
        merged = _merged(_merged(base, content.get("changes") or {}), own)
        variants.append(Variant(str(name), from_mapping(TrainingConfig, merged, str(name))))
    return Plan(str(content.get("title", "Ablation")), str(content.get("about", "")).strip(), variants)


def run_variant(
    variant: Variant,
    folder: Path,
    sequences: Sequence[benchmark.Sequence],
    *,
    data: str | None = None,
    context: str | None = None,
    threads: int | None = None,
    note: Callable[[int, int], None] = lambda step, steps: None,
) -> Outcome:
    """Train one variant (going on where it was stopped) and score it; done ones are read back.

    Args:
        variant: what to train.
        folder: of all variants' checkpoints; each gets its own below.
        sequences: the benchmark.
        data: motion capture file, the configuration's when omitted.
        context: checkpoint of the context encoder, likewise; only lifters have one.
        threads: CPU threads, likewise.
        note: called with (step, steps).
    """
    own = folder / re.sub(r"[^a-z0-9]+", "-", variant.name.lower()).strip("-")
    done = own / "scores.json"
    config = replace(variant.config, output=str(own), data=data or variant.config.data)
    if config.task != "context":
        config = replace(config, context=context or config.context)
    if done.exists():
        kept = json.loads(done.read_text())
        if kept["steps"] == config.optimiser.steps:
            return Outcome(
                variant.name, kept["steps"], kept["seconds"],
                Scores(**kept["scores"]), Scores(**kept["slow"]),
            )  # fmt: skip
    if threads is not None:
        config = replace(config, optimiser=replace(config.optimiser, threads=threads))
    torch.compiler.reset()  # what was compiled for other variants counts against a limit
    job = build(config)
    steps = config.optimiser.steps
    for progress in job.trainer.run():
        note(progress.step, steps)
    seconds = _seconds(own / "log.jsonl")
    load_into(job.module, own / "model.safetensors")
    job.module.eval().to("cpu")
    answer = _encoder(job) if job.lifter is None else _lifter(job, config, own)
    outcome = Outcome(
        variant.name, steps, seconds,
        report.score(answer(sequences)),
        report.score(answer([s.thinned(SLOW_HZ) for s in sequences])),
    )  # fmt: skip
    write_text(
        done,
        json.dumps(
            {"steps": steps, "seconds": seconds, "scores": outcome.scores.as_dict(),
             "slow": outcome.slow.as_dict()},
        ),
    )  # fmt: skip
    return outcome


def _encoder(job: Job) -> Answer:
    encoder = job.module
    assert isinstance(encoder, ContextEncoder)
    return lambda sequences: run_encoder(encoder, sequences)


def _lifter(job: Job, config: TrainingConfig, folder: Path) -> Answer:
    """Calibrated, exported and run as on a robot, without guidance."""
    assert job.lifter is not None
    round_weights(job.lifter)
    library = job.trainer.dataset.library
    calibrate(job.lifter, held_out(library, config.synthesis, batches=2, batch=16))
    write_model(job.lifter, folder / "model", name=config.task, card="")

    def answer(sequences: Sequence[benchmark.Sequence]) -> list[Prediction]:
        lifter = Lifter(
            LifterConfig(
                model=folder / "model" / "model.onnx", backend="onnxruntime",
                max_people=GROUP, guidance=False, keep_hypotheses=True,
            )
        )  # fmt: skip
        try:
            return run_together(lifter, sequences)
        finally:
            lifter.close()

    return answer


def page(plan: Plan, outcomes: Sequence[Outcome]) -> str:
    """The table as markdown; differences are to the first outcome."""
    first = outcomes[0]
    sampled = any(v.config.task != "context" for v in plan.variants)
    head = ["variant", "steps", "MPJPE", "P-MPJPE", "MPJVE", "ACC-ERR", f"MPJPE at {SLOW_HZ:g} Hz"]
    head += ["min-of-N MPJPE", "1 sigma, %"] if sampled else []
    rows = [f"## {plan.title}", "", plan.about, "", _row([*head, "against the first"]),
            _row(["---", *["---:"] * len(head)])]  # fmt: skip
    for o in outcomes:
        s = o.scores
        cells = [o.name, f"{o.steps:,}", _number(s.mpjpe_mm), _number(s.p_mpjpe_mm),
                 _number(s.mpjve_mm), _number(s.acc_err_mm), _number(o.slow.mpjpe_mm)]  # fmt: skip
        if sampled:
            cells += [_number(s.min_of_n_mpjpe_mm), _number(100 * s.coverage_1sigma)]
        off = s.mpjpe_mm - first.scores.mpjpe_mm
        rows.append(_row([*cells, "" if o is first else f"{off:+.1f}"]))
    return "\n".join(rows) + "\n"


def plot(plan: Plan, outcomes: Sequence[Outcome], path: Path) -> None:
    """MPJPE and P-MPJPE of each variant, a dot each; the first one's as lines.

    Raises:
        InputError: matplotlib is not here, or the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("--plot needs matplotlib (pip install matplotlib)") from None
    figure = Figure(figsize=(8, 1.2 + 0.32 * len(outcomes)), layout="constrained")
    panels = FigureCanvasAgg(figure).figure.subplots(1, 2, sharey=True)
    rows = range(len(outcomes))
    for axes, label, key in zip(panels, ("MPJPE", "P-MPJPE"), ("mpjpe_mm", "p_mpjpe_mm"), strict=True):
        values = [getattr(o.scores, key) for o in outcomes]
        axes.axvline(values[0], color="gray", linewidth=0.8)
        axes.plot(values, rows, "o")
        axes.set(xlabel=f"{label}, mm", yticks=list(rows), yticklabels=[o.name for o in outcomes])
        axes.grid(alpha=0.3, axis="x")
    panels[0].invert_yaxis()
    figure.suptitle(plan.title)
    try:
        with whole(path) as part:
            figure.savefig(part, dpi=110)
    except ValueError as error:
        raise InputError(f"{path}: cannot write the plot ({error})") from None


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """``base`` with the leaves of ``change``; ``rates_hz`` is a table and replaced whole."""
    out = deepcopy(base)
    for key, value in change.items():
        deep = isinstance(value, dict) and isinstance(out.get(key), dict) and key != "rates_hz"
        out[key] = _merged(out[key], value) if deep else deepcopy(value)
    return out


def _seconds(log: Path) -> float:
    """Time spent training; the clock of a log starts anew at each resumption."""
    total = last = 0.0
    for line in log.read_text().splitlines():
        now = float(json.loads(line)["seconds"])
        total += last if now < last else 0.0
        last = now
    return total + last
