"""What each part of the training data is worth: short trainings with one part left out at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from diffpose_ros.core import ConfigError
from diffpose_ros.data import benchmark
from diffpose_ros.evaluation import report
from diffpose_ros.evaluation.context_only import run_encoder
from diffpose_ros.evaluation.report import Scores
from diffpose_ros.models.context_encoder import ContextEncoder
from diffpose_ros.training.build import build, load_into
from diffpose_ros.training.config import TrainingConfig, from_mapping

SLOW_HZ = 10.0


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


def load_variants(path: str | Path) -> list[Variant]:
    """Read an ablation YAML: ``base``, ``changes`` for all, and named ``variants``, each a change.

    Raises:
        ConfigError: unreadable, or a variant is no valid configuration of task ``context``.
    """
    path = Path(path)
    content = _mapping(path)
    unknown = set(content) - {"base", "changes", "variants"}
    if unknown or "base" not in content or not content.get("variants"):
        raise ConfigError(
            f"{path}: expected 'base', 'variants' and perhaps 'changes', "
            f"got {', '.join(content) or 'nothing'}"
        )
    base = _merged(_mapping(path.parent / content["base"]), content.get("changes") or {})
    out = []
    for name, change in content["variants"].items():
        config = from_mapping(TrainingConfig, _merged(base, change or {}), str(name))
        if config.task != "context":
            raise ConfigError(f"{path}: variant '{name}': expected task context, got {config.task}")
        out.append(Variant(str(name), config))
    return out


def run_variant(
    variant: Variant,
    folder: Path,
    sequences: Sequence[benchmark.Sequence],
    *,
    data: str | None = None,
    threads: int | None = None,
    note: Callable[[int, int], None] = lambda step, steps: None,
) -> Outcome:
    """Train one variant (going on where it was stopped) and score it; done ones are read back.

    Args:
        variant: what to train.
        folder: of all variants' checkpoints; each gets its own below.
        sequences: the benchmark.
        data: motion capture file, the configuration's when omitted.
        threads: CPU threads, likewise.
        note: called with (step, steps).
    """
    own = folder / re.sub(r"[^a-z0-9]+", "-", variant.name.lower()).strip("-")
    done = own / "scores.json"
    config = replace(variant.config, output=str(own), data=data or variant.config.data)
    if done.exists():
        kept = json.loads(done.read_text())
        if kept["steps"] == config.optimiser.steps:
            return Outcome(
                variant.name, kept["steps"], kept["seconds"],
                Scores(**kept["scores"]), Scores(**kept["slow"]),
            )  # fmt: skip
    if threads is not None:
        config = replace(config, optimiser=replace(config.optimiser, threads=threads))
    job = build(config)
    steps = config.optimiser.steps
    for progress in job.trainer.run():
        note(progress.step, steps)
    seconds = _seconds(own / "log.jsonl")
    encoder = job.module
    assert isinstance(encoder, ContextEncoder)
    load_into(encoder, own / "model.safetensors")
    encoder.eval()
    outcome = Outcome(
        variant.name, steps, seconds,
        report.score(run_encoder(encoder, sequences)),
        report.score(run_encoder(encoder, [s.thinned(SLOW_HZ) for s in sequences])),
    )  # fmt: skip
    done.write_text(
        json.dumps(
            {"steps": steps, "seconds": seconds, "scores": outcome.scores.as_dict(),
             "slow": outcome.slow.as_dict()},
        )
    )  # fmt: skip
    return outcome


def page(outcomes: Sequence[Outcome], *, frames: int) -> str:
    """The table as a markdown page; differences are to the first outcome."""
    first = outcomes[0]
    rows = [
        "# What each part of the training data is worth",
        "",
        "Written by `diffpose_ros ablate config/ablation/data.yaml`; do not edit. The context encoder "
        f"alone, trained from scratch for {first.steps:,} steps with one part left out at a time, and "
        f"scored on {frames:,} frames of people, cameras and detector noise that it has not seen. "
        "Short trainings: compare within the table. The second row has the first one's data and another "
        "seed, and so shows which differences mean nothing.",
        "",
        f"| training data | MPJPE | P-MPJPE | MPJVE | ACC-ERR | MPJPE at {SLOW_HZ:g} Hz | against all |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for o in outcomes:
        s = o.scores
        off = s.mpjpe_mm - first.scores.mpjpe_mm
        rows.append(
            f"| {o.name} | {s.mpjpe_mm:.1f} | {s.p_mpjpe_mm:.1f} | {_number(s.mpjve_mm)} | "
            f"{_number(s.acc_err_mm)} | {o.slow.mpjpe_mm:.1f} | {'' if o is first else f'{off:+.1f}'} |"
        )
    return "\n".join(rows) + "\n"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _mapping(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML ({error})") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a mapping")
    return content


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
