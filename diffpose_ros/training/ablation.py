"""What each part of a training is worth: short trainings with one thing changed at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from diffpose_ros.core import ConfigError, InputError
from diffpose_ros.core.files import write_text
from diffpose_ros.core.typed_config import from_mapping, read_yaml
from diffpose_ros.data import benchmark
from diffpose_ros.evaluation import report
from diffpose_ros.evaluation.protocol import Prediction
from diffpose_ros.evaluation.protocol_batched import GROUP, run_together
from diffpose_ros.evaluation.report import Scores
from diffpose_ros.lifting import Lifter, LifterConfig
from diffpose_ros.training.model_card import time_spent
from diffpose_ros.training.recipe import Recipe, merged, parse_recipe, read_mapping
from diffpose_ros.training.stage_record import file_hash
from diffpose_ros.training.stages import RecipeRun

SLOW_HZ = 10.0
Answer = Callable[[Sequence[benchmark.Sequence]], list[Prediction]]


@dataclass(frozen=True)
class Variant:
    """One training: its name and its whole recipe."""

    name: str
    recipe: Recipe


@dataclass(frozen=True)
class Plan:
    """What is compared: a title, what to say of it, the variants with the settings of all."""

    title: str
    about: str
    variants: list[Variant]


@dataclass(frozen=True)
class _PlanFile:
    """An ablation's YAML."""

    base: str
    variants: dict[str, dict[str, Any] | None]
    title: str = "Ablation"
    about: str = ""
    changes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.variants:
            raise ConfigError("variants: expected at least one, got none")


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

    A variant is a change of the base, which is a recipe; one with a ``base`` of its own is a change of that.

    Raises:
        ConfigError: unreadable, or a variant is no valid recipe; the message names file, variant and key.
    """
    path = Path(path)
    content = from_mapping(_PlanFile, read_yaml(path, "ablation"), str(path))
    variants = []
    for name, change in content.variants.items():
        own = dict(change or {})
        base = read_mapping(path.parent / str(own.pop("base", content.base)))
        merged_all = merged(merged(base, content.changes), own)
        variants.append(Variant(name, parse_recipe(merged_all, f"{path}: variant '{name}'")))
    return Plan(content.title, content.about.strip(), variants)


def run_variant(
    variant: Variant,
    folder: Path,
    sequences: Sequence[benchmark.Sequence],
    *,
    data: Sequence[str] | None = None,
    encoder: str | None = None,
    threads: int | None = None,
    restart: bool = False,
    note: Callable[[int, int], None] = lambda step, steps: None,
) -> Outcome:
    """Train one variant (going on where it was stopped) and score it; done ones are read back.

    Args:
        variant: what to train.
        folder: of all variants; each gets its own below.
        sequences: the benchmark.
        data: motion capture, the recipe's when omitted.
        encoder: checkpoint of a context encoder to take; only lifters have one.
        threads: CPU threads, the recipe's when omitted.
        restart: begin anew what was made with other settings.
        note: called with (step, steps).

    Raises:
        ConfigError: the folder holds the variant made with something else.
    """
    own = folder / re.sub(r"[^a-z0-9]+", "-", variant.name.lower()).strip("-")
    recipe = replace(variant.recipe, output=str(own), data=tuple(data or variant.recipe.data))
    if recipe.lifter is not None:
        # Variants are compared without guidance, whose weights would be another thing that differs.
        recipe = replace(recipe, name="lifter", calibration=replace(recipe.calibration, guidance=False))
        if encoder:
            recipe = replace(recipe, encoder=replace(recipe.encoder, checkpoint=encoder))
    if threads is not None:
        recipe = recipe.tuned(threads=threads)
    work = RecipeRun(recipe)
    work.run(lambda stage, step, _: note(step, stage.steps), restart=restart)
    made = work.stages[-1].folder
    logs = [s.folder / "log.jsonl" for s in work.stages if s.steps]
    steps = sum(s.steps for s in work.stages)
    seconds = sum(time_spent(log)[1] for log in logs)
    done = own / "scores.json"
    key = file_hash(made / "model.safetensors")
    if done.exists():
        kept = json.loads(done.read_text())
        if kept.get("model") == key:
            return Outcome(variant.name, steps, seconds, Scores(**kept["scores"]), Scores(**kept["slow"]))
    answer = _lifter(made)
    outcome = Outcome(
        variant.name, steps, seconds,
        report.score(answer(sequences)),
        report.score(answer([s.thinned(SLOW_HZ) for s in sequences])),
    )  # fmt: skip
    text = {"model": key, "scores": outcome.scores.as_dict(), "slow": outcome.slow.as_dict()}
    write_text(done, json.dumps(text))
    return outcome


def _lifter(folder: Path) -> Answer:
    """Run as on a robot, without guidance."""

    def answer(sequences: Sequence[benchmark.Sequence]) -> list[Prediction]:
        lifter = Lifter(
            LifterConfig(
                model=folder / "model.onnx", backend="onnxruntime",
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
    sampled = any(v.recipe.lifter is not None for v in plan.variants)
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
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot write the plot ({error})") from None


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
