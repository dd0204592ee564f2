"""YAML to dataclasses: every key known, every value of its type, every error with file and key.

Dataclasses stay plain; pydantic checks them from outside, and is imported only when something is read.
Rules across fields live in ``__post_init__``, which raises :class:`ConfigError`.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from diffpose_ros.core.bounded_yaml import parse, read_text
from diffpose_ros.core.errors import ConfigError, InputError

T = TypeVar("T")

_EXPECTED = {
    "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number",
    "bool_type": "true or false", "string_type": "text", "finite_number": "a finite number",
    "dataclass_type": "keys with values", "dict_type": "keys with values", "tuple_type": "a list",
    "list_type": "a list", "float_parsing": "a number", "none_required": "null",
}  # fmt: skip


def read_yaml(path: str | Path, what: str = "configuration") -> dict[str, Any]:
    """A YAML file that holds a mapping.

    Args:
        path: the file.
        what: what it should be, for the error's text.

    Raises:
        ConfigError: the file is missing, is not YAML, holds something else, or what
            :mod:`~diffpose_ros.core.bounded_yaml` refuses.
    """
    try:
        content = parse(read_text(path), path)
    except InputError as error:
        raise ConfigError(f"{what} {error}") from None
    if not isinstance(content, dict):
        kind = "nothing" if content is None else type(content).__name__
        raise ConfigError(f"{what} {path}: expected a mapping of keys to values, got {kind}")
    return content


def from_mapping(cls: type[T], mapping: Any, where: str = "") -> T:
    """Build a (nested) dataclass from plain data, as YAML gives it.

    Args:
        cls: a dataclass; its annotations say what is valid.
        mapping: what the file says.
        where: the file, or what else the mapping belongs to; begins the error's text.

    Raises:
        ConfigError: an unknown key (the nearest known one is named), a missing one, a value of the wrong
            type, NaN, or what the dataclass itself refuses; one line that names the key.
    """
    try:
        from pydantic import ConfigDict, TypeAdapter, ValidationError
    except ModuleNotFoundError:
        raise ConfigError(
            f"{where or 'configuration'}: reading it needs pydantic; pip install pydantic"
        ) from None
    rules = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    adapter = TypeAdapter(tuple[cls], config=rules)  # type: ignore[valid-type]
    try:
        # As JSON, where a list is a tuple and a whole number is a number, and nothing else is converted.
        text = json.dumps([mapping], default=str)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where or 'configuration'}: {error}") from error
    try:
        return typing.cast(T, adapter.validate_json(text)[0])
    except ValidationError as refused:
        errors = refused.errors(include_url=False)
        place = f"{where}: " if where else ""
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise ConfigError(place + _line(cls, dict(errors[0])) + more) from None


def one_of(name: str, value: str, choices: Iterable[str]) -> None:
    """Refuse a choice that is not in its table.

    Raises:
        ConfigError: with the choices and, where there is one, the nearest.
    """
    known = tuple(choices)
    if value not in known:
        raise ConfigError(f"{name}: expected {_either(known)}, got '{value}'{nearest(value, known)}")


def at_least(name: str, value: float, least: float) -> None:
    """Refuse a number below ``least``.

    Raises:
        ConfigError: it is.
    """
    if not value >= least:
        raise ConfigError(f"{name}: expected {least:g} or more, got {value:g}")


def share(name: str, value: float) -> None:
    """Refuse what is no share of a whole.

    Raises:
        ConfigError: it lies outside 0 to 1.
    """
    if not 0.0 <= value <= 1.0:
        raise ConfigError(f"{name}: expected a share from 0 to 1, got {value:g}")


def span(name: str, value: tuple[float, float], *, above: float = 0.0, equal: bool = False) -> None:
    """Refuse a range that runs backwards or leaves its bounds.

    Args:
        name: the key.
        value: from and to.
        above: what both must exceed.
        equal: whether ``above`` itself is allowed.

    Raises:
        ConfigError: they do not.
    """
    low, high = value
    fine = low >= above if equal else low > above
    if not (fine and low <= high):
        least = f"at least {above:g}" if equal else f"above {above:g}"
        raise ConfigError(f"{name}: expected from and to, rising, {least}, got {low:g}, {high:g}")


def nearest(word: str, known: Iterable[str]) -> str:
    """``", did you mean 'steps'?"`` or nothing."""
    found = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f", did you mean '{found[0]}'?" if found else ""


def _line(cls: type, error: dict[str, Any]) -> str:
    path = [part for part in error["loc"][1:] if part != "[key]"]
    key = ".".join(str(part) for part in path)
    kind, got = error["type"], error["input"]
    if kind == "unexpected_keyword_argument":
        known = _fields(cls, path[:-1])
        inside = ".".join(str(part) for part in path[:-1])
        guess = nearest(str(path[-1]), known)
        listed = "" if guess else f", expected one of {', '.join(sorted(known))}"
        return f"{key}: unknown key '{path[-1]}'{f' in {inside}' if inside else ''}{guess}{listed}"
    if kind == "missing":
        return f"{key}: missing"
    if kind == "value_error":
        inner = str(error["ctx"]["error"])
        return f"{key}.{inner}" if key and ": " in inner else f"{key}: {inner}".removeprefix(": ")
    if kind == "literal_error":
        choices = _choices(cls, path)
        return f"{key}: expected {_either(choices)}, got {_shown(got)}{nearest(str(got), choices)}"
    if kind in ("too_long", "too_short"):
        return f"{key}: expected another number of values ({error['msg'].lower()})"
    if kind == "unexpected_positional_argument":
        return f"{key}: expected keys with values, got {_shown(got)}"
    expected = _EXPECTED.get(kind, error["msg"])
    hint = ""
    if kind == "float_type" and isinstance(got, str) and _is_number(got):
        hint = "; YAML takes this for text: write 0.001 or 1.0e-3"
    return f"{key or 'the whole'}: expected {expected}, got {_shown(got)}{hint}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _either(choices: Iterable[str]) -> str:
    words = list(choices)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _hint(cls: Any, path: list[Any]) -> Any:
    """The annotation that a path of keys leads to."""
    hint: Any = cls
    for part in path:
        hint = _bare(hint)
        if dataclasses.is_dataclass(hint):
            hint = typing.get_type_hints(hint).get(str(part), Any)
        else:
            arguments = typing.get_args(hint)
            hint = arguments[-1] if arguments and arguments[-1] is not ... else (arguments or (Any,))[0]
    return _bare(hint)


def _bare(hint: Any) -> Any:
    """``X`` of ``X | None``."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next((a for a in typing.get_args(hint) if a is not type(None)), hint)
    return hint


def _fields(cls: Any, path: list[Any]) -> list[str]:
    hint = _hint(cls, path)
    return [f.name for f in dataclasses.fields(hint)] if dataclasses.is_dataclass(hint) else []


def _choices(cls: Any, path: list[Any]) -> tuple[str, ...]:
    return tuple(str(c) for c in typing.get_args(_hint(cls, path)))
