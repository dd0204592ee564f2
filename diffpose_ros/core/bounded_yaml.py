"""YAML that somebody else wrote: read in bounded time and memory, and only when it is unambiguous.

Aliases (a few hundred bytes of them can stand for gigabytes), deep nesting, huge files, keys given twice
and files that are none (pipes, devices) are refused, each with a reason.
"""

from __future__ import annotations

import codecs
import contextlib
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import yaml

from diffpose_ros.core.errors import InputError

MAX_BYTES = 4_000_000
MAX_DEPTH = 24
MAX_NODES = 100_000

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):
    """Plain values only: mappings, lists, texts, numbers, true and false, null; each key once."""

    yaml_constructors = {
        f"tag:yaml.org,2002:{kind}": _BASE.yaml_constructors[f"tag:yaml.org,2002:{kind}"]
        for kind in ("map", "seq", "str", "int", "float", "bool", "null")
    } | {None: _BASE.yaml_constructors[None]}
    yaml_implicit_resolvers: ClassVar[dict[str | None, list[Any]]] = {}

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """A mapping; refuses a key that is given twice."""
        seen = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is not None and name in seen:
                problem = f"'{name}' is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep=True)


for _kind, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|Nan|NAN)",
     "-+0123456789."),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
):  # fmt: skip
    # unlike PyYAML's own, 1e-5 is a number, and 1:30 is no number of seconds
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(rf"^(?:{_pattern})$"), list(_first)
    )


def read_text(path: str | Path, *, max_bytes: int = MAX_BYTES) -> str:
    """The text of a file of bounded size.

    Raises:
        InputError: the file is missing, is no regular file, is larger, or is neither UTF-8 nor marked as
            UTF-16 (as PowerShell's ``>`` writes it).
    """
    path = Path(path)
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
        with path.open("rb") if regular else contextlib.nullcontext() as file:
            raw = b"" if file is None else file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be read ({reason})") from None
    if not regular:
        raise InputError(f"{path}: expected a file, got something else (a folder, pipe or device)")
    if len(raw) > max_bytes:
        raise InputError(f"{path}: expected at most {max_bytes / 1e6:g} MB, it is larger")
    try:
        marked = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return raw.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file (not UTF-8)") from None


def parse(
    text: str, name: str | Path, *, tags: dict[str, Callable[[Any], Any]] | None = None
) -> Any:
    """The first document of a YAML text.

    Args:
        text: the YAML.
        name: of the file, for messages.
        tags: tag -> what makes a value of the mapping that carries it; all others are refused.

    Raises:
        InputError: no YAML, or one of the things that this module refuses.
    """
    loader: Any = type("_TaggedLoader", (_Loader,), {})
    for tag, make in (tags or {}).items():
        loader.add_constructor(
            tag, lambda self, node, make=make: make(self.construct_mapping(node, deep=True))
        )
    try:
        _check_events(text, name)
        return next(iter(yaml.load_all(text, Loader=loader)), None)
    except InputError:
        raise
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise InputError(f"{name}: not a YAML file ({_first_line(error)}{_tab(error, text)})") from None


def _check_events(text: str, name: str | Path) -> None:
    """Walk through the first document without building anything."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_BASE)):
        if isinstance(event, yaml.AliasEvent):
            raise InputError(f"{name}: holds aliases (*{event.anchor}), which are not read")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentEndEvent):
            return
        if depth > MAX_DEPTH:
            raise InputError(f"{name}: nested deeper than {MAX_DEPTH} levels")
        if count > MAX_NODES:
            raise InputError(f"{name}: holds more than {MAX_NODES} entries")


def _first_line(error: Exception) -> str:
    problem = getattr(error, "problem", None) or (str(error).splitlines() or [""])[0]
    mark = getattr(error, "problem_mark", None)
    text = str(problem)[:120]
    return f"{text}, line {mark.line + 1}" if mark is not None else text


def _tab(error: Exception, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    lines = text.splitlines()[mark.line : mark.line + 1] if mark is not None else []
    tabbed = any(line.lstrip(" ").startswith("\t") for line in lines)
    return "; a tab is there, YAML is indented with spaces" if tabbed else ""
