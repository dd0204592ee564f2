"""Scores per action as in the papers: 15 columns in their order, and the mean over columns.

Human3.6M's protocol gives every action the same weight, however many frames it has. Papers quote the
mean over actions, not over frames.
"""

from __future__ import annotations

from collections.abc import Mapping

from diffpose_ros.core import InputError
from diffpose_ros.data.formats.h36m import ACTIONS
from diffpose_ros.evaluation.report import Scores

AVERAGE = "Avg."
_SHORT = {
    "Directions": "Dir.", "Discussion": "Disc.", "Eating": "Eat", "Greeting": "Greet",
    "Phoning": "Phone", "Posing": "Pose", "Purchases": "Purch.", "Sitting": "Sit",
    "SittingDown": "SitD.", "Smoking": "Smoke", "Waiting": "Wait", "WalkDog": "WalkD.",
    "Walking": "Walk", "WalkTogether": "WalkT.",
}  # fmt: skip


def in_papers_order(scores: Mapping[str, Scores]) -> dict[str, Scores]:
    """The same scores, Human3.6M's actions first and in the papers' order, others by name."""
    known = [a for a in ACTIONS if a in scores]
    return {a: scores[a] for a in known + sorted(set(scores) - set(known))}


def mean_over_actions(scores: Mapping[str, Scores], metric: str = "mpjpe_mm") -> float | None:
    """Mean of one metric over actions, each with the same weight.

    Args:
        scores: per action, as ``report.by`` gives them.
        metric: a field of :class:`report.Scores`.

    Returns:
        The mean; ``None`` when the metric is missing for an action.

    Raises:
        InputError: there are no actions, or no such metric.
    """
    values = list(_values(scores, metric).values())
    numbers = [v for v in values if v is not None]
    return sum(numbers) / len(numbers) if len(numbers) == len(values) else None


def table(models: Mapping[str, Mapping[str, Scores]], metric: str = "mpjpe_mm") -> str:
    """A Markdown table: a row per model, a column per action, their mean last.

    Args:
        models: per model, scores per action. All models must have the same actions.
        metric: a field of :class:`report.Scores`.

    Raises:
        InputError: there are no models or actions, the models' actions differ, or no such metric.
    """
    if not models:
        raise InputError("table: expected at least one model, got none")
    actions = list(in_papers_order(next(iter(models.values()))))
    for name, scores in models.items():
        if set(scores) != set(actions):
            odd = ", ".join(sorted(set(scores) ^ set(actions)))
            raise InputError(f"table: '{name}' was not scored on the same actions: {odd}")
    head = ["model", *(_SHORT.get(a, a) for a in actions), AVERAGE]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, scores in models.items():
        values = _values(scores, metric)
        cells = [*(values[a] for a in actions), mean_over_actions(scores, metric)]
        rows.append([name, *("-" if v is None else f"{v:.1f}" for v in cells)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _values(scores: Mapping[str, Scores], metric: str) -> dict[str, float | None]:
    if not scores:
        raise InputError("scores: expected at least one action, got none")
    out = {}
    for action, score in scores.items():
        numbers = score.as_dict()
        if metric not in numbers:
            raise InputError(f"metric: expected one of {', '.join(numbers)}, got '{metric}'")
        out[action] = numbers[metric]
    return out
