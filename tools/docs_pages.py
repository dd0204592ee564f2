"""Writes docs/parameters.md from the nodes and docs/messages.md from msg/ and srv/.

. .venv/env.sh && python tools/docs_pages.py             write them
. .venv/env.sh && python tools/docs_pages.py --check     fail where they are not up to date
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str]) -> int:
    """Write or check; return the exit code."""
    stale = []
    for name, text in (("parameters.md", parameters()), ("messages.md", messages())):
        path = ROOT / "docs" / name
        if "--check" in arguments:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        how = "python tools/docs_pages.py writes them"
        print(f"docs: not up to date: {', '.join(stale)}; {how}", file=sys.stderr)
    return int(bool(stale))


def parameters() -> str:
    """Every node's parameters: default, range, meaning."""
    import importlib

    from diffpose_ros.core.resources import config_path
    from diffpose_ros.nodes.runner import NODES, OPTIONAL
    from diffpose_ros.ros.lifecycle import AUTOSTART
    from diffpose_ros.ros.parameters import load_defaults

    lines = [
        "# Parameters", "",
        "Defaults live in `config/*.yaml`. *Fixed* parameters are read when a node is configured: to change "
        "one, deactivate and clean up the node first.", "",
    ]  # fmt: skip
    for node in (*NODES, *OPTIONAL):
        module = importlib.import_module(f"diffpose_ros.nodes.{node}")
        specs = (*module.SPECS, AUTOSTART)
        defaults = load_defaults(config_path(f"{node}.yaml"), specs)
        lines += [f"## {node}", "", "| parameter | default | allowed | |", "|---|---|---|---|"]
        for spec in specs:
            allowed = ", ".join(f"`{choice}`" for choice in spec.choices)
            if spec.minimum is not None:
                allowed = f"{spec.minimum:g} to {spec.maximum:g}"
            when = " *Fixed.*" if spec.fixed else " *At start only.*" if spec.at_start else ""
            about = spec.description + when
            default = shown(defaults[spec.name])
            lines.append(f"| `{spec.name}` | {default} | {allowed} | {about.replace('|', chr(92) + '|')} |")
        lines.append("")
    return "\n".join(lines)


def shown(value: object) -> str:
    """A default as tables have it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, (int, float)) else f"`{value}`" if value else '`""`'


def messages() -> str:
    """Every message as it is defined."""
    lines = [
        "# Messages and services", "",
        "The definitions as `ros2 interface show` prints them: every field with its unit and frame.", "",
    ]  # fmt: skip
    for path in (*sorted((ROOT / "msg").glob("*.msg")), *sorted((ROOT / "srv").glob("*.srv"))):
        text = path.read_text(encoding="utf-8").rstrip()
        lines += [f"## {path.stem}", "", "```", text, "```", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
