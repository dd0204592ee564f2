"""Predictions boiled down to the numbers that the papers print."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from diffpose_ros.core import InputError
from diffpose_ros.evaluation import metrics
from diffpose_ros.evaluation.protocol import Prediction


@dataclass(frozen=True)
class Scores:
    """Averages over frames; see :mod:`metrics` for each definition.

    Errors are millimetres, ``mpjve_mm`` per frame and ``acc_err_mm`` per frame^2; shares
    (``pck150``, ``auc``, ``coverage_*``) are 0 to 1. ``None`` stands for what could not be
    measured: no hypotheses were kept, or sequences were too short for differences in time.
    """

    mpjpe_mm: float
    p_mpjpe_mm: float
    n_mpjpe_mm: float
    pck150: float
    auc: float
    mpjve_mm: float | None
    acc_err_mm: float | None
    min_of_n_mpjpe_mm: float | None
    root_error_mm: float
    coverage_1sigma: float
    coverage_2sigma: float
    frames: int
    sequences: int
    unanswered_frames: int

    def as_dict(self) -> dict[str, float | int | None]:
        """Plain numbers under the names above, for JSON."""
        return asdict(self)


def score(predictions: Sequence[Prediction]) -> Scores:
    """Average the metrics over all frames of all sequences; differences stay within a sequence.

    Raises:
        InputError: there is nothing to score.
    """
    if not predictions:
        raise InputError("evaluation: expected at least one sequence, got none")
    pairs = [(p.xyz, p.sequence.skeleton) for p in predictions]
    predicted = np.concatenate([p for p, _ in pairs])
    true = np.concatenate([t for _, t in pairs])
    covariance = np.concatenate([p.covariance for p in predictions])
    best = None
    if all(p.hypotheses is not None for p in predictions):
        best = np.concatenate(
            [
                metrics.min_of_n_mpjpe(p.hypotheses, p.sequence.skeleton)  # type: ignore[arg-type]
                for p in predictions
            ]
        )
    return Scores(
        mpjpe_mm=float(metrics.mpjpe(predicted, true).mean()),
        p_mpjpe_mm=float(metrics.p_mpjpe(predicted, true).mean()),
        n_mpjpe_mm=float(metrics.n_mpjpe(predicted, true).mean()),
        pck150=metrics.pck(predicted, true),
        auc=metrics.auc(predicted, true),
        mpjve_mm=_mean_over(pairs, metrics.mpjve),
        acc_err_mm=_mean_over(pairs, metrics.acc_err),
        min_of_n_mpjpe_mm=None if best is None else float(best.mean()),
        root_error_mm=float(metrics.root_error(predicted, true).mean()),
        coverage_1sigma=float(metrics.inside_sigma(predicted, covariance, true, 1.0).mean()),
        coverage_2sigma=float(metrics.inside_sigma(predicted, covariance, true, 2.0).mean()),
        frames=len(true),
        sequences=len(predictions),
        unanswered_frames=sum(p.unanswered for p in predictions),
    )


def by(predictions: Sequence[Prediction], key: Callable[[Prediction], str]) -> dict[str, Scores]:
    """Scores of groups of sequences, for instance per action or per subject."""
    groups: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        groups.setdefault(key(prediction), []).append(prediction)
    return {name: score(group) for name, group in sorted(groups.items())}


def _mean_over(
    pairs: list[tuple[NDArray[np.float64], NDArray[np.float64]]],
    metric: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
) -> float | None:
    values = np.concatenate([metric(p, t) for p, t in pairs])
    return float(values.mean()) if values.size else None
