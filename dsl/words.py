"""How a scalar is written: bare where that reads back the same, else in quotes."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from dagent.dsl.document import Scalar
from dagent.dsl.scalars import resolve
from dagent.dsl.schema import Schema
from dagent.dsl.texts import quote

WORD = re.compile(r"[^\W\d][\w.-]*")
_SIMPLE = re.compile(r"[^\W\d][\w-]*")
_REFERENCE = re.compile(r"\$[^\W\d][\w-]*")
_AMOUNT = re.compile(r"[-+]?\.?\d[\w.%+-]*(?: (?:%|[^\W\d]+))?")
# After these a word on the same line would be taken for a name or a goal.
_LEADING = frozenset(
    {
        "arm",
        "data",
        "guard",
        "import",
        "metric",
        "optimise",
        "param",
        "per",
        "require",
        "train",
        "verify",
    }
)
_GOAL_PART = r'(?:[^\W\d][\w.-]*|[-+]?\.?\d[\w.%+-]*(?: %)?|>=|==|>|<|"[^"\\\s]*(?: [^"\\\s]+)*")'
_GOAL = re.compile(rf"[^\W\d][\w.-]*(?: <= {_GOAL_PART})?(?: {_GOAL_PART})*")
_YAML_PLAIN = re.compile(r"[\w$./][\w $./:<>=@%+()~^*-]*")


def number(node: Scalar) -> str:
    """A number as its author wrote it, such as `1e-3`; `null`, `true` and `false` in one way."""
    written = node.span.text
    same = not node.quoted and resolve(written) == node.value
    if isinstance(node.value, bool) or node.value is None or not same:
        return json.dumps(node.value)
    return written


def in_dsl(node: Scalar, schema: Schema | None) -> str:
    """A single word, a reference and an amount stand bare; any other text in quotes.

    A text with a number in front is an amount only where the schema does not say "text".
    """
    text = node.value
    if not isinstance(text, str):
        return number(node)
    if _REFERENCE.fullmatch(text):
        return text
    if _SIMPLE.fullmatch(text) and text not in _LEADING and resolve(text) == text:
        return text
    prose = schema is not None and schema.get("type") == "string"
    if not prose and _AMOUNT.fullmatch(text) and resolve(text) == text:
        return text if text.rpartition(" ")[2] not in _LEADING else quote(text)
    return quote(text)


def dsl_key(key: str) -> str:
    return key if WORD.fullmatch(key) else quote(key)


def goal(text: str) -> str:
    """The text of a `require`: bare if the grammar reads it back as it is."""
    bare = _GOAL.fullmatch(text) and not _LEADING.intersection(text.split()[:-1])
    return text if bare and text not in _LEADING else quote(text)


def in_yaml(node: Scalar) -> str:
    return yaml_text(node.value) if isinstance(node.value, str) else number(node)


def yaml_text(text: str) -> str:
    """Plain where YAML 1.2, and the older YAML of other tools, read it as this text."""
    plain = (
        _YAML_PLAIN.fullmatch(text)
        and not text.endswith((" ", ":"))
        and ": " not in text
        and resolve(text) == text
        and _is_text_in_yaml_1_1(text)
    )
    return text if plain else quote(text)


def _is_text_in_yaml_1_1(text: str) -> bool:
    import yaml

    tag = _resolver().resolve(yaml.ScalarNode, text, (True, False))
    one_letter = text in ("y", "Y", "n", "N")  # booleans in YAML 1.1, though not in PyYAML
    return bool(tag == "tag:yaml.org,2002:str") and not one_letter


@cache
def _resolver() -> Any:
    import yaml

    return yaml.resolver.Resolver()
