"""Answers that are wrong on purpose: a right one with a single place changed.

What judges answers is worth something only if it fails such ones (mutation testing: DeMillo, Lipton
and Sayward 1978, "Hints on test data selection").
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from dagent.runtime.altered import another

T = TypeVar("T")
MOST = 8  # of one answer
Change = Callable[[], None]

_OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def hollow(source: str) -> str:
    """The program with functions that do nothing; without functions, no program at all.

    Raises:
        SyntaxError: it is no Python.

    >>> print(hollow("def f(x):\\n    return x + 1"))
    def f(x):
        return None
    """
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)]
    for function in functions:
        function.body = [ast.Return(ast.Constant(None))]
    return ast.unparse(ast.fix_missing_locations(tree)) if functions else ""


def of_code(source: str) -> list[str]:
    """At most ``MOST`` programs with another operator or constant in one place.

    Raises:
        SyntaxError: it is no Python.

    >>> of_code("def f(x):\\n    return x + 1")[0].splitlines()[1].strip()
    'return x - 1'
    """
    found = []
    for number in spread(range(len(list(_places(ast.parse(source))))), MOST):
        tree = ast.parse(source)
        list(_places(tree))[number]()
        found.append(ast.unparse(tree))
    return found


def _places(tree: ast.Module) -> Iterator[Change]:
    """What changes one place each. Texts that stand alone explain, and do nothing."""
    said = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in _OPERATORS:
                yield partial(setattr, node, "op", _OPERATORS[type(op)]())
            case ast.Compare(ops=[first, *rest]) if type(first) in _OPERATORS:
                yield partial(setattr, node, "ops", [_OPERATORS[type(first)](), *rest])
            case ast.Constant(value=bool() | int() | float() | str() as value):
                if id(node) not in said:
                    yield partial(setattr, node, "value", another(value))


_TOKEN = re.compile(
    r"""
    --[^\n]* | /\*.*?\*/ | "(?:[^"]|"")*" | `[^`]*` | \[[^\]]*\]
    | (?P<text>'(?:[^']|'')*') | (?P<number>\b\d+(?:\.\d+)?\b)
    | (?P<sign><>|!=|<=|>=|==|=|<|>)
    | \b(?P<word>and|or|min|max|sum|avg|asc|desc|distinct|inner|union)\b
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_SIGNS = {
    "<>": "=", "!=": "=", "=": "<>", "==": "<>", "<": ">=", ">=": "<", ">": "<=", "<=": ">",
}  # fmt: skip
_WORDS = {
    "and": "or", "or": "and", "min": "max", "max": "min", "sum": "avg", "avg": "sum",
    "asc": "desc", "desc": "asc", "distinct": "", "inner": "left", "union": "intersect",
}  # fmt: skip


def of_query(query: str) -> list[str]:
    """At most ``MOST`` queries with another constant, comparison or keyword in one place.

    >>> of_query("select a from t where b > 2 -- not 3")
    ['select a from t where b <= 2 -- not 3', 'select a from t where b > 3 -- not 3']
    """
    places = [found for found in _TOKEN.finditer(query) if found.lastgroup]
    return [
        query[: found.start()] + _other(found) + query[found.end() :]
        for found in spread(places, MOST)
    ]


def _other(found: re.Match[str]) -> str:
    text = found[0]
    match found.lastgroup:
        case "text":
            return text[:-1] + "~'"
        case "number":
            return str(int(text) + 1) if text.isdigit() else f"{float(text) + 1}"
        case "sign":
            return _SIGNS[text]
    return _WORDS[text.lower()]


def spread(found: Sequence[T], most: int) -> list[T]:
    """At most so many of them, evenly."""
    return list(found[:: max(1, -(-len(found) // most))])
