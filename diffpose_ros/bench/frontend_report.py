"""The JSON of ``bench --frontend`` as tables and a plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffpose_ros.bench.frontend import STAGES
from diffpose_ros.bench.report import machine_line, people_label, save_figure, write_between

BEGIN, END = "<!-- frontend: begin -->", "<!-- frontend: end -->"
NEEDED = ("machine", "model", "size", "detector_size", "front_ends", "not_measured")


def markdown(data: Mapping[str, Any]) -> str:
    """Tables of latencies, with the machine's description."""
    width, height = data["size"]
    lines = [
        f"Images of {width}x{height}, detector size {data['detector_size']}, model `{data['model']}`.",
        "",
        machine_line(data["machine"]),
    ]
    for name, found in data["front_ends"].items():
        sizes = list(found["people"])
        lines += ["", f"### `{name}`", "", f"Networks on {found['reason']}.", ""]
        lines.append("| p50 / p99, ms | " + " | ".join(map(people_label, sizes)) + " |")
        lines.append("|---|" + "---|" * len(sizes))
        lines += [f"| {stage} | " + " | ".join(cells) + " |" for stage, cells in rows(found)]
    lines += [f"\n{key}: {why}." for key, why in data["not_measured"].items()]
    return "\n".join(lines) + "\n"


def rows(found: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """A front end's table: name of the row, and a cell for each number of people."""
    people = list(found["people"].values())
    table = []
    for stage in STAGES:
        cells = [p["stages"].get(stage) for p in people]
        if any(cells):
            said = ["-" if c is None else f"{c['p50_ms']:.2f} / {c['p99_ms']:.2f}" for c in cells]
            table.append((stage, said))
    table.append(("total, mean", [f"{p['mean_ms']:.2f}" for p in people]))
    table.append(("people seen, mean", [f"{p['seen']:g}" for p in people]))
    return table


def write_docs(data: Mapping[str, Any], path: Path) -> None:
    """Put the tables between the marks of a Markdown file.

    Raises:
        InputError: the file is missing, has no marks, or cannot be written.
    """
    write_between(path, BEGIN, END, markdown(data))


def plot(data: Mapping[str, Any], path: Path) -> None:
    """Medians of the stages on top of each other, a bar for each front end and number of people.

    Raises:
        InputError: matplotlib is not here, or the file cannot be written.
    """
    names = list(data["front_ends"])
    sizes = list(data["front_ends"][names[0]]["people"])

    def draw(axes: Any) -> None:
        colours: dict[str, Any] = {}
        for k, name in enumerate(names):
            for i, size in enumerate(sizes):
                at = i + 0.8 * (k - (len(names) - 1) / 2) / len(names)
                below = 0.0
                for stage, value in data["front_ends"][name]["people"][size]["stages"].items():
                    if stage == "total":
                        continue
                    label = None if stage in colours else stage
                    (bar,) = axes.bar(
                        at, value["p50_ms"], 0.7 / len(names), bottom=below, label=label,
                        color=colours.get(stage),
                    )  # fmt: skip
                    colours.setdefault(stage, bar.get_facecolor())
                    below += value["p50_ms"]
                axes.text(at, below, name, ha="center", va="bottom", fontsize=7)
        axes.axhline(1000 / 30, color="gray", linewidth=0.8)
        axes.text(-0.5, 1000 / 30, "30 Hz", va="bottom", color="gray")
        axes.set(
            xticks=range(len(sizes)), xticklabels=map(people_label, sizes),
            ylabel="ms per frame, image to skeletons",
            title=f"{data['model']}, {data['machine']['cores']} CPU cores",
        )  # fmt: skip
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    save_figure(path, draw)
