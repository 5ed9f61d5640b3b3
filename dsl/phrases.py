"""How findings name places, values, types and lists."""

from __future__ import annotations

from typing import Any

from dagent.dsl.document import Mapping, Node, Path, Sequence
from dagent.dsl.schema import Schema
from dagent.dsl.source import Span

_TYPES = {
    "object": "a block",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def shown(path: Path) -> str:
    """``train[0].stage`` is shown as ``train.stage``: lists of blocks are chains."""
    return ".".join(str(part) for part in path if isinstance(part, str))


def one_line(span: Span) -> str:
    text = " ".join(span.text.split())
    return text if len(text) <= 40 else text[:39] + "…"


def written(node: Node) -> str:
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Mapping):
        return "a block"
    if node.value is None:
        return "nothing"
    text = one_line(node.span)
    return f"`{text}`" if text else "empty text"


def expected(schema: Schema) -> str:
    if "x-quantity" in schema:
        return "an amount"
    types = schema["type"]
    if isinstance(types, str):
        return _TYPES[types]
    return joined([_TYPES[name].replace(" or ", ", ") for name in types], "or")


def sketch(finding: Any, name: str) -> str | None:
    """What to write, as far as the schema tells."""
    schema = finding.schema["properties"].get(name, {})
    if schema.get("x-chain"):
        return f"add `{name} sft {{ … }}`"
    if schema.get("x-named"):
        return f"add `{name} NAME {{ … }}`"
    if schema.get("type") == "object":
        return f"add `{name} {{ … }}`"
    if "enum" in schema:
        return f"add `{name} = …`: {listed([str(word) for word in schema['enum']], 'or')}"
    return f"add `{name} {'<=' if schema.get('x-cap') else '='} …`"


def listed(words: list[str], last: str = "and") -> str:
    return joined([f"`{word}`" for word in words], last)


def joined(words: list[str], last: str) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
