"""`where`: which rows of a data set count, as an expression over columns.

Python's syntax, so that nobody learns another; a small part of it, so that reading a spec can
neither run code nor take long: comparisons, `and or not`, `in`, plain arithmetic on numbers, and
the functions below.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from msgspec import Struct

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": abs,
    "endswith": lambda text, end: str.endswith(text, end),
    "float": float,
    "int": int,
    "len": len,
    "lower": str.lower,
    "startswith": lambda text, start: str.startswith(text, start),
    "str": str,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda value, values: value in values,
    ast.NotIn: lambda value, values: value not in values,
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


class Columns(Protocol):
    def __getitem__(self, name: str, /) -> Any: ...


class CannotJudge(Exception):
    """An expression that fails on a row, with what Python says about it."""


class NotAllowed(Exception):
    """An expression that is none; ``start`` and ``end`` are the part to blame in its text."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.start, self.end = start, end


class Where(Struct, frozen=True):
    """A checked expression. ``names`` are the columns it reads, with their place in the text."""

    text: str
    tree: ast.expr
    names: tuple[tuple[str, int, int], ...]

    def keeps(self, row: Columns) -> bool:
        """Raises: CannotJudge when the expression fails on this row."""
        try:
            return bool(_value(self.tree, row))
        except (TypeError, ValueError, ArithmeticError) as error:
            raise CannotJudge(str(error)) from None


def parse_where(text: str) -> Where:
    """The expression in ``text``.

    Raises:
        NotAllowed: for what is no expression, or no part of this small language.
    """
    try:
        # The parentheses let it run over several lines.
        tree = ast.parse(f"({text}\n)", mode="eval").body
    except SyntaxError as error:
        start = _offset(text, error.lineno or 1, (error.offset or 1) - 1, in_bytes=False)
        start = min(start, max(len(text.rstrip()) - 1, 0))  # not at the closing parenthesis
        end = _offset(text, error.end_lineno or 1, (error.end_offset or 1) - 1, in_bytes=False)
        raise NotAllowed(error.msg, start, max(end, start + 1)) from None
    except (ValueError, RecursionError, MemoryError):
        raise NotAllowed("cannot be read", 0, len(text)) from None
    names: dict[str, tuple[str, int, int]] = {}
    for node in _checked(tree, text):
        if isinstance(node, ast.Name):
            names.setdefault(node.id, (node.id, *_place(node, text)))
    return Where(text, tree, tuple(names.values()))


def _checked(node: ast.expr, text: str) -> Iterator[ast.expr]:
    """The parts that are values, depth first; anything outside the language is refused."""
    match node:
        case ast.Name():
            yield node
        case ast.Constant(value=str() | int() | float() | bool() | None):
            pass
        case ast.BoolOp(values=values) | ast.List(elts=values) | ast.Tuple(elts=values):
            for value in values:
                yield from _checked(value, text)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=value) | ast.Attribute(value=value):
            yield from _checked(value, text)
        case ast.Compare(left=left, comparators=others):
            for value in (left, *others):
                yield from _checked(value, text)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            yield from _checked(left, text)
            yield from _checked(right, text)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            for value in args:
                yield from _checked(value, text)
        case ast.Call(func=ast.Attribute(attr=name) as method) if name in FUNCTIONS:
            raise NotAllowed(
                f"`{name}` is a function here: write `{name}({ast.unparse(method.value)}, …)`",
                *_place(method, text),
            )
        case ast.Call(func=function):
            known = ", ".join(f"`{name}`" for name in FUNCTIONS)
            raise NotAllowed(f"only {known} can be called", *_place(function, text))
        case _:
            raise NotAllowed("that is not part of `where`", *_place(node, text))


def _value(node: ast.expr, row: Columns) -> Any:
    match node:
        case ast.Name(id=name):
            return row[name]
        case ast.Constant(value=value):
            return value
        case ast.List(elts=values) | ast.Tuple(elts=values):
            return [_value(v, row) for v in values]
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_value(v, row) for v in values)
        case ast.BoolOp(values=values):
            return any(_value(v, row) for v in values)
        case ast.UnaryOp(op=ast.Not(), operand=value):
            return not _value(value, row)
        case ast.UnaryOp(operand=value):
            return -_value(value, row)
        case ast.Attribute(value=value, attr=name):
            inner = _value(value, row)
            return inner.get(name) if isinstance(inner, Mapping) else None
        case ast.Compare(left=left, ops=ops, comparators=others):
            values = [_value(v, row) for v in (left, *others)]
            pairs = zip(ops, values, values[1:], strict=False)
            return all(_COMPARISONS[type(op)](a, b) for op, a, b in pairs)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _value(left, row), _value(right, row)
            if not (isinstance(a, int | float) and isinstance(b, int | float)):
                raise TypeError("arithmetic takes numbers")
            return _ARITHMETIC[type(op)](a, b)
        case ast.Call(func=ast.Name(id=name), args=args):
            return FUNCTIONS[name](*(_value(v, row) for v in args))
    raise AssertionError(node)


def _place(node: ast.expr, text: str) -> tuple[int, int]:
    start = _offset(text, node.lineno, node.col_offset, in_bytes=True)
    end = _offset(text, node.end_lineno or 1, node.end_col_offset or 0, in_bytes=True)
    return start, max(end, start + 1)


def _offset(text: str, line: int, column: int, *, in_bytes: bool) -> int:
    """Index into ``text`` of a place in ``(text)``; ast counts columns in bytes of UTF-8."""
    lines = text.split("\n")
    before = sum(len(part) + 1 for part in lines[: line - 1])
    column -= line == 1
    here = lines[line - 1] if line <= len(lines) else ""
    if in_bytes:
        column = len(here.encode()[: max(column, 0)].decode(errors="ignore"))
    return min(before + max(column, 0), len(text))
