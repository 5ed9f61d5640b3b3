"""The document tree: what both syntaxes parse to. JSON's types, with a span on every key and value.

The tree knows nothing of blocks or units. A quantity such as ``4k rows``, a reference such as
``$rows`` and a requirement such as ``accuracy >= 0.8 on test`` are strings in it, in both
syntaxes; the compiler reads them where the schema wants them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from dagent.dsl.source import Span

Plain = str | int | float | bool | None


class Scalar(Struct, frozen=True):
    """``span`` covers the value as written, with quotes; ``quoted`` tells ``4`` from ``"4"``.
    ``given`` is where the value stands that a name at ``span`` stands for."""

    value: Plain
    span: Span
    quoted: bool = False
    given: Span | None = None


class Sequence(Struct, frozen=True):
    items: tuple[Node, ...]
    span: Span


class Entry(Struct, frozen=True):
    key: str
    key_span: Span
    value: Node


class Mapping(Struct, frozen=True):
    """Keys are unique: the front ends refuse duplicates and keep the first."""

    entries: tuple[Entry, ...]
    span: Span

    def entry(self, key: str) -> Entry | None:
        return next((e for e in self.entries if e.key == key), None)

    def get(self, key: str) -> Node | None:
        found = self.entry(key)
        return found.value if found else None

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)


Node = Scalar | Sequence | Mapping
Path = tuple[str | int, ...]


def plain(node: Node) -> Any:
    """The tree as dicts, lists and scalars, for jsonschema and for tests."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {e.key: plain(e.value) for e in node.entries}


def locate(root: Node, path: Path) -> Node:
    """The node at ``path``, or its deepest ancestor that exists."""
    node = root
    for part in path:
        if isinstance(node, Mapping) and isinstance(part, str):
            child = node.get(part)
        elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
            child = node.items[part]
        else:
            child = None
        if child is None:
            return node
        node = child
    return node
