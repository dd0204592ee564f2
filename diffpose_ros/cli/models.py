"""``diffpose_ros models``: which models are in the box, which backends work here."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.table import Table

from diffpose_ros.cli._options import Screen, command
from diffpose_ros.core.resources import WEIGHTS
from diffpose_ros.methods.catalog import model_names, step_variants
from diffpose_ros.methods.registry import read_spec, summary_of
from diffpose_ros.runtime.load import probe_backends

EXAMPLES = """
diffpose_ros models
diffpose_ros models --json
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser of ``diffpose_ros``."""
    parser = command(subparsers, "models", "list the models and the backends that work here", EXAMPLES)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """Print what is here."""
    models = [describe(name) for name in model_names()]
    backends: dict[str, dict[str, Any]] = {
        name: {"works": can.available, "reason": can.reason} for name, can in sorted(probe_backends().items())
    }
    if args.json:
        print(json.dumps({"models": models, "backends": backends}, indent=2))
        return 0
    console = Screen()
    table = Table(title="models")
    for column in ("name", "what it is", "steps", "MB", "file"):
        table.add_column(column, justify="right" if column == "MB" else "left")
    for model in models:
        steps = ", ".join(map(str, model["steps"]))
        table.add_row(model["name"], model["summary"], steps, f"{model['mb']:.1f}", model["path"])
    console.print(table if models else f"no models under {WEIGHTS}")
    table = Table(title="backends")
    for column in ("name", "works here", "why"):
        table.add_column(column)
    for name, can in backends.items():
        table.add_row(name, "yes" if can["works"] else "no", can["reason"])
    console.print(table)
    return 0


def describe(model: str | Path) -> dict[str, Any]:
    """Name, method, path, size and numbers of steps of a model."""
    spec = read_spec(model)
    return {
        "name": spec.name,
        "kind": spec.kind,
        "summary": summary_of(spec.name, spec.kind),
        "path": str(spec.path),
        "mb": spec.path.stat().st_size / 1e6,
        "steps": [spec.steps, *step_variants(spec.path)],
    }
