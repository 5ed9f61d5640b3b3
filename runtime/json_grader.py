"""Grades JSON: valid against a schema, and field by field against the right answer.

Fields are compared as pairs of a path and a value, counted as often as they occur. Precision is
the share of the answer's pairs that are right, recall the share of the right ones that it has; the
score is their harmonic mean, F1. A list is a bag of its items, each compared as a whole, so that
one item too many costs one pair and not all that follow it; an empty list or object is one pair.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dagent.compiler.reading import parsed
from dagent.runtime.grade import RIGHT, Grade, Grader, shortened, wrong
from dagent.runtime.patterns import SLOW, search
from dagent.runtime.rows import Row

Path = tuple[str | None, ...]
"""The keys that lead to a value, ``ITEM`` last for an item of a list."""

ITEM = None
Pair = tuple[Path, str]


def json_grader(schema: Mapping[str, Any] | None, fields: Sequence[str] | None) -> Grader:
    """``fields`` are paths such as ``customer.name``; ``["*"]`` is all that the right answer or the
    answer has; without them validity alone counts."""
    validator = None
    if schema is not None:
        from jsonschema.validators import extend, validator_for
        from referencing import Registry

        # With a registry of its own it fetches nothing that a `$ref` names.
        kind = extend(validator_for(schema), {"pattern": _pattern})  # type: ignore[no-untyped-call]
        validator = kind(schema, registry=Registry())

    def judged(answer: str, row: Row) -> Grade:
        try:
            given = parsed(answer)
        except ValueError as error:
            return wrong(f"not JSON: {error}")
        if validator is not None:
            fault = next(iter(validator.iter_errors(given)), None)
            if fault is not None:
                return wrong(f"{fault.json_path}: {fault.message}")
        if fields is None:
            return RIGHT
        try:
            right = parsed(row["answer"])
        except ValueError as error:
            return wrong(f"the right answer is not JSON: {error}")
        return field_f1(given, right, fields)

    def grade(answer: str, row: Row) -> Grade:
        try:
            return judged(answer, row)
        except RecursionError:
            return wrong("it is nested too deeply")

    return grade


def _pattern(validator: Any, pattern: str, text: object, schema: object) -> Iterator[Exception]:
    """JSON Schema's keyword (Validation, 6.3.3), within a time limit."""
    from jsonschema import ValidationError

    if isinstance(text, str):
        try:
            if search(pattern, text) is None:
                yield ValidationError(f"{text!r} does not match {pattern!r}")
        except TimeoutError:
            yield ValidationError(SLOW)


def field_f1(given: Any, right: Any, fields: Sequence[str]) -> Grade:
    """
    >>> field_f1({"a": 1, "b": [1, 2]}, {"a": 1.0, "b": [2]}, ["*"])
    Grade(score=0.8, reason='`b` is [1, 2], not [2]')
    """
    have, want = Counter(_pairs(given, fields)), Counter(_pairs(right, fields))
    if have == want:
        return RIGHT
    score = 2 * (have & want).total() / (have.total() + want.total())
    field = min(_name(path) for path, _ in (have - want) + (want - have))
    shown = [_shown(pairs, field) for pairs in (have, want)]
    return Grade(score, shortened(f"`{field}` is {shown[0]}, not {shown[1]}"))


def _name(path: Path) -> str:
    return ".".join(key for key in path if key is not None)


def _shown(pairs: Counter[Pair], field: str) -> str:
    found = sorted(pair for pair in pairs.elements() if _name(pair[0]) == field)
    values = [value for _, value in found]
    if not found:
        return "missing"
    return values[0] if found[0][0][-1:] != (ITEM,) else "[" + ", ".join(values) + "]"


def _pairs(value: Any, fields: Sequence[str]) -> Iterator[Pair]:
    for path, leaf in _leaves(value, ()):
        name = _name(path)
        if any(f == "*" or name == f or name.startswith(f + ".") for f in fields):
            yield path, leaf


def _leaves(value: Any, path: Path) -> Iterator[Pair]:
    if value and isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif value and isinstance(value, list):
        for item in value:
            yield (*path, ITEM), _canonical(item)
    else:
        yield path, _canonical(value)


def _canonical(value: Any) -> str:
    return json.dumps(_number(value), sort_keys=True, ensure_ascii=False)


def _number(value: Any) -> Any:
    """The value with ``2.0`` as ``2``, at every depth: JSON has one kind of number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _number(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_number(item) for item in value]
    return value
