"""Unit tests with one expectation changed, which a right answer must fail.

Answer and tests share a process, and code can search that for whatever says that all passed. What
it cannot find there is which of two test files is the true one: they differ in one literal, and to
know which is right is to know the answer.
"""

from __future__ import annotations

import ast
import json
import math
import random
from collections.abc import Iterator
from typing import Any


def altered(tests: str, rng: random.Random) -> str | None:
    """The tests with the literal of one ``assert … == LITERAL`` changed; None where no such
    assertion is certain to be reached."""
    try:
        found = list(_expected(ast.parse(tests)))
    except (SyntaxError, ValueError):
        return None
    if not found:
        return None
    node = rng.choice(found)
    lines = tests.splitlines(keepends=True)
    line = lines[node.lineno - 1].encode()
    old = line[node.col_offset : node.end_col_offset]
    new = _written(another(ast.literal_eval(node)), old[:1] == b'"')
    changed = line[: node.col_offset] + new.encode() + line[node.end_col_offset :]
    lines[node.lineno - 1] = changed.decode()
    return "".join(lines)


def _expected(module: ast.Module) -> Iterator[ast.expr]:
    """Literals that are asserted to equal something: at the top, or in a function that the top
    calls. Only statements that follow one another, so that a right answer comes past each."""
    called = {
        statement.value.func.id
        for statement in module.body
        if isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and isinstance(statement.value.func, ast.Name)
    }
    bodies = [module.body]
    bodies += [s.body for s in module.body if isinstance(s, ast.FunctionDef) and s.name in called]
    for statement in (statement for body in bodies for statement in body):
        if isinstance(statement, ast.Return):
            return
        if not isinstance(statement, ast.Assert) or not isinstance(statement.test, ast.Compare):
            continue
        compare = statement.test
        if len(compare.ops) == 1 and isinstance(compare.ops[0], ast.Eq):
            sides = [compare.left, compare.comparators[0]]
            literals = [side for side in sides if _literal(side)]
            if len(literals) == 1:
                yield literals[0]


def _literal(node: ast.expr) -> bool:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    # One line, so that the text around it stays as it is.
    return node.lineno == node.end_lineno and _same(value, value)


def _same(value: Any, other: Any) -> bool:
    """Whether a literal equals itself, as NaN does not."""
    return bool(value == other)


def another(value: Any) -> Any:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | complex():
            return value + 1
        case float():
            return value + 1 if math.isfinite(value) and value + 1 != value else 0.0
        case str():
            return value + (value[-1:] or "a")
        case bytes():
            return value + (value[-1:] or b"a")
        case list():
            return [*value[:-1], another(value[-1])] if value else [0]
        case tuple():
            return (*value[:-1], another(value[-1])) if value else (0,)
        case dict() if value:
            last = next(reversed(value))
            return {**value, last: another(value[last])}
        case dict():
            return {0: 0}
        case set():
            return value | {max(map(hash, value), default=0) + 1}
    return 0  # for None and what else is a literal


def _written(value: Any, double: bool) -> str:
    return json.dumps(value, ensure_ascii=False) if double else repr(value)
