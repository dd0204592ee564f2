"""The figures of docs/results.md: the overall table, the ablation, the sweeps, the drift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from diffpose_ros.core import InputError
from diffpose_ros.data import benchmark
from diffpose_ros.evaluation import metrics, report
from diffpose_ros.evaluation.protocol import LifterLike, Prediction
from diffpose_ros.evaluation.protocol_batched import GROUP, run_together
from diffpose_ros.evaluation.report import Scores

ENERGIES = ("reprojection", "symmetry", "bone length variance", "differential variation")
PAPER_WEIGHTS = (1.0, 1.0, 0.01, 0.01)
"""lambda of the four energies as StarPose prints them."""

CONTEXT = "Context encoder alone, no diffusion"
DIFFPOSE, DIFFPOSE_STPG = "DiffPose", "DiffPose + STPG"
STARPOSE_PLAIN, STARPOSE = "StarPose without STPG", "StarPose"
LADDER = (CONTEXT, DIFFPOSE, DIFFPOSE_STPG, STARPOSE_PLAIN, STARPOSE)
"""From what should be worst to what should be best."""
REFINED = "StarPose + refine"
OTHERS = {
    "zedo": "ZeDO, zero-shot",
    "finepose": "FinePOSE",
    "unihpr": "UniHPR, by its embedding alone",
    "baseline_people": "Context encoder for other views and bodies",
}
"""Models beside the ladder, by name."""


@dataclass(frozen=True)
class Plan:
    """What to sweep.

    Attributes:
        hypotheses: N.
        windows: L, frames of context.
        multipliers: of each energy's weight, the others kept.
        rates_hz: frame rates; those above a file's own are left out.
        sweep_sequences: sequences in the sweeps, spread evenly over the file.
        drift_frames: length of the drift run.
    """

    hypotheses: tuple[int, ...] = (1, 2, 3, 5, 10, 20)
    windows: tuple[int, ...] = (1, 9, 27, 81, 243)
    multipliers: tuple[float, ...] = (0.0, 0.1, 0.3, 1.0, 3.0)
    rates_hz: tuple[float, ...] = (10.0, 15.0, 30.0)
    sweep_sequences: int = 12
    drift_frames: int = 2000


QUICK = Plan((1, 5), (1, 9), (0.0, 1.0), (10.0,), 3, 150)
"""Enough to see that everything runs."""


@dataclass
class Results:
    """What was measured.

    Attributes:
        overall: scores of each rung of :data:`LADDER` that could be measured, then of what else was.
        per_action: rung -> action -> scores, over the same frames.
        per_subject: rung -> subject -> scores, likewise.
        sweeps: sweep -> setting -> scores, on the sequences of the sweeps.
        guidance: energy -> multiplier -> scores, likewise.
        places: what the lifter is told of its surroundings -> scores, StarPose on all sequences.
        drift_mm: MPJPE of consecutive blocks of :data:`DRIFT_BLOCK` frames.
        weights: StarPose's guidance weights.
        weights_are_the_papers: the model has none of its own.
        window: frames of context that the model was made for.
        sweep_frames: frames in the sweeps.
        notes: what could not be measured, and why.
    """

    overall: dict[str, Scores] = field(default_factory=dict)
    per_action: dict[str, dict[str, Scores]] = field(default_factory=dict)
    per_subject: dict[str, dict[str, Scores]] = field(default_factory=dict)
    sweeps: dict[str, dict[float, Scores]] = field(default_factory=dict)
    guidance: dict[str, dict[float, Scores]] = field(default_factory=dict)
    places: dict[str, Scores] = field(default_factory=dict)
    drift_mm: list[float] = field(default_factory=list)
    weights: tuple[float, ...] = PAPER_WEIGHTS
    weights_are_the_papers: bool = False
    window: int = 81
    sweep_frames: int = 0
    notes: list[str] = field(default_factory=list)


DRIFT_BLOCK = 250


class Make(Protocol):
    """Starts a lifter: ``model`` is a name or path, the rest are fields of ``LifterConfig``."""

    def __call__(self, model: str, **settings: Any) -> LifterLike: ...


class Study:
    """Measures; each method adds one part to ``results``.

    Args:
        sequences: the benchmark. Only :meth:`places` uses what it knows of gravity and the floor.
        make: starts a lifter.
        baseline: name or path of the model without diffusion.
        diffpose: name or path of the model without history.
        starpose: name or path of the model with it.
        others: names or paths of models beside the ladder, each measured as it is shipped.
        plan: what to sweep.
        steps: DDIM steps that StarPose was exported with, the most first.
        weights: the guidance weights of the shipped StarPose; the papers' where it has none.
        window: frames of context that it was made for.
        note: called with what is being measured.
    """

    def __init__(
        self,
        sequences: Sequence[benchmark.Sequence],
        make: Make,
        *,
        baseline: str = "baseline",
        diffpose: str = "diffpose",
        starpose: str = "starpose",
        others: Sequence[str] = (),
        plan: Plan,
        steps: Sequence[int],
        weights: tuple[float, ...],
        window: int = 81,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        if not sequences:
            raise InputError("results: expected at least one sequence, got none")
        self.told, self.make, self.plan, self.note = list(sequences), make, plan, note
        self.sequences = [s.forgetting(gravity=True, camera_height=True) for s in sequences]
        self.baseline, self.diffpose, self.starpose = baseline, diffpose, starpose
        self.others = tuple(others)
        self.steps = tuple(steps)
        self.weights = tuple(weights) if any(weights) else PAPER_WEIGHTS
        count = min(plan.sweep_sequences, len(self.sequences))
        spread = np.linspace(0, len(self.sequences) - 1, count).round().astype(int)
        self.some = [self.sequences[i] for i in spread]
        self.results = Results(
            weights=self.weights,
            weights_are_the_papers=not any(weights),
            window=window,
            sweep_frames=sum(len(s) for s in self.some),
        )

    def ablation(self) -> None:
        """Measure each rung of :data:`LADDER` on all sequences."""
        off: dict[str, Any] = {"guidance": False}
        on: dict[str, Any] = {"guidance_weights": self.weights}
        for name, model, settings in (
            (CONTEXT, self.baseline, {}), (DIFFPOSE, self.diffpose, off), (DIFFPOSE_STPG, self.diffpose, on),
            (STARPOSE_PLAIN, self.starpose, off), (STARPOSE, self.starpose, on),
        ):  # fmt: skip
            self.note(name)
            self._keep(name, self._run(model, self.sequences, keep_hypotheses=True, **settings))

    def beside(self) -> None:
        """Measure StarPose with its poses refined, and the models beside the ladder, on all sequences."""
        rows: dict[str, tuple[str, dict[str, Any]]] = {
            REFINED: (self.starpose, {"guidance_weights": self.weights, "refine": True})
        }
        for model in self.others:
            rows[OTHERS.get(model, Path(model).stem)] = (model, {})
        for name, (model, settings) in rows.items():
            self.note(name)
            self._keep(name, self._run(model, self.sequences, keep_hypotheses=True, **settings))

    def places(self) -> None:
        """Measure where people stand, by what is known of gravity and the floor."""
        rows = {"nothing": self.sequences}
        if any(s.around.up is not None for s in self.told):
            rows["gravity"] = [s.forgetting(gravity=False, camera_height=True) for s in self.told]
        if any(s.around.camera_height is not None for s in self.told):
            rows["gravity and the camera's height"] = self.told
        for name, sequences in rows.items():
            self.note(f"places, knowing {name}")
            kept = self._run(self.starpose, sequences, guidance_weights=self.weights)
            self.results.places[name] = report.score(kept)

    def sweeps(self) -> None:
        """Vary N, steps, L and the frame rate of StarPose."""
        out: dict[str, dict[float, Scores]] = {}
        for name, key, values in (
            ("hypotheses", "hypotheses", self.plan.hypotheses),
            ("steps", "steps", tuple(sorted(self.steps))),
            ("window", "window", self.plan.windows),
        ):
            out[name] = {v: self._score(name, v, self.some, **{key: v}) for v in values}
        slowest = min(s.fps for s in self.some)
        out["rate"] = {
            hz: self._score("rate", hz, [s.thinned(hz) for s in self.some])
            for hz in self.plan.rates_hz
            if hz <= slowest
        }
        self.results.sweeps = out

    def guidance(self) -> None:
        """Vary the weight of one energy at a time, the others kept.

        An energy that is off is varied around the papers' weight for it.
        """
        done: dict[tuple[float, ...], Scores] = {}
        for i, energy in enumerate(ENERGIES):
            base = self.weights[i] or PAPER_WEIGHTS[i]
            rows = {}
            for m in self.plan.multipliers:
                weights = (*self.weights[:i], base * m, *self.weights[i + 1 :])
                if weights not in done:
                    done[weights] = self._score(f"{energy} x", m, self.some, guidance_weights=weights)
                rows[m] = done[weights]
            self.results.guidance[energy] = rows

    def drift(self) -> None:
        """Play the longest sequence to and fro: does the lifter survive its own answers?"""
        longest = max(self.sequences, key=len)
        period = np.arange(len(longest))
        forth_and_back = np.concatenate([period, period[-2:0:-1]])
        index = np.resize(forth_and_back, self.plan.drift_frames)
        endless = replace(
            longest, keypoints=longest.keypoints[index], skeleton=longest.skeleton[index],
            valid=None,
        )  # fmt: skip
        self.note(f"drift over {len(index)} frames")
        (answer,) = self._run(self.starpose, [endless], guidance_weights=self.weights)
        error = metrics.mpjpe(answer.xyz, endless.skeleton)
        blocks = range(0, len(error), DRIFT_BLOCK)
        self.results.drift_mm = [float(error[i : i + DRIFT_BLOCK].mean()) for i in blocks]

    def _score(self, what: str, value: float, sequences: list[benchmark.Sequence], **settings: Any) -> Scores:
        self.note(f"{what} {value:g}")
        settings.setdefault("guidance_weights", self.weights)
        kept = self._run(self.starpose, sequences, keep_hypotheses=True, **settings)
        return report.score(kept)

    def _run(self, model: str, sequences: list[benchmark.Sequence], **settings: Any) -> list[Prediction]:
        lifter = self.make(model, max_people=GROUP, **settings)
        try:
            return run_together(lifter, sequences)
        finally:
            close = getattr(lifter, "close", None)
            if close is not None:
                close()

    def _keep(self, name: str, predictions: list[Prediction]) -> None:
        self.results.overall[name] = report.score(predictions)
        self.results.per_subject[name] = report.by(predictions, lambda p: p.sequence.subject or "(unnamed)")
        self.results.per_action[name] = report.by(predictions, lambda p: p.sequence.action or "(unnamed)")
