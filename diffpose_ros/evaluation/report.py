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

    Errors are millimetres, ``mpjve_mm`` and ``root_velocity_error_mm`` per frame and ``acc_err_mm``
    per frame^2; shares (``pck150``, ``auc``, ``coverage_*``, ``root_coverage_1sigma``) are 0 to 1.
    ``None`` stands for what could not be measured: no hypotheses or covariances were kept, or
    sequences were too short for differences in time.
    """

    mpjpe_mm: float
    p_mpjpe_mm: float
    n_mpjpe_mm: float
    pck150: float
    auc: float
    mpjve_mm: float | None
    acc_err_mm: float | None
    min_of_n_mpjpe_mm: float | None
    joint_best_mpjpe_mm: float | None
    root_error_mm: float
    root_velocity_error_mm: float | None
    root_coverage_1sigma: float | None
    coverage_1sigma: float
    coverage_2sigma: float
    frames: int
    sequences: int
    unanswered_frames: int

    def as_dict(self) -> dict[str, float | int | None]:
        """Plain numbers under the names above, for JSON."""
        return asdict(self)


def score(predictions: Sequence[Prediction]) -> Scores:
    """Average the metrics over the frames that count, of all sequences.

    Frames that a sequence's ``valid`` leaves out were lifted, since later ones build on them, but
    count in no figure; differences in time stay within a sequence and need all their frames valid.

    Raises:
        InputError: there is nothing to score.
    """
    if not predictions:
        raise InputError("evaluation: expected at least one sequence, got none")
    counts = [_valid(p) for p in predictions]
    if not any(c.any() for c in counts):
        raise InputError("evaluation: expected at least one frame that counts, all are left out")
    predicted = np.concatenate([p.xyz[c] for p, c in zip(predictions, counts, strict=True)])
    true = np.concatenate([p.sequence.skeleton[c] for p, c in zip(predictions, counts, strict=True)])
    covariance = np.concatenate([p.covariance[c] for p, c in zip(predictions, counts, strict=True)])
    return Scores(
        mpjpe_mm=float(metrics.mpjpe(predicted, true).mean()),
        p_mpjpe_mm=float(metrics.p_mpjpe(predicted, true).mean()),
        n_mpjpe_mm=float(metrics.n_mpjpe(predicted, true).mean()),
        pck150=metrics.pck(predicted, true),
        auc=metrics.auc(predicted, true),
        mpjve_mm=_mean_over(predictions, metrics.mpjve),
        acc_err_mm=_mean_over(predictions, metrics.acc_err),
        min_of_n_mpjpe_mm=_oracle(predictions, counts, metrics.min_of_n_mpjpe),
        joint_best_mpjpe_mm=_oracle(predictions, counts, metrics.joint_best_mpjpe),
        root_error_mm=float(metrics.root_error(predicted, true).mean()),
        root_velocity_error_mm=_mean_over(predictions, metrics.root_velocity_error),
        root_coverage_1sigma=_root_coverage(predictions, counts),
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


def _valid(prediction: Prediction) -> NDArray[np.bool_]:
    """(F,) which frames count."""
    valid = prediction.sequence.valid
    return np.ones(len(prediction.xyz), dtype=bool) if valid is None else valid


def _oracle(
    predictions: Sequence[Prediction],
    counts: list[NDArray[np.bool_]],
    metric: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
) -> float | None:
    """Mean of what the truth chooses among hypotheses; ``None`` where some were not kept."""
    best = []
    for prediction, count in zip(predictions, counts, strict=True):
        if prediction.hypotheses is None:
            return None
        best.append(metric(prediction.hypotheses[count], prediction.sequence.skeleton[count]))
    return float(np.concatenate(best).mean())


def _root_coverage(predictions: Sequence[Prediction], counts: list[NDArray[np.bool_]]) -> float | None:
    """Share of the root's coordinates within one sigma; ``None`` where a covariance is missing."""
    inside = []
    for prediction, count in zip(predictions, counts, strict=True):
        if prediction.root_covariance is None:
            return None
        true = prediction.sequence.skeleton
        inside.append(metrics.root_inside_sigma(prediction.xyz, prediction.root_covariance, true, 1.0)[count])
    return float(np.concatenate(inside).mean())


def _mean_over(
    predictions: Sequence[Prediction],
    metric: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
) -> float | None:
    """Mean of a difference in time, (F - order,) per sequence, where all its frames count."""
    kept = []
    for prediction in predictions:
        values, valid = metric(prediction.xyz, prediction.sequence.skeleton), _valid(prediction)
        order = len(valid) - len(values)
        whole = np.ones(len(values), dtype=bool)
        for i in range(order + 1):
            whole &= valid[i : i + len(values)]
        kept.append(values[whole])
    all_values = np.concatenate(kept)
    return float(all_values.mean()) if all_values.size else None
