"""Whether a document plainly fits the schema, without jsonschema, whose import costs a sixth of a
whole compilation. "No" only means that jsonschema has to look: what is said is its business."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from dagent.dsl.schema import Schema

_SAYS_NOTHING = frozenset({"$schema", "$id", "title", "description", "default"})
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def fits(value: Any, schema: Schema) -> bool:
    """True only where Draft 7 finds nothing; a keyword unknown here is not taken for fitting."""
    return all(
        _KEYWORDS.get(keyword, _unknown)(value, rule, schema)
        for keyword, rule in schema.items()
        if keyword not in _SAYS_NOTHING and not keyword.startswith("x-")
    )


def _unknown(value: Any, rule: Any, schema: Schema) -> bool:
    return False


def _type(value: Any, rule: Any, schema: Schema) -> bool:
    names = [rule] if isinstance(rule, str) else rule
    # True is an int to Python alone.
    return any(
        isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))
        for name in names
    )


def _properties(value: Any, rule: Any, schema: Schema) -> bool:
    return not isinstance(value, dict) or all(
        fits(inner, rule[key]) for key, inner in value.items() if key in rule
    )


def _others(value: Any, rule: Any, schema: Schema) -> bool:
    if not isinstance(value, dict) or rule is True:
        return True
    others = [inner for key, inner in value.items() if key not in schema.get("properties", {})]
    return not others if rule is False else all(fits(inner, rule) for inner in others)


def _only(kind: type | tuple[type, ...], holds: Callable[[Any, Any], bool]) -> Any:
    """A keyword that says something of values of one kind."""
    return lambda value, rule, schema: not isinstance(value, kind) or holds(value, rule)


_KEYWORDS: dict[str, Callable[[Any, Any, Schema], bool]] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _others,
    "propertyNames": _only(dict, lambda value, rule: all(fits(key, rule) for key in value)),
    "required": _only(dict, lambda value, rule: all(key in value for key in rule)),
    "minProperties": _only(dict, lambda value, rule: len(value) >= rule),
    "items": _only(list, lambda value, rule: all(fits(item, rule) for item in value)),
    "minItems": _only(list, lambda value, rule: len(value) >= rule),
    "uniqueItems": _only(
        list, lambda value, rule: all(v not in value[:n] for n, v in enumerate(value))
    ),
    "enum": lambda value, rule, schema: any(type(value) is type(o) and value == o for o in rule),
    "pattern": _only(str, lambda value, rule: re.search(rule, value) is not None),
    "minLength": _only(str, lambda value, rule: len(value) >= rule),
    "minimum": _only((int, float), lambda value, rule: value >= rule),
    "exclusiveMinimum": _only((int, float), lambda value, rule: value > rule),
    "exclusiveMaximum": _only((int, float), lambda value, rule: value < rule),
}
