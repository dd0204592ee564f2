"""Every room knows only the rooms below it, and a robot needs neither torch nor, mostly, ROS."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "diffpose_ros"
OFFLINE = {"data", "rendering", "training", "evaluation", "bench"}
ROOMS: dict[str, set[str]] = {
    "core": set(),
    "geometry": {"core"},
    "tracking": {"core"},
    "history": {"core"},
    "kinematics": {"core"},
    "motion_files": {"kinematics", "core"},
    "media": {"core"},
    "search": {"core"},
    "diffusion": {"core"},
    "onnxgraph": {"core"},
    "runtime": {"onnxgraph", "core"},
    "frontend": {"tracking", "media", "core"},
    "methods": {"runtime", "onnxgraph", "diffusion", "geometry", "history", "core"},
    "lifting": {"methods", "kinematics", "geometry", "history", "core"},
    "data": {"geometry", "core"},
    "rendering": {"data", "frontend", "tracking", "core"},
    "evaluation": {"data", "lifting", "methods", "diffusion", "runtime", "geometry", "core"},
    "training": {
        *("evaluation", "lifting", "data", "methods", "onnxgraph", "diffusion", "runtime"),
        *("geometry", "core"),
    },
    "bench": {"lifting", "frontend", "methods", "runtime", "onnxgraph", "core"},
    "ros": {"media", "core", "msg"},
    "nodes": {
        *("ros", "frontend", "tracking", "lifting", "media", "kinematics", "search", "geometry", "core"),
        *("msg", "srv"),
    },
    "demo": {"nodes", "ros", "media", "core"},
}
"""The table of docs/architecture.md: room -> what it may import. ``cli`` may import everything."""

TORCH = (
    *("methods/layers", "methods/diffusion", "methods/baseline", "methods/zedo", "methods/finepose"),
    *("methods/unihpr", "methods/model_folder"),
    *("diffusion/samplers", "onnxgraph/", "training/", "bench/references"),
)
"""What may import torch or ONNX as it is loaded: networks, their export, training."""
ON_A_ROBOT = (
    *(f"methods/diffusion/{name}" for name in ("__init__", "contract", "engine", "method", "step_inputs")),
    *("methods/baseline/__init__", "methods/baseline/method"),
    *(f"methods/zedo/{name}" for name in ("__init__", "anchors", "contract", "loop", "method", "rays")),
    *(f"methods/finepose/{name}" for name in ("__init__", "contract", "method", "observed", "prompts")),
    *(f"methods/unihpr/{name}" for name in ("__init__", "contract", "embedder", "method")),
    *("onnxgraph/__init__", "onnxgraph/outline"),
)
"""Files among them that a robot runs, without torch."""

SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


@functools.cache
def imports(path: Path, *, at_load: bool = False) -> set[str]:
    """Modules that a file imports, dotted; with ``at_load`` only those that loading it imports."""
    found = set()
    nodes = [ast.parse(path.read_text())]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            found.add(node.module or "")
            if node.module == "diffpose_ros":
                found |= {f"diffpose_ros.{alias.name}" for alias in node.names}
        lazy = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        )
        if not (at_load and lazy):
            nodes.extend(ast.iter_child_nodes(node))
    return found


def rooms_of(modules: set[str]) -> set[str]:
    """Rooms that dotted module names belong to."""
    parts = (module.split(".") for module in modules)
    names = {p[1] for p in parts if p[0] == "diffpose_ros" and len(p) > 1}
    return {name for name in names if (PACKAGE / name).is_dir() or name in ("msg", "srv")}


def named(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_a_file_imports_only_rooms_below_its_own() -> None:
    wrong = {}
    for path in SOURCES:
        room = path.relative_to(PACKAGE).parts[0]
        if room == "cli" or path.parent == PACKAGE:
            continue
        assert room in ROOMS, f"{named(path)}: '{room}' is not in the table of rooms"
        if extra := rooms_of(imports(path)) - ROOMS[room] - {room}:
            wrong[named(path)] = extra
    assert not wrong, "these may not import these rooms"


def test_only_networks_and_what_trains_them_load_torch() -> None:
    wrong = {}
    for path in SOURCES:
        name = named(path).removesuffix(".py")
        if not name.startswith(TORCH) or name in ON_A_ROBOT:
            loaded = {module.split(".")[0] for module in imports(path, at_load=True)}
            if found := loaded & {"torch", "onnx", "safetensors"}:
                wrong[name] = found
    assert not wrong


def test_nothing_that_runs_on_a_robot_imports_what_is_offline() -> None:
    wrong = {}
    for path in SOURCES:
        room, offline = path.relative_to(PACKAGE).parts[0], rooms_of(imports(path)) & OFFLINE
        if offline and room not in OFFLINE | {"cli"}:
            wrong[named(path)] = offline
    assert not wrong


def test_a_file_has_at_most_400_lines() -> None:
    files = [*SOURCES, *(p for folder in ("test", "tools", "launch") for p in (ROOT / folder).rglob("*.py"))]
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert not {name: count for name, count in lines.items() if count > 400}


def present(*rooms: str) -> list[str]:
    """Modules of rooms, dotted."""
    return [
        ".".join(("diffpose_ros", *path.relative_to(PACKAGE).with_suffix("").parts))
        for room in rooms
        for path in sorted((PACKAGE / room).rglob("*.py"))
    ]


def import_without(modules: list[str], blocked: list[str]) -> str:
    """Import modules in a fresh interpreter in which others cannot be found; return its errors."""
    code = f"""
import importlib, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}} (blocked)", name=name)
sys.meta_path.insert(0, Blocked())
for name in {modules!r}:
    importlib.import_module(name)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    return done.stderr.strip()


ROBOT = (
    *("core", "geometry", "tracking", "history", "kinematics", "search", "frontend", "runtime", "lifting"),
    "media",
)


def test_what_a_robot_runs_imports_without_torch_and_without_ros() -> None:
    blocked = ["torch", "rclpy", "sensor_msgs", "std_msgs", "tensorrt", "openvino", "onnx"]
    assert import_without(present(*ROBOT), blocked) == ""


def test_every_other_room_imports_without_ros() -> None:
    pytest.importorskip("torch", reason="torch is not installed: make setup-train")
    rooms = set(ROOMS) - {"ros", "nodes", "demo"} | {"cli"}
    modules = present(*sorted(rooms))
    assert import_without(modules, ["rclpy", "std_msgs", "sensor_msgs"]) == ""


def test_the_command_line_starts_without_torch_and_without_ros() -> None:
    assert import_without(["diffpose_ros.cli.main"], ["torch", "rclpy", "safetensors"]) == ""


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


def test_the_architecture_shows_the_rooms_in_at_most_120_lines() -> None:
    assert len(ARCHITECTURE.splitlines()) <= 120
    said = dict(re.findall(r"^\| `(\w+)/` \|[^|]*\| ([^|]*) \|$", ARCHITECTURE, re.M))
    assert said.pop("cli") == "everything"
    assert said.pop("core") == "numpy"
    table = {room: set(below.split(", ")) for room, below in said.items()}
    assert table == {room: below for room, below in ROOMS.items() if room != "core"}


def test_the_files_that_the_architecture_names_are_there() -> None:
    named_there = set(re.findall(r"`((?:\w+/)+\w+\.py)`", ARCHITECTURE))
    assert len(named_there) > 40
    assert not {name for name in named_there if not any((at / name).is_file() for at in (PACKAGE, ROOT))}
