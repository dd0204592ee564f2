"""The small changes of one source file that a test should notice.

mutmut's operators (other operators, other numbers, arguments left out, branches forced) and those that
numeric code asks for besides: transposes, order of factors, arms of `where`, neighbours of a function (`min`
and `max`), finer changes of numbers, conditions turned round, statements left out. Left out of mutmut's are
changes of strings, and `None` in place of a value, which ends in an error wherever it is used, and so does a
call without its first argument.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
import libcst.metadata as meta
from mutmut.mutation import mutators

NEIGHBOURS = {
    "maximum": "minimum", "max": "min", "argmax": "argmin", "fmax": "fmin", "any": "all", "sin": "cos",
    "mean": "sum", "nanmean": "nansum", "floor": "ceil", "zeros": "ones", "zeros_like": "ones_like",
    "exp": "expm1", "sqrt": "square", "isnan": "isfinite", "hypot": "arctan2", "median": "mean",
}  # fmt: skip
NEIGHBOURS |= {b: a for a, b in NEIGHBOURS.items() if b not in NEIGHBOURS}
# What no test of values can see, or what only messages hold.
SKIPPED = (
    cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom, cst.Raise, cst.Assert, cst.FormattedString,
    cst.Global, cst.SimpleString, cst.ConcatenatedString,
)  # fmt: skip


_NOT_TAKEN = (
    mutators.operator_string, mutators.operator_assignment, mutators.operator_augmented_assignment,
)  # fmt: skip
Pairs = Iterator[tuple[cst.CSTNode, cst.CSTNode]]


@dataclass(frozen=True)
class Change:
    """Bytes `start` to `end` of `file` become `text`; tests that run lines `first` to `last` may notice."""

    file: Path
    start: int
    end: int
    text: str
    line: int
    first: int
    last: int
    at_import: bool

    def apply(self, source: bytes) -> str:
        return (source[: self.start] + self.text.encode() + source[self.end :]).decode()

    def key(self, source: bytes) -> str:
        """The same for the same change, wherever in the file the line moves."""
        lines = source.decode().splitlines()
        column = self.start - source.rfind(b"\n", 0, self.start) - 1
        old = source[self.start : self.end].decode()
        return f"{lines[self.line - 1].strip()} @{column}: {_short(old)} => {_short(self.text)}"


def _short(text: str) -> str:
    return " ".join(text.split())


def changes_of(file: Path) -> list[Change]:
    source = file.read_bytes()
    wrapper = meta.MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    finder = _Finder(file, source, wrapper)
    wrapper.visit(finder)
    seen: dict[tuple[int, int, str], Change] = {}
    for change in finder.found:
        if _compiles(change.apply(source)):
            seen.setdefault((change.start, change.end, change.text), change)
    return sorted(seen.values(), key=lambda c: (c.line, c.start))


def _compiles(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "changed", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


class _Finder(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (meta.ByteSpanPositionProvider, meta.PositionProvider)

    def __init__(self, file: Path, source: bytes, wrapper: meta.MetadataWrapper) -> None:
        super().__init__()
        self.file, self.source = file, source
        self.found: list[Change] = []
        self._inside: list[cst.CSTNode] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, SKIPPED) or _is_hidden(node):
            return False
        self._inside.append(node)
        signed = len(self._inside) > 1 and isinstance(self._inside[-2], cst.UnaryOperation)
        if not (signed and isinstance(node, cst.Integer)):  # -1 becomes 1, that is enough
            for old, new in _replacements(node):
                self._add(old, new)
        return True

    def on_leave(self, node: cst.CSTNode) -> None:  # type: ignore[override]
        if self._inside and self._inside[-1] is node:
            self._inside.pop()

    def _add(self, node: cst.CSTNode, new: cst.CSTNode) -> None:
        span = self.get_metadata(meta.ByteSpanPositionProvider, node)
        place = self.get_metadata(meta.PositionProvider, node)
        statement = next((n for n in reversed(self._inside) if isinstance(n, cst.SimpleStatementLine)), node)
        lines = self.get_metadata(meta.PositionProvider, statement)
        text = cst.Module(body=[]).code_for_node(new).strip()
        start, end = span.start, span.start + span.length
        if text != self.source[start:end].decode():
            reach = (place.start.line, lines.start.line, lines.end.line)
            self.found.append(Change(self.file, start, end, text, *reach, self._runs_at_import()))

    def _runs_at_import(self) -> bool:
        for outer in reversed(self._inside):
            if isinstance(outer, cst.Parameters):
                return True
            if isinstance(outer, cst.FunctionDef):
                return False
        return True


def _is_hidden(node: cst.CSTNode) -> bool:
    """Parts that run for type checkers, or declare what `import *` takes."""
    if isinstance(node, cst.If):
        return isinstance(node.test, cst.Name) and node.test.value == "TYPE_CHECKING"
    if isinstance(node, cst.Assign):
        target = node.targets[0].target
        return isinstance(target, cst.Name) and target.value == "__all__"
    return False


def _replacements(node: cst.CSTNode) -> Pairs:
    for kind, operator in mutators.mutation_operators:
        if not isinstance(node, kind) or operator in _NOT_TAKEN:
            continue
        if operator is mutators.operator_swap_op and isinstance(node, cst.UnaryOperation):
            continue  # the sign is left out below
        yield from ((node, new) for new in operator(node) if not _only_ends_in_an_error(node, new))
    for numeric in _NUMERIC:
        yield from numeric(node)


def _only_ends_in_an_error(old: cst.CSTNode, new: cst.CSTNode) -> bool:
    """Whether mutmut put `None` in the place of an argument, or left out the first one."""
    if not (isinstance(old, cst.Call) and isinstance(new, cst.Call)):
        return False
    if len(old.args) == len(new.args):
        return any(a is not b for a, b in zip(old.args, new.args, strict=True))
    first = old.args[0]
    return first.keyword is None and first not in new.args


def _finer_numbers(node: cst.CSTNode) -> Pairs:
    if isinstance(node, cst.Float):
        yield node, node.with_changes(value=repr(node.evaluated_value * 1.3))
    elif isinstance(node, cst.Integer) and node.evaluated_value > 0:
        yield node, node.with_changes(value=repr(node.evaluated_value - 1))


def _sign(node: cst.CSTNode) -> Pairs:
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
        yield node, node.expression


def _factors(node: cst.CSTNode) -> Pairs:
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.MatrixMultiply):
        yield node, node.with_changes(left=_bracketed(node.right), right=_bracketed(node.left))


def _transposes(node: cst.CSTNode) -> Pairs:
    if isinstance(node, cst.Attribute) and node.attr.value in ("T", "mT"):
        yield node, node.value
    if not (isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute)):
        return
    of, name = node.func.value, node.func.attr.value
    if name in ("swapaxes", "transpose"):
        is_function = isinstance(of, cst.Name) and of.value in ("np", "torch")
        yield node, _bracketed(node.args[0].value) if is_function else of


def _calls(node: cst.CSTNode) -> Pairs:
    """Another function of the same shape; the arms of `where` exchanged; one bound of two."""
    if not isinstance(node, cst.Call):
        return
    name = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
    if not isinstance(name, cst.Name):
        return
    if name.value in NEIGHBOURS:
        yield name, name.with_changes(value=NEIGHBOURS[name.value])
    if name.value == "where" and len(node.args) == 3:
        test, yes, no = (a.value for a in node.args)
        yield node, node.with_changes(args=[cst.Arg(test), cst.Arg(no), cst.Arg(yes)])
        yield node, _bracketed(yes)
        yield node, _bracketed(no)
    bounds = name.value in ("maximum", "minimum", "max", "min")
    if bounds and len(node.args) >= 2 and not node.args[1].keyword:
        yield node, _bracketed(node.args[0].value)
        yield node, _bracketed(node.args[1].value)


def _conditions(node: cst.CSTNode) -> Pairs:
    if isinstance(node, cst.If):
        yield node.test, cst.UnaryOperation(cst.Not(), _bracketed(node.test))
    if isinstance(node, cst.CompIf):
        yield node.test, cst.Name("True")


def _left_out(node: cst.CSTNode) -> Pairs:
    """A call for its effect, a store into an array or an object, a change in place."""
    places = (cst.Attribute, cst.Subscript)
    stores = isinstance(node, cst.Assign) and isinstance(node.targets[0].target, places)
    called = isinstance(node, cst.Expr) and isinstance(node.value, cst.Call)
    if stores or called or isinstance(node, cst.AugAssign):
        yield node, cst.Pass()


def _bracketed(node: cst.BaseExpression) -> cst.BaseExpression:
    return node.with_changes(lpar=[cst.LeftParen(), *node.lpar], rpar=[*node.rpar, cst.RightParen()])


_NUMERIC: tuple[Callable[[cst.CSTNode], Pairs], ...] = (
    _finer_numbers, _sign, _factors, _transposes, _calls, _conditions, _left_out,
)  # fmt: skip
