"""Plots of the sweeps: small PNG files beside the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from diffpose_ros.core import InputError
from diffpose_ros.core.files import whole
from diffpose_ros.evaluation.report import Scores
from diffpose_ros.evaluation.results import Results

_LABELS = {
    "hypotheses": "hypotheses N", "steps": "DDIM steps", "window": "context window L, frames",
    "rate": "frame rate, Hz",
}  # fmt: skip
_LOGARITHMIC = ("hypotheses", "window")


def draw(results: Results, folder: Path) -> dict[str, Path]:
    """Write a plot for each sweep; needs matplotlib.

    Args:
        results: what was measured.
        folder: where ``results_<sweep>.png`` go; made when it is missing.

    Returns:
        Sweep -> file.

    Raises:
        InputError: a file cannot be written.
        ModuleNotFoundError: matplotlib is not installed.
    """
    out = {}
    for name, rows in results.sweeps.items():
        if len(rows) > 1:
            out[name] = _save(folder, name, lambda axes, n=name, r=rows: _sweep(axes, n, r))  # type: ignore[misc]
    if any(len(rows) > 1 for rows in results.guidance.values()):
        out["guidance"] = _save(folder, "guidance", lambda axes: _guidance(axes, results))
    return out


def _sweep(axes: Any, name: str, rows: Mapping[float, Scores]) -> None:
    x = list(rows)
    error, steadiness = axes
    error.plot(x, [s.mpjpe_mm for s in rows.values()], "o-", label="MPJPE")
    error.plot(x, [s.p_mpjpe_mm for s in rows.values()], "s-", label="P-MPJPE")
    best = [s.min_of_n_mpjpe_mm for s in rows.values()]
    if all(v is not None for v in best):
        error.plot(x, best, "^:", label="min-of-N MPJPE (oracle)")
    if all(s.mpjve_mm is not None and s.acc_err_mm is not None for s in rows.values()):
        steadiness.plot(x, [s.mpjve_mm for s in rows.values()], "o-", label="MPJVE, mm/frame")
        steadiness.plot(x, [s.acc_err_mm for s in rows.values()], "s-", label="ACC-ERR, mm/frame²")
    for axis in axes:
        if name in _LOGARITHMIC:
            axis.set_xscale("log")
        axis.set_xticks(x, [f"{v:g}" for v in x])
        axis.minorticks_off()
        axis.set_xlabel(_LABELS[name])
    error.set_ylabel("mm")


def _guidance(axes: Any, results: Results) -> None:
    error, steadiness = axes
    for energy, rows in results.guidance.items():
        places = range(len(rows))
        error.plot(places, [s.mpjpe_mm for s in rows.values()], "o-", label=energy)
        if all(s.acc_err_mm is not None for s in rows.values()):
            steadiness.plot(places, [s.acc_err_mm for s in rows.values()], "o-", label=energy)
        for axis in axes:
            axis.set_xticks(places, [f"{m:g}" for m in rows])
            axis.set_xlabel("factor of the weight")
    error.set_ylabel("MPJPE, mm")
    steadiness.set_ylabel("ACC-ERR, mm/frame²")


def _save(folder: Path, name: str, paint: Callable[[Any], None]) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2)
    paint(axes)
    for axis in axes:
        axis.grid(alpha=0.3)
        if axis.has_data():
            axis.legend(fontsize=7)
    path = folder / f"results_{name}.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    with whole(path) as part:
        figure.savefig(part, dpi=80)
    return path
