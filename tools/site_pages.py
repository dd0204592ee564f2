"""A hook of MkDocs: two more pages, made when the site is built.

``manual.md`` is the README. Pages link to ``../README.md``, which works where files are shown as they are.
On the site these links lead to the manual. ``commands.md`` has the help of every command.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
MANUAL, COMMANDS = "manual.md", "commands.md"


def on_files(files: Files, config: Any) -> Files:
    """Add the pages."""
    files.append(
        File.generated(config, MANUAL, content=manual((ROOT / "README.md").read_text(encoding="utf-8")))
    )
    files.append(File.generated(config, COMMANDS, content=commands()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links to the README into links to the manual."""
    up = "../" * page.file.src_uri.count("/")
    return markdown.replace(f"]({up}../README.md", f"]({up}{MANUAL}")


def manual(readme: str) -> str:
    """The README with links as the site needs them; a file that the site lacks is named without a link."""
    text = readme.replace("# diffpose_ros\n", "# Manual\n", 1).replace("](docs/", "](")
    return re.sub(r"\[([^\]]+)\]\((?!https?:|#|[\w/]+\.(?:md|png|jpg))[^)]*\)", r"\1", text)


def commands() -> str:
    """The help of every command, 100 columns wide, without the usage that repeats its options."""
    sys.path.insert(0, str(ROOT))
    from diffpose_ros.cli.main import COMMANDS as NAMES
    from diffpose_ros.cli.main import build_parser

    os.environ["COLUMNS"] = "102"
    lines = ["# Commands", "", "The output of `diffpose_ros COMMAND --help`.", ""]
    for name in NAMES:
        (parsers,) = (a for a in build_parser(name)._actions if a.dest == "command")
        text = parsers.choices[name].format_help().rstrip()  # type: ignore[index,call-overload]
        lines += [f"## {name}", "", "```text", text.partition("\n\n")[2], "```", ""]
    return "\n".join(lines)
