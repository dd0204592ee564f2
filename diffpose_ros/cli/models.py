"""``diffpose_ros models``: which models are in the box, which backends could run them here."""

from __future__ import annotations

import argparse
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.table import Table

import diffpose_ros
from diffpose_ros.cli._options import Screen, command

EXAMPLES = """
diffpose_ros models
diffpose_ros models --json
"""

WEIGHTS = Path(diffpose_ros.__file__).parent / "weights"
MODULES = {
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
    "tensorrt": ("tensorrt", "tensorrt_rtx"),
    "torch": ("torch",),
}
"""Backend -> Python packages, one of which it needs."""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "models", "list the models and backends that are here", EXAMPLES)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """Print what is here."""
    models, backends = shipped_models(), installed_backends()
    if args.json:
        print(json.dumps({"models": models, "backends": backends}, indent=2))
        return 0
    console = Screen()
    table = Table(title="models")
    for column in ("name", "steps", "MB", "file"):
        table.add_column(column, justify="right" if column == "MB" else "left")
    for model in models:
        table.add_row(model["name"], ", ".join(map(str, model["steps"])), f"{model['mb']:.1f}", model["path"])
    console.print(table if models else f"no models under {WEIGHTS}")
    table = Table(title="backends")
    table.add_column("name")
    table.add_column("installed")
    for name, version in backends.items():
        table.add_row(name, version or f"no (needs {' or '.join(MODULES[name])})")
    console.print(table)
    return 0


def shipped_models(folder: Path = WEIGHTS) -> list[dict[str, Any]]:
    """Name, path, size and numbers of steps of each model in the box."""
    out = []
    for path in sorted(folder.glob("*/model.onnx")):
        fewer = [p.stem.rpartition("_")[2] for p in path.parent.glob("model_*.onnx")]
        out.append(
            {
                "name": path.parent.name,
                "path": str(path),
                "mb": path.stat().st_size / 1e6,
                "steps": sorted({5, *(int(s) for s in fewer if s.isdigit())}, reverse=True),
            }
        )
    return out


def installed_backends() -> dict[str, str]:
    """Backend -> version of its package, empty where it is not installed."""
    from importlib import metadata

    out = {}
    for name, modules in MODULES.items():
        found = next((m for m in modules if find_spec(m) is not None), None)
        out[name] = ""
        if found is not None:
            owners = metadata.packages_distributions().get(found, [found])
            out[name] = metadata.version(owners[0]) if owners else "yes"
    return out
