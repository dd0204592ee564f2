"""The bench's JSON as tables and a plot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from diffpose_ros.bench.latency import STAGES
from diffpose_ros.core import InputError
from diffpose_ros.core.files import whole, write_text

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
LABELS = {
    "torch_eager": "the same step in PyTorch, eager",
    "full_window": "the encoder on its whole window, output for the newest frame",
    **{
        f"full_window_{window}{suffix}": f"the encoder on its whole window of {window} frames, {what}"
        for window in (81, 243)
        for suffix, what in (
            ("", "output for the newest frame"),
            ("_all", "output for all its frames"),
            ("_first", "against the first streamed frame after it"),
            ("_people_5", "5 people"),
            ("_people_10", "10 people"),
        )
    },
    "papers_way": "the papers' way: encoder of MixSTE's size on 243 frames, then all steps, PyTorch",
}


def markdown(data: Mapping[str, Any]) -> str:
    """Tables of latencies and ratios, with the machine's description."""
    lines = [
        f"Model `{data['model']}`: N = {data['hypotheses']}, {data['steps']} steps, guidance "
        f"{'on' if any(data['guidance']) else 'off'}, window {data['window']}.",
        "",
        machine_line(data["machine"]),
    ]
    for name, backend in data["backend"].items():
        sizes = list(backend["people"])
        present = [s for s in STAGES if any(s in backend["people"][p] for p in sizes)]
        lines += ["", f"### {name}", "", f"{backend['reason']}.", ""]
        lines.append("| p50 / p99, ms | " + " | ".join(map(people_label, sizes)) + " |")
        lines.append("|---|" + "---|" * len(sizes))
        for stage in present:
            cells = [_cell(backend["people"][p].get(stage)) for p in sizes]
            lines.append(f"| {stage} | " + " | ".join(cells) + " |")
    lines += ["", "### Alternatives, as multiples of this package's time", ""]
    lines += ["Both run in turn in the same process; one person unless stated.", ""]
    lines += ["| alternative | elapsed time | processor time |", "|---|---|---|"]
    busy = data.get("ratios_processor_time", {})
    said_with_its_length = f"full_window_{data['window']}" in data["ratios"]
    for key, label in LABELS.items():
        if key in data["ratios"] and not (key == "full_window" and said_with_its_length):
            lines.append(f"| {label} | {_ratio(data['ratios'][key])} | {_ratio(busy.get(key))} |")
    lines += [f"\n{key}: {why}." for key, why in data.get("not_measured", {}).items()]
    return "\n".join(lines) + "\n"


def machine_line(machine: Mapping[str, Any]) -> str:
    """What was measured on."""
    packages = ", ".join(f"{n} {v}" for n, v in machine["packages"].items())
    load = ", ".join(map(str, machine["load_average"]))
    return (
        f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['python']}, {packages}; load average {load} at the start."
    )


def people_label(size: str) -> str:
    """Heading of a column."""
    return "1 person" if size == "1" else f"{size} people"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _cell(value: Mapping[str, float] | None) -> str:
    return "-" if value is None else f"{value['p50_ms']:.2f} / {value['p99_ms']:.2f}"


def write_docs(data: Mapping[str, Any], path: Path) -> None:
    """Put the tables between the marks of a Markdown file; errors as :func:`write_between`."""
    write_between(path, BEGIN, END, markdown(data))


def write_between(path: Path, begin: str, end: str, content: str) -> None:
    """Replace what stands between two marks of a Markdown file.

    Raises:
        InputError: the file is missing, has no marks, or cannot be written.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise InputError(f"{path}: cannot be read ({e.strerror})") from None
    head, begun, rest = text.partition(begin)
    _, ended, tail = rest.partition(end)
    if not (begun and ended):
        raise InputError(f"{path}: expected the lines '{begin}' and '{end}' to write between")
    write_text(path, f"{head}{begin}\n{content}{end}{tail}")


def plot(data: Mapping[str, Any], path: Path) -> None:
    """Latency over the number of people, a line for each backend; errors as :func:`save_figure`."""

    def draw(axes: Any) -> None:
        for name, backend in data["backend"].items():
            sizes = [int(p) for p in backend["people"]]
            total = [backend["people"][str(p)]["total"] for p in sizes]
            p50 = [t["p50_ms"] for t in total]
            (line,) = axes.plot(sizes, p50, marker="o", label=f"{name}, p50")
            axes.plot(
                sizes, [t["p99_ms"] for t in total], linestyle=":", color=line.get_color(),
                label=f"{name}, p99",
            )  # fmt: skip
        axes.axhline(1000 / 30, color="gray", linewidth=0.8)
        axes.text(1, 1000 / 30, " 30 Hz", va="bottom", color="gray")
        axes.set(
            xscale="log", yscale="log", xlabel="people", ylabel="ms per frame, keypoints to skeletons",
            title=f"{data['model']}, {data['machine']['cores']} CPU cores",
        )  # fmt: skip
        axes.grid(alpha=0.3)
        axes.legend()

    save_figure(path, draw)


def save_figure(path: Path, draw: Callable[[Any], None]) -> None:
    """Write what ``draw`` puts on the axes.

    Raises:
        InputError: matplotlib is not here, or the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("--plot needs matplotlib (pip install matplotlib)") from None
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    draw(FigureCanvasAgg(figure).figure.subplots())
    try:
        with whole(path) as part:
            figure.savefig(part, dpi=120)
    except ValueError as e:
        raise InputError(f"{path}: cannot write the plot ({e})") from None
