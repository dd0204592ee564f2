"""docs/results.md: what was measured, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from diffpose_ros.evaluation import per_action
from diffpose_ros.evaluation.report import Scores
from diffpose_ros.evaluation.results import (
    CONTEXT,
    DRIFT_BLOCK,
    ENERGIES,
    LADDER,
    OTHERS,
    PAPER_WEIGHTS,
    STARPOSE,
    Results,
)

REFERENCE = ("Single-frame residual MLP, same training data", (80.8, 53.2, 52.3, 87.5))
"""What a network without a past reaches on the benchmark of 36 sequences, 4,976 frames."""

REFERENCE_SIZE = (36, 4976)
_MAIN = {
    "MPJPE": "mpjpe_mm", "P-MPJPE": "p_mpjpe_mm", "N-MPJPE": "n_mpjpe_mm", "PCK@150": "pck150",
    "AUC": "auc", "MPJVE": "mpjve_mm", "ACC-ERR": "acc_err_mm",
}  # fmt: skip
_SPREAD = {
    "1 sigma": "coverage_1sigma", "2 sigma": "coverage_2sigma", "MPJPE": "mpjpe_mm",
    "min-of-N MPJPE": "min_of_n_mpjpe_mm", "root": "root_error_mm",
}  # fmt: skip
_PLACES = {
    "root": "root_error_mm", "root velocity": "root_velocity_error_mm", "1 sigma": "root_coverage_1sigma",
    "MPJPE": "mpjpe_mm",
}  # fmt: skip
_SWEPT = {
    "MPJPE": "mpjpe_mm", "P-MPJPE": "p_mpjpe_mm", "MPJVE": "mpjve_mm", "ACC-ERR": "acc_err_mm",
    "min-of-N MPJPE": "min_of_n_mpjpe_mm", "1 sigma": "coverage_1sigma", "2 sigma": "coverage_2sigma",
}  # fmt: skip
_SWEEPS = {
    "hypotheses": ("Hypotheses, N", "N", "The noise of all N is whitened together, so even a few "
                   "hypotheses have the right mean. N = 1 has no spread; a deadline leaves at least 2."),
    "steps": ("DDIM steps", "steps", "The graphs as shipped, K = 50."),
    "window": ("Context window, L", "L", "Frames in the context encoder's memory. It was trained with "
               "{window}."),
    "rate": ("Frame rate", "Hz", "The same motions, seen by slower cameras. MPJVE and ACC-ERR are per "
             "frame, so they grow with the time between frames."),
}  # fmt: skip


def page(results: Results, plots: Mapping[str, str]) -> str:
    """The whole page.

    Args:
        results: what was measured.
        plots: sweep -> the image's path relative to the page; may lack any.
    """
    first = next(iter(results.overall.values()))
    lines = [
        "# Results", "",
        "`diffpose_ros results` writes this page from the shipped weights; do not edit it. Everything is "
        f"causal: each frame is lifted from itself and earlier frames. {first.sequences} sequences, "
        f"{first.frames:,} frames, with people, cameras and detector noise unseen in training, and without "
        "gravity unless stated. Errors are in millimetres, MPJVE per frame, ACC-ERR per frame²; shares are "
        "in percent.", "",
        "## Overall", "", *_overall(results), "",
        "## Does the papers' order hold?", "", *order(results.overall), "",
        "[ablation.md](ablation.md) has the same ladder around a frame-based context encoder, and the value "
        "of each part of data and lifters in training, including K and M.", "",
        "## Uncertainty and position", "",
        "The table shows how often the true coordinate lies within one and two sigma of the covariance "
        "(calibrated: 68.3 and 95.4), and the error of the absolute root. **Min-of-N** uses the truth to "
        "choose the best hypothesis. It is an oracle, comparable only with other figures of that name.", "",
        *_table("", _SPREAD, results.overall), "",
        *_places(results),
        "## Per action", "", *_groups("actions", results.per_action), "",
        "## Per subject", "", *_groups("subjects", results.per_subject), "",
        "## Sweeps", "",
        f"StarPose on sequences spread evenly over the file ({results.sweep_frames:,} frames only, to save "
        "time). Compare figures within a table, not with the tables above.", "",
    ]  # fmt: skip
    for name, rows in results.sweeps.items():
        title, unit, text = _SWEEPS[name]
        text = text.format(window=results.window)
        lines += [f"### {title}", "", text, "", *_table(unit, _SWEPT, _named(rows)), ""]
        lines += _plot(plots, name, title)
    lines += _guidance(results, plots)
    lines += _drift(results)
    if results.notes:
        lines += ["## Not measured", "", *(f"- {n}" for n in results.notes), ""]
    return "\n".join(lines)


def order(overall: Mapping[str, Scores]) -> list[str]:
    """Say, from the MPJPE, where each rung of the ladder is better than the one before."""
    rungs = [n for n in LADDER if n in overall]
    lines = ["| from | to | MPJPE | ACC-ERR | better? |", "| --- | --- | ---: | ---: | --- |"]
    for before, after in zip(rungs[:-1], rungs[1:], strict=True):
        a, b = overall[before], overall[after]
        gain = b.mpjpe_mm - a.mpjpe_mm
        steadier = "-" if a.acc_err_mm is None or b.acc_err_mm is None else (
            f"{b.acc_err_mm - a.acc_err_mm:+.1f}"
        )  # fmt: skip
        # A tenth of a millimetre is less than what another seed changes.
        word = "yes" if gain < -0.1 else "the same" if gain <= 0.1 else "**no**"
        lines.append(f"| {before} | {after} | {gain:+.1f} | {steadier} | {word} |")
    return lines


def _overall(results: Results) -> list[str]:
    table = _table("", _MAIN, results.overall)
    first = next(iter(results.overall.values()))
    if (first.sequences, first.frames) == REFERENCE_SIZE:
        name, (mpjpe, p_mpjpe, mpjve, acc) = REFERENCE
        cells = [f"{mpjpe}", f"{p_mpjpe}", "-", "-", "-", f"{mpjve}", f"{acc}"]
        table.insert(2, f"| {name} | {' | '.join(cells)} |")
    if CONTEXT in results.overall:
        table += ["", f"*{CONTEXT}* is the pretrained causal network that DiffPose, StarPose and "
                  "FinePOSE share, with its own (x, y, z)."]  # fmt: skip
    if OTHERS["zedo"] in results.overall:
        table += ["", f"*{OTHERS['zedo']}* is trained on skeletons alone, without cameras or keypoints."]
    return table


def _places(results: Results) -> list[str]:
    if not results.places:
        return []
    return [
        "## Where people stand", "",
        f"{STARPOSE}, with different knowledge of its surroundings: the error of the root and of its "
        "velocity (per frame), and how often the true coordinate lies within one sigma of the root's "
        "covariance.", "",
        *_table("knowing", _PLACES, results.places), "",
    ]  # fmt: skip


def _groups(what: str, scores: Mapping[str, Mapping[str, Scores]]) -> list[str]:
    out = []
    for label, metric in (("MPJPE", "mpjpe_mm"), ("P-MPJPE", "p_mpjpe_mm"), ("MPJVE", "mpjve_mm")):
        out += [f"{label}, mm; Avg. is the mean over {what}:", "",
                per_action.table(scores, metric), ""]  # fmt: skip
    return out[:-1]


def _guidance(results: Results, plots: Mapping[str, str]) -> list[str]:
    if not results.guidance:
        return []
    own = ", ".join(f"{n} {w:g}" for n, w in zip(ENERGIES, results.weights, strict=True))
    whose = "the papers', as the model has none" if results.weights_are_the_papers else "as shipped"
    papers = ", ".join(f"{w:g}" for w in PAPER_WEIGHTS)
    lines = [
        "### Guidance weights, lambda",
        "",
        f"Each table multiplies the weight of one energy and keeps the others ({own}; {whose}). An energy "
        f"with weight 0 is varied around the papers' weight ({papers}).",
        "",
    ]
    for energy, rows in results.guidance.items():
        shown = {f"{energy} x {m:g}": s for m, s in rows.items()}
        lines += [*_table("", _SWEPT, shown), ""]
    return lines + _plot(plots, "guidance", "Guidance weights")


def _drift(results: Results) -> list[str]:
    if not results.drift_mm:
        return []
    cells = [f"{v:.1f}" for v in results.drift_mm]
    head = [f"{i * DRIFT_BLOCK + 1}-" for i in range(len(cells))]
    return [
        "### Drift", "",
        f"{STARPOSE} on one sequence, played forwards and backwards without a reset, so that its history "
        "holds only its own answers. MPJPE of consecutive blocks of frames:", "",
        f"| frames | {' | '.join(head)} |", f"| --- |{' ---: |' * len(cells)}",
        f"| MPJPE | {' | '.join(cells)} |", "",
    ]  # fmt: skip


def _named(rows: Mapping[float, Scores]) -> dict[str, Scores]:
    return {f"{value:g}": scores for value, scores in rows.items()}


def _plot(plots: Mapping[str, str], name: str, title: str) -> list[str]:
    return [f"![{title}]({plots[name]})", ""] if name in plots else []


def _table(corner: str, columns: Mapping[str, str], rows: Mapping[str, Scores]) -> list[str]:
    lines = [_row([corner, *columns]), _row(["---", *["---:"] * len(columns)])]
    for name, scores in rows.items():
        lines.append(_row([name, *(_cell(scores, field) for field in columns.values())]))
    return lines


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(scores: Scores, field: str) -> str:
    value = scores.as_dict()[field]
    if value is None:
        return "-"
    share = field in ("pck150", "auc") or "coverage" in field
    return f"{100 * value:.1f}" if share else f"{value:.1f}"
