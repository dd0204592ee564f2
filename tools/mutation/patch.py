"""Puts a changed source file into a process that has already imported it."""

from __future__ import annotations

import gc
import sys
import types
import warnings
from collections.abc import Iterator
from typing import Any

PLAIN = (int, float, complex, str, bytes, bool, tuple, list, dict, set, frozenset, type(None))


class CannotPatchError(Exception):
    """The change asks for a fresh import."""


def functions_of(filename: str) -> dict[tuple[str, int], list[types.FunctionType]]:
    """Every living function of a file, by name and first line."""
    out: dict[tuple[str, int], list[types.FunctionType]] = {}
    for f in gc.get_objects():
        if type(f) is types.FunctionType and f.__code__.co_filename == filename:
            out.setdefault((f.__code__.co_name, f.__code__.co_firstlineno), []).append(f)
    return out


def patch_functions(
    functions: dict[tuple[str, int], list[types.FunctionType]], old: str, new: str, filename: str
) -> None:
    """Living functions get the code of the changed source."""
    olds, news = (list(_codes(_compiled(text, filename))) for text in (old, new))
    if [path for path, _ in olds] != [path for path, _ in news]:
        raise CannotPatchError("the change adds or drops a function")
    for (_, was), (_, code) in zip(olds, news, strict=True):
        if was != code:
            for f in functions.get((was.co_name, was.co_firstlineno), []):
                if len(f.__code__.co_freevars) != len(code.co_freevars):
                    raise CannotPatchError("the change alters what a function closes over")
                f.__code__ = code


def patch_values(module: types.ModuleType, new: str, filename: str) -> None:
    """Constants, defaults and class attributes get the values that the changed source gives them."""
    fresh = types.ModuleType(module.__name__)
    fresh.__dict__.update(__file__=filename, __package__=module.__package__)
    known = sys.modules[module.__name__]
    sys.modules[module.__name__] = fresh
    try:
        exec(_compiled(new, filename), fresh.__dict__)
    finally:
        sys.modules[module.__name__] = known
    for name, value in vars(fresh).items():
        was = vars(module).get(name)
        if isinstance(value, type) and isinstance(was, type) and value.__module__ == module.__name__:
            _patch_class(was, value)
        elif isinstance(value, types.FunctionType) and isinstance(was, types.FunctionType):
            if value.__module__ == module.__name__:
                was.__defaults__, was.__kwdefaults__ = value.__defaults__, value.__kwdefaults__
        elif name in vars(module) and _differs(was, value):
            _replace_everywhere(name, was, value)


def _compiled(text: str, filename: str) -> types.CodeType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(text, filename, "exec", dont_inherit=True)


Path = tuple[str, ...]


def _codes(code: types.CodeType, path: Path = ()) -> Iterator[tuple[Path, types.CodeType]]:
    yield path, code
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _codes(inner, (*path, inner.co_name))


def _differs(a: Any, b: Any) -> bool:
    if isinstance(b, PLAIN) or type(b).__module__ == "numpy":
        return type(a) is not type(b) or repr(a) != repr(b)
    return False


def _replace_everywhere(name: str, was: Any, value: Any) -> None:
    for module in list(sys.modules.values()):
        members = getattr(module, "__dict__", None)
        if members and members.get(name) is was:
            members[name] = value


def _patch_class(old: type, new: type) -> None:
    for name, value in list(vars(new).items()):
        was = vars(old).get(name)
        f, g = getattr(was, "__func__", was), getattr(value, "__func__", value)
        if isinstance(f, types.FunctionType) and isinstance(g, types.FunctionType):
            f.__defaults__, f.__kwdefaults__ = g.__defaults__, g.__kwdefaults__
        elif name in vars(old) and not name.startswith("__") and _differs(was, value):
            setattr(old, name, value)
