"""The README's tables say what the code does: names, defaults, choices, exit codes, figures."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest
import yaml

from diffpose_ros.cli._exit_codes import MEANINGS
from diffpose_ros.cli.main import COMMANDS
from diffpose_ros.core.choices import DETECTORS
from diffpose_ros.evaluation.results import OTHERS
from diffpose_ros.methods.registry import METHODS, VARIANTS
from diffpose_ros.runtime.load import BACKEND_CHOICES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
NODES = ("video_source", "keypoints", "lifter", "markers", "hri", "pose_search", "standard")


def rows(header: str, after: str = "") -> list[list[str]]:
    """Cells of the table with this header, the first one behind the text ``after``."""
    text = README[README.index(after) :]
    lines = text[text.index(f"\n| {header} |") + 1 :].splitlines()[2:]
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]*)`", text)


def specs(node: str) -> dict:
    pytest.importorskip("rclpy", reason="needs ROS 2's rclpy: make setup")
    module = importlib.import_module(f"diffpose_ros.nodes.{node}")
    return {spec.name: spec for spec in module.SPECS}


def defaults(node: str) -> dict:
    content = yaml.safe_load((ROOT / "config" / f"{node}.yaml").read_text())["/**"]["ros__parameters"]
    return {name: value for name, value in content.items() if name != "autostart"}


def shown(value: object) -> str:
    """A default as the tables write it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, (int, float)) else f"`{value}`" if value else '`""`'


@pytest.mark.parametrize("node", [node for node in NODES if node != "markers"])
def test_a_table_has_every_parameter_with_its_default(node: str) -> None:
    said = {}
    for names, values, about in rows("parameter", after=f"**`{node}`**"):
        split = [value.strip() for value in values.split(",")]
        for name, value in zip(quoted(names), split, strict=True):
            said[name] = value, "(*fixed*)" in about
    known = specs(node)
    assert said == {name: (shown(v), known[name].fixed) for name, v in defaults(node).items()}


def test_the_parameters_of_markers_are_said_in_one_sentence() -> None:
    sentence = README[README.index("**`markers`**") :].split("\n\n")[0]
    said = dict(re.findall(r"`(\w+)`\s(\w+(?:\.\d+)?)", sentence))
    assert said == {name: shown(value) for name, value in defaults("markers").items()}


@pytest.mark.parametrize("node", NODES)
def test_the_tables_name_every_choice(node: str) -> None:
    for spec in specs(node).values():
        if spec.choices and node != "markers":
            (row,) = (r for r in rows("parameter", after=f"**`{node}`**") if spec.name in quoted(r[0]))
            assert set(spec.choices) - {"cuda", "tensorrt", "fp16", "cpu"} <= set(quoted(row[1] + row[2]))


def test_the_tables_of_the_code_are_the_nodes_choices() -> None:
    assert specs("keypoints")["detector"].choices == tuple(DETECTORS)
    assert specs("lifter")["backend"].choices == BACKEND_CHOICES


def test_methods_stand_there_as_in_the_code_and_with_the_figures_of_the_results() -> None:
    results = (ROOT / "docs" / "results.md").read_text()
    named = {
        "starpose": "StarPose",
        "diffpose": "DiffPose + STPG",
        "baseline": "Context encoder alone, no diffusion",
        **OTHERS,
    }
    table = rows("model")
    assert [(quoted(name)[0], about) for name, about, *_ in table] == [
        *((name, entry.summary) for name, entry in METHODS.items()),
        *((name, summary) for name, (_, summary) in VARIANTS.items()),
    ]
    for name, _, mpjpe, p_mpjpe, inside in table:
        overall, of_uncertainty = figures(results, named[quoted(name)[0]])
        assert [mpjpe, p_mpjpe, inside] == [overall[0], overall[1], of_uncertainty[0]], name


def figures(results: str, name: str) -> tuple[list[str], list[str]]:
    """A model's row in the tables "Overall" and "Uncertainty and position"."""
    found = []
    for title in ("## Overall", "## Uncertainty and position"):
        part = results[results.index(title) :]
        line = part[part.index(f"\n| {name} |") + 1 :].splitlines()[0]
        found.append([cell.strip() for cell in line.split("|")[2:-1]])
    return found[0], found[1]


def test_the_figures_on_the_first_screen_are_those_of_the_pages() -> None:
    results = (ROOT / "docs" / "results.md").read_text()
    performance = (ROOT / "docs" / "performance.md").read_text()
    measured = performance[performance.index("### onnxruntime") :]
    p50 = {}
    for stage in ("total", "total, 1 step"):
        line = re.search(rf"^\| {stage} \|(.*)\|$", measured, re.M)
        assert line is not None
        p50[stage] = [float(cell.split("/")[0]) for cell in line[1].split("|")]
    one, _, ten, _ = p50["total"]
    said = {row[0]: row[1] for row in rows("| | measured on")}
    assert said["accuracy"] == f"{figures(results, 'StarPose')[0][0]} mm MPJPE"
    assert said["lifting"] == f"{one:.1f} ms for one person, {ten / 10:.1f} ms per person for ten"
    few, all_steps = (
        "{:.1f}, {:.1f} and {:.1f} ms".format(*p50[stage][:3]) for stage in ("total, 1 step", "total")
    )
    assert f"{few} instead of {all_steps}" in " ".join(performance.split())


def test_exit_codes_are_those_of_the_commands() -> None:
    said = [int(code) for codes, _ in rows("code") for code in codes.split(",")]
    assert said == list(MEANINGS)


def test_every_command_has_an_example() -> None:
    assert set(re.findall(r"^diffpose_ros ([a-z-]+)", README, re.M)) == set(COMMANDS)


def test_every_message_is_described() -> None:
    said = [name for names, _ in rows("message") for name in quoted(names)]
    assert sorted(said) == sorted(path.stem for path in (ROOT / "msg").glob("*.msg"))


def calls(node: str, method: str) -> set[str]:
    """First arguments of ``self.<method>(...)`` and the like, where they are plain strings."""
    tree = ast.parse((ROOT / "diffpose_ros" / "nodes" / f"{node}.py").read_text())
    return {
        argument.value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == method
        for argument in call.args[: 1 if method == "trouble" else 2]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


@pytest.mark.parametrize("node", NODES)
def test_every_published_topic_is_in_the_table(node: str) -> None:
    for topic in calls(node, "publisher"):
        row = next((r for r in rows("topic") if topic in quoted(r[0])), None)
        assert row is not None, f"{topic} is not in the table"
        assert node in row[2] or f"`{node}`" in row[2]


@pytest.mark.parametrize("node", NODES)
def test_every_trouble_of_a_node_is_in_the_table(node: str) -> None:
    said = {quoted(entry)[0] for who, entry, *_ in rows("node") if node in who and quoted(entry)}
    assert calls(node, "trouble") <= said


def test_every_entry_of_the_table_is_in_the_code() -> None:
    folders = (ROOT / "diffpose_ros" / room for room in ("nodes", "ros"))
    code = "".join(path.read_text() for folder in folders for path in folder.glob("*.py"))
    for _, entry, *_ in rows("node"):
        for name in quoted(entry):
            assert f'"{name}' in code, name


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.stem
)
def test_values_of_parameters_are_allowed(page: Path) -> None:
    """``name: value`` in backticks, where a node has a parameter of that name with choices."""
    for name, value in re.findall(r"`(\w+): ([\w.-]+)`", page.read_text()):
        choices = [specs(node)[name].choices for node in NODES if name in specs(node)]
        if any(choices) and page.stem != "data":  # recipes of training have their own `precision`
            assert any(value in known for known in choices), f"{name}: {value}"
